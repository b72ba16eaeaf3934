"""Failures behind a conversion: families 24, 25, 33, 35, 38, and S6, S12, E of docs/CONFORMANCE.md."""

import pytest

import replies
from converting import CLIENTS, PATHS, Script, begin, block, chunk, delta, end, event, sse, stop, world
from daemon import config_for, provider_row
from lifecycle import said_by, said_in
from provider import Gate
from wire import parse_events

SAY = chunk(role="assistant", content="")
BEGUN = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
CHAT_WORDS = SAY + chunk(content="Hel")
MESSAGES_WORDS = begin() + BEGUN + delta(0, "text", "Hel")
OVERLOADED = {"type": "overloaded_error", "message": "the engine is overloaded"}
MODELS = {"chat": "m-plain", "messages": "c-plain"}
OTHER = {"chat": "messages", "messages": "chat"}
KINDS = {"chat": "openai", "messages": "anthropic"}


def request_of(client, is_stream=True, **more):
    """A request for the provider of the other dialect."""
    body = {"model": MODELS[OTHER[client]], "messages": [{"role": "user", "content": "Go."}],
            "stream": is_stream, **more}
    return {**body, "max_tokens": 100} if client == "messages" else body


def is_in_shape(error_body, client):
    """An error body in the words of this dialect."""
    inner = error_body["error"]
    assert inner["message"] and inner["type"], error_body
    assert (error_body.get("type") == "error") == (client == "messages"), error_body
    return inner


# ---- S6, 25: an error inside a 200 ----

ERRORS = {
    "chat": [
        sse({"error": {"message": "the engine is overloaded", "code": 502}}),
        b'event: error\ndata: {"error":{"message":"the engine is overloaded","status_code":400}}\n\n',
        b'error: {"code":500,"message":"the engine is overloaded","type":"server_error"}\n\n',
        sse({"error": {"message": "the engine is overloaded", "code": 502}, "choices": [
            {"index": 0, "delta": {"role": "assistant", "content": ""},
             "finish_reason": "error"}]}) + sse("[DONE]"),
        sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "error",
                          "error": {"message": "the engine is overloaded", "code": 502}}]})
        + sse("[DONE]"),
        sse({"type": "error", "error": OVERLOADED}),
        sse({"error": "the engine is overloaded"}),
        sse({"object": "error", "message": "the engine is overloaded", "type": "x", "code": 1}),
    ],
    "messages": [
        event("error", error=OVERLOADED),
        b'event: error\ndata: {"error":{"code":"1305","message":"the engine is overloaded"}}\n\n',
        sse({"type": "error", "error": OVERLOADED}),
        b"event: error\ndata: the engine is overloaded\n\n",
    ],
}
FAILURES = [(provider, number) for provider in ERRORS for number in range(len(ERRORS[provider]))]


@pytest.mark.parametrize("provider, number", FAILURES)
def test_s06_an_error_before_content_is_an_error_status_in_the_clients_shape(world, provider, number):
    client, error = OTHER[provider], ERRORS[provider][number]
    for is_stream in (True, False):
        for first in (b"", b": PROCESSING\n\n", SAY if provider == "chat" else begin()):
            answer = world.ask(client, request_of(client, is_stream),
                               Script(first + error, first + error, "stream"))
            assert answer.status >= 400, answer.body
            assert "the engine is overloaded" in is_in_shape(answer.json, client)["message"]


@pytest.mark.parametrize("provider, number", FAILURES)
@pytest.mark.parametrize("cut", [None, 1])
def test_s06_an_error_behind_content_ends_the_stream_with_the_clients_error_event(world, provider, number,
                                                                                  cut):
    client = OTHER[provider]
    words = CHAT_WORDS if provider == "chat" else MESSAGES_WORDS
    said = said_by(world.ask(client, request_of(client),
                             Script(words + ERRORS[provider][number], None, "stream", cut)))
    assert said.text == "Hel" and said.stop is None and "the engine is overloaded" in said.error["message"]
    assert world.daemon.wait_attempt()["end"] != "done"


