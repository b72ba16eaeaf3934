"""Providers that fail (rows F-09, S-23, S-24, S-51): what the client gets, what is noted."""

import dataclasses
import json
import socket
import threading
import time

import pytest

import replies
from daemon import chat_body, config_for, provider_row
from provider import Gate
from waiting import latency_limit, stays, wait_until
from wire import Closed, parse_events


# ---- F-09: sent at most once per attempt ----


def test_f09_a_stale_connection_is_never_sent_the_post_twice(daemon, provider):
    provider.will(replies.Reply(), replies.close_unanswered)
    assert daemon.chat("m-one").status == 200
    answer = daemon.chat("m-one")
    assert answer.status == 502
    used = [len(link.requests) for link in provider.links]
    assert used[0] == 2, "the connection was not used again: the test proves nothing"
    assert sum(used) == 2 == len(daemon.recent())


@pytest.mark.parametrize("behaviour", [replies.close_unanswered, replies.reset_unanswered])
def test_f09_with_retries_each_post_is_an_attempt_of_the_record(
        start_daemon, setup, provider, behaviour):
    setup["globalSettings"]["maxRetries"] = 3
    daemon = start_daemon(setup, keys=["chatty"])
    provider.will(replies.Reply(), behaviour)
    assert daemon.chat("m-one").status == 200
    assert daemon.chat("m-one").status in (200, 502)
    assert len(provider.posts) == len(daemon.recent())


def test_f09_connections_closed_while_idle_cost_no_request(daemon, provider):
    provider.default = replies.Reply(closes=True)
    statuses = [daemon.chat("m-one").status for _ in range(30)]
    assert set(statuses) <= {200, 502} and statuses.count(200) >= 15
    assert len(provider.posts) <= len(daemon.recent()) == 30


# ---- S-23, S-24: answers that want to lead elsewhere ----


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_s23_a_redirect_is_an_error_and_its_target_sees_nothing(
        daemon, provider, make_provider, status):
    target = make_provider()
    provider.will(replies.redirect(status, target.url + "/v1/chat/completions"))
    answer = daemon.chat("m-one")
    assert answer.status == 502 and answer.error["type"] == "provider_error"
    assert "redirect" in answer.error["message"] and answer.header("location") is None
    assert answer.header("x-should-retry") == "false"
    assert not target.links and len(provider.posts) == 1


def test_s23_a_redirect_to_the_same_origin_is_not_followed_either(daemon, provider):
    provider.will(replies.redirect(307, "/v1/elsewhere"))
    assert daemon.chat("m-one", stream=True).status == 502
    assert [seen.path for seen in provider.requests] == ["/v1/chat/completions"]


@pytest.mark.parametrize("status", [401, 407])
@pytest.mark.parametrize("challenge", [
    'Bearer realm="{target}/token"', "Negotiate", "NTLM", 'Basic realm="{target}"',
    'Digest realm="x", nonce="y"',
])
def test_s24_a_challenge_is_never_answered(daemon, provider, make_provider, status, challenge):
    target = make_provider()
    challenge = challenge.format(target=target.url)
    headers = (("WWW-Authenticate", challenge), ("Proxy-Authenticate", challenge))
    provider.will(replies.error_status(status, "no", "authentication_error", headers))
    answer = daemon.chat("m-one")
    assert answer.status >= 400
    assert answer.header("www-authenticate") in (None, 'Bearer realm="aictl"')
    assert answer.header("proxy-authenticate") is None
    assert not target.links and len(provider.posts) == 1


# ---- S-51: headers of the answer ----


def test_s51_headers_that_are_not_listed_stay_with_the_provider(daemon, provider):
    provider.default = replies.Reply(headers=(
        ("Set-Cookie", "a=b"), ("Location", "http://evil.example"), ("Alt-Svc", 'h3=":443"'),
        ("Strict-Transport-Security", "max-age=1"), ("WWW-Authenticate", "Basic"), ("X-Evil", "1"),
        ("Access-Control-Allow-Origin", "*"), ("Server", "evil"), ("Refresh", "0"),
        ("Keep-Alive", "x"),
    ))
    for fields in ({}, {"stream": True}):
        answer = daemon.chat("m-one", **fields)
        assert answer.status == 200
        names = {name for name, _ in answer.headers}
        assert not names & {"set-cookie", "location", "alt-svc", "strict-transport-security",
                            "refresh", "www-authenticate", "x-evil", "access-control-allow-origin"}
        assert answer.header("server") != "evil"


