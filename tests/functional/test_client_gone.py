"""A client that goes away (rows F-10 to F-12): its provider is let go within 100 ms, always."""

import time

import pytest

import replies
from provider import Gate
from waiting import latency_limit, wait_until

LIMIT = latency_limit(0.1)
ENDS = ["close", "reset"]


def open_request(daemon, dialect, stream):
    if stream:
        return daemon.open_chat("m-one") if dialect == "chat" else daemon.open_messages("c-one")
    if dialect == "chat":
        return open_plain(daemon, "m-one", "/v1/chat/completions")
    return open_plain(daemon, "c-one", "/v1/messages")


def open_plain(daemon, model, path):
    wire = daemon.connect()
    wire.send(daemon.build("POST", path, {"model": model, "max_tokens": 5, "messages": []}))
    return wire


def assert_let_go(daemon, provider, seen, closed):
    assert provider.wait_closed(seen) - closed < LIMIT
    attempt = daemon.wait_attempt()
    assert attempt["end"] == "client gone"
    assert len(provider.posts) == len(daemon.recent()), "a client that has gone is not retried"
    wait_until(lambda: daemon.rpc("status")["requests"]["active"] == 0, "end of the request")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("dialect", ["chat", "anthropic"])
def test_f10_a_client_that_goes_before_a_plain_answer(daemon, provider, dialect, end):
    provider.will(replies.hang)
    wire = open_request(daemon, dialect, stream=False)
    seen = provider.wait_request()
    assert_let_go(daemon, provider, seen, getattr(wire, end)())


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("dialect", ["chat", "anthropic"])
@pytest.mark.parametrize("behaviour", [replies.hang, replies.Reply(before_first=60)],
                         ids=["before the head", "after the head"])
def test_f11_a_client_that_goes_before_the_first_token(daemon, provider, behaviour, dialect, end):
    provider.will(behaviour)
    wire = open_request(daemon, dialect, stream=True)
    seen = provider.wait_request()
    assert_let_go(daemon, provider, seen, getattr(wire, end)())


@pytest.mark.parametrize("end", [*ENDS, "half_close"])
@pytest.mark.parametrize("dialect", ["chat", "anthropic"])
def test_f12_a_client_that_goes_mid_stream(daemon, provider, dialect, end):
    """Half-closing means gone as well: see the amendment of F-12."""
    provider.will(replies.Endless(size=64, between=0.01))
    wire = open_request(daemon, dialect, stream=True)
    seen = provider.wait_request()
    wire.read_head()
    next(wire.pieces())
    closed = getattr(wire, end)() or time.monotonic()
    assert_let_go(daemon, provider, seen, closed)
    wire.close()


@pytest.mark.parametrize("end", ENDS)
def test_f12_a_client_that_goes_while_its_stream_is_held_back(daemon, provider, end):
    """The daemon reads nothing from a paused provider, and must still see its client go."""
    provider.will(replies.Endless(size=65536))
    wire = open_request(daemon, "chat", stream=True)
    seen = provider.wait_request()
    wire.read_head()

    def is_held():
        before = seen.sent
        time.sleep(0.1)
        return before == seen.sent
    wait_until(is_held, "standstill of the provider")
    assert_let_go(daemon, provider, seen, getattr(wire, end)())


def test_f10_a_client_that_goes_in_the_middle_of_its_body(daemon, provider):
    wire = daemon.connect()
    whole = daemon.build("POST", "/v1/chat/completions", {"model": "m-one", "messages": []})
    wire.send(whole[:-5])
    wire.close()
    assert daemon.chat("m-one").status == 200
    assert len(provider.posts) == 1
    wait_until(lambda: daemon.rpc("status")["requests"]["active"] == 0, "end of the request")


def test_what_was_produced_before_the_client_went_is_recorded(daemon, provider):
    gate = Gate()
    provider.will(replies.Reply(input_tokens=11, before_end=gate))
    wire = daemon.open_messages("c-one")
    wire.read_head()
    for event in wire.events():
        if event.name == "content_block_delta":
            break
    wire.close()
    attempt = daemon.wait_attempt()
    assert attempt["end"] == "client gone" and attempt["usage"]["input"] == 11
    gate.open()


def test_many_clients_that_go_leave_nothing_behind(daemon, provider):
    assert daemon.chat("m-one").status == 200  # what a first request opens for good is open
    before = daemon.open_files()
    provider.default = replies.Endless(size=64, between=0.05)
    wires = [daemon.open_chat("m-one") for _ in range(50)]
    provider.wait_request(51)
    for number, wire in enumerate(wires):
        wire.close() if number % 2 else wire.reset()
    provider.wait_for(lambda: all(link.at_closed for link in provider.links), "close of all")
    wait_until(lambda: daemon.open_files() <= before, "release of every descriptor")
    assert {attempt["end"] for attempt in daemon.recent(50)} == {"client gone"}
