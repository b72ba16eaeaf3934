"""The control socket: what it tells of itself, and bad messages (row B-12)."""

import os
import stat
import struct
import time

import msgpack
import pytest

from daemon import canary
from rpc import Rpc, RpcError
from waiting import IS_SANITIZED, wait_until


def frame(value):
    return msgpack.packb(value)


def test_describe_lists_every_method_with_its_parameters(daemon):
    told = daemon.rpc("rpc.describe")
    names = {method["name"] for method in told["methods"]}
    assert {"status", "model.switch", "token.get", "key.set", "daemon.stop"} <= names
    switch = next(method for method in told["methods"] if method["name"] == "model.switch")
    assert {p["name"]: p["required"] for p in switch["params"]}["model"] is True
    assert any(error["name"] for error in told["errors"])


def test_what_shells_ask_at_every_prompt_is_not_logged(daemon, tmp_path):
    daemon.rpc("token.get", dir=str(tmp_path))
    made = int(time.time())  # a token counts as new for the second in which it was made
    wait_until(lambda: int(time.time()) > made, "the next second")
    before = daemon.log
    for method in ("status", "model.get", "token.get", "env.get", "provider.list", "config.check"):
        params = {"dir": str(tmp_path)} if method in ("model.get", "token.get", "env.get") else {}
        daemon.rpc(method, **params)
    assert daemon.log == before
    daemon.rpc("token.revoke", id=daemon.rpc("token.get", dir=str(tmp_path))["id"])
    assert "token.get: ok" in before and "token.revoke: ok" in daemon.log[len(before):]


def test_one_connection_takes_many_calls_in_one_write(daemon):
    with Rpc(daemon.rpc_path) as rpc:
        rpc.send(b"".join(frame([0, n, "model.list", [{}]]) for n in range(20)))
        answers = [rpc.read() for _ in range(20)]
    assert sorted(answer[1] for answer in answers) == list(range(20))
    assert all(answer[2] is None for answer in answers)


def test_a_message_may_come_byte_by_byte(daemon):
    with Rpc(daemon.rpc_path) as rpc:
        for byte in frame([0, 7, "model.list", [{}]]):
            rpc.send(bytes([byte]))
        assert rpc.read()[1] == 7


@pytest.mark.parametrize("method, params, part", [
    ("no.such.method", {}, "no.such.method"),
    ("model.get", {}, "dir"),
    ("model.get", {"dir": "/x", "colour": "red"}, "colour"),
    ("model.get", {"dir": 5}, "dir"),
    ("model.get", {"dir": "relative/path"}, "dir"),
    ("model.get", {"dir": "/a\x00b"}, "dir"),
    ("model.get", {"dir": "/" + "x" * 70000}, "dir"),
    ("status", {"recent": "many"}, "recent"),
    ("status", {"recent": -1}, "recent"),
    ("model.switch", {"model": "m-two", "global": "yes"}, "global"),
])
def test_wrong_calls_get_an_error_that_names_the_part(daemon, method, params, part):
    with pytest.raises(RpcError) as refused:
        daemon.rpc(method, **params)
    assert part in str(refused.value.error)


