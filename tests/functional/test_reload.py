"""A configuration that changes under requests: each is served as of the moment its head came."""

import copy
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from daemon import chat_body, provider_row
from provider import Gate
from rpc import RpcError
from waiting import stays, wait_until
from wire import head_and_body

RESOLVER = Path(__file__).parent.parent / "support" / "scripted_resolver.py"


def grow(setup, provider):
    """Many providers before the old ones, so that no index stays what it was."""
    more = [provider_row(f"more-{n}", provider.url, [f"x-{n}", f"y-{n}"]) for n in range(40)]
    setup["providers"] = more + setup["providers"]


def shrink(setup, provider):
    """The provider and the model of the request are gone."""
    setup["providers"] = setup["providers"][1:]
    setup["defaultModel"] = "c-one"


def turn_round(setup, provider):
    setup["providers"].reverse()
    for row in setup["providers"]:
        row["models"].reverse()
    setup["defaultModel"] = "m-two"


def empty(setup, provider):
    setup["providers"] = [{"name": "demo", "type": "demo", "models": ["demo-model"]}]
    setup["defaultModel"] = "demo-model"


CHANGES = [grow, shrink, turn_round, empty]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("named", ["aictl", "m-one"])
def test_a_request_whose_head_came_before_a_reload_is_served_as_of_then(
        daemon, provider, setup, change, named):
    head, body = head_and_body(daemon.build("POST", "/v1/chat/completions", chat_body(named)))
    with daemon.connect() as wire:
        wire.send(head)
        daemon.wait_active(1)
        change(setup, provider)
        daemon.write_config(setup)
        daemon.rpc("daemon.reload")
        wire.send(body)
        answer = wire.read_answer()
    assert answer.status == 200 and answer.header("x-aictl-model") == "chatty/m-one"
    assert provider.last.json["model"] == "m-one"


@pytest.mark.parametrize("change", CHANGES)
def test_a_request_with_a_project_is_served_as_of_its_head(
        daemon, provider, setup, change, tmp_path):
    token = daemon.token(tmp_path)
    request = daemon.build("POST", "/v1/chat/completions", chat_body("aictl"), token)
    head, body = head_and_body(request)
    with daemon.connect() as wire:
        wire.send(head)
        daemon.wait_active(1)
        change(setup, provider)
        daemon.write_config(setup)
        daemon.rpc("daemon.reload")
        wire.send(body)
        assert wire.read_answer().status == 200
    assert provider.last.json["model"] == "m-one"


def test_reloads_while_projects_are_walked_leave_every_request_whole(
        start_daemon, setup, provider, tmp_path):
    """One worker thread and deep directories: walks wait in line while snapshots come and go."""
    setup["globalSettings"]["projectCacheMs"] = 0
    daemon = start_daemon(setup, keys=["chatty"], env={"UV_THREADPOOL_SIZE": "1"})
    other = copy.deepcopy(setup)
    turn_round(other, provider)
    grow(other, provider)
    wires = []
    for number in range(24):
        deep = tmp_path / str(number) / "/".join(["d"] * 100)
        deep.mkdir(parents=True)
        token = daemon.token(deep)
        request = daemon.build("POST", "/v1/chat/completions", chat_body("aictl"), token)
        wires.append((daemon.connect(), request))
    for turn in range(4):
        sender = threading.Thread(target=lambda: [wire.send(request) for wire, request in wires])
        sender.start()
        for config in (other, setup, other, setup):
            daemon.write_config(config)
            os.kill(daemon.pid, signal.SIGHUP)
        sender.join()
        answers = [wire.read_answer() for wire, _ in wires]
        assert {answer.status for answer in answers} == {200}
        models = {answer.header("x-aictl-model") for answer in answers}
        assert models <= {"chatty/m-one", "chatty/m-two"}
    for wire, _ in wires:
        wire.close()


def test_a_held_stream_and_its_retry_outlive_the_provider_they_came_from(
        start_daemon, setup, provider):
    """The snapshot of a request stays for its further attempts, too."""
    setup["globalSettings"]["maxRetries"] = 1
    daemon = start_daemon(setup, keys=["chatty"])
    gate = Gate()

    def fail_late(call):
        call.pause(gate)
        call.reset()

    provider.will(fail_late)
    with daemon.open_chat("aictl") as wire:
        provider.wait_request()
        shrink(setup, provider)
        daemon.write_config(setup)
        daemon.rpc("daemon.reload")
        gate.open()
        answer = wire.read_answer()
    assert answer.status == 200 and b"[DONE]" in answer.body
    assert provider.last.json["model"] == "m-one" and len(provider.posts) == 2


# ---- a file that vanishes ----


def test_a_deleted_file_is_an_error_and_the_old_snapshot_stays(daemon, provider):
    daemon.config_file.unlink()
    told = wait_until(lambda: daemon.rpc("status")["config"]["error"], "error in the status")
    assert "config.json" in told and "gone" in told
    assert daemon.chat("m-one").status == 200
    with pytest.raises(RpcError) as caught:
        daemon.rpc("daemon.reload")
    assert "config.json" in str(caught.value.error)
    stays(lambda: daemon.rpc("status")["demo"] is False, "the old snapshot")
    assert daemon.chat("aictl").status == 200


def test_a_file_that_comes_back_ends_the_error(daemon, setup):
    daemon.config_file.unlink()
    wait_until(lambda: daemon.rpc("status")["config"]["error"], "error in the status")
    setup["defaultModel"] = "m-two"
    daemon.write_config(setup)
    wait_until(lambda: not daemon.rpc("status")["config"]["error"], "end of the error")
    assert daemon.chat("aictl").header("x-aictl-model") == "chatty/m-two"


def test_after_a_restart_without_the_file_there_is_the_demo(start_daemon, setup):
    """In a network of its own: without a configuration it listens on the well-known port."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("needs root and unshare -n -m")
    if subprocess.run(["unshare", "-n", "-m", "true"], capture_output=True).returncode != 0:
        pytest.skip("needs unshare -n -m")
    wrapper = ("unshare", "-n", "-m", sys.executable, "-B", str(RESOLVER))
    daemon = start_daemon(setup, wrapper=wrapper)
    assert daemon.rpc("status")["demo"] is False
    daemon.config_file.unlink()
    wait_until(lambda: daemon.rpc("status")["config"]["error"], "error in the status")
    daemon.stop()
    daemon.start()
    status = daemon.rpc("status")
    assert status["demo"] is True and status["config"]["error"] is None
    with daemon.connect_unix() as wire:
        wire.send(daemon.build("POST", "/v1/chat/completions", chat_body("aictl")))
        assert wire.read_answer().header("x-aictl-model").startswith("demo/")
