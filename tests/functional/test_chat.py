"""Chat completions, same dialect in and out: what goes through, what is hidden, what is noted."""

import json

import pytest

import replies
from daemon import chat_body, usage_of
from provider import Gate
from wire import parse_events

CHAT = "/v1/chat/completions"

# Spellings that a tree would change: order, spaces, numbers, escapes, unknown members.
ODD_BODY = (
    '{ "zeta":1.0,\t"messages" : [{"role":"user",'
    '"content":"caf\\u00e9 \\u0000 \\ud83d\\ude42 ü \\/"}],\r\n'
    '"big": 9007199254740993, "small": 1e-400, "minus": -0,'
    '"model" :  "MODEL" , "nested": {"model": "x"},'
    '"list": [ 1.50, 2E+1, [ ] ], "seed":12345678901234567890 }'
).encode()


def odd_body(model):
    return ODD_BODY.replace(b"MODEL", model)


def inserted(before, after):
    """The one piece that was put into `before` to make `after`."""
    start = 0
    while start < len(before) and before[start] == after[start]:
        start += 1
    size = len(after) - len(before)
    assert size >= 0 and before[start:] == after[start + size :], (before, after)
    return after[start : start + size]


def test_a_plain_request_reaches_the_provider_byte_for_byte(daemon, provider):
    body = odd_body(b"m-two")
    answer = daemon.ask("POST", CHAT, body)
    assert answer.status == 200 and answer.header("content-type").startswith("application/json")
    seen = provider.last
    assert (seen.method, seen.path) == ("POST", CHAT)
    assert seen.body == body
    assert seen.header("authorization").startswith("Bearer sk-canary-chatty-")
    assert seen.header("content-type") == "application/json"
    assert answer.body == seen.answer


@pytest.mark.parametrize("asked, meant", [
    (b"aictl", b"m-one"), (b"M-TWO", b"m-two"), (b"chatty/m-two", b"m-two"),
    (b"chatty,m-two", b"m-two"), (b"gpt-4o", b"m-one"),
])
def test_only_the_model_value_is_replaced(daemon, provider, asked, meant):
    assert daemon.ask("POST", CHAT, odd_body(asked)).status == 200
    assert provider.last.body == odd_body(meant)


def test_a_user_alias_is_replaced_by_its_target(start_daemon, setup, provider):
    setup["aliases"] = {"fast": "chatty/m-two"}
    daemon = start_daemon(setup, keys=["chatty"])
    assert daemon.ask("POST", CHAT, odd_body(b"fast")).status == 200
    assert provider.last.body == odd_body(b"m-two")


def test_an_answer_is_passed_on_byte_for_byte(daemon, provider):
    strange = b'{"choices":[ {"message":{"content":"\\u00fc \xc3\xbc"}} ],\n"usage":null,"x":1.0}'
    provider.will(replies.Status(200, strange))
    assert daemon.chat("m-one").body == strange


def stream(daemon, checks_stream=True, **fields):
    with daemon.open_chat("m-one", checks_stream=checks_stream, **fields) as wire:
        answer = wire.read_answer()
    assert answer.status == 200 and answer.is_complete
    assert answer.header("content-type").startswith("text/event-stream")
    return answer


def test_a_stream_is_passed_on_byte_for_byte_when_usage_was_asked(daemon, provider):
    answer = stream(daemon, stream_options={"include_usage": True})
    assert answer.body == provider.last.answer
    assert parse_events(answer.body)[-1].data == "[DONE]"


def test_usage_is_asked_of_the_provider_and_hidden_from_the_client(daemon, provider):
    body = odd_body(b"m-one").replace(b'"zeta":1.0', b'"stream": true')
    answer = daemon.ask("POST", CHAT, body)
    seen = provider.last
    assert b'"include_usage"' in inserted(body, seen.body)
    assert seen.json == {**json.loads(body), "stream_options": {"include_usage": True}}
    events = [event.raw for event in parse_events(seen.answer)]
    assert answer.body == b"".join(raw for raw in events if b'"choices": []' not in raw)
    assert b"[DONE]" in answer.body


@pytest.mark.parametrize("options", [
    {}, None, {"include_usage": False}, {"include_obfuscation": False},
    {"include_obfuscation": False, "include_usage": False},
])
def test_stream_options_of_the_client_are_kept_beside_usage(daemon, provider, options):
    answer = stream(daemon, stream_options=options)
    assert provider.last.json["stream_options"] == {**(options or {}), "include_usage": True}
    assert b'"usage"' not in answer.body and b"[DONE]" in answer.body


def test_a_plain_request_is_not_asked_for_stream_usage(daemon, provider):
    body = json.dumps(chat_body("m-one", stream=False)).encode()
    assert daemon.ask("POST", CHAT, body).status == 200
    assert provider.last.body == body


