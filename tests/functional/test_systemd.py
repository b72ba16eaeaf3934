"""The installed units in a real `systemd --user`: start by socket, restart without a refused
connection, watchdog, drain, reload.

One private machine (tests/support/userlab.sh) for all tests of this file, with the build installed
into it. Where root and cgroup2 are there, nothing here skips.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon import BUILD
from waiting import stays, wait_until

SUPPORT = Path(__file__).parent.parent / "support"
USERLAB = SUPPORT / "userlab.sh"
SOCKETS = ["aictld.socket", "aictld-ipv6.socket", "aictld-http.socket", "aictld-rpc.socket"]
URL = "http://127.0.0.1:3000"


class Lab:
    """The machine: run() does something as its user; systemctl() asks that user's manager."""

    def __init__(self, stage):
        self.stage = stage
        self.process = subprocess.Popen(
            [USERLAB, "boot", stage],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        ready = self.process.stdout.readline()
        if not ready:
            said = self.process.stderr.read().strip()
            if self.process.wait() == 77:
                pytest.skip(said)
            pytest.fail(said)
        self.pid = ready.split()[1]

    def shut_down(self):
        self.process.stdin.close()
        self.process.wait(30)

    def command(self, *command, who="user"):
        return [str(USERLAB), who, self.pid, *map(str, command)]

    def run(self, *command, who="user", check=True, timeout=60):
        """Standard output of a command in the machine."""
        done = subprocess.run(
            self.command(*command, who=who), capture_output=True, text=True, timeout=timeout,
        )
        if check and done.returncode != 0:
            pytest.fail(f"{command} ended with {done.returncode}: {done.stderr}\n{self.journal()}")
        return done.stdout

    def systemctl(self, *words, check=True):
        return self.run("systemctl", "--user", *words, check=check).strip()

    def show(self, name, unit="aictld.service"):
        return self.systemctl("show", "-P", name, unit)

    def journal(self):
        return self.run("journalctl", "-b", "--no-pager", "-n", "60", who="root", check=False)

    def main_pid(self):
        return int(self.show("MainPID"))

    def write(self, path, text):
        """Replaces a file in the user's home directory."""
        self.run("sh", "-c", 'mkdir -p "${1%/*}" && printf %s "$2" >"$1"', "-", path, text)

    def get(self, url=URL + "/healthz", *options):
        """Status and body of a GET, by curl in the machine."""
        out = self.run(
            "curl", "-sS", "--noproxy", "*", "--max-time", 20, "-w", "\n%{http_code}", *options, url,
            check=False,
        )
        body, _, status = out.rpartition("\n")
        return int(status or 0), body


class Knocking:
    """Requests without a pause for as long as the `with` block runs; `.count` after it."""

    def __init__(self, lab):
        self.process = subprocess.Popen(
            lab.command("/usr/bin/python3", "-B", "/opt/knocker.py", URL + "/healthz"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )

    def __enter__(self):
        assert self.process.stdout.readline() == "knocking\n"
        return self

    def __exit__(self, *_):
        out, _ = self.process.communicate("\n", timeout=60)
        self.count = json.loads(out)


def install(stage):
    """The build as it is installed, under its own prefix below `stage`, and the knocker."""
    subprocess.run(
        ["cmake", "--install", BUILD], env={**os.environ, "DESTDIR": str(stage)},
        stdout=subprocess.DEVNULL, check=True,
    )
    (stage / "opt").mkdir()
    shutil.copy(SUPPORT / "knocker.py", stage / "opt")
    # The machine runs as another user, whatever the umask is here.
    subprocess.run(["chmod", "-R", "a+rX,go-w", stage], check=True)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    if os.environ.get("AICTL_SANITIZE"):
        pytest.skip("the plain build is tested: sanitizers do not live under the units' filters")
    if os.geteuid() != 0:
        pytest.skip("needs root")
    stage = tmp_path_factory.mktemp("stage")
    install(stage)
    machine = Lab(stage)
    yield machine
    machine.shut_down()


@pytest.fixture
def service(lab):
    """The machine with all sockets listening and the service stopped, everything as installed."""
    lab.run("rm", "-rf", "/home/lab/.config/systemd", "/home/lab/.config/aictl")
    lab.systemctl("daemon-reload")
    lab.systemctl("stop", "aictld.service", *SOCKETS)
    lab.systemctl("reset-failed")
    lab.systemctl("start", *SOCKETS)
    yield lab
    report = re.search(r"(audit|SECCOMP|SIGSYS|core-dump).*", lab.journal())
    assert not report, report.group(0)


def drop_in(lab, text):
    lab.write("/home/lab/.config/systemd/user/aictld.service.d/test.conf", text)
    lab.systemctl("daemon-reload")


def start_stream(lab, model):
    """A streamed request to the demo provider, under way when this returns."""
    token = lab.run("aictl", "token").strip()
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "Go on."}]}
    stream = subprocess.Popen(
        lab.command(
            "curl", "-sS", "-N", "--noproxy", "*", "--max-time", "60", URL + "/v1/chat/completions",
            "-H", f"Authorization: Bearer {token}", "-H", "Content-Type: application/json",
            "-d", json.dumps(body),
        ),
        stdout=subprocess.PIPE, text=True,
    )
    first = stream.stdout.readline()
    assert first.startswith("data: "), first
    return stream


# ---- start ----


@pytest.mark.parametrize("url", [URL, "http://[::1]:3000"])
def test_the_first_request_on_the_port_starts_the_service(service, url):
    assert service.show("ActiveState") == "inactive"
    status, body = service.get(url + "/healthz")
    assert status == 200, body
    assert service.show("ActiveState") == "active"


