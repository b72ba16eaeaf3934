"""Back-pressure and bounds: a slow client slows its provider, memory stays where it was."""

import json
import time

import pytest

import replies
from daemon import chat_body
from waiting import IS_SANITIZED, stays, wait_until

MIB = 1 << 20
STREAM_BUFFER = 256 << 10


def wait_standstill(seen):
    """Waits until the provider cannot send any more; returns how much it sent."""
    def is_still():
        before = seen.sent
        time.sleep(0.2)
        return before and seen.sent == before
    wait_until(is_still, "standstill of the provider")
    return seen.sent


def open_slow(daemon, **fields):
    """A streaming client that reads nothing and has a small receive buffer."""
    return daemon.open_chat("m-one", wire=daemon.connect(receive_buffer=16384), **fields)


def test_a_client_that_does_not_read_stops_its_provider(daemon, provider):
    provider.will(replies.Endless(size=65536))
    before = daemon.rss()
    with open_slow(daemon) as wire:
        seen = provider.wait_request()
        stuck = wait_standstill(seen)
        stays(lambda: seen.sent == stuck, "the standstill of the provider")
        grown = daemon.rss() - before
        assert IS_SANITIZED or grown < 2 * STREAM_BUFFER + MIB, f"grew by {grown} bytes"
        wire.read_head()
        for _ in range(100):
            next(wire.pieces())
        wait_until(lambda: seen.sent > stuck, "more from the provider after the client read")


def test_many_slow_clients_cost_bounded_memory(daemon, provider):
    provider.default = replies.Endless(size=65536)
    daemon.chat("m-none")
    before = daemon.rss()
    wires = [open_slow(daemon) for _ in range(20)]
    for number in range(20):
        wait_standstill(provider.wait_request(number + 1))
    grown = daemon.rss() - before
    assert IS_SANITIZED or grown < 20 * (2 * STREAM_BUFFER) + 2 * MIB, f"grew by {grown} bytes"
    for wire in wires:
        wire.close()


def test_a_slow_client_gets_every_byte_in_order(daemon, provider):
    text = "".join(f"{number:06d} " for number in range(400_000))
    provider.will(replies.Reply(text=text, piece=4096))
    with open_slow(daemon, stream_options={"include_usage": True}) as wire:
        wait_standstill(provider.wait_request())
        answer = wire.read_answer()
    assert answer.is_complete and answer.body == provider.last.answer


def test_a_slow_client_of_a_large_plain_answer_gets_it_whole(daemon, provider):
    provider.will(replies.Reply(text="z" * (20 * MIB)))
    with daemon.connect(receive_buffer=16384) as wire:
        wire.send(daemon.build("POST", "/v1/chat/completions", chat_body("m-one")))
        provider.wait_request()
        time.sleep(0.3)
        answer = wire.read_answer()
    assert answer.body == provider.last.answer


def test_a_client_that_reads_nothing_for_long_is_cut_off(start_daemon, setup, provider):
    setup["globalSettings"]["clientWriteStallMs"] = 500
    daemon = start_daemon(setup, keys=["chatty"])
    provider.will(replies.Endless(size=65536))
    with open_slow(daemon):
        provider.wait_closed(provider.wait_request())
    assert daemon.wait_attempt()["end"] == "client gone"


def test_others_are_served_while_a_client_is_slow(daemon, provider):
    provider.will(replies.Endless(size=65536))
    with open_slow(daemon):
        wait_standstill(provider.wait_request())
        assert daemon.chat("m-one").status == 200


# ---- bodies ----


def test_a_body_above_the_limit_is_refused_before_it_is_read(daemon, provider):
    with daemon.connect() as wire:
        head = daemon.build("POST", "/v1/chat/completions", headers=[
            ("Content-Type", "application/json"), ("Content-Length", str(32 * MIB + 1))])
        wire.send(head)
        answer = wire.read_answer()
        assert answer.status == 413 and answer.header("x-should-retry") == "false"
    assert not provider.links


def test_a_chunked_body_above_the_limit_is_refused_on_the_way(start_daemon, setup, provider):
    setup["globalSettings"]["bodyMax"] = MIB
    daemon = start_daemon(setup, keys=["chatty"])
    with daemon.connect() as wire:
        wire.send(daemon.build("POST", "/v1/chat/completions", headers=[
            ("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")]))
        for _ in range(17):
            wire.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        assert wire.read_answer().status == 413
    assert not provider.links


def test_a_body_at_the_limit_is_served(start_daemon, setup, provider):
    setup["globalSettings"]["bodyMax"] = MIB
    daemon = start_daemon(setup, keys=["chatty"])
    empty = len(json.dumps(chat_body("m-one", filler="")).encode())
    for extra, status in ((0, 200), (1, 413)):
        body = json.dumps(chat_body("m-one", filler="x" * (MIB - empty + extra))).encode()
        assert daemon.ask("POST", "/v1/chat/completions", body).status == status
    assert len(provider.posts) == 1


def test_all_bodies_together_have_a_limit(start_daemon, setup, provider):
    setup["globalSettings"].update(bodyMax=MIB, bodiesMax=2 * MIB)
    daemon = start_daemon(setup, keys=["chatty"])
    provider.default = replies.hang
    body = chat_body("m-one", filler="x" * (MIB - 1000))
    wires = []
    for number in range(2):
        wires.append(daemon.connect())
        wires[-1].send(daemon.build("POST", "/v1/chat/completions", body))
        provider.wait_request(number + 1)
    answer = daemon.ask("POST", "/v1/chat/completions", body)
    assert answer.status == 503 and answer.header("x-should-retry") == "true"
    for wire in wires:
        wire.close()
    provider.default = replies.Reply()
    wait_until(lambda: daemon.chat("m-one", filler=body["filler"]).status == 200, "room for a body")


def test_connections_above_the_limit_get_503_and_others_go_on(start_daemon, setup):
    setup["globalSettings"]["connectionsMax"] = 8
    daemon = start_daemon(setup, keys=["chatty"])
    held = []
    for _ in range(8):
        held.append(daemon.connect())
        held[-1].send(daemon.build("GET", "/healthz"))
        assert held[-1].read_answer().status == 200
    with daemon.connect() as wire:
        wire.send(daemon.build("GET", "/healthz"))
        assert wire.read_answer().status == 503
        assert wire.is_closed()
    held.pop().close()
    wait_until(lambda: daemon.ask("GET", "/healthz").status == 200, "room for a connection")
    for wire in held:
        wire.close()


@pytest.mark.parametrize("dialect", ["chat", "anthropic"])
def test_one_event_above_its_limit_ends_the_stream(start_daemon, setup, provider, dialect):
    setup["globalSettings"]["eventMax"] = 65536
    daemon = start_daemon(setup, keys=["chatty", "claudish"])
    provider.will(replies.Reply(text="a" * 100_000 + "b" * 100, piece=100_000))
    ask, model = (daemon.chat, "m-one") if dialect == "chat" else (daemon.messages, "c-one")
    answer = ask(model, stream=True)
    assert answer.status == 502 or b"error" in answer.body
    assert b"[DONE]" not in answer.body and b"message_stop" not in answer.body
