"""A provider's error at the client: its status, JSON, one word on retrying, and never the key."""

import time

import pytest

import replies
from provider import Gate
from wire import parse_events

HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502</h1>nginx</body></html>"
PLAIN = b"rate limit of 3 requests a minute reached"


def ask(daemon, dialect, **fields):
    if dialect == "chat":
        return daemon.chat("m-one", **fields)
    return daemon.messages("c-one", **fields)


def check_json_error(answer, status, dialect):
    """One error in the caller's shape, said once."""
    name = "chatty" if dialect == "chat" else "claudish"
    assert answer.status == status
    assert answer.count("content-type") == 1
    assert answer.header("content-type").startswith("application/json")
    assert answer.error["message"] and answer.error["type"]
    assert (answer.json.get("type") == "error") == (dialect == "anthropic")
    assert answer.count("x-should-retry") <= 1 and answer.count("content-length") == 1
    return name


# ---- bodies that are not JSON ----


@pytest.mark.parametrize("status, body, content_type", [
    (502, HTML, "text/html; charset=utf-8"),
    (504, HTML, "text/html"),
    (429, PLAIN, "text/plain"),
    (400, PLAIN, "text/plain"),
    (500, b"", "text/plain"),
    (503, b"\xff\xfe\x00 not utf-8", "application/octet-stream"),
    (500, b'{"error": "cut in the mid', "application/json"),
    (404, b'"a string"', "application/json"),
    (404, b"[]", "application/json"),
])
@pytest.mark.parametrize("dialect", ["chat", "anthropic"])
@pytest.mark.parametrize("is_stream", [False, True])
def test_an_error_in_no_known_shape_reaches_the_client_as_json(
        daemon, provider, status, body, content_type, dialect, is_stream):
    provider.will(replies.Status(status, body, content_type=content_type))
    answer = ask(daemon, dialect, stream=is_stream)
    name = check_json_error(answer, status, dialect)
    assert name in answer.error["message"] and str(status) in answer.error["message"]


def test_words_of_a_plain_error_are_told(daemon, provider):
    provider.will(replies.Status(429, PLAIN, content_type="text/plain"))
    assert PLAIN.decode() in daemon.chat("m-one").error["message"]


@pytest.mark.parametrize("dialect", ["chat", "anthropic"])
def test_an_error_of_the_right_shape_under_a_wrong_type_is_called_json(daemon, provider, dialect):
    error = {"error": {"type": "api_error", "message": "odd"}}
    body = error if dialect == "chat" else {"type": "error", **error}
    provider.will(replies.Status(500, body, content_type="text/html"))
    answer = ask(daemon, dialect)
    check_json_error(answer, 500, dialect)
    assert answer.error["message"] == "odd"


# ---- one x-should-retry ----


@pytest.mark.parametrize("status, told, expected", [
    (400, "true", "false"), (400, "false", "false"), (404, "TRUE", "false"),
    (429, "true", "true"), (429, "false", "false"), (503, "false", "false"), (500, None, None),
    (400, None, "false"),
])
@pytest.mark.parametrize("content_type", ["application/json", "text/html"])
def test_retrying_is_said_once_and_without_contradiction(
        daemon, provider, status, told, expected, content_type):
    headers = (("X-Should-Retry", told),) if told else ()
    body = {"error": {"message": "no", "type": "x"}} if "json" in content_type else HTML
    provider.will(replies.Status(status, body, headers, content_type))
    answer = daemon.chat("m-one")
    assert answer.status == status and answer.header("x-should-retry") == expected


def test_a_provider_that_says_it_twice_is_passed_on_once_at_most(daemon, provider):
    headers = (("X-Should-Retry", "true"), ("X-Should-Retry", "false"))
    provider.will(replies.error_status(503, "no", "api_error", headers))
    assert daemon.chat("m-one").count("x-should-retry") <= 1


# ---- a head at once, the body late ----