@pytest.mark.parametrize("provider, number", FAILURES)
def test_s06_an_error_behind_content_is_an_error_status_for_a_plain_request(world, provider, number):
    client = OTHER[provider]
    words = CHAT_WORDS if provider == "chat" else MESSAGES_WORDS
    answer = world.ask(client, request_of(client, False),
                       Script(words + ERRORS[provider][number], None, "stream"))
    assert answer.status >= 400 and "the engine is overloaded" in is_in_shape(answer.json, client)["message"]


@pytest.mark.parametrize("provider, whole", [
    ("chat", {"error": {"message": "the engine is overloaded", "code": 502}}),
    ("chat", {"choices": [{"index": 0, "message": {"role": "assistant", "content": ""},
                           "finish_reason": "error",
                           "error": {"message": "the engine is overloaded", "code": 502}}]}),
    ("chat", {"object": "error", "message": "the engine is overloaded", "type": "x", "code": 50001}),
    ("chat", {"detail": "the engine is overloaded"}),
    ("messages", {"type": "error", "error": OVERLOADED}),
    ("messages", {"error": {"code": "1305", "message": "the engine is overloaded"}}),
], ids=str)
@pytest.mark.parametrize("is_stream", [True, False])
def test_s06_a_whole_answer_that_is_an_error_gets_an_error_status(world, provider, whole, is_stream):
    client = OTHER[provider]
    answer = world.ask(client, request_of(client, is_stream), Script(None, whole, "whole"))
    assert answer.status >= 400 and "the engine is overloaded" in is_in_shape(answer.json, client)["message"]


# ---- 24, S12: nothing came ----

NOTHING = {
    "chat": [b"", b": PROCESSING\n\n", SAY, SAY + sse("[DONE]"), sse({"choices": []}) + sse("[DONE]"),
             sse("[DONE]"), b"data: {}\n\n",
             b"data: <html>\n\n"],
    "messages": [b"", b": x\n\n", begin(), begin() + event("ping"), event("message_stop"),
                 b"event: ping\ndata: {}\n\n", b"data: x\n\n"],
}
EMPTY = [(provider, number) for provider in NOTHING for number in range(len(NOTHING[provider]))]


@pytest.mark.parametrize("provider, number", EMPTY)
@pytest.mark.parametrize("is_stream", [True, False])
def test_s12_a_stream_that_says_nothing_is_the_providers_fault(world, provider, number, is_stream):
    client = OTHER[provider]
    answer = world.ask(client, request_of(client, is_stream),
                       Script([NOTHING[provider][number]], None, "stream"))
    assert answer.status >= 500 and is_in_shape(answer.json, client)


BAD_BEGINNINGS = {
    "chat": [ERRORS["chat"][0], SAY + ERRORS["chat"][2], *NOTHING["chat"][:4]],
    "messages": [ERRORS["messages"][0], begin() + ERRORS["messages"][0], *NOTHING["messages"][:3]],
}


@pytest.mark.parametrize("first, number",
                         [(provider, number) for provider,
                          those in BAD_BEGINNINGS.items() for number in range(len(those))])
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("is_stream", [True, False])
def test_f24_the_next_provider_answers_when_the_first_fails_before_content(
        start_daemon, provider, first, number, client, is_stream):
    """A provider of the client's own dialect is asked first; with two of one kind both are converted."""
    second = OTHER[client]
    rows = [provider_row(name, provider.url, ["shared"], kind=KINDS[kind]) for name,
            kind in (("one", first), ("two", second))]
    daemon = start_daemon(config_for(*rows, default="shared", maxRetries=1), keys=["one", "two"])
    provider.will(Script([BAD_BEGINNINGS[first][number]], None, "stream"), replies.Reply(text="Hello"))
    ask = daemon.chat if client == "chat" else daemon.messages
    said = said_by(ask("shared", stream=is_stream))
    assert said.text == "Hello" and said.error is None
    assert [seen.is_anthropic for seen in provider.posts] == [first == "messages", second == "messages"]


