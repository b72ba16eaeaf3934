"""Converted answers on their way: signs of life in silence, answers in the other form or under a wrong content type,
clients that go or are slow, bounds, and calls without ids."""

import dataclasses
import time

import pytest

import replies
from converting import Script, begin, block, call, chat_message, chunk, end, event, stop
from daemon import chat_body, config_for, messages_body, provider_row
from lifecycle import is_sign_of_life, said_by
from provider import Gate
from waiting import IS_SANITIZED, latency_limit, stays, wait_until
from wire import parse_events

MIB = 1 << 20
DIALECTS = ("chat", "messages")
PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}


# ---- keep-alive ----


@pytest.fixture
def hasty(start_daemon, provider):
    """Models c (chat) and m (messages) of one provider, signs of life after the shortest silence."""
    rows = [provider_row("chatty", provider.url, ["c"], key=""),
            provider_row("claudish", provider.url, ["m"], kind="anthropic", key="")]
    return start_daemon(config_for(*rows, default="c", silenceCommitMs=100, keepAliveEveryMs=1000))


def open_converted(daemon, client, **fields):
    return daemon.open_chat("m", **fields) if client == "chat" else daemon.open_messages("c", **fields)


def between_events(gate):
    """Silent inside a block: the first half of a text, or of a call's arguments."""
    def behaviour(call_):
        call_.head(200, [("Content-Type", "text/event-stream")])
        said, ending = replies.Reply(text="one two three four", tools=(("f", '{"path": "/a/b/c/d/e"}'),)).events(call_)
        call_.body(b"".join(said[:-2]))
        call_.pause(gate)
        call_.body(b"".join(said[-2:] + ending))
        call_.end()
    return behaviour


def noisy(gate):
    """Signs of life of the provider itself are none for the client of a converted stream."""
    def behaviour(call_):
        call_.head(200, [("Content-Type", "text/event-stream")])
        for _ in range(40):
            call_.body(event("ping") if call_.request.is_anthropic else b": keepalive\n\n")
            call_.pause(0.1)
        call_.pause(gate)
        said, ending = replies.Reply().events(call_)
        call_.body(b"".join(said + ending))
        call_.end()
    return behaviour


@pytest.mark.parametrize("behaviour", [
    lambda gate: replies.Reply(before_head=gate), lambda gate: replies.Reply(before_first=gate),
    between_events, noisy,
], ids=["before the head", "before the first event", "inside a call", "behind the provider's own signs"])
@pytest.mark.parametrize("client", DIALECTS)
def test_silence_of_a_converted_stream_is_covered_in_the_clients_form(hasty, provider, client, behaviour):
    gate = Gate()
    provider.will(behaviour(gate))
    with open_converted(hasty, client) as wire:
        assert wire.read_head().status == 200
        signs = 0
        events = wire.events()
        begun = time.monotonic()
        for event_ in events:
            if is_sign_of_life(client, event_):
                signs += 1
            assert event_.raw.endswith(b"\n\n")
            if signs == 3:
                break
        assert time.monotonic() - begun < latency_limit(5)
        gate.open()
        list(events)
    assert wire.stream.said.text and wire.stream.said.stop


@pytest.mark.parametrize("client", DIALECTS)
def test_no_sign_of_life_comes_while_events_do(hasty, provider, client):
    provider.will(replies.Reply(text="x" * 200, between_events=0.1))
    with open_converted(hasty, client) as wire:
        wire.read_head()
        list(wire.events())
    assert wire.stream.said.text == "x" * 200
    assert wire.stream.said.signs_of_life <= 1, "the one that may go out with the head"


# ---- answers in the other form ----


RICH = replies.Reply(text="so: grüße 🙂", reasoning="hm", tools=(("f", '{"n": 1.0}'), ("g", "{}")))


@dataclasses.dataclass
class InForm:
    """An answer as a stream or whole, whatever was asked, under any content type, behind a prefix."""

    form: str
    content_type: str = None  # None: no such header
    prefix: bytes = b""
    write_size: int = None
    reply: object = None

    def __call__(self, call_):
        reply = self.reply or RICH
        said, ending = reply.events(call_)
        body = b"".join(said + ending) if self.form == "stream" else reply.whole(call_)
        call_.head(200, [("Content-Type", self.content_type)] if self.content_type else [])
        call_.body(self.prefix + body, self.write_size)
        call_.end()


