"""Law 4: a model that several providers have moves on while the client has seen nothing, in either dialect and form;
after content never. Then what stands beside it: keep-alives, answers in the other form, clients that go or are slow,
bounds, and calls without ids."""

import dataclasses
import json
import time

import pytest

import replies
from converting import Script, begin, block, call, chat_message, chunk, end, event, stop
from daemon import chat_body, config_for, messages_body, provider_row
from lifecycle import said_by
from provider import Gate
from waiting import IS_SANITIZED, latency_limit, stays, wait_until
from wire import parse_events

MIB = 1 << 20
DIALECTS = ("chat", "messages")
TYPES = {"chat": "openai", "messages": "anthropic"}
PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}
OTHER = {"chat": "messages", "messages": "chat"}

# (client, first provider, second provider). Those that speak the client's dialect are asked first.
WAYS = [(client, first, second) for client in DIALECTS for first, second in (
    (client, client), (client, OTHER[client]), (OTHER[client], OTHER[client]))]
FIRST = "what the first one said"
SECOND = "the second answers: grüße 🙂"


class Pair:
    """A daemon, and two providers of one model "m"."""

    def __init__(self, start_daemon, make_provider, first, second, **settings):
        self.first, self.second = make_provider(), make_provider()
        self.second.default = replies.Reply(text=SECOND)
        rows = [provider_row("first", self.first.url, ["m"], kind=TYPES[first]),
                provider_row("second", self.second.url, ["m"], kind=TYPES[second])]
        config = config_for(*rows, default="m", **{"maxRetries": 1, **settings})
        self.daemon = start_daemon(config, keys=("first", "second"))

    def ask(self, client, is_stream, **fields):
        ask = self.daemon.chat if client == "chat" else self.daemon.messages
        return ask("m", stream=is_stream, **fields)

    def open(self, client, **fields):
        return (self.daemon.open_chat if client == "chat" else self.daemon.open_messages)("m", **fields)

    def ends(self):
        """How the attempts of the last request ended, in their order."""
        attempts = self.daemon.recent()
        newest = [one for one in attempts if one["exchange"] == attempts[0]["exchange"]]
        return [(one["provider"], one["end"]) for one in reversed(newest)]

    def check_moved(self, answer):
        assert said_by(answer).text == SECOND
        assert FIRST.encode() not in answer.body and b"error" not in answer.body
        assert answer.header("x-aictl-model") == "second/m"
        assert (len(self.first.posts), len(self.second.posts)) == (1, 1)
        (one, end_of_one), (two, end_of_two) = self.ends()
        assert (one, two, end_of_two) == ("first", "second", "done") and end_of_one != "done"


@pytest.fixture
def pair(start_daemon, make_provider):
    def make(first, second, **settings):
        return Pair(start_daemon, make_provider, first, second, **settings)
    return make


def start_of(call):
    """The events of a stream before its first content."""
    events = replies.Reply(text=FIRST).events(call)[0]
    return events[:3] if call.request.is_anthropic else events[:1]  # message_start, ping, block start; role


