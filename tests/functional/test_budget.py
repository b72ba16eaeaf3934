"""What many clients together may cost: bytes of request bodies, and descriptors."""

import json
import re
import shutil
import threading
from pathlib import Path

import pytest

import replies
from daemon import chat_body
from provider import Gate
from waiting import IS_SANITIZED, wait_until
from wire import Closed, build_request

MIB = 1 << 20


def large_body(size, model="m-one"):
    """A chat request of exactly `size` bytes."""
    empty = json.dumps(chat_body(model, user=""))
    return json.dumps(chat_body(model, user="x" * (size - len(empty)))).encode()


def start_request(daemon, *headers):
    """The head of a chat request whose body is to follow."""
    more = [("Content-Type", "application/json"), *headers]
    return build_request("POST", "/v1/chat/completions", daemon.headers("", *more))


def chunks(data, size=65536):
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def read_status(wire):
    """The status of the answer; None when the connection was closed without one."""
    try:
        return wire.read_answer()
    except Closed:
        return None


def ask_large(daemon, size):
    return daemon.ask("POST", "/v1/chat/completions", large_body(size))


@pytest.fixture
def tight(start_daemon, setup):
    """A daemon that holds 1 MiB of bodies in all, though one may be of 32 MiB."""
    setup["globalSettings"].update(bodiesMax=MIB, clientBodyIdleMs=2000, clientLingerMs=2000)
    return start_daemon(setup, keys=["chatty"])


def check_is_given_back(daemon, provider):
    """All of the budget is there again: a body of nearly all of it is served."""
    daemon.wait_active(0)
    provider.default = replies.Reply()
    assert ask_large(daemon, MIB - 1000).status == 200


# ---- bytes that came count, however they are framed ----


def test_chunked_bodies_count_while_they_come(tight, provider):
    tight.chat("m-one")
    before, answers = tight.rss(), []
    body = b"".join(chunks(b'{"model": "m-one", "pad": "' + b"x" * (10 * MIB) + b'"}'))

    def send():
        with tight.connect() as wire:
            wire.send(start_request(tight, ("Transfer-Encoding", "chunked")))
            wire.send(body)
            answers.append(read_status(wire))

    senders = [threading.Thread(target=send) for _ in range(8)]
    for sender in senders:
        sender.start()
    most = 0
    while any(sender.is_alive() for sender in senders):
        most = max(most, tight.rss())
        senders[0].join(0.01)
        senders = [sender for sender in senders if sender.is_alive()] or senders[:1]
    assert len(answers) == 8
    assert [answer.status for answer in answers if answer] == [503] * 8, answers
    assert {answer.error["type"] for answer in answers} == {"overloaded_error"}
    assert {answer.header("x-should-retry") for answer in answers if answer} <= {"true", None}
    assert IS_SANITIZED or most - before < 8 * MIB, f"grew by {most - before} bytes"
    assert len(provider.posts) == 1
    check_is_given_back(tight, provider)


def test_the_refusal_comes_while_the_body_is_still_coming(tight, provider):
    """Nobody has to send 10 MiB to hear that 1 MiB was too much."""
    with tight.connect() as wire:
        wire.send(start_request(tight, ("Content-Length", str(10 * MIB))))
        wire.send(b" " * (2 * MIB))
        answer = wire.read_answer()
        assert answer.status == 503 and answer.error["type"] == "overloaded_error"
        assert "bodiesMax" in answer.error["message"] or "limit" in answer.error["message"]
    check_is_given_back(tight, provider)


def test_an_announced_length_costs_nothing_until_it_comes(start_daemon, setup, provider):
    setup["globalSettings"].update(bodiesMax=64 * MIB)
    daemon = start_daemon(setup, keys=["chatty"])
    before = daemon.rss()
    idle = [daemon.connect() for _ in range(40)]
    for wire in idle:
        wire.send(start_request(daemon, ("Content-Length", str(32 * MIB))))
    daemon.wait_active(40)
    assert daemon.chat("m-one").status == 200
    assert ask_large(daemon, 4 * MIB).status == 200
    assert IS_SANITIZED or daemon.rss() - before < 24 * MIB
    for wire in idle:
        wire.close()
    daemon.wait_active(0)