@pytest.fixture
def hasty(start_daemon, setup):
    """A daemon that sends a stream's head after the shortest silence."""
    setup["globalSettings"].update(silenceCommitMs=100, keepAliveEveryMs=1000)
    return start_daemon(setup, keys=("chatty", "claudish"))


LATE = [
    (429, {"error": {"type": "rate_limit_error", "message": "slow down"}}, "application/json", 429),
    (500, {"error": {"type": "api_error", "message": "broken"}}, "application/json", 500),
    (502, HTML, "text/html", 502),
    (400, PLAIN, "text/plain", 400),
    (401, {"error": {"type": "authentication_error", "message": "no"}}, "application/json", 401),
]
OUTLASTING = [(*row, 0.4) for row in LATE] + [(*row, 1.5) for row in LATE[:1]]


@pytest.mark.parametrize("status, body, content_type, expected, delay", OUTLASTING)
@pytest.mark.parametrize("dialect", ["chat", "anthropic"])
def test_an_error_whose_body_is_late_is_an_error_status_for_a_stream_request(
        hasty, provider, status, body, content_type, expected, delay, dialect):
    """delay: most outlast the silence, the last two a keep-alive as well."""
    provider.will(replies.Status(status, body, (), content_type, before_body=delay))
    answer = ask(hasty, dialect, stream=True)
    check_json_error(answer, expected, dialect)


@pytest.mark.parametrize("body, content_type", [
    ({"error": {"type": "overloaded_error", "message": "full"}}, "application/json"),
    (HTML, "text/html"),
])
@pytest.mark.parametrize("dialect", ["chat", "anthropic"])
def test_a_late_error_inside_a_good_answer_ends_the_stream_that_the_silence_began(
        hasty, provider, dialect, body, content_type):
    provider.will(replies.Status(200, body, (), content_type, before_body=0.4))
    answer = ask(hasty, dialect, stream=True)
    assert answer.status == 200
    assert parse_events(answer.body)[-1].json["error"]["message"]
    assert b"[DONE]" not in answer.body and b"message_stop" not in answer.body


def test_a_whole_answer_to_a_stream_request_that_is_late_becomes_a_stream(hasty, provider):
    whole = {"id": "x", "object": "chat.completion", "created": 1, "model": "m-one",
             "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"},
                          "finish_reason": "stop"}]}
    provider.will(replies.Status(200, whole, before_body=0.4))
    answer = hasty.chat("m-one", stream=True)
    assert answer.status == 200 and answer.header("content-type").startswith("text/event-stream")
    deltas = [event.json["choices"][0]["delta"] for event in parse_events(answer.body) if event.data.startswith("{")]
    assert "".join(delta.get("content") or "" for delta in deltas) == "hi"
    assert answer.body.endswith(b"data: [DONE]\n\n")


def test_a_broken_body_behind_an_error_head_is_tried_or_told_as_an_error_status(hasty, provider):
    def behaviour(call):
        call.head(500, [("Content-Type", "application/json")], "length", 1000)
        call.pause(0.4)
        call.body(b'{"error"')
        call.reset()
    provider.will(behaviour)
    answer = hasty.chat("m-one", stream=True)
    assert answer.status >= 500 and answer.error["message"]
    assert answer.header("content-type").startswith("application/json")


# ---- silence: the head goes out, and signs of life in the dialect's form ----


def is_keepalive(dialect, event):
    if dialect == "chat":
        return event.raw.startswith(b":") and not event.data and not event.name
    return event.name == "ping" and event.json == {"type": "ping"}


def open_stream(daemon, dialect):
    return daemon.open_chat("m-one") if dialect == "chat" else daemon.open_messages("c-one")