def answer_head(call, then):
    """A good head and the part of an answer that is no content, then the fault."""
    if call.request.json.get("stream"):
        call.head(200, [("Content-Type", "text/event-stream")])
        for event_ in start_of(call):
            call.body(event_)
    else:
        body = replies.Reply(text=FIRST).whole(call)
        call.head(200, [("Content-Type", "application/json")], "length", len(body))
        call.body(body[: len(body) // 2])
    then(call)


def pretend_end(call):
    """A stream that ends cleanly without ever having said anything."""
    if not call.request.json.get("stream"):
        call.answer(200, b"{}")
        return
    call.head(200, [("Content-Type", "text/event-stream")])
    for event_ in start_of(call):
        call.body(event_)
    call.body(event("message_stop") if call.request.is_anthropic else b"data: [DONE]\n\n")
    call.end()


def nothing(call):
    """No body at all, of the form that was asked for."""
    is_stream = call.request.json.get("stream")
    call.head(200, [("Content-Type", "text/event-stream" if is_stream else "application/json")])
    call.end()


def error_in_chunks(call):
    """An error behind the start of an answer: OpenRouter's form for chat, Anthropic's event."""
    error = {"type": "overloaded_error", "message": FIRST, "code": 502}
    if not call.request.json.get("stream"):
        call.answer(200, json.dumps({"id": "x", "error": error}).encode())
        return
    call.head(200, [("Content-Type", "text/event-stream")])
    for event_ in start_of(call):
        call.body(event_)
    if call.request.is_anthropic:
        call.body(event("error", error=error))
    else:
        call.body(b": OPENROUTER PROCESSING\n\n" + replies.chat_event(json.dumps({"error": error, "choices": []})))
        call.body(b"data: [DONE]\n\n")
    call.end()


def garbage(call):
    is_stream = call.request.json.get("stream")
    kind = "text/event-stream" if is_stream else "application/json"
    call.answer(200, b"data: {\"choices\": [{\"delta\": {\"content\"\n\n" if is_stream else b'{"choices": [', (), kind)


HTML = b"<html><head><title>502</title></head><body>" + FIRST.encode() + b"</body></html>"
FAULTS = {
    "an error inside a 200": replies.ErrorIn200(FIRST),
    "an error behind the start of a 200": error_in_chunks,
    "an empty body": nothing,
    "an end without an answer": pretend_end,
    "a close before the answer": replies.close_unanswered,
    "a reset before the answer": replies.reset_unanswered,
    "a reset before content": lambda call: answer_head(call, lambda call: call.reset()),
    "a close before content": lambda call: answer_head(call, lambda call: call.close()),
    "an html body": replies.Status(200, HTML, content_type="text/html"),
    "an html error": replies.Status(502, HTML, content_type="text/html"),
    "garbage": garbage,
    "500": replies.error_status(500, FIRST, "api_error"),
    "503": replies.error_status(503, FIRST, "overloaded_error"),
    "529": replies.error_status(529, FIRST, "overloaded_error"),
    "429": replies.error_status(429, FIRST, "rate_limit_error", (("Retry-After", "60"),)),
    "a used-up quota": replies.error_status(402, FIRST, "insufficient_balance"),
    "a wrong key": replies.error_status(401, FIRST, "authentication_error"),
    "a key without the right": replies.error_status(403, FIRST, "permission_error"),
    "a redirect": replies.redirect(307, "http://127.0.0.1:1/"),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("client, first, second", WAYS)
def test_law4_a_failure_before_content_moves_on_unseen(pair, client, first, second, name):
    for is_stream in (True, False):
        pairing = pair(first, second)
        pairing.first.default = FAULTS[name]
        pairing.check_moved(pairing.ask(client, is_stream))


@pytest.mark.parametrize("client, first, second", WAYS)
def test_law4_what_the_second_is_sent_is_what_it_would_have_been_sent_alone(pair, client, first, second):
    """Nothing of the first attempt's edits or conversion is left in the second's body."""
    fields = {"temperature": 0.5, "messages": [{"role": "user", "content": "grüße"},
                                               {"role": "assistant", "content": "so"},
                                               {"role": "user", "content": "go on"}]}
    for is_stream in (True, False):
        pairing = pair(first, second)
        pairing.first.default = replies.error_status(500, FIRST, "api_error")
        pairing.check_moved(pairing.ask(client, is_stream, **fields))
        alone = pair(second, second)
        assert alone.ask(client, is_stream, **fields).status == 200
        assert pairing.second.last.body == alone.first.last.body
        assert pairing.second.last.path == PATHS[second]


def test_law4_a_missing_key_moves_on(start_daemon, make_provider):
    first, second = make_provider(), make_provider()
    second.default = replies.Reply(text=SECOND)
    rows = [provider_row(name, one.url, ["m"]) for name, one in (("first", first), ("second", second))]
    daemon = start_daemon(config_for(*rows, default="m", maxRetries=1), keys=["second"])
    for client in DIALECTS:
        answer = (daemon.chat if client == "chat" else daemon.messages)("m", stream=True)
        assert said_by(answer).text == SECOND and not first.posts


@pytest.mark.parametrize("client", DIALECTS)
def test_law4_a_provider_that_is_not_there_or_silent_moves_on(start_daemon, make_provider, client):
    silent, second = make_provider(), make_provider()
    silent.default, second.default = replies.hang, replies.Reply(text=SECOND)
    rows = [provider_row("dead", "http://127.0.0.1:1", ["m"], key=""), provider_row("silent", silent.url, ["m"], key=""),
            provider_row("second", second.url, ["m"], kind="anthropic", key="")]
    if client == "messages":
        rows = [{**row, "type": "anthropic"} for row in rows[:2]] + [{**rows[2], "type": "openai",
                                                                      "baseURL": second.url + "/v1"}]
    daemon = start_daemon(config_for(*rows, default="m", maxRetries=2, firstByteTimeout=1000, defaultTimeout=1000,
                                     plainAnswerTimeout=1000))
    for is_stream in (True, False):
        answer = (daemon.chat if client == "chat" else daemon.messages)("m", stream=is_stream)
        assert said_by(answer).text == SECOND
        ends = [one["end"] for one in reversed(daemon.recent(3))]
        assert ends == ["unreachable", "timeout", "done"]


@pytest.mark.parametrize("client", DIALECTS)
def test_law4_who_speaks_the_clients_dialect_is_asked_first(start_daemon, make_provider, client):
    one, other = make_provider(), make_provider()
    rows = [provider_row("other", other.url, ["m"], kind=TYPES[OTHER[client]], key=""),
            provider_row("one", one.url, ["m"], kind=TYPES[client], key="")]
    daemon = start_daemon(config_for(*rows, default="m"))
    assert (daemon.chat if client == "chat" else daemon.messages)("m").status == 200
    assert (len(one.posts), len(other.posts)) == (1, 0)


def check_shape(answer, client, provider):
    """An error in the client's shape. (The scripted one fits both dialects, and is passed on where it is spoken.)"""
    if client == "messages" or provider != client:
        assert (answer.json.get("type") == "error") == (client == "messages"), answer.body


@pytest.mark.parametrize("status", [400, 404, 413, 422])
@pytest.mark.parametrize("client, first, second", WAYS)
def test_law4_a_fault_of_the_request_is_told_and_not_tried_elsewhere(pair, client, first, second, status):
    pairing = pair(first, second)
    pairing.first.default = replies.error_status(status, FIRST)
    for is_stream in (True, False):
        answer = pairing.ask(client, is_stream)
        assert answer.status == status and FIRST in answer.error["message"]
        check_shape(answer, client, first)
        assert answer.header("x-should-retry") == "false"
    assert not pairing.second.posts


# ---- after content ----


@dataclasses.dataclass
class Spoiled:
    """Some text, and once the client has it, the fault."""

    gate: Gate
    fault: object

    def __call__(self, call):
        call.head(200, [("Content-Type", "text/event-stream")])
        for event_ in replies.Reply(text=FIRST, piece=100).events(call)[0]:
            call.body(event_)
        call.pause(self.gate)
        self.fault(call)


def error_event(call):
    error = {"type": "overloaded_error", "message": "went down"}
    call.body(event("error", error=error) if call.request.is_anthropic else
              replies.chat_event(json.dumps({"error": error})))
    call.end()


def end_early(call):
    call.end()


def wrong_end(call):
    """The last event of a good stream, without the finish in front of it."""
    call.body(event("message_stop") if call.request.is_anthropic else b"")
    call.end()


def broken_event(call):
    call.body(b"data: {\"choices\": [{\"delta\": {\"content\": \"x\x01\"}}]\n\n")
    call.end()


AFTER = {"reset": lambda call: call.reset(), "close": lambda call: call.close(), "an error event": error_event,
         "an end without a finish": end_early}


@pytest.mark.parametrize("name", AFTER)
@pytest.mark.parametrize("client, first, second", WAYS)
def test_law4_after_content_there_is_no_second_attempt_and_no_clean_end(pair, client, first, second, name):
    pairing = pair(first, second, maxRetries=3)
    gate = Gate()
    pairing.first.default = Spoiled(gate, AFTER[name])
    with pairing.open(client) as wire:
        assert wire.read_head().status == 200
        events = wire.events()
        seen = ""
        while FIRST not in seen:
            next(events)
            seen = wire.stream.said.text
        gate.open()
        rest = list(events)
    said = wire.stream.said
    assert said.text == FIRST and said.error["message"] and said.stop is None
    assert "error" in rest[-1].json and len(pairing.first.posts) == 1 and not pairing.second.posts
    if name == "an error event":
        assert "went down" in said.error["message"]
    (_, how), = pairing.ends()
    assert how in ("provider error", "provider reset")


@pytest.mark.parametrize("client", DIALECTS)
def test_law4_what_cannot_be_understood_behind_content_is_an_error(pair, client):
    """Of a converted stream; what is passed on is not judged."""
    for fault in (broken_event, wrong_end):
        pairing = pair(OTHER[client], OTHER[client])
        gate = Gate()
        gate.open()
        pairing.first.default = Spoiled(gate, fault)
        if fault is wrong_end and client == "chat":
            continue  # message_stop alone is a good end: docs/dialects/anthropic.md
        answer = pairing.ask(client, True)
        assert answer.status == 200 and b'"error"' in answer.body
        assert not pairing.second.posts


@pytest.mark.parametrize("form", ["stream", "whole"])
@pytest.mark.parametrize("client", DIALECTS)
def test_law4_a_plain_request_moves_on_though_its_provider_had_begun_to_stream(pair, client, form):
    """Nothing of a collected answer was shown."""
    for first in DIALECTS:
        if form == "whole" and first == client:
            continue
        pairing = pair(first, first)
        gate = Gate()
        gate.open()
        if form == "stream":
            pairing.first.default = Spoiled(gate, lambda call: call.reset())
        else:
            pairing.first.default = lambda call: answer_head(call, lambda call: call.reset())
        pairing.check_moved(pairing.ask(client, False))


# ---- the head in the silence ----

HASTY = {"silenceCommitMs": 100, "keepAliveEveryMs": 1000}


def is_sign_of_life(dialect, event_):
    if dialect == "chat":
        return event_.raw.startswith(b":") and not event_.data and not event_.name
    return event_.name == "ping" and event_.json == {"type": "ping"}


def late(gate, then):
    def behaviour(call):
        call.pause(gate)
        then(call)
    return behaviour


LATE = ["an error inside a 200", "an empty body", "an end without an answer", "a reset before the answer",
        "a reset before content", "an html body", "500", "429", "a wrong key"]


@pytest.mark.parametrize("name", LATE)
@pytest.mark.parametrize("client, first, second", WAYS)
def test_law4_after_the_head_of_the_silence_the_second_still_answers(pair, client, first, second, name):
    pairing = pair(first, second, **HASTY)
    gate = Gate()
    pairing.first.default = late(gate, FAULTS[name])
    with pairing.open(client) as wire:
        head = wire.read_head()
        assert head.status == 200 and head.count("content-type") == 1
        assert head.header("content-type").startswith("text/event-stream")
        events = wire.events()
        assert is_sign_of_life(client, next(events))
        gate.open()
        rest = [one for one in events if not is_sign_of_life(client, one)]
    said = wire.stream.said  # held against the life-cycle: exactly one start, one end
    assert said.text == SECOND and said.error is None
    assert not any(FIRST in one.data for one in rest)
    if client == "messages":
        assert [one.name for one in rest].count("message_start") == 1
    assert [name for name, _ in pairing.ends()] == ["first", "second"]


@pytest.mark.parametrize("client, first, second", WAYS)
def test_law4_the_start_of_the_first_is_not_shown_when_the_silence_comes_behind_it(pair, client, first, second):
    """A message_start (or the role) that came before the silence belongs to an attempt that may still fail."""
    pairing = pair(first, second, **HASTY)
    gate = Gate()

    def behaviour(call):
        call.head(200, [("Content-Type", "text/event-stream")])
        for event_ in start_of(call):
            call.body(event_)
        call.pause(gate)
        call.reset()

    pairing.first.default = behaviour
    with pairing.open(client) as wire:
        assert wire.read_head().status == 200
        events = wire.events()
        assert is_sign_of_life(client, next(events))
        gate.open()
        list(events)
    assert wire.stream.said.text == SECOND


@pytest.mark.parametrize("client, first, second", WAYS)
def test_law4_after_the_head_the_failure_of_all_is_an_error_event(pair, client, first, second):
    pairing = pair(first, second, **HASTY)
    gate = Gate()
    pairing.first.default = late(gate, replies.error_status(429, FIRST, "rate_limit_error"))
    pairing.second.default = replies.error_status(500, "the second fails", "api_error")
    with pairing.open(client) as wire:
        assert wire.read_head().status == 200
        events = wire.events()
        assert is_sign_of_life(client, next(events))
        gate.open()
        rest = [one for one in events if not is_sign_of_life(client, one)]
    assert len(rest) == 1 and FIRST in wire.stream.said.error["message"]
    assert len(pairing.second.posts) == 1


# ---- all fail ----


@pytest.mark.parametrize("first_status, kind", [(429, "rate_limit_error"), (500, "api_error"), (529, "overloaded_error"),
                                                (503, "overloaded_error")])
@pytest.mark.parametrize("client, first, second", WAYS)
def test_law4_when_all_fail_the_first_error_is_told(pair, client, first, second, first_status, kind):
    headers = (("Retry-After", "7"),)
    for is_stream in (True, False):
        pairing = pair(first, second)
        pairing.first.default = replies.error_status(first_status, FIRST, kind, headers)
        pairing.second.default = replies.error_status(500, "the second fails", "api_error", (("Retry-After", "99"),))
        answer = pairing.ask(client, is_stream)
        assert answer.status == first_status and answer.header("retry-after") == "7"
        assert FIRST in answer.error["message"] and b"the second fails" not in answer.body
        check_shape(answer, client, first)
        assert answer.header("content-type").startswith("application/json") and answer.header("x-should-retry") != "false"
        assert len(pairing.first.posts) == len(pairing.second.posts) == 1


@pytest.mark.parametrize("client, first, second", WAYS)
def test_law4_when_all_fail_without_a_word_the_first_is_named(pair, client, first, second):
    pairing = pair(first, second)
    pairing.first.default = replies.ErrorIn200(FIRST)
    pairing.second.default = replies.empty_stream
    answer = pairing.ask(client, True)
    assert answer.status == 503 and FIRST in answer.error["message"] and "first" in answer.error["message"]
    assert answer.header("x-should-retry") == "true"


@pytest.mark.parametrize("client", DIALECTS)
def test_law4_a_wrong_key_everywhere_says_how_to_mend_the_first(pair, client):
    pairing = pair(client, OTHER[client])
    pairing.first.default = pairing.second.default = replies.error_status(401, FIRST, "authentication_error")
    answer = pairing.ask(client, True)
    assert answer.status == 401 and "aictl login first" in answer.error["message"]
    assert answer.header("x-should-retry") == "false" and len(pairing.second.posts) == 1


@pytest.mark.parametrize("retries", [0, 1, 2, 3])
@pytest.mark.parametrize("fault", ["500", "a reset before the answer"])
def test_law4_max_retries_bounds_the_attempts_of_all_providers_together(start_daemon, make_provider, retries, fault):
    made = [make_provider() for _ in range(3)]
    for one in made:
        one.default = FAULTS[fault]
    rows = [provider_row(f"p{number}", one.url, ["m"], key="") for number, one in enumerate(made)]
    daemon = start_daemon(config_for(*rows, default="m", maxRetries=retries))
    for is_stream in (True, False):
        before = len(daemon.recent())
        assert daemon.chat("m", stream=is_stream).status >= 500
        asked = [one["provider"] for one in reversed(daemon.recent()[: len(daemon.recent()) - before])]
        expected = ["p0", "p1", "p2"][: retries + 1]
        if fault != "500" and retries == 3:
            expected.append("p2")  # on another connection
        assert asked == expected
    assert sum(len(one.posts) for one in made) == len(daemon.recent())


# ---- keep-alive ----


@pytest.fixture
def hasty(start_daemon, provider):
    """Models c (chat) and m (messages) of one provider, signs of life after the shortest silence."""
    rows = [provider_row("chatty", provider.url, ["c"], key=""),
            provider_row("claudish", provider.url, ["m"], kind="anthropic", key="")]
    return start_daemon(config_for(*rows, default="c", **HASTY))


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
    provider.will(late(gate, InForm("whole", "application/json")))
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


@pytest.mark.parametrize("client, first, second", WAYS)
def test_a_client_that_goes_is_not_tried_for_elsewhere(pair, client, first, second):
    pairing = pair(first, second, maxRetries=3)
    pairing.first.default = replies.hang
    wire = pairing.open(client)
    seen = pairing.first.wait_request()
    closed = wire.close()
    assert pairing.first.wait_closed(seen) - closed < LIMIT
    assert pairing.daemon.wait_attempt()["end"] == "client gone"
    stays(lambda: not pairing.second.requests, "silence of the second provider")


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
        events = [chunk(role="assistant", content=""), call(0, "call_a", "f", '{"a":"'), call(1, "call_b", "g", '{"b":"')]
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