# ---- and are given back, however the request ends ----


def queued(port, peer):
    """Bytes between two ports of 127.0.0.1 that were sent and are not read yet (/proc/net/tcp)."""
    pairs, total = {(port, peer), (peer, port)}, 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, ours, theirs, _, queues = line.split()[:5]
        if tuple(int(end.split(":")[1], 16) for end in (ours, theirs)) in pairs:
            total += sum(int(queue, 16) for queue in queues.split(":"))
    return total


def hold(daemon, start, body):
    """A request that stops in its body when the daemon has read this much of it."""
    wire = daemon.connect()
    wire.send(start + body)
    port = wire.socket.getsockname()[1]
    wait_until(lambda: queued(daemon.port, port) == 0, "reading of the body")
    assert ask_large(daemon, MIB // 2).status == 503, "the budget is not in use"
    return wire


def hold_plain(daemon):
    body = b" " * (3 * MIB // 4)
    return hold(daemon, start_request(daemon, ("Content-Length", str(2 * len(body)))), body)


@pytest.mark.parametrize("end", ["close", "reset", "half_close"])
def test_a_client_that_goes_in_its_body_gives_its_share_back(tight, provider, end):
    wire = hold_plain(tight)
    getattr(wire, end)()
    check_is_given_back(tight, provider)
    wire.close()


def test_a_body_that_is_cut_off_for_its_pauses_gives_its_share_back(tight, provider):
    with hold_plain(tight) as wire:
        assert wire.read_answer().status == 408
    check_is_given_back(tight, provider)


def test_a_body_with_a_broken_chunk_gives_its_share_back(tight, provider):
    start = start_request(tight, ("Transfer-Encoding", "chunked"))
    with hold(tight, start, next(chunks(b" " * (3 * MIB // 4), MIB))) as wire:
        wire.send(b"no size\r\n")
        assert wire.read_answer().status == 400
    check_is_given_back(tight, provider)


def test_a_body_above_its_own_limit_gives_its_share_back(start_daemon, setup, provider):
    setup["globalSettings"].update(bodiesMax=MIB, bodyMax=MIB - 1000)
    daemon = start_daemon(setup, keys=["chatty"])
    for _ in range(3):
        with daemon.connect() as wire:
            wire.send(start_request(daemon, ("Transfer-Encoding", "chunked")))
            for piece in chunks(b" " * (2 * MIB)):
                wire.send(piece)
            answer = read_status(wire)
            assert answer and answer.status in (413, 503)
    daemon.wait_active(0)
    assert ask_large(daemon, MIB - 1000).status == 200


@pytest.mark.parametrize("behaviour, status", [
    (replies.Reply(), 200), (replies.error_status(400, "no"), 400),
    (replies.reset_unanswered, 502),
], ids=["answered", "refused", "broken"])
@pytest.mark.parametrize("model", ["m-one", "aictl", "m-none"])
def test_requests_that_end_give_their_share_back(tight, provider, behaviour, status, model):
    """aictl: the body is edited, so a copy counts as well. m-none: there is no such model."""
    provider.default = behaviour
    for _ in range(5):
        answer = tight.ask("POST", "/v1/chat/completions", large_body(MIB // 2, model))
        assert answer.status == (404 if model == "m-none" else status)
    check_is_given_back(tight, provider)


def test_requests_that_are_not_json_give_their_share_back(tight, provider):
    for _ in range(5):
        answer = tight.ask("POST", "/v1/chat/completions", b"x" * (MIB // 2))
        assert answer.status == 400
    check_is_given_back(tight, provider)


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_client_that_goes_before_its_answer_gives_its_share_back(tight, provider, is_stream):
    for number in range(3):
        gate = Gate()
        provider.will(replies.Reply(before_head=gate))
        with tight.connect() as wire:
            fields = chat_body("m-one", user="x" * (MIB // 2), stream=is_stream)
            wire.send(tight.build("POST", "/v1/chat/completions", fields))
            provider.wait_request(number + 1)
        tight.wait_active(0)
        gate.open()
    check_is_given_back(tight, provider)


def test_bodies_wait_for_their_turn_on_one_connection(tight, provider):
    """Pipelined requests: a body that waits behind an answer is not lost, nor counted for ever."""
    request = tight.build("POST", "/v1/chat/completions", chat_body("m-one", user="x" * 20_000))
    with tight.connect() as wire:
        wire.send(request * 3)
        for _ in range(3):
            assert wire.read_answer().status in (200, 503)
    check_is_given_back(tight, provider)


# ---- descriptors ----


def limits(soft, hard):
    if not shutil.which("prlimit"):
        pytest.skip("needs prlimit")
    return ("prlimit", f"--nofile={soft}:{hard}")


def soft_limit(daemon):
    text = Path(f"/proc/{daemon.pid}/limits").read_text()
    return int(re.search(r"Max open files\s+(\d+)", text).group(1))


def is_served(daemon, token):
    """True when a new client gets its answer; told to come back, or closed, is what else may be."""
    try:
        answer = daemon.chat("m-one", token)
    except Closed:
        return False
    assert answer.status in (200, 503), answer
    return answer.status == 200


@pytest.mark.parametrize("hard", [64, 96, 128])
def test_with_few_descriptors_some_are_served_and_the_rest_told(
        start_daemon, setup, provider, hard):
    daemon = start_daemon(setup, keys=["chatty"], wrapper=limits(hard, hard))
    token = daemon.token()
    provider.default = replies.Reply(before_head=0.05)
    wires = [daemon.connect() for _ in range(100)]
    request = daemon.build("POST", "/v1/chat/completions", chat_body("m-one"), token)
    for wire in wires:
        wire.send(request)
    answers = [read_status(wire) for wire in wires]
    statuses = [answer.status if answer else None for answer in answers]
    assert statuses.count(200) >= 1, statuses
    assert set(statuses) <= {200, 503, None}, set(statuses)
    for wire in wires:
        wire.close()

    wait_until(lambda: is_served(daemon, token), "service after the crowd has gone")


def test_with_few_descriptors_the_control_socket_answers(start_daemon, setup, provider):
    daemon = start_daemon(setup, keys=["chatty"], wrapper=limits(64, 64))
    crowd = [daemon.connect() for _ in range(100)]
    assert daemon.rpc("status")["pid"] == daemon.pid
    for wire in crowd:
        wire.close()


def test_a_crowd_that_asks_nothing_is_got_rid_of(start_daemon, setup, provider):
    """Idle connections may take every place, but not for longer than a head may take."""
    setup["globalSettings"]["clientHeaderMs"] = 500
    daemon = start_daemon(setup, keys=["chatty"], wrapper=limits(64, 64))
    token = daemon.token()
    crowd = [daemon.connect() for _ in range(100)]
    wait_until(lambda: is_served(daemon, token), "service beside the idle crowd")
    for wire in crowd:
        wire.close()


def test_a_low_soft_limit_is_raised(start_daemon, setup, provider):
    daemon = start_daemon(setup, keys=["chatty"], wrapper=limits(64, 4096))
    assert soft_limit(daemon) == 4096
    gate = Gate()
    provider.default = replies.Reply(before_end=gate)
    wires = [daemon.open_chat("m-one") for _ in range(150)]
    provider.wait_request(150)
    gate.open()
    assert all(b"[DONE]" in wire.read_answer().body for wire in wires)
    for wire in wires:
        wire.close()