@pytest.mark.parametrize("client", CLIENTS)
def test_f24_after_the_first_word_no_other_provider_is_asked(start_daemon, provider, client):
    other = OTHER[client]
    kind, words = ("openai", CHAT_WORDS) if other == "chat" else ("anthropic", MESSAGES_WORDS)
    rows = [provider_row(name, provider.url, ["shared"], kind=kind) for name in ("one", "two")]
    daemon = start_daemon(config_for(*rows, default="shared", maxRetries=3), keys=["one", "two"])
    provider.will(Script(words + ERRORS[other][0], None, "stream"))
    ask = daemon.chat if client == "chat" else daemon.messages
    said = said_by(ask("shared", stream=True))
    assert said.text == "Hel" and said.error and len(provider.posts) == 1


# ---- 25: it breaks off behind content ----


@pytest.mark.parametrize("provider", CLIENTS)
@pytest.mark.parametrize("how", ["reset", "close"])
def test_f25_a_stream_that_breaks_off_never_looks_finished(world, provider, how):
    client, gate = OTHER[provider], Gate()

    def break_off(call):
        call.head(200, [("Content-Type", "text/event-stream")])
        call.body(CHAT_WORDS if provider == "chat" else MESSAGES_WORDS)
        call.pause(gate)
        getattr(call, how)()

    world.provider.will(break_off)
    with world.daemon.connect() as wire:
        version = [("anthropic-version", "2023-06-01")]
        wire.send(world.daemon.build("POST", PATHS[client], request_of(client), headers=version))
        wire.read_head()
        body = b""
        for piece in wire.pieces():
            body += piece
            if b"Hel" in body:
                gate.open()
    said = said_in(body, client)
    assert said.text == "Hel" and said.error
    assert world.daemon.wait_attempt()["end"] != "done"


@pytest.mark.parametrize("provider", CLIENTS)
def test_f25_arguments_cut_in_the_middle_are_never_closed_as_valid(world, provider):
    client = OTHER[provider]
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":'}}
    opened = event("content_block_start", index=0,
                   content_block={"type": "tool_use", "id": "a", "name": "f", "input": {}})
    cut = SAY + chunk(tool_calls=[call]) if provider == "chat" else begin() + opened + delta(0, "tool_use",
                                                                                             '{"x":')
    answer = world.ask(client, request_of(client), Script(cut, None, "stream"))
    assert b'{\\"x\\":' in answer.body and b"[DONE]" not in answer.body
    assert b"content_block_stop" not in answer.body
    assert said_by(answer).error
    plain = world.ask(client, request_of(client, False), Script(cut, None, "stream"))
    assert plain.status >= 500 and is_in_shape(plain.json, client)


@pytest.mark.parametrize("provider", CLIENTS)
@pytest.mark.parametrize("size", range(1, 400, 13))
def test_f25_a_stream_cut_at_any_byte_is_whole_or_an_error(world, provider, size):
    client = OTHER[provider]
    whole = b"".join([CHAT_WORDS, chunk(content="lo"), *end()] if provider == "chat" else
                     [MESSAGES_WORDS, event("content_block_stop", index=0), stop()])
    answer = world.ask(client, request_of(client), Script(whole[:-size], None, "stream"))
    if answer.status != 200:
        assert answer.status >= 500 and is_in_shape(answer.json, client)
        return
    said = said_by(answer)
    finish = whole.find(b'"finish_reason": "stop"' if provider == "chat" else b'"stop_reason": "end_turn"')
    assert said.error or len(whole) - size > finish, "it looks finished"