BODY = b'{"choices":[1]}'


@pytest.mark.parametrize("head", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nContent-Length: 16\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-A: b\rX-Evil: 1\r\nContent-Length: 15\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\rX-Evil: 1\r\nContent-Length: 15\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"X-Flood: 1\r\n" * 10000 + b"Content-Length: 15\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * (1 << 20) + b"\r\nContent-Length: 15\r\n\r\n",
    b"HTTP/1.1 99999 OK\r\nContent-Length: 15\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"\x00" * 64, b"",
], ids=["both framings", "two lengths", "bare cr", "cr in the type", "1xx flood", "header flood",
        "long header", "odd status", "ssh", "nul", "nothing"])
def test_s51_doubtful_heads_become_one_well_formed_answer(daemon, provider, head):
    provider.will(replies.Raw(head + BODY if head else b""))
    with daemon.connect() as wire:
        wire.send(daemon.build("POST", "/v1/chat/completions", {"model": "m-one", "messages": []}))
        answer = wire.read_answer()
        assert answer.status in (200, 502)
        assert answer.status == 502 or answer.body == BODY or not answer.is_complete
        assert "x-evil" not in {name for name, _ in answer.headers}
    assert daemon.wait_attempt()["end"] != "open"


# ---- failures before content become an error status, in the caller's shape ----

