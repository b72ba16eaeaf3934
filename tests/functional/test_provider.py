"""The scripted provider itself, asked by a plain client: a test tool that lies proves nothing."""

import json
import time

import pytest

import replies
from daemon import chat_body, messages_body
from provider import Gate, Provider
from waiting import Late, latency_limit, stays, wait_until
from wire import Closed, Wire, build_request, parse_events


def ask(provider, path, body, wire=None):
    wire = wire or Wire(("127.0.0.1", provider.port))
    headers = [("Host", "x"), ("Content-Type", "application/json")]
    wire.send(build_request("POST", path, headers, json.dumps(body).encode()))
    return wire


def chat(provider, wire=None, **fields):
    return ask(provider, "/v1/chat/completions", chat_body("m", **fields), wire)


def texts(events):
    choices = [e.json["choices"] for e in events if e.data != "[DONE]"]
    return "".join(choice[0]["delta"].get("content") or "" for choice in choices if choice)


def test_a_plain_answer_is_whole_and_remembered(provider):
    with chat(provider) as wire:
        answer = wire.read_answer()
    assert answer.status == 200 and answer.is_complete
    assert answer.json["choices"][0]["message"]["content"] == provider.default.text
    assert provider.last.method == "POST" and provider.last.model == "m"
    assert provider.last.answer == answer.body


def test_a_stream_ends_with_done_and_hides_usage_unless_asked(provider):
    with chat(provider, stream=True) as wire:
        events = parse_events(wire.read_answer().body)
        assert texts(events) == provider.default.text
        assert events[-1].data == "[DONE]" and '"usage"' not in events[-2].data
    with chat(provider, stream=True, stream_options={"include_usage": True}) as wire:
        events = parse_events(wire.read_answer().body)
        assert events[-2].json["usage"]["completion_tokens"] == 7


def test_anthropic_paths_get_anthropic_answers(provider):
    provider.will(replies.Reply(reasoning="hm", tools=(("ls", '{"a": 1}'), ("ls", '{"a": 2}'))))
    with ask(provider, "/v1/messages", messages_body("c", stream=True)) as wire:
        events = parse_events(wire.read_answer().body)
    assert [e.name for e in events][:2] == ["message_start", "ping"]
    assert events[-1].name == "message_stop"
    assert sum(e.name == "content_block_start" for e in events) == 4
    assert sum(e.name == "content_block_stop" for e in events) == 4
    assert all(e.name == e.json["type"] for e in events)


def test_parallel_tool_calls_come_in_pieces(provider):
    provider.will(replies.Reply(text="", tools=(("one", '{"path": "/x"}'), ("two", "{}"))))
    with chat(provider, stream=True) as wire:
        events = parse_events(wire.read_answer().body)
    deltas = [e.json["choices"][0]["delta"] for e in events if '"tool_calls": [' in e.data]
    calls = [delta["tool_calls"][0] for delta in deltas]
    first = "".join(c["function"]["arguments"] for c in calls if c["index"] == 0)
    assert json.loads(first) == {"path": "/x"} and {c["index"] for c in calls} == {0, 1}


def test_bytes_can_come_one_at_a_time(provider):
    provider.will(replies.Reply(text="grüße 🙂", write_size=1))
    with chat(provider, stream=True) as wire:
        wire.read_head()
        pieces = list(wire.pieces())
    assert {len(piece) for piece in pieces} == {1}
    assert texts(parse_events(b"".join(pieces))) == "grüße 🙂"


def test_queued_behaviours_come_first_then_those_of_the_model(provider):
    provider.on_model("m", replies.Status(402))
    provider.will(replies.Status(418))
    statuses = []
    for _ in range(2):
        with chat(provider) as wire:
            statuses.append(wire.read_answer().status)
    assert statuses == [418, 402]


@pytest.mark.parametrize("how", ["reset", "close"])
def test_an_answer_can_break_off_at_any_byte(provider, how):
    for at in (0, 1, 20, 200):
        provider.will(replies.Cut(replies.Reply(), at, how))
        with chat(provider, stream=True) as wire:
            assert len(wire.read_rest()) <= at
        assert provider.last.sent == at