@pytest.mark.parametrize("dialect", ["chat", "anthropic"])
def test_a_silent_provider_is_covered_by_keepalives(hasty, provider, dialect):
    gate = Gate()
    provider.will(replies.Reply(before_head=gate))
    begun = time.monotonic()
    with open_stream(hasty, dialect) as wire:
        head = wire.read_head()
        assert 0.05 < time.monotonic() - begun < 5
        assert head.status == 200 and head.count("content-type") == 1
        assert head.header("content-type").startswith("text/event-stream")
        events = wire.events()
        for number in range(3):
            assert is_keepalive(dialect, next(events))
            assert number - 0.2 < time.monotonic() - begun < number + 5
        gate.open()
        rest = [event for event in events if not is_keepalive(dialect, event)]
    if dialect == "chat":
        assert rest[-1].data == "[DONE]" and b'"error"' not in rest[-2].raw
    else:
        assert rest[0].name == "message_start" and rest[-1].name == "message_stop"


@pytest.mark.parametrize("dialect", ["chat", "anthropic"])
def test_a_silent_stream_behind_its_head_is_covered_too(hasty, provider, dialect):
    gate = Gate()
    provider.will(replies.Reply(before_first=gate))
    with open_stream(hasty, dialect) as wire:
        assert wire.read_head().status == 200
        events = wire.events()
        assert is_keepalive(dialect, next(events))
        gate.open()
        assert len(list(events)) > 3


@pytest.mark.parametrize("dialect", ["chat", "anthropic"])
def test_an_error_after_the_head_of_the_silence_is_the_dialects_event(hasty, provider, dialect):
    gate = Gate()

    def behaviour(call):
        call.pause(gate)
        call.answer(500, b'{"error": {"type": "api_error", "message": "too late"}}')

    provider.will(behaviour)
    with open_stream(hasty, dialect) as wire:
        assert wire.read_head().status == 200
        events = wire.events()
        assert is_keepalive(dialect, next(events))
        gate.open()
        rest = list(events)
    assert len(rest) == 1 and "too late" in rest[0].json["error"]["message"]
    assert (rest[0].name == "error") == (dialect == "anthropic")


@pytest.fixture
def hasty_and_patient(start_daemon, setup):
    setup["globalSettings"].update(silenceCommitMs=100, keepAliveEveryMs=1000, maxRetries=3)
    return start_daemon(setup, keys=("chatty", "claudish"))


@pytest.mark.parametrize("dialect", ["chat", "anthropic"])
def test_keepalives_cover_the_pause_before_another_attempt(hasty_and_patient, provider, dialect):
    """The pause is random: sometimes it has the silence's end in it, sometimes the next attempt."""
    for _ in range(8):
        gate = Gate()
        provider.will(replies.reset_unanswered, replies.Reply(before_head=gate))
        with open_stream(hasty_and_patient, dialect) as wire:
            begun = time.monotonic()
            head = wire.read_head()
            assert time.monotonic() - begun < 5
            assert head.status == 200
            assert head.header("content-type").startswith("text/event-stream")
            events = wire.events()
            assert is_keepalive(dialect, next(events))
            gate.open()
            rest = list(events)
        assert "error" not in {event.name for event in rest}
        assert rest[-1].data == "[DONE]" or rest[-1].name == "message_stop"


# ---- a key of no known form that the provider gives back ----

KEY = "Qm7tX2vK9pR4wZ6nB3cY8hD5"  # 24 letters and digits, invented here


def give_back(status, form, content_type="application/json"):
    def behaviour(call):
        sent = call.request.header("authorization") or call.request.header("x-api-key")
        body = form.replace("KEY", sent.removeprefix("Bearer ")).encode()
        call.head(status, [("Content-Type", content_type)])
        call.body(body, 5)
        call.end()
    return behaviour


def after_content(form):
    def behaviour(call):
        call.head(200, [("Content-Type", "text/event-stream")])
        for event in replies.Reply(text="Hello").events(call)[0]:
            call.body(event)
        give = form.replace("KEY", KEY).encode()
        call.body(give, 5)
        call.end()
    return behaviour