@pytest.mark.parametrize("provider", CLIENTS)
def test_f25_bytes_that_are_no_utf8_never_reach_the_client(world, provider):
    client = OTHER[provider]
    words = CHAT_WORDS if provider == "chat" else MESSAGES_WORDS
    for bad in (b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xf0\x9f\x99"):
        answer = world.ask(client, request_of(client),
                           Script(words + words.replace(b"Hel", b"Hel" + bad), None, "stream"))
        said = said_by(answer)  # it is UTF-8, and its life cycle is right
        assert said.error and said.text == "Hel"


# ---- 33, E: errors before the stream ----

E1 = [
    (400, {"error": {"message": "bad words", "type": "invalid_request_error", "param": "x", "code": None}}),
    (401, {"error": {"message": "bad words", "code": 401}}),
    (400, {"code": "x", "error": "bad words"}),
    (401, {"detail": "bad words"}),
    (400, {"object": "error", "message": "bad words", "type": "invalid_request_error", "code": "1",
           "raw_status_code": 400}),
    (404, {"error": "bad words"}),
    (400, {"error": {"code": 400, "message": "bad words", "status": "INVALID_ARGUMENT", "details": []}}),
    (404, {"type": "error", "error": {"type": "not_found_error", "message": "bad words"}, "request_id": "r"}),
    (429, {"error": {"code": "1302", "message": "bad words 您的账户"}, "request_id": "r"}),
    (413, {"error": {"message": "bad words", "type": "request_too_large"}}),
    (500, {"error": {"message": "bad words", "type": "api_error"}}),
    (529, {"type": "error", "error": {"type": "overloaded_error", "message": "bad words"}}),
    (503, {"error": {"message": "bad words", "type": "server_error"}}),
]


@pytest.mark.parametrize("status, body", E1, ids=str)
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("is_stream", [True, False])
def test_e01_errors_of_every_shape_reach_the_client_in_its_own(world, status, body, client, is_stream):
    script = replies.Status(status, body, (("retry-after", "7"),), "application/octet-stream")
    answer = world.ask(client, request_of(client, is_stream), script)
    assert answer.status == status or {answer.status, status} == {503, 529}
    assert "bad words" in is_in_shape(answer.json, client)["message"]
    if status in (429, 503, 529):
        assert answer.header("retry-after") == "7"


@pytest.mark.parametrize("status, kind", [
    (400, "invalid_request_error"), (401, "authentication_error"), (404, "not_found_error"),
    (413, "request_too_large"),
    (429, "rate_limit_error"), (500, "api_error"), (529, "overloaded_error"),
])
def test_f33_a_messages_client_gets_the_words_of_its_api_for_a_status(world, status, kind):
    answer = world.ask("messages", request_of("messages"),
                       replies.Status(status, {"error": {"message": "no", "type": "strange_word"}}))
    assert answer.error["type"] == kind and answer.header("x-should-retry") in (None, "true", "false")


@pytest.mark.parametrize("client", CLIENTS)
def test_f33_a_model_that_is_forbidden_is_not_called_a_wrong_key(world, client):
    error = {"error": {"message": "Project does not have access to model", "type": "invalid_request_error",
                       "code": "model_not_found"}}
    answer = world.ask(client, request_of(client), replies.Status(403, error))
    assert answer.status == 403 and "does not have access" in answer.error["message"]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("status, body",
                         [(502, b"<html><h1>502 Bad Gateway</h1></html>"), (504, b""), (500, b"\xff\xfe\x00"),
                          (503, b'{"error": "cu')])
def test_f33_a_page_that_is_no_json_becomes_an_error_of_the_client(world, client, status, body):
    answer = world.ask(client, request_of(client), replies.Status(status, body, content_type="text/html"))
    assert answer.status == status and is_in_shape(answer.json, client)
    assert "<html" not in answer.error["message"]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("words",
                         ["prompt is too long: 250000 tokens > 200000 maximum",
                          "This model's maximum context length is 128000 tokens",
                                   "Request exceeded the context window (exceed_context_size_error)"])
def test_e03_the_words_of_a_context_overflow_are_passed_on(world, client, words):
    error = {"error": {"message": words, "type": "invalid_request_error", "code": "context_length_exceeded"}}
    answer = world.ask(client, request_of(client), replies.Status(400, error))
    assert answer.status == 400 and answer.error["message"].find(words) >= 0
    assert answer.header("x-should-retry") == "false"
    expected = ("type", "invalid_request_error") if client == "messages" else ("code",
                                                                               "context_length_exceeded")
    assert answer.error[expected[0]] == expected[1]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("error", [
    {"code": "1302", "message": "rate"}, {"code": "1308", "message": "quota"},
    {"code": "1305", "message": "load"},
    {"type": "insufficient_quota", "code": "insufficient_quota", "message": "quota"},
    {"type": "engine_overloaded_error", "message": "load"},
], ids=str)
def test_e04_a_429_of_every_kind_stays_one_with_its_words_and_its_delay(world, client, error):
    answer = world.ask(client, request_of(client),
                       replies.Status(429, {"error": error}, (("retry-after", "7"),)))
    assert answer.status == 429 and error["message"] in answer.error["message"]
    assert answer.header("retry-after") == "7"
    assert client == "messages" or "code" not in error or answer.error["code"] == error["code"]


def test_e05_what_the_model_wrote_beside_an_error_is_no_gateway_fault(world):
    error = {"message": "Failed to call a function.", "type": "invalid_request_error",
             "code": "tool_use_failed", "failed_generation": "{"}
    answer = world.ask("messages", request_of("messages"), replies.Status(400, {"error": error}))
    assert answer.status == 400 and "Failed to call a function." in answer.error["message"]


# ---- 35, 38 ----


@pytest.mark.parametrize("model", ["m-plain", "c-plain", "claude-aictl"])
def test_f35_tokens_are_counted_here_and_the_count_says_that_it_is_an_estimate(world, model):
    tool = {"name": "f", "description": "d" * 400,
            "input_schema": {"type": "object", "properties": {"x": {"type": "string"}}}}
    body = {"model": model, "messages": [{"role": "user", "content": "foo"}]}
    before, counts = len(world.provider.requests), []
    for more in ({}, {"tools": [tool]},
                 {"tools": [tool], "system": [{"type": "text", "text": "word " * 1000}]}):
        answer = world.daemon.ask("POST", "/v1/messages/count_tokens?beta=true", {**body, **more},
                                  headers=[("anthropic-version", "2023-06-01")])
        assert answer.status == 200 and set(answer.json) == {"input_tokens"}
        assert answer.header("x-aictl-estimate")
        counts.append(answer.json["input_tokens"])
    assert 0 < counts[0] < counts[1] < counts[2] and 700 < counts[2] - counts[1] < 3000
    assert len(world.provider.requests) == before


@pytest.mark.parametrize("client", CLIENTS)
def test_f38_silence_of_a_converted_stream_is_covered_between_its_events_only(start_daemon, setup, provider,
                                                                              client):
    setup["globalSettings"].update(silenceCommitMs=100, keepAliveEveryMs=1000)
    daemon, gate = start_daemon(setup, keys=("chatty", "claudish")), Gate()
    events = [SAY, chunk(content="Hel"), chunk(content="lo"), *end()] if client == "messages" else \
        [begin(), block(0, "text", "Hel", "lo"), stop()]

    def answer(call):
        call.head(200, [("Content-Type", "text/event-stream")])
        call.pause(1.3)
        call.body(events[0] + events[1][:25])
        call.pause(gate)
        call.body(events[1][25:] + b"".join(events[2:]))
        call.end()

    provider.will(answer)
    opened = daemon.open_messages("m-one") if client == "messages" else daemon.open_chat("c-one")
    with opened as wire:
        wire.read_head()
        body, signs = b"", 0
        for piece in wire.pieces():
            body += piece
            signs = sum(one.name == "ping" or not one.data for one in parse_events(body))
            if signs >= 2 + (b"message_start" in body or b"assistant" in body):
                gate.open()
    said = said_in(body, client)
    assert said.text == "Hello" and said.error is None and signs >= 2


def test_f38_a_provider_that_stays_silent_still_runs_into_its_timeout(start_daemon, setup, provider):
    setup["globalSettings"].update(silenceCommitMs=100, keepAliveEveryMs=1000, defaultTimeout=2500)
    daemon = start_daemon(setup, keys=("chatty",))

    def answer(call):
        call.head(200, [("Content-Type", "text/event-stream")])
        call.body(CHAT_WORDS)
        call.stall()

    provider.will(answer)
    said = said_by(daemon.messages("m-one", stream=True))
    assert said.text == "Hel" and said.error and said.signs_of_life