LIES = {
    "application/json": "application/json", "text/event-stream": "text/event-stream",
    "text/plain": "text/plain; charset=utf-8", "octets": "application/octet-stream",
    "close": "text/event-stream;charset=UTF-8", "none": None,
}


def check_answer(answer, is_stream):
    said = said_by(answer)
    kind = "text/event-stream" if is_stream else "application/json"
    assert answer.header("content-type").startswith(kind)
    assert said.text == "so: grüße 🙂" and said.reasoning == "hm"
    assert said.calls_made == [("f", {"n": 1.0}), ("g", {})]
    assert said.stop in ("tool_calls", "tool_use")


@pytest.mark.parametrize("content_type", LIES)
@pytest.mark.parametrize("form", ["stream", "whole"])
@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("spoken", DIALECTS)
def test_the_form_of_an_answer_is_what_its_first_bytes_say(hasty, provider, client, spoken, form, content_type):
    model = "c" if spoken == "chat" else "m"
    for is_stream in (True, False):
        for prefix, size in ((b"", None), (b"", 1), (b"\n \r\n\t  \n", 3)):
            if form == "stream" and prefix:
                prefix = b"\n\n"
            provider.will(InForm(form, LIES[content_type], prefix, size))
            answer = (hasty.chat if client == "chat" else hasty.messages)(model, stream=is_stream)
            check_answer(answer, is_stream)
            attempt = hasty.wait_attempt()
            is_told = spoken == "messages" or form == "whole" or is_stream
            assert attempt["end"] == "done" and attempt["usage"]["output"] == (7 if is_told else 0)


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("spoken", DIALECTS)
def test_white_space_that_keeps_a_whole_answer_alive_is_not_taken_for_it(hasty, provider, client, spoken):
    """OpenRouter's form: blanks for seconds, then the JSON."""
    def behaviour(call_):
        call_.head(200, [("Content-Type", "application/json")])
        for _ in range(20):
            call_.body(b"\n         ")
            call_.pause(0.02)
        call_.body(RICH.whole(call_))
        call_.end()

    for is_stream in (True, False):
        provider.will(behaviour)
        model = "c" if spoken == "chat" else "m"
        check_answer((hasty.chat if client == "chat" else hasty.messages)(model, stream=is_stream), is_stream)


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("spoken", DIALECTS)
def test_a_whole_answer_to_a_stream_that_waited_long_comes_as_a_stream(hasty, provider, client, spoken):
    """The head has gone out in the silence."""
    gate = Gate()
    provider.will(replies.late(gate, InForm("whole", "application/json")))
    model = "c" if spoken == "chat" else "m"
    with (hasty.open_chat if client == "chat" else hasty.open_messages)(model) as wire:
        assert wire.read_head().status == 200
        events = wire.events()
        assert is_sign_of_life(client, next(events))
        gate.open()
        list(events)
    assert wire.stream.said.text == "so: grüße 🙂" and len(wire.stream.said.calls) == 2


# ---- clients that go or are slow ----

LIMIT = latency_limit(0.1)


@pytest.mark.parametrize("end_by", ["close", "reset", "half_close"])
@pytest.mark.parametrize("client", DIALECTS)
def test_a_client_that_goes_in_the_middle_of_a_conversion_lets_its_provider_go(hasty, provider, client, end_by):
    provider.will(replies.Endless(size=64, between=0.01))
    wire = open_converted(hasty, client)
    seen = provider.wait_request()
    wire.read_head()
    events = wire.events()
    while not wire.stream.said.text:
        next(events)
    closed = getattr(wire, end_by)() or time.monotonic()
    assert provider.wait_closed(seen) - closed < LIMIT
    attempt = hasty.wait_attempt()
    assert attempt["end"] == "client gone" and len(hasty.recent()) == 1
    wait_until(lambda: hasty.rpc("status")["requests"]["active"] == 0, "end of the request")
    wire.close()


@pytest.mark.parametrize("client", DIALECTS)
def test_a_client_that_goes_while_its_plain_answer_is_collected(hasty, provider, client):
    """The provider streams though nobody asked it to."""
    def endless(call_):
        call_.request.body = call_.request.body.replace(b"{", b'{"stream":true,', 1)
        replies.Endless(size=64, between=0.01)(call_)

    provider.will(endless)
    wire = hasty.connect()
    body = chat_body("m") if client == "chat" else messages_body("c")
    wire.send(hasty.build("POST", PATHS[client], body))
    seen = provider.wait_request()
    wait_until(lambda: seen.sent > 1000, "some of the answer")
    closed = wire.close()
    assert provider.wait_closed(seen) - closed < LIMIT
    assert hasty.wait_attempt()["end"] == "client gone"