FAULTS = {
    "closed before the answer": (replies.close_unanswered, 502),
    "reset before the answer": (replies.reset_unanswered, 502),
    "half a head": (replies.Cut(replies.Reply(), 20, "close"), 502),
    "an empty stream": (replies.empty_stream, 502),
    "an error inside a 200": (replies.ErrorIn200("the engine is overloaded"), 503),
    "html in a 200": (replies.Status(200, b"<html>hello</html>", content_type="text/html"), 502),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("dialect", ["chat", "anthropic"])
def test_a_stream_that_fails_before_content_gets_an_error_status(daemon, provider, dialect, name):
    behaviour, status = FAULTS[name]
    provider.will(behaviour)
    ask, model = (daemon.chat, "m-one") if dialect == "chat" else (daemon.messages, "c-one")
    answer = ask(model, stream=True)
    assert answer.status == status or answer.status in (500, 502, 503, 529), answer
    assert answer.header("content-type").startswith("application/json")
    assert answer.error["message"] and answer.error["type"]
    assert (answer.json.get("type") == "error") == (dialect == "anthropic")
    attempt = daemon.wait_attempt()
    assert attempt["end"] in ("provider error", "provider reset") and attempt["error"]


def test_an_error_inside_a_200_says_what_the_provider_said(daemon, provider):
    provider.will(replies.ErrorIn200("capacity exhausted until noon"))
    answer = daemon.chat("m-one", stream=True)
    assert answer.status >= 500 and "capacity exhausted until noon" in answer.error["message"]


# ---- failures after content end the stream with the dialect's error event ----

SPOILED = {
    "reset": replies.Cut(replies.Reply(text="x" * 4000), 3000, "reset"),
    "closed": replies.Cut(replies.Reply(text="x" * 4000), 3000, "close"),
    "an error event": replies.ErrorIn200("went down", text="Hello"),
    "no end": replies.Cut(replies.Reply(framing="close", text="x" * 4000), 3000, "close"),
}


def read_spoiled(provider, name, open_stream):
    """The events of a stream that breaks once its first bytes have reached the client."""
    gate = Gate()
    behaviour = SPOILED[name]
    if isinstance(behaviour, replies.Cut):
        behaviour = dataclasses.replace(behaviour, before=gate)
    provider.will(behaviour)
    with open_stream() as wire:
        assert wire.read_head().status == 200
        events = wire.events()
        first = next(events)
        gate.open()
        return [first, *events]


@pytest.mark.parametrize("name", SPOILED)
def test_a_chat_stream_that_breaks_ends_with_an_error_and_never_done(daemon, provider, name):
    events = read_spoiled(provider, name, lambda: daemon.open_chat("m-one"))
    assert not any(event.data == "[DONE]" for event in events)
    assert events[-1].json["error"]["message"]
    assert sum('"error"' in event.data for event in events) == 1
    attempt = daemon.wait_attempt()
    assert attempt["end"] in ("provider error", "provider reset")


@pytest.mark.parametrize("name", SPOILED)
def test_an_anthropic_stream_that_breaks_ends_with_an_error_event(daemon, provider, name):
    events = read_spoiled(provider, name, lambda: daemon.open_messages("c-one"))
    assert events[-1].name == "error" and events[-1].json["error"]["message"]
    assert not any(event.name == "message_stop" for event in events)
    assert sum(event.name == "error" for event in events) == 1


@pytest.mark.parametrize("at", [300, 500, 700, 900, 1500])
def test_a_stream_cut_at_any_byte_never_looks_finished(daemon, provider, at):
    for how in ("reset", "close"):
        provider.will(replies.Cut(replies.Reply(text="grüße 🙂 " * 40), at, how))
        with daemon.open_chat("m-one") as wire:
            answer = wire.read_answer()
        assert b"[DONE]" not in answer.body
        assert answer.status >= 500 or parse_events(answer.body)[-1].json["error"]


def test_a_plain_answer_that_is_cut_short_is_not_passed_as_whole(daemon, provider):
    provider.will(replies.short_length)
    try:
        answer = daemon.chat("m-one")
    except Closed:
        return
    assert answer.status == 502 or not answer.is_complete


def test_a_stream_without_its_last_event_but_with_a_finish_is_told_apart(daemon, provider):
    """Some providers never send [DONE]: with a finish_reason the turn did end."""
    provider.will(replies.Reply(has_end=False))
    with daemon.open_chat("m-one") as wire:
        answer = wire.read_answer()
    assert b'"finish_reason": "stop"' in answer.body
    assert daemon.wait_attempt()["end"] == "done"


# ---- error statuses ----


@pytest.mark.parametrize("status, can_help", [
    (400, False), (401, False), (403, False), (404, False), (413, False), (422, False),
    (429, True), (500, True), (503, True), (529, True),
])
def test_x_should_retry_is_false_where_no_retry_can_mend(daemon, provider, status, can_help):
    provider.will(replies.error_status(status, "told by the provider"))
    answer = daemon.chat("m-one")
    assert answer.status >= 400
    assert (answer.header("x-should-retry") == "false") == (not can_help)
    assert "told by the provider" in answer.error["message"]


def test_retry_after_of_a_rate_limit_is_passed_on(daemon, provider):
    wait = (("Retry-After", "17"),)
    provider.will(replies.error_status(429, "slow down", "rate_limit_error", wait))
    answer = daemon.chat("m-one")
    assert answer.status in (429, 503) and answer.header("retry-after") == "17"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_errors_of_the_request_are_never_tried_again(start_daemon, setup, provider, status):
    setup["globalSettings"]["maxRetries"] = 3
    daemon = start_daemon(setup, keys=["chatty"])
    provider.default = replies.error_status(status, "no")
    assert daemon.chat("m-one").status >= 400
    assert len(provider.posts) == 1


# ---- further attempts ----


@pytest.fixture
def patient(start_daemon, setup):
    """A daemon that may try three times more."""
    setup["globalSettings"]["maxRetries"] = 3
    return start_daemon(setup, keys=("chatty", "claudish"))


# What the connection did is mended by another attempt; what a provider said is passed on.
MENDED = ["closed before the answer", "reset before the answer", "half a head", "an empty stream"]


@pytest.mark.parametrize("name", MENDED)
@pytest.mark.parametrize("dialect", ["chat", "anthropic"])
def test_a_failure_before_content_is_tried_again_unseen(patient, provider, dialect, name):
    provider.will(FAULTS[name][0])
    ask, model = (patient.chat, "m-one") if dialect == "chat" else (patient.messages, "c-one")
    answer = ask(model, stream=True)
    assert answer.status == 200
    assert b"[DONE]" in answer.body or b"message_stop" in answer.body
    assert b'"error"' not in answer.body
    assert len(provider.posts) == 2
    last, first = patient.recent()
    assert last["end"] == "done" and first["end"] in ("provider error", "provider reset")
    assert last["exchange"] == first["exchange"] and last["id"] != first["id"]


@pytest.mark.parametrize("name", SPOILED)
def test_after_content_there_is_no_second_attempt(patient, provider, name):
    events = read_spoiled(provider, name, lambda: patient.open_messages("c-one"))
    assert [event.name for event in events].count("message_start") == 1
    assert events[-1].name == "error"
    assert len(provider.posts) == 1


def test_attempts_end_after_max_retries(patient, provider):
    provider.default = replies.reset_unanswered
    answer = patient.chat("m-one")
    assert answer.status == 502 and answer.error["type"] == "provider_error"
    assert len(provider.posts) == 4 == len(patient.recent())


def test_a_second_failure_is_told_in_the_words_of_the_provider(patient, provider):
    words = "the model is broken today"
    provider.will(replies.reset_unanswered, replies.error_status(500, words, "api_error"))
    answer = patient.chat("m-one")
    assert answer.status == 500 and words in answer.error["message"]


def test_the_next_provider_of_a_model_answers_when_the_first_is_dead(start_daemon, provider):
    dead = provider_row("dead", "http://127.0.0.1:1", ["m-one"], key="")
    alive = provider_row("alive", provider.url, ["m-one"], key="")
    daemon = start_daemon(config_for(dead, alive, default="m-one", maxRetries=1))
    for fields in ({}, {"stream": True}):
        assert daemon.chat("m-one", **fields).status == 200
    assert [attempt["provider"] for attempt in daemon.recent()] == ["alive", "dead"] * 2


def test_a_client_that_goes_between_two_attempts_ends_them(patient, provider):
    provider.default = replies.reset_unanswered
    with patient.open_chat("m-one"):
        provider.wait_request()
    wait_until(lambda: patient.rpc("status")["requests"]["active"] == 0, "end of the request")
    assert len(provider.posts) == len(patient.recent()) <= 4


# ---- time ----

SHORT_TIMEOUTS = {"firstByteTimeout": 1000, "plainAnswerTimeout": 1000, "defaultTimeout": 1000}


def test_a_provider_that_never_answers_gets_a_typed_timeout(start_daemon, setup, provider):
    setup["globalSettings"].update(SHORT_TIMEOUTS)
    daemon = start_daemon(setup, keys=["chatty"])
    provider.default = replies.hang
    for fields in ({}, {"stream": True}):
        answer = daemon.chat("m-one", **fields)
        assert answer.status == 504 and answer.error["type"] == "timeout_error"
        assert daemon.wait_attempt()["end"] == "timeout"


def test_a_provider_that_never_accepts_gets_a_typed_timeout(start_daemon, make_provider):
    silent = make_provider(accepting=False)
    row = provider_row("chatty", silent.url, ["m-one"], key="")
    config = config_for(row, default="m-one", **SHORT_TIMEOUTS)
    assert start_daemon(config).chat("m-one").status == 504


def test_a_stream_that_falls_silent_ends_with_an_error_event(start_daemon, setup, provider):
    setup["globalSettings"]["defaultTimeout"] = 1000
    daemon = start_daemon(setup, keys=["chatty"])
    provider.default = replies.Cut(replies.Reply(text="x" * 4000), 3000, "stall")
    with daemon.open_chat("m-one") as wire:
        answer = wire.read_answer()
    assert parse_events(answer.body)[-1].json["error"] and b"[DONE]" not in answer.body
    assert daemon.wait_attempt()["end"] == "timeout"
    provider.wait_closed(provider.last)


def test_silence_before_the_first_event_is_kept_alive(start_daemon, setup, provider):
    """The head goes out after silenceCommitMs, and keep-alives follow until content comes."""
    setup["globalSettings"].update(silenceCommitMs=200, keepAliveEveryMs=1000)
    daemon = start_daemon(setup, keys=["chatty", "claudish"])
    provider.default = replies.Reply(before_first=2)
    begun = time.monotonic()
    with daemon.open_chat("m-one") as wire:
        assert wire.read_head().status == 200
        assert time.monotonic() - begun < 0.2 + latency_limit(1)
        body = b"".join(wire.pieces())
    assert body.startswith(b":") and b"[DONE]" in body
    with daemon.open_messages("c-one") as wire:
        names = [event.name for event in parse_events(wire.read_answer().body)]
    assert names[0] == "ping" and names[-1] == "message_stop"


def test_a_second_attempt_is_kept_alive_as_well(start_daemon, setup, provider):
    setup["globalSettings"].update(maxRetries=1, silenceCommitMs=500, keepAliveEveryMs=1000)
    daemon = start_daemon(setup, keys=["chatty"])
    provider.will(replies.reset_unanswered, replies.Reply(before_head=4))
    with daemon.open_chat("m-one") as wire:
        begun = time.monotonic()
        assert wire.read_head().status == 200
        assert time.monotonic() - begun < 3.5, "the head waited for the second attempt's answer"
        assert b"".join(wire.pieces()).startswith(b":")


def test_an_error_after_the_head_is_an_error_event(start_daemon, setup, provider):
    setup["globalSettings"]["silenceCommitMs"] = 200
    daemon = start_daemon(setup, keys=["chatty"])
    provider.will(replies.Cut(replies.Reply(before_first=1), 150, "close"))
    with daemon.open_chat("m-one") as wire:
        answer = wire.read_answer()
    if answer.status == 200:
        assert json.loads(parse_events(answer.body)[-1].data)["error"]
        assert b"[DONE]" not in answer.body
    else:
        assert answer.status == 502


def test_a_plain_answer_to_a_stream_after_the_head_went_out_is_an_error_event(
        start_daemon, setup, provider):
    setup["globalSettings"]["silenceCommitMs"] = 200
    daemon = start_daemon(setup, keys=["chatty"])

    def answer_late_and_plain(call):
        call.pause(1)
        call.answer(200, b'{"choices": [{"message": {"content": "hello"}}]}')

    provider.will(answer_late_and_plain)
    with daemon.open_chat("m-one") as wire:
        answer = wire.read_answer()
    assert answer.status == 200 and answer.header("content-type").startswith("text/event-stream")
    assert b"[DONE]" in answer.body or parse_events(answer.body)[-1].json["error"]
    assert daemon.chat("m-one").status == 200


def test_one_dead_provider_does_not_disturb_another(start_daemon, provider, make_provider):
    hanging = make_provider(accepting=False)
    config = config_for(provider_row("chatty", provider.url, ["m-one"], key=""),
                        provider_row("stuck", hanging.url, ["s-one"], key=""), default="m-one")
    daemon = start_daemon(config)
    waiting = [daemon.open_chat("s-one") for _ in range(20)]
    stays(lambda: daemon.chat("m-one").status == 200, "service of the healthy provider", 0.5)
    for wire in waiting:
        wire.close()


# ---- a provider that comes back ----


def is_unreachable(daemon):
    newest = daemon.recent(1)
    return newest and newest[0]["end"] == "unreachable"


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_provider_that_is_started_during_the_pause_is_reached(
        start_daemon, make_provider, is_stream):
    """A connection was kept to the one before, so the first attempt finds that one gone."""
    before = make_provider()
    row = provider_row("chatty", before.url, ["m-one"], key="")
    daemon = start_daemon(config_for(row, default="m-one", maxRetries=10))
    assert daemon.chat("m-one").status == 200
    before.stop()
    with daemon.connect() as wire:
        wire.send(daemon.build("POST", "/v1/chat/completions",
                               chat_body("m-one", stream=is_stream)))
        wait_until(lambda: is_unreachable(daemon), "an attempt that finds nobody")
        after = make_provider(port=before.port)
        answer = wire.read_answer()
    assert answer.status == 200 and len(after.posts) == 1
    ends = [attempt["end"] for attempt in daemon.recent()]
    assert ends[0] == "done" and ends[-1] == "done" and "unreachable" in ends
    assert len({attempt["exchange"] for attempt in daemon.recent()}) == 2


def refuse_tls(call_count, listener):
    """Answers each connection with what is no TLS, and counts it."""
    while True:
        try:
            accepted, _ = listener.accept()
        except OSError:
            return
        call_count.append(1)
        with accepted:
            accepted.sendall(b"HTTP/1.1 400 no TLS here\r\n\r\n")
            accepted.recv(65536)


def test_a_failed_tls_handshake_is_tried_again(start_daemon):
    listener, connections = socket.create_server(("127.0.0.1", 0)), []
    thread = threading.Thread(target=refuse_tls, args=(connections, listener))
    thread.start()
    try:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        daemon = start_daemon(config_for(provider_row("tls", url, ["t-one"], key=""),
                                         default="t-one", maxRetries=2))
        answer = daemon.chat("t-one")
        assert answer.status == 502 and "TLS" in answer.error["message"]
        assert len(connections) == 3 == len(daemon.recent())
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