CHAT_EVENT = 'data: {"error": {"message": "bad key KEY"}}\n\n'
NAMED_EVENT = ('event: error\ndata: {"type": "error", "error": {"type": "authentication_error", '
               '"message": "bad key KEY"}}\n\n')
JSON = '{"type": "error", "error": {"message": "invalid key KEY", "type": "x"}}'
CUT = "no " * 77 + "no"  # what is kept of an event's error ends in the key behind it (256 bytes)
ECHOES = {
    "401": give_back(401, JSON),
    "400": give_back(400, JSON),
    "403 html": give_back(403, "<html>bad key <b>KEY</b></html>", "text/html"),
    "429 text": give_back(429, "KEY", "text/plain"),
    "500 of another shape": give_back(500, '{"detail": ["KEY", "KEYKEY"]}'),
    "in another field": give_back(400, '{"error": {"message": "no", "type": "x", "param": "KEY"}}'),
    "an error in a 200": give_back(200, JSON),
    "no JSON in a 200": give_back(200, "bad key KEY", "text/plain"),
    "an event": give_back(200, CHAT_EVENT, "text/event-stream"),
    "a named event": give_back(200, NAMED_EVENT, "text/event-stream"),
    "an event after content": after_content(CHAT_EVENT),
    "a named event after content": after_content(NAMED_EVENT),
    "at the end of what is kept of an error": give_back(
        200, JSON.replace("invalid", CUT), "application/json"),
    "at the end of what is kept of an event": give_back(
        200, CHAT_EVENT.replace("bad", CUT), "text/event-stream"),
    "far into an error": give_back(400, JSON.replace("invalid", CUT + " " + CUT)),
}


def holds_key(text):
    """Half of it would be of use to somebody."""
    return any(KEY[at : at + 10] in text for at in range(len(KEY) - 9))


@pytest.mark.parametrize("name", ECHOES)
@pytest.mark.parametrize("dialect", ["chat", "anthropic"])
def test_s30_the_very_key_is_masked_wherever_it_comes_back(
        start_daemon, setup, provider, name, dialect):
    daemon = start_daemon(setup)
    daemon.set_key("chatty", KEY)
    daemon.set_key("claudish", KEY)
    provider.default = ECHOES[name]
    for is_stream in (False, True):
        answer = ask(daemon, dialect, stream=is_stream)
        assert not holds_key(answer.body.decode()), answer.body
        assert not any(holds_key(value) for _, value in answer.headers)
        assert provider.last.header("authorization") or provider.last.header("x-api-key")
    assert not holds_key(repr(daemon.recent()))
    assert not holds_key(repr(daemon.rpc("status"))) and not holds_key(
        repr(daemon.rpc("provider.list")))
    daemon.stop()
    assert not holds_key(daemon.log)


@pytest.mark.parametrize("name", ["401", "an event", "500 of another shape"])
def test_s30_a_test_of_a_provider_does_not_show_its_key(start_daemon, setup, provider, name):
    daemon = start_daemon(setup)
    daemon.set_key("chatty", KEY)
    provider.default = ECHOES[name]
    told = daemon.rpc("provider.test", provider="chatty")
    assert not holds_key(repr(told)) and not holds_key(repr(daemon.rpc("status", recent=10)))
    daemon.stop()
    assert not holds_key(daemon.log)


@pytest.mark.xfail(strict=True, reason="masking asks the vault, which has the new key by then")
def test_s30_a_key_replaced_while_its_request_runs_is_still_masked(
        start_daemon, setup, provider):
    daemon = start_daemon(setup)
    daemon.set_key("chatty", KEY)
    gate = Gate()

    def behaviour(call):
        call.pause(gate)
        give_back(400, JSON)(call)

    provider.will(behaviour)
    with daemon.open_chat("m-one") as wire:
        provider.wait_request()
        daemon.set_key("chatty", KEY[::-1])
        gate.open()
        assert not holds_key(wire.read_answer().body.decode())
    assert not holds_key(repr(daemon.recent()))