def wait_standstill(seen):
    """Waits until the provider cannot send any more; returns how much it sent."""
    def is_still():
        before = seen.sent
        time.sleep(0.2)
        return before and seen.sent == before
    wait_until(is_still, "standstill of the provider")
    return seen.sent


@pytest.mark.parametrize("client", DIALECTS)
def test_a_slow_client_of_a_converted_stream_slows_its_provider(hasty, provider, client):
    provider.will(replies.Endless(size=16384))
    before = hasty.rss()
    with open_converted(hasty, client, wire=hasty.connect(receive_buffer=16384)) as wire:
        seen = provider.wait_request()
        stuck = wait_standstill(seen)
        stays(lambda: seen.sent == stuck, "the standstill of the provider")
        grown = hasty.rss() - before
        assert IS_SANITIZED or grown < 2 * MIB, f"grew by {grown} bytes"
        wire.read_head()
        events = wire.events()
        for _ in range(100):
            next(events)
        wait_until(lambda: seen.sent > stuck, "more from the provider after the client read")


@pytest.mark.parametrize("client", DIALECTS)
def test_a_slow_client_of_a_converted_stream_gets_all_of_it(hasty, provider, client):
    text = "".join(f"{number:06d} " for number in range(300_000))
    provider.will(replies.Reply(text=text, piece=4096, reasoning="hm" * 100_000))
    with open_converted(hasty, client, wire=hasty.connect(receive_buffer=16384)) as wire:
        wait_standstill(provider.wait_request())
        answer = wire.read_answer()
    assert answer.is_complete and wire.stream.said.text == text and wire.stream.said.reasoning == "hm" * 100_000


# ---- bounds ----


@pytest.fixture
def small(start_daemon, provider, make_provider):
    """answerMax is 100,000 bytes; a second provider has both models."""
    other = make_provider()
    rows = [provider_row(f"{name}-{kind}", one.url, [model], kind=kind, key="")
            for name, one in (("one", provider), ("other", other))
            for kind, model in (("openai", "c"), ("anthropic", "m"))]
    daemon = start_daemon(config_for(*rows, default="c", answerMax=100_000, maxRetries=1))
    daemon.other = other
    return daemon


@pytest.mark.parametrize("form", ["stream", "whole"])
@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("spoken", DIALECTS)
def test_an_answer_above_answer_max_is_not_collected(small, provider, client, spoken, form):
    huge = InForm(form, reply=replies.Reply(text="x" * 300_000, piece=5000))
    model = "c" if spoken == "chat" else "m"
    ask = small.chat if client == "chat" else small.messages
    provider.will(huge)
    small.other.will(replies.Reply(text="short"))
    assert said_by(ask(model)).text == "short"
    assert "answerMax" in small.recent(2)[1]["error"]
    provider.will(huge)
    small.other.will(huge)
    answer = ask(model)
    assert answer.status == 502 and "answerMax" in answer.error["message"]


@pytest.mark.parametrize("client", DIALECTS)
def test_a_converted_stream_may_be_longer_than_answer_max(small, provider, client):
    provider.will(replies.Reply(text="x" * 300_000, piece=5000))
    with open_converted(small, client) as wire:
        wire.read_answer()
    assert len(wire.stream.said.text) == 300_000


@pytest.mark.parametrize("client", DIALECTS)
def test_arguments_that_wait_for_their_turn_have_a_limit(small, provider, client):
    """Of two calls that arrive interleaved one waits in memory."""
    piece = "x" * 5000
    if client == "messages":
        events = [chunk(role="assistant", content="")]
        events += [call(0, "call_a", "f", '{"a":"'), call(1, "call_b", "g", '{"b":"')]
        events += [call(1, arguments=piece) for _ in range(60)]
        events += [call(0, arguments='"}'), call(1, arguments='"}'), *end("tool_calls")]
    else:
        tool = {"type": "tool_use", "input": {}}
        events = [begin(), event("content_block_start", index=0, content_block={**tool, "id": "a", "name": "f"}),
                  event("content_block_start", index=1, content_block={**tool, "id": "b", "name": "g"})]
        events += [event("content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": piece})
                   for _ in range(60)]
        events += [event("content_block_stop", index=at) for at in (0, 1)] + [stop("tool_use")]
    provider.will(Script(events, None))
    with open_converted(small, client) as wire:
        answer = wire.read_answer()
    assert answer.status == 200 and wire.stream.said.error, answer.body[-500:]
    assert small.wait_attempt()["end"] == "provider error"