def test_a_gate_holds_an_answer_until_it_is_opened(provider):
    gate = Gate()
    provider.will(replies.Reply(before_first=gate))
    with chat(provider, stream=True) as wire:
        wire.read_head()
        with pytest.raises(Late):
            wire._receive(0.1)
        gate.open()
        assert b"[DONE]" in b"".join(wire.pieces())


@pytest.mark.parametrize("behaviour", [
    replies.hang,
    replies.Reply(before_head=60),
    replies.Reply(before_first=60),
    replies.Reply(between_events=60),
    replies.Endless(between=0.01),
    replies.Cut(replies.Reply(), 10, "stall"),
])
@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_close_of_the_client_is_seen_at_once_in_every_wait(provider, behaviour, end):
    provider.will(behaviour)
    wire = chat(provider, stream=True)
    seen = provider.wait_request()
    closed = getattr(wire, end)()
    assert provider.wait_closed(seen) - closed < latency_limit(0.1)


def test_an_endless_stream_blocks_when_nobody_reads(provider):
    provider.will(replies.Endless(size=65536))
    with Wire(("127.0.0.1", provider.port), receive_buffer=65536) as wire:
        chat(provider, wire, stream=True)
        seen = provider.wait_request()

        def is_still():
            before = seen.sent
            time.sleep(0.1)
            return seen.sent == before and before
        wait_until(is_still, "standstill of the endless stream")
        stuck = seen.sent
        stays(lambda: seen.sent == stuck, "the standstill")


def test_keep_alive_serves_several_requests_and_a_stale_one_is_closed(provider):
    provider.will(replies.Reply(), replies.close_unanswered)
    with chat(provider) as wire:
        assert wire.read_answer().status == 200
        chat(provider, wire)
        assert wire.is_closed()
    assert len(provider.links) == 1 and len(provider.posts) == 2


def test_an_idle_connection_can_be_closed_behind_the_answer(provider):
    provider.will(replies.Reply(closes=True))
    with chat(provider) as wire:
        answer = wire.read_answer()
        assert answer.is_complete and answer.header("connection") is None
        assert wire.is_closed()


def test_a_provider_that_never_accepts_takes_the_bytes_and_is_silent(make_provider):
    provider = make_provider(accepting=False)
    with chat(provider) as wire:
        with pytest.raises(Late):
            wire._receive(0.1)
    assert not provider.links


def test_short_content_length_and_half_heads_are_incomplete(provider):
    provider.will(replies.short_length, replies.Raw(b"HTTP/1.1 200 OK\r\nContent-Le"))
    with chat(provider) as wire:
        assert not wire.read_answer().is_complete
    with chat(provider) as wire, pytest.raises(Closed):
        wire.read_head()


def test_errors_redirects_and_the_echo(provider):
    provider.will(
        replies.error_status(429, "slow down", "rate_limit_error", (("Retry-After", "2"),)),
        replies.redirect(307, "http://127.0.0.1:1/elsewhere"),
        replies.ErrorIn200("overloaded"),
        replies.empty_stream,
        replies.echo,
    )
    with chat(provider, Wire(("127.0.0.1", provider.port), checks_stream=False)) as wire:
        assert wire.read_answer().header("retry-after") == "2"
        assert chat(provider, wire).read_answer().header("location").endswith("/elsewhere")
        assert "overloaded" in chat(provider, wire, stream=True).read_answer().body.decode()
        assert chat(provider, wire, stream=True).read_answer().body == b""
        assert chat(provider, wire).read_answer().json["path"] == "/v1/chat/completions"


def test_a_mistake_in_a_behaviour_is_reported():
    broken = Provider().start()
    broken.will(lambda call: call.no_such_method())
    with chat(broken) as wire:
        assert wire.is_closed()
    with pytest.raises(AssertionError, match="a behaviour failed"):
        broken.stop()