def test_the_first_call_on_the_control_socket_starts_the_service(service):
    assert service.show("ActiveState") == "inactive"
    status = json.loads(service.run("aictl", "status", "--json"))
    assert status["pid"] == service.main_pid()


def test_listeners_are_told_apart_by_their_addresses(service):
    """Whatever socket of the four wakes the daemon, each speaks its own protocol afterwards."""
    socket = "/run/user/7777/aictl/http.sock"
    assert service.get("http://localhost/healthz", "--unix-socket", socket)[0] == 200
    assert service.get(URL + "/healthz")[0] == 200
    assert service.get("http://[::1]:3000/healthz")[0] == 200
    status = json.loads(service.run("aictl", "status", "--json"))
    assert sorted(status["urls"]) == [URL, "http://[::1]:3000"]
    assert status["url"] == URL  # what tools are given: not each of them knows IPv6


def test_started_without_its_sockets_it_pulls_them_in(service):
    service.systemctl("stop", *SOCKETS)
    service.systemctl("start", "aictld.service")
    for unit in SOCKETS:
        assert service.show("ActiveState", unit) == "active", unit
    assert service.get()[0] == 200


def test_an_answer_of_the_demo_provider_streams_and_is_recorded(service):
    stream = start_stream(service, "demo-fast")
    out = stream.stdout.read()
    assert "data: [DONE]" in out
    status = json.loads(service.run("aictl", "status", "--recent", "--json"))
    assert status["recent"][0]["end"] == "done", status["recent"][0]


# ---- confinement ----


def test_what_the_unit_asks_for_is_in_force(service):
    service.get()
    pid = service.main_pid()
    said = service.run("cat", f"/proc/{pid}/status", f"/proc/{pid}/limits", who="root")
    assert re.search(r"^NoNewPrivs:\s+1$", said, re.MULTILINE)
    assert re.search(r"^Seccomp:\s+2$", said, re.MULTILINE)
    assert re.search(r"^Umask:\s+0077$", said, re.MULTILINE)
    assert re.search(r"^Max core file size\s+0\s+0 ", said, re.MULTILINE)


def test_the_hardened_drop_in_starts_and_answers(service):
    service.get()  # makes the directories that ReadWritePaths names
    drop_in(service, next(service.stage.rglob("examples/hardened.conf")).read_text())
    service.systemctl("restart", "aictld.service")
    assert service.get()[0] == 200
    assert service.run("aictl", "token").startswith("sk-aictl-")


# ---- restarts ----


def test_killed_under_load_it_refuses_nobody(service):
    service.get()
    with Knocking(service) as knocking:
        for _ in range(5):
            before = service.main_pid()
            service.run("kill", "-KILL", before)
            wait_until(lambda: service.main_pid() not in (0, before), "start again after SIGKILL")
            assert service.get()[0] == 200
    count = knocking.count
    assert count["ok"] > 50, count
    assert count["refused"] == count["other"] == 0, count
    assert count["reset"] <= 5, count  # at most the one request that each kill hit


def test_restarted_under_load_it_refuses_nobody(service):
    service.get()
    with Knocking(service) as knocking:
        for _ in range(3):
            service.systemctl("restart", "aictld.service")
    count = knocking.count
    assert count["ok"] > 50, count
    assert count["refused"] == count["other"] == 0, count
    assert count["reset"] == 0, count  # accepted just before, with no request on it yet


def test_a_stop_lets_a_running_answer_end(service):
    service.get()
    stream = start_stream(service, "demo")
    service.systemctl("stop", "aictld.service")
    out = stream.stdout.read()
    assert "data: [DONE]" in out
    assert service.show("Result") == "success"


def test_a_stopped_service_starts_again_with_the_next_request(service):
    service.get()
    service.systemctl("stop", "aictld.service")
    assert service.show("ActiveState") == "inactive"
    assert service.get()[0] == 200


# ---- watchdog and reload ----


def test_the_loop_feeds_the_watchdog(service):
    drop_in(service, "[Service]\nWatchdogSec=1\n")
    service.get()
    pid = service.main_pid()
    fed = service.show("WatchdogTimestampMonotonic")
    wait_until(
        lambda: service.show("WatchdogTimestampMonotonic") != fed, "a sign of life within a second",
    )
    stays(lambda: service.main_pid() == pid, "the same process", seconds=2.5)
    assert service.show("NRestarts") == "0"


def test_a_loop_that_hangs_is_started_again(service):
    drop_in(service, "[Service]\nWatchdogSec=1\nTimeoutAbortSec=1\n")
    service.get()
    pid = service.main_pid()
    service.run("kill", "-STOP", pid)
    wait_until(lambda: service.main_pid() not in (0, pid), "a new main process")
    assert service.get()[0] == 200


def test_reload_takes_a_new_configuration_and_keeps_the_process(service):
    service.get()
    pid = service.main_pid()
    row = {"name": "one", "type": "openai", "baseURL": "http://127.0.0.1:9/v1", "models": ["m-new"]}
    service.write("/home/lab/.config/aictl/config.json", json.dumps({"providers": [row]}))
    service.systemctl("reload", "aictld.service")
    wait_until(
        lambda: "m-new" in service.run("aictl", "models", check=False), "m-new in the list of models",
    )
    assert service.main_pid() == pid


def test_a_bad_configuration_ends_the_start_without_a_restart_loop(service):
    service.write("/home/lab/.config/aictl/config.json", '{"providers": [}')
    service.systemctl("start", "aictld.service", check=False)
    wait_until(lambda: service.show("ActiveState") == "failed", "a failed unit")
    assert service.show("NRestarts") == "0"
    assert re.search(r"config\.json:1:\d+", service.journal())