BOMBS = {
    "array32 of 100 million": b"\xdd" + struct.pack(">I", 100_000_000),
    "30 nested array32": (b"\xdd" + struct.pack(">I", 100_000_000)) * 30,
    "map32 of 4 billion": b"\xdf" + struct.pack(">I", 0xFFFFFFFF),
    "map32 in params": b"\x94\x00\x01\xa6status\x91\xdf" + struct.pack(">I", 0xFFFFFFFF),
    "depth 33": b"\x91" * 33 + b"\x00",
    "depth 100000": b"\x91" * 100_000,
    "str32 of 4 GiB": b"\xdb" + struct.pack(">I", 0xFFFFFFFF),
    "bin32 of 1 GiB": b"\xc6" + struct.pack(">I", 1 << 30),
    "the unused byte": b"\xc1",
    "ext types": b"\xc7\x05\x01hello" + b"\xd4\x01\x00",
    "ext32 of 4 GiB": b"\xc9" + struct.pack(">I", 0xFFFFFFFF) + b"\x01",
    "a number": b"\x2a",
    "a string": b"\xa5hello",
    "a notification": frame([2, "daemon.stop", []]),
    "an answer": frame([1, 1, None, {}]),
    "too few parts": frame([0, 1, "status"]),
    "too many parts": frame([0, 1, "status", [{}], 5]),
    "huge message id": b"\x94\x00\xcf" + b"\xff" * 8 + b"\xa6status\x91\x80",
    "negative message id": frame([0, -1, "status", [{}]]),
    "params as a map": frame([0, 1, "status", {}]),
    "two params": frame([0, 1, "status", [{}, {}]]),
    "method as a number": frame([0, 1, 7, [{}]]),
    "a key that is a number": frame([0, 1, "status", [{1: 2}]]),
    "a key given twice": b"\x94\x00\x01\xa9model.get\x91\x82\xa3dir\xa2/a\xa3dir\xa2/b",
    "a float parameter": frame([0, 1, "status", [{"recent": 1.5}]]),
    "text that is not UTF-8": b"\x94\x00\x01\xa9model.get\x91\x81\xa3dir\xa3/\xff\xfe",
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_b12_bad_messages_get_an_error_or_a_close(daemon, name):
    daemon.rpc("status")
    before = daemon.virtual_size()
    with Rpc(daemon.rpc_path) as rpc:
        rpc.send(BOMBS[name])
        rpc.socket.shutdown(1)
        message = rpc.read()
    assert message is None or message[0] == 1 and message[2] is not None, message
    assert IS_SANITIZED or daemon.virtual_size() - before < 1 << 20
    assert daemon.rpc("status")["pid"] == daemon.pid


def test_b12_a_bomb_is_refused_without_waiting_for_its_end(daemon):
    for name in ("array32 of 100 million", "str32 of 4 GiB", "bin32 of 1 GiB", "depth 33"):
        with Rpc(daemon.rpc_path) as rpc:
            rpc.send(BOMBS[name])
            message = rpc.read(timeout=5)
            assert message is None or message[2] is not None, name


def test_b12_a_good_call_cut_at_each_byte_does_no_harm(daemon):
    whole = frame([0, 1, "model.switch", [{"model": "m-two", "global": True}]])
    for size in range(1, len(whole)):
        with Rpc(daemon.rpc_path) as rpc:
            rpc.send(whole[:size])
            rpc.socket.shutdown(1)
            message = rpc.read()
            assert message is None or message[2] is not None
    assert daemon.rpc("status")["model"] == "m-one"


def test_a_message_that_is_never_finished_is_cut_off(start_daemon, setup):
    setup["globalSettings"]["rpcIdleMs"] = 300
    daemon = start_daemon(setup)
    with Rpc(daemon.rpc_path) as rpc:
        rpc.send(b"\x94\x00\x01")
        begun = time.monotonic()
        message = rpc.read()
        assert message is None or message[2] is not None
        assert time.monotonic() - begun >= 0.25


def test_a_client_that_reads_nothing_is_dropped_with_bounded_memory(start_daemon, setup):
    setup["globalSettings"]["rpcQueueMax"] = 65536
    daemon = start_daemon(setup)
    daemon.rpc("rpc.describe")
    before = daemon.rss()
    with Rpc(daemon.rpc_path) as rpc:
        ask = frame([0, 1, "rpc.describe", [{}]]) * 1000
        rpc.socket.settimeout(0.5)

        def is_dropped():
            try:
                rpc.socket.sendall(ask)
            except TimeoutError:
                return True  # its reading stopped: bounded as well
            except (BrokenPipeError, ConnectionResetError):
                return True
            return False
        wait_until(is_dropped, "drop of the silent client")
    assert IS_SANITIZED or daemon.rss() - before < 8 << 20
    assert daemon.rpc("status")["pid"] == daemon.pid


def test_sockets_and_files_are_private(daemon):
    for path in (daemon.rpc_path, daemon.http_path):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, path
    for path in (daemon.runtime / "aictl", daemon.state):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o700, path
    for path in daemon.state.iterdir():
        assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0, path
    kek = daemon.home / ".local/share/aictl-kek/kek"
    assert stat.S_IMODE(os.stat(kek).st_mode) == 0o400


def test_no_method_returns_a_key(daemon):
    """Daemon.rpc() itself looks for canaries in each answer."""
    for method, params in [
        ("status", {"recent": 10}), ("provider.list", {}), ("config.check", {}), ("token.list", {}),
        ("env.get", {}), ("model.list", {}), ("rpc.describe", {}),
    ]:
        daemon.rpc(method, **params)
    key = daemon.rpc("provider.list")["providers"][0]["key"]
    assert key["last4"] == canary("chatty")[-4:]
