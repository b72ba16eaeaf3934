"""Start, reload, drain, stop, and the first start on an empty machine."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import replies
from daemon import chat_body, config_for, provider_row
from provider import Gate
from waiting import wait_until
from wire import Closed, parse_events

RESOLVER = Path(__file__).parent.parent / "support" / "scripted_resolver.py"


def test_sigterm_lets_a_running_stream_end(daemon, provider):
    gate = Gate()
    provider.will(replies.Reply(before_end=gate))
    with daemon.open_chat("m-one") as wire:
        wire.read_head()
        daemon.terminate()
        wait_until(lambda: not is_served(daemon), "end of new requests")
        assert daemon.process.poll() is None
        gate.open()
        assert b"[DONE]" in b"".join(wire.pieces())
    assert daemon.wait_exit() == 0


def is_served(daemon):
    """True while new connections are answered; refusing or closing them is the end of it."""
    try:
        return daemon.ask("GET", "/healthz", token=None).status == 200
    except (ConnectionRefusedError, Closed):
        return False


def test_a_stream_that_does_not_end_is_ended_with_an_error_at_the_drain_limit(
        start_daemon, setup, provider):
    setup["globalSettings"]["drainMs"] = 500
    daemon = start_daemon(setup, keys=["chatty"])
    provider.will(replies.Endless(size=16, between=0.02))
    with daemon.open_chat("m-one") as wire:
        wire.read_head()
        next(wire.pieces())
        begun = time.monotonic()
        daemon.terminate()
        body = b"".join(wire.pieces())
        assert 0.4 < time.monotonic() - begun < 5
    assert b"[DONE]" not in body and parse_events(body)[-1].json["error"]
    assert daemon.wait_exit() == 0
    provider.wait_closed(provider.last)


def test_twenty_streams_complete_while_it_drains(daemon, provider):
    gate = Gate()
    provider.default = replies.Reply(before_end=gate)
    wires = [daemon.open_chat("m-one") for _ in range(20)]
    provider.wait_request(20)
    daemon.terminate()
    gate.open()
    assert all(b"[DONE]" in wire.read_answer().body for wire in wires)
    assert daemon.wait_exit() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_daemon_ends_at_once(daemon, number):
    with daemon.connect() as idle:
        idle.send(daemon.build("GET", "/healthz"))
        idle.read_answer()
        begun = time.monotonic()
        os.kill(daemon.pid, number)
        assert daemon.wait_exit() == 0
    assert time.monotonic() - begun < 3
    assert not os.path.exists(daemon.rpc_path) and not os.path.exists(daemon.http_path)


def test_the_stop_method_drains_as_well(daemon, provider):
    gate = Gate()
    provider.will(replies.Reply(before_end=gate))
    with daemon.open_chat("m-one") as wire:
        wire.read_head()
        told = daemon.rpc("daemon.stop")
        assert told["pid"] == daemon.pid and told["active"] == 1
        gate.open()
        assert b"[DONE]" in b"".join(wire.pieces())
    assert daemon.wait_exit() == 0


def test_a_socket_left_by_a_killed_daemon_is_replaced(daemon):
    daemon.kill()
    assert os.path.exists(daemon.rpc_path)
    daemon.start()
    assert daemon.chat("m-one").status == 200


# ---- reload ----


@pytest.mark.parametrize("how", ["sighup", "rpc"])
def test_a_reload_brings_new_models_and_keeps_running_streams(daemon, provider, setup, how):
    gate = Gate()
    provider.will(replies.Reply(before_end=gate))
    with daemon.open_chat("m-one") as wire:
        wire.read_head()
        setup["providers"][0]["models"] = ["m-three"]
        setup["defaultModel"] = "m-three"
        daemon.write_config(setup)
        daemon.rpc("daemon.reload") if how == "rpc" else os.kill(daemon.pid, signal.SIGHUP)
        wait_until(lambda: daemon.chat("m-three").status == 200, "new model")
        assert daemon.chat("m-one").status == 404
        gate.open()
        assert b"[DONE]" in b"".join(wire.pieces())


def test_a_changed_file_is_read_by_itself(daemon, setup):
    setup["providers"][0]["models"] = ["m-three"]
    setup["defaultModel"] = "m-three"
    daemon.write_config(setup)
    wait_until(lambda: daemon.chat("m-three").status == 200, "effect of the changed file")


def test_sighup_with_a_bad_file_keeps_the_old_one(daemon):
    daemon.write_config("{")
    os.kill(daemon.pid, signal.SIGHUP)
    wait_until(lambda: daemon.rpc("status")["config"]["error"], "error in the status")
    assert daemon.chat("m-one").status == 200


def test_many_reloads_under_load_lose_no_request(daemon, provider, setup):
    for number in range(30):
        os.kill(daemon.pid, signal.SIGHUP)
        assert daemon.chat("m-one", stream=bool(number % 2)).status == 200
    assert len(provider.posts) == 30


# ---- out of the box ----


@pytest.fixture
def fresh_daemon(start_daemon):
    """No configuration at all: in a network of its own, since it listens on the well-known port."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("needs root and unshare -n -m")
    if subprocess.run(["unshare", "-n", "-m", "true"], capture_output=True).returncode != 0:
        pytest.skip("needs unshare -n -m")
    return start_daemon(None, wrapper=("unshare", "-n", "-m", sys.executable, "-B", str(RESOLVER)))


def over_unix(daemon, path, body):
    with daemon.connect_unix() as wire:
        wire.send(daemon.build("POST", path, body))
        return wire.read_answer()


@pytest.mark.parametrize("is_stream", [False, True])
def test_an_empty_home_gets_the_demo_provider(fresh_daemon, is_stream):
    daemon = fresh_daemon
    assert daemon.port == 3000
    body = chat_body("aictl", stream=is_stream)
    answer = over_unix(daemon, "/v1/chat/completions", body)
    assert answer.status == 200 and "demo" in answer.body.decode().lower()
    if is_stream:
        events = parse_events(answer.body)
        assert events[-1].data == "[DONE]" and len(events) > 3
    attempt = daemon.wait_attempt()
    assert attempt["provider"] == "demo" and attempt["end"] == "done"
    assert attempt["usage"]["source"] == "provider" and attempt["usage"]["output"] > 0
    status = daemon.rpc("status")
    assert status["demo"] is True and status["config"]["error"] is None


def test_the_demo_provider_can_be_configured_beside_others(start_daemon, provider):
    demo = {"name": "demo", "type": "demo", "models": ["demo-model"]}
    row = provider_row("chatty", provider.url, ["m-one"], key="")
    daemon = start_daemon(config_for(row, demo, default="demo-model"))
    answer = daemon.chat("aictl", stream=True)
    assert answer.status == 200 and b"[DONE]" in answer.body
    assert not provider.links
    assert daemon.chat("m-one").status == 200


def test_without_a_runtime_directory_a_private_one_is_used(start_daemon, setup):
    daemon = start_daemon(setup, keys=["chatty"], has_runtime_dir=False)
    assert daemon.chat("m-one").status == 200
    assert daemon.rpc_path == str(daemon.state / "run/rpc.sock")
    assert os.stat(daemon.state / "run").st_mode & 0o077 == 0


def test_the_log_has_one_line_for_each_request_and_no_text_of_it(daemon):
    secret = "the-words-of-the-user"
    for _ in range(3):
        daemon.chat("m-one", user=secret)
    daemon.stop()
    lines = [line for line in daemon.log.splitlines() if " request[" in line and " info " in line]
    assert len(lines) == 3, daemon.log
    assert secret not in daemon.log