# ---- calls without ids ----

NO_ID = [chunk(role="assistant", content=""), chunk(content="so"), call(0, "", "f", '{"n":'), call(0, "", "", "1.0}"),
         call(1, None, "g", "{}"), *end("tool_calls")]
NO_ID_WHOLE = chat_message("so", [("", "f", '{"n":1.0}'), (None, "g", "{}")], "tool_calls")


@pytest.mark.parametrize("form", ["stream", "whole"])
@pytest.mark.parametrize("is_stream", [True, False])
def test_calls_without_ids_get_some_though_the_dialect_is_the_clients(daemon, provider, is_stream, form):
    provider.will(Script(NO_ID, NO_ID_WHOLE, form))
    said = said_by(daemon.chat("m-one", stream=is_stream))
    assert said.text == "so" and said.calls_made == [("f", {"n": 1.0}), ("g", {})]
    ids = [one.id for one in said.calls]
    assert all(ids) and len(set(ids)) == 2
    history = [{"role": "user", "content": "go"},
               {"role": "assistant", "content": None, "tool_calls": [
                   {"id": one.id, "type": "function", "function": {"name": one.name, "arguments": one.text}}
                   for one in said.calls]},
               *({"role": "tool", "tool_call_id": one, "content": "ok"} for one in ids)]
    body = chat_body("m-one", messages=history)
    assert daemon.ask("POST", "/v1/chat/completions", body).status == 200
    assert provider.last.json["messages"] == history


def test_calls_without_ids_of_two_answers_do_not_meet(daemon, provider):
    ids = []
    for is_stream in (True, False, True):
        provider.will(Script(NO_ID, NO_ID_WHOLE))
        ids += [one.id for one in said_by(daemon.chat("m-one", stream=is_stream)).calls]
    assert len(set(ids)) == 6


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_legacy_client_keeps_its_function_call(daemon, provider, is_stream):
    asked = {"name": "f", "arguments": ""}
    events = [chunk(role="assistant", content=None, function_call=asked), chunk(function_call={"arguments": '{"n":'}),
              chunk(function_call={"arguments": "1.0}"}), *end("function_call")]
    whole = chat_message(None, (), "function_call", function_call={"name": "f", "arguments": '{"n":1.0}'})
    provider.will(Script(events, whole))
    functions = [{"name": "f", "parameters": {"type": "object", "properties": {}}}]
    more = {"stream_options": {"include_usage": True}} if is_stream else {}
    answer = daemon.chat("m-one", stream=is_stream, functions=functions, **more)
    assert answer.body == provider.last.answer
    said, = said_by(answer).calls
    assert (said.id, said.name, said.text) == (None, "f", '{"n":1.0}')


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_legacy_call_becomes_a_tool_call_for_a_client_of_tools(daemon, provider, is_stream):
    asked = {"name": "f", "arguments": '{"n":1.0}'}
    events = [chunk(role="assistant", content=None, function_call=asked), *end("function_call")]
    provider.will(Script(events, chat_message(None, (), "function_call", function_call=asked)))
    tools = [{"type": "function", "function": functions} for functions in [{"name": "f"}]]
    said = said_by(daemon.chat("m-one", stream=is_stream, tools=tools))
    assert said.calls_made == [("f", {"n": 1.0})] and said.calls[0].id and said.stop == "tool_calls"


def test_bytes_before_a_call_without_an_id_are_passed_on_as_they_came(daemon, provider):
    provider.will(Script(NO_ID, NO_ID_WHOLE))
    with daemon.open_chat("m-one", stream_options={"include_usage": True}, checks_stream=False) as wire:
        answer = wire.read_answer()
    passed = b"".join(NO_ID[:2])
    assert answer.body.startswith(passed), "text before the call was rewritten"
    ids = {one.json["id"] for one in parse_events(answer.body) if one.data != "[DONE]"}
    assert len(ids) <= 2
