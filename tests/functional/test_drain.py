"""The end of a daemon: who still gets an answer, and how much of it."""

import time

import pytest

import replies
from daemon import chat_body
from provider import Gate
from waiting import wait_until
from wire import Closed

MIB = 1 << 20


def is_accepting(daemon):
    """True while new connections are taken; one that is closed at once is none."""
    try:
        daemon.ask("GET", "/healthz", token=None)
        return True
    except (ConnectionRefusedError, ConnectionResetError, Closed):
        return False


def stop_and_wait(daemon):
    """SIGTERM, and the moment from which on nobody new is let in."""
    daemon.token()
    daemon.terminate()
    wait_until(lambda: not is_accepting(daemon), "end of new connections")


@pytest.fixture
def short_linger(start_daemon, setup):
    """Connections that are closing get 500 ms, running requests 15 s."""
    setup["globalSettings"].update(clientLingerMs=500, drainMs=15000)
    return start_daemon(setup, keys=("chatty", "claudish"))


def read_slowly(wire, seconds, size):
    """Reads a whole answer of about `size` bytes in no less than so many seconds."""
    answer, parts, taken = wire.read_head(), [], 0
    for piece in wire.pieces():
        parts.append(piece)
        taken += len(piece)
        if taken > size / 20:
            time.sleep(seconds / 20)
            taken = 0
    return answer, b"".join(parts)


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_slow_reader_gets_all_of_its_answer(short_linger, provider, is_stream):
    """The request is over long before the client has read what it was answered."""
    daemon, size = short_linger, 12 * MIB
    text = "".join(f"{number:07d} " for number in range(size // 8))
    provider.will(replies.Reply(text=text, piece=65536))
    with daemon.connect(receive_buffer=16384) as wire:
        fields = chat_body("m-one", stream=is_stream, stream_options={"include_usage": True})
        if not is_stream:
            del fields["stream_options"]
        wire.send(daemon.build("POST", "/v1/chat/completions", fields))
        provider.wait_request()
        if not is_stream:
            wait_until(lambda: len(provider.last.answer) > size, "end of the provider's answer")
        stop_and_wait(daemon)
        answer, body = read_slowly(wire, 3, size)
    assert answer.status == 200 and body == provider.last.answer
    assert daemon.wait_exit() == 0


def test_a_reader_that_never_reads_does_not_outlast_the_drain(start_daemon, setup, provider):
    setup["globalSettings"].update(clientLingerMs=300, drainMs=1000)
    daemon = start_daemon(setup, keys=["chatty"])
    provider.will(replies.Reply(text="z" * (12 * MIB)))
    with daemon.connect(receive_buffer=16384) as wire:
        wire.send(daemon.build("POST", "/v1/chat/completions", chat_body("m-one")))
        wait_until(lambda: provider.requests and len(provider.last.answer) > 12 * MIB,
                   "end of the provider's answer")
        begun = time.monotonic()
        daemon.terminate()
        assert daemon.wait_exit() == 0
        assert time.monotonic() - begun < 6


def test_a_connection_that_has_asked_nothing_yet_may_still_ask(start_daemon, setup, provider):
    setup["globalSettings"].update(clientLingerMs=5000)
    daemon = start_daemon(setup, keys=["chatty"])
    request = daemon.build("POST", "/v1/chat/completions", chat_body("m-one", stream=True))
    with daemon.connect() as early, daemon.connect() as late:
        daemon.ask("GET", "/healthz", token=None)  # both are accepted by now
        stop_and_wait(daemon)
        early.send(request)
        assert b"[DONE]" in early.read_answer().body
        late.send(request[:40])
        time.sleep(0.3)
        late.send(request[40:])
        answer = late.read_answer()
        assert answer.status == 200 and b"[DONE]" in answer.body
    assert daemon.wait_exit() == 0
    assert len(provider.posts) == 2


def test_a_connection_that_never_asks_is_not_waited_for(short_linger):
    with short_linger.connect() as silent:
        short_linger.ask("GET", "/healthz", token=None)
        begun = time.monotonic()
        short_linger.terminate()
        assert short_linger.wait_exit() == 0
        assert 0.3 < time.monotonic() - begun < 5
        assert silent.is_closed()


def test_a_body_that_is_on_the_way_is_waited_for(short_linger, provider):
    daemon = short_linger
    request = daemon.build("POST", "/v1/chat/completions", chat_body("m-one"))
    with daemon.connect() as wire:
        wire.send(request[:-20])
        daemon.wait_active(1)
        stop_and_wait(daemon)
        time.sleep(1)
        wire.send(request[-20:])
        assert wire.read_answer().status == 200
    assert daemon.wait_exit() == 0


@pytest.mark.parametrize("dialect", ["chat", "anthropic"])
def test_a_stream_that_runs_into_the_limit_ends_with_an_error_event(
        start_daemon, setup, provider, dialect):
    setup["globalSettings"].update(drainMs=500)
    daemon = start_daemon(setup, keys=("chatty", "claudish"))
    gate = Gate()
    provider.will(replies.Reply(before_end=gate))
    wire = daemon.open_chat("m-one") if dialect == "chat" else daemon.open_messages("c-one")
    with wire:
        assert wire.read_head().status == 200
        events = wire.events()
        next(events)
        daemon.terminate()
        rest = list(events)
    assert rest[-1].json["error"]["message"]
    assert (rest[-1].name == "error") == (dialect == "anthropic")
    assert not any(event.data == "[DONE]" or event.name == "message_stop" for event in rest)
    assert daemon.wait_exit() == 0
    gate.open()


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_request_without_an_answer_at_the_limit_gets_an_error_status(
        start_daemon, setup, provider, is_stream):
    setup["globalSettings"].update(drainMs=500)
    daemon = start_daemon(setup, keys=["chatty"])
    provider.will(replies.hang)
    with daemon.connect() as wire:
        fields = chat_body("m-one", stream=is_stream)
        wire.send(daemon.build("POST", "/v1/chat/completions", fields))
        provider.wait_request()
        daemon.terminate()
        answer = wire.read_answer()
    assert answer.status == 503 and answer.error["type"] == "overloaded_error"
    assert daemon.wait_exit() == 0
