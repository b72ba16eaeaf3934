"""Law 4: a model that several providers have moves on while the client has seen nothing, in either dialect and form;
after content never."""

import dataclasses
import json

import pytest

import replies
from converting import event
from daemon import config_for, provider_row
from lifecycle import is_sign_of_life, said_by
from provider import Gate
from waiting import latency_limit, stays

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
        call.body(b": OPENROUTER PROCESSING\n\n")
        call.body(replies.chat_event(json.dumps({"error": error, "choices": []})))
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
    own, other = TYPES[client], TYPES[OTHER[client]]
    rows = [provider_row("dead", "http://127.0.0.1:1", ["m"], kind=own, key=""),
            provider_row("silent", silent.url, ["m"], kind=own, key=""),
            provider_row("second", second.url, ["m"], kind=other, key="")]
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
    pairing = pair(OTHER[client], OTHER[client])
    gate = Gate()
    gate.open()
    pairing.first.default = Spoiled(gate, broken_event)
    with pairing.open(client) as wire:
        assert wire.read_answer().status == 200
    assert wire.stream.said.text == FIRST and wire.stream.said.error
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


LATE = ["an error inside a 200", "an empty body", "an end without an answer", "a reset before the answer",
        "a reset before content", "an html body", "500", "429", "a wrong key"]


@pytest.mark.parametrize("name", LATE)
@pytest.mark.parametrize("client, first, second", WAYS)
def test_law4_after_the_head_of_the_silence_the_second_still_answers(pair, client, first, second, name):
    pairing = pair(first, second, **HASTY)
    gate = Gate()
    pairing.first.default = replies.late(gate, FAULTS[name])
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
    pairing.first.default = replies.late(gate, replies.error_status(429, FIRST, "rate_limit_error"))
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


@pytest.mark.parametrize("first_status, kind", [
    (429, "rate_limit_error"), (500, "api_error"), (529, "overloaded_error"), (503, "overloaded_error")])
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
        assert answer.header("content-type").startswith("application/json")
        assert answer.header("x-should-retry") != "false"
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


# ---- a client that goes ----


@pytest.mark.parametrize("client, first, second", WAYS)
def test_a_client_that_goes_is_not_tried_for_elsewhere(pair, client, first, second):
    pairing = pair(first, second, maxRetries=3)
    pairing.first.default = replies.hang
    wire = pairing.open(client)
    seen = pairing.first.wait_request()
    closed = wire.close()
    assert pairing.first.wait_closed(seen) - closed < latency_limit(0.1)
    assert pairing.daemon.wait_attempt()["end"] == "client gone"
    stays(lambda: not pairing.second.requests, "silence of the second provider")