@pytest.mark.parametrize("is_stream", [False, True])
def test_usage_and_end_are_recorded(daemon, provider, is_stream):
    provider.will(replies.Reply(input_tokens=11, cached_tokens=3, output_tokens=7))
    assert daemon.chat("m-two", stream=is_stream).status == 200
    attempt = daemon.wait_attempt()
    assert attempt["provider"] == "chatty" and attempt["model"] == "m-two"
    assert attempt["end"] == "done" and attempt["status"] == 200 and attempt["stream"] == is_stream
    assert usage_of(attempt) == ("provider", 8, 3, 7)


def test_usage_that_no_one_told_is_unknown(daemon, provider):
    provider.will(replies.Reply(has_usage=False))
    stream(daemon)
    assert daemon.wait_attempt()["usage"]["source"] == "none"


@pytest.mark.parametrize("write_size", [1, 3, 7, 64, 4096])
def test_pieces_cut_anywhere_make_the_same_stream(daemon, provider, write_size):
    tools = (("read", '{"path": "/grüße/🙂", "n": 1.0}'), ("list", "{}"))
    provider.will(replies.Reply(tools=tools, reasoning="denk…", write_size=write_size))
    answer = stream(daemon, stream_options={"include_usage": True})
    assert answer.body == provider.last.answer
    assert daemon.wait_attempt()["usage"]["output"] == 7


def test_events_are_passed_on_as_they_come(daemon, provider):
    gate = Gate()
    provider.will(replies.Reply(text="first", before_end=gate))
    with daemon.open_chat("m-one") as wire:
        wire.read_head()
        for event in wire.events():
            if '"content": "first"' in event.data:
                break
        assert provider.last.link.at_closed is None
        gate.open()
        assert b"[DONE]" in b"".join(wire.pieces())


def test_a_stream_without_chunks_ends_with_the_connection(daemon, provider):
    provider.will(replies.Reply(framing="close"))
    answer = stream(daemon)
    assert answer.body.endswith(b"data: [DONE]\n\n")


def test_comments_and_odd_line_ends_survive(daemon, provider):
    odd = (b': hello\n\ndata:{"choices":[{"delta":{"content":"a"}}]}\r\n\r\n'
           b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n: bye\n\ndata: [DONE]\n\n')

    def answer_odd(call):
        call.head(200, [("Content-Type", "text/event-stream")])
        call.body(odd, 5)
        call.end()

    provider.will(answer_odd)
    assert stream(daemon, checks_stream=False).body == odd
    assert daemon.wait_attempt()["end"] == "done"


def test_several_requests_share_one_client_connection(daemon, provider):
    with daemon.connect() as wire:
        for number in range(5):
            daemon.open_chat("m-one", wire=wire, user=str(number))
            assert b"[DONE]" in wire.read_answer().body
            assert provider.last.json["user"] == str(number)


def test_many_streams_run_at_once(daemon, provider):
    gate = Gate()
    provider.default = replies.Reply(before_end=gate)
    wires = [daemon.open_chat("m-one") for _ in range(50)]
    provider.wait_request(50)
    assert daemon.rpc("status")["requests"]["active"] == 50
    gate.open()
    for wire in wires:
        assert b"[DONE]" in wire.read_answer().body
        wire.close()


@pytest.mark.parametrize("size", [1 << 20, 20 << 20])
def test_a_large_body_goes_through_unchanged(daemon, provider, size):
    body = json.dumps(chat_body("m-one", filler="x" * size)).encode()
    assert daemon.ask("POST", CHAT, body).status == 200
    assert provider.last.body == body


def test_a_large_answer_goes_through_unchanged(daemon, provider):
    provider.will(replies.Reply(text="y" * (8 << 20)))
    answer = daemon.chat("m-one")
    assert answer.body == provider.last.answer


def test_headers_of_an_answer_name_the_request(daemon, provider):
    provider.will(replies.Reply(headers=(("x-request-id", "req_from_provider"),)))
    answer = daemon.chat("m-one")
    assert answer.header("x-aictl-request-id")
    assert answer.header("x-request-id") in (None, "req_from_provider")


# ---- who asks ----


@pytest.mark.parametrize("dialect", ["chat", "anthropic"])
@pytest.mark.parametrize("sent, expected", [
    ([], "aictl/"), (["tool/1.2 (x; y)"], "tool/1.2 (x; y)"), ([""], "aictl/"),
    (["one/1", "two/2"], "one/1"),
])
@pytest.mark.parametrize("is_stream", [False, True])
def test_the_provider_sees_one_user_agent(daemon, provider, dialect, sent, expected, is_stream):
    headers = [("User-Agent", value) for value in sent]
    ask, model = (daemon.chat, "m-one") if dialect == "chat" else (daemon.messages, "c-one")
    assert ask(model, headers=headers, stream=is_stream).status in (200, 400)
    for seen in provider.posts:
        values = seen.values("user-agent")
        assert len(values) == 1 and values[0].startswith(expected)


def test_a_test_of_a_provider_has_one_user_agent(daemon, provider):
    daemon.rpc("provider.test", provider="chatty")
    values = provider.last.values("user-agent")
    assert len(values) == 1 and values[0].startswith("aictl/")
