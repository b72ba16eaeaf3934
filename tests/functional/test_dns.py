"""Names that do not resolve (row F-16), in a network namespace whose only resolver is scripted.

The daemon is reached through its Unix sockets, which no network namespace hides.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from daemon import config_for, provider_row
from waiting import DEADLINE, latency_limit, wait_until

RESOLVER = Path(__file__).parent.parent / "support" / "scripted_resolver.py"


def can_unshare():
    if not shutil.which("unshare"):
        return False
    return subprocess.run(["unshare", "-n", "-m", "true"], capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.skipif(not can_unshare(), reason="needs unshare -n -m"),
]


@pytest.fixture
def daemon(start_daemon):
    """Providers by the fate of their name: silent, nx, fail."""
    rows = [provider_row(fate, f"https://api.{fate}.test", [f"{fate}-one"])
            for fate in ("silent", "nx", "fail")]
    config = config_for(*rows, default="nx-one", connectTimeout=8000)
    wrapper = ("unshare", "-n", "-m", sys.executable, "-B", str(RESOLVER))
    return start_daemon(config, keys=("silent", "nx", "fail"), wrapper=wrapper)


def open_request(daemon, model, **fields):
    wire = daemon.connect_unix()
    body = {"model": model, "messages": [], **fields}
    wire.send(daemon.build("POST", "/v1/chat/completions", body))
    return wire


def ask(daemon, model, **fields):
    with open_request(daemon, model, **fields) as wire:
        return wire.read_answer()


def wait_active(daemon, count, timeout=DEADLINE):
    def is_so():
        return daemon.rpc("status")["requests"]["active"] == count
    wait_until(is_so, f"{count} requests under way", timeout)


def assert_loop_is_free(daemon, seconds):
    """Asks for /healthz over and over: 99 of 100 answers within 20 ms, and never a stall.

    One answer in a hundred may be late because the machine is busy; a loop that waits for a name is
    late by seconds.
    """
    took, end = [], time.monotonic() + seconds
    request = daemon.build("GET", "/healthz", token=None)
    with daemon.connect_unix() as wire:
        while time.monotonic() < end:
            begun = time.monotonic()
            wire.send(request)
            assert wire.read_answer().status == 200
            took.append(time.monotonic() - begun)
    took.sort()
    assert took[len(took) * 99 // 100] < latency_limit(0.02)
    assert took[-1] < latency_limit(0.5)


def test_f16_a_hanging_name_does_not_slow_the_loop_nor_does_its_end(daemon):
    with open_request(daemon, "silent-one"):
        wait_active(daemon, 1)
        assert_loop_is_free(daemon, 1)
    # the client left: libcurl would wait for its resolver thread here
    assert_loop_is_free(daemon, 1)
    wait_active(daemon, 0, timeout=2)
    assert daemon.wait_attempt()["end"] == "client gone"


def test_f16_a_hanging_name_ends_with_a_typed_error_after_the_connect_timeout(start_daemon):
    row = provider_row("silent", "https://api.silent.test", ["silent-one"])
    wrapper = ("unshare", "-n", "-m", sys.executable, "-B", str(RESOLVER))
    config = config_for(row, default="silent-one", connectTimeout=1000)
    daemon = start_daemon(config, keys=["silent"], wrapper=wrapper)
    begun = time.monotonic()
    answer = ask(daemon, "silent-one")
    assert answer.status in (502, 504)
    assert answer.error["type"] in ("provider_unreachable", "timeout_error")
    assert 0.9 < time.monotonic() - begun < 1 + latency_limit(1)


@pytest.mark.parametrize("fate", ["nx", "fail"])
def test_f16_a_name_that_does_not_resolve_is_a_typed_error(daemon, fate):
    for fields in ({}, {"stream": True}):
        answer = ask(daemon, f"{fate}-one", **fields)
        assert answer.status == 502 and answer.error["type"] == "provider_unreachable"
        assert "resolve" in answer.error["message"] and fate in answer.error["message"]
    attempt = daemon.wait_attempt()
    assert attempt["end"] == "unreachable" and attempt["error_kind"] == "PROVIDER_DNS"


def test_f16_many_hanging_names_do_not_stop_others(daemon):
    wires = [open_request(daemon, "silent-one") for _ in range(20)]
    wait_active(daemon, 20)
    begun = time.monotonic()
    assert ask(daemon, "nx-one").status == 502
    assert time.monotonic() - begun < 1
    for wire in wires:
        wire.close()
    assert_loop_is_free(daemon, 0.5)


def test_f16_the_daemon_stops_promptly_while_a_name_hangs(daemon):
    with open_request(daemon, "silent-one"):
        wait_active(daemon, 1)
    begun = time.monotonic()
    daemon.terminate()
    assert daemon.wait_exit() == 0
    assert time.monotonic() - begun < 3


def test_a_name_that_does_not_resolve_is_tried_again(start_daemon):
    """Resolvers fail for moments, too: when a network comes up, or changes."""
    row = provider_row("nx", "https://api.nx.test", ["nx-one"])
    wrapper = ("unshare", "-n", "-m", sys.executable, "-B", str(RESOLVER))
    config = config_for(row, default="nx-one", maxRetries=2)
    daemon = start_daemon(config, keys=["nx"], wrapper=wrapper)
    answer = ask(daemon, "nx-one")
    assert answer.status == 502 and "name" in answer.error["message"]
    assert len(daemon.recent()) == 3
