"""Where it listens: the configured addresses, and sockets it was started with."""

import os
import socket
import subprocess
import sys

import pytest

from daemon import AICTL, Daemon
from waiting import wait_until
from wire import Wire

MOST = 16


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        return False


def free_ports(count):
    """Ports that were free a moment ago, all at once."""
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports


def is_well(port, host="127.0.0.1"):
    with Wire((host, port)) as wire:
        wire.send(f"GET /healthz HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
        return wire.read_answer().status == 200


def port_of(url):
    return int(url.rsplit(":", 1)[1])


def test_sixteen_addresses_are_all_served(start_daemon, setup):
    ports = free_ports(MOST)
    setup["listen"] = [f"127.0.0.1:{port}" for port in ports]
    daemon = start_daemon(setup)
    assert [port_of(url) for url in daemon.rpc("status")["urls"]] == ports
    assert all(is_well(port) for port in ports)


def test_sixteen_addresses_by_eight_names_are_all_served(start_daemon, setup):
    if not has_ipv6():
        pytest.skip("needs ::1")
    ports = free_ports(MOST // 2)
    setup["listen"] = [f"localhost:{port}" for port in ports]
    daemon = start_daemon(setup)
    assert len(daemon.rpc("status")["urls"]) == MOST
    assert all(is_well(port, host) for port in ports for host in ("127.0.0.1", "::1"))


@pytest.mark.parametrize("host, count", [("127.0.0.1", MOST + 1), ("localhost", MOST // 2 + 1)])
def test_more_addresses_are_an_error_of_the_configuration(setup, host, count):
    """`localhost` is two addresses."""
    setup["listen"] = [f"{host}:{port}" for port in free_ports(count)]
    daemon = Daemon(setup)
    try:
        daemon.spawn()
        assert daemon.wait_exit() == 2
        assert "config.json" in daemon.log and "listen" in daemon.log and "16" in daemon.log
        daemon.check_clean()
    finally:
        daemon.discard()


# ---- sockets of the service manager ----

HAND_OVER = """
import os, socket, sys
count, runtime = int(sys.argv[1]), sys.argv[2]
os.umask(0o077)
os.makedirs(runtime + "/aictl", exist_ok=True)
sockets = []
for number in range(count):
    if number < 2 and sys.argv[3] == "mixed":
        one = socket.socket(socket.AF_UNIX)
        one.bind(runtime + "/aictl/" + ["rpc.sock", "http.sock"][number])
        one.listen()
    else:
        one = socket.create_server(("127.0.0.1", 0))
    sockets.append(one)
first = 100
for number, one in enumerate(sockets):
    os.dup2(one.fileno(), first + number)
for number in range(count):
    os.dup2(first + number, 3 + number, inheritable=True)
os.closerange(3 + count, 256)
os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"] = str(os.getpid()), str(count)
os.execvp(sys.argv[4], sys.argv[4:])
"""


@pytest.mark.parametrize("count, kind", [(1, "tcp"), (3, "mixed"), (MOST, "mixed"), (MOST, "tcp")])
def test_sockets_it_is_started_with_are_all_taken(setup, count, kind):
    daemon = Daemon(setup)
    daemon.command[:0] = [sys.executable, "-I", "-c", HAND_OVER, str(count), str(daemon.runtime),
                          kind]
    try:
        daemon.start()
        tcp = count - 2 if kind == "mixed" else count
        urls = daemon.rpc("status")["urls"]
        assert len(urls) == tcp, "the configured address is not opened beside inherited ones"
        assert all(is_well(port_of(url)) for url in urls)
        with daemon.connect_unix() as wire:
            wire.send(daemon.build("GET", "/v1/models"))
            assert wire.read_answer().status == 200
        daemon.stop()
    finally:
        daemon.discard()


# ---- which address tools are told ----


@pytest.mark.parametrize("order", [("[::1]:0", "127.0.0.1:0"), ("127.0.0.1:0", "[::1]:0")])
def test_tools_are_told_the_ipv4_address_whatever_comes_first(start_daemon, setup, order):
    if not has_ipv6():
        pytest.skip("needs ::1")
    setup["listen"] = list(order)
    daemon = start_daemon(setup, keys=["chatty"])
    status = daemon.rpc("status")
    assert status["url"].startswith("http://127.0.0.1:") and len(status["urls"]) == 2
    done = subprocess.run([AICTL, "env", "-s", "bash"], env=daemon.env, cwd=daemon.home,
                          capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and "http://127.0.0.1:" in done.stdout
    assert "::1" not in done.stdout
    shown = subprocess.run([AICTL, "status"], env=daemon.env, cwd=daemon.home,
                           capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert status["url"] in shown.stdout


def test_ipv6_alone_is_told_as_it_is(start_daemon, setup):
    if not has_ipv6():
        pytest.skip("needs ::1")
    setup["listen"] = ["[::1]:0"]
    daemon = start_daemon(setup)
    assert daemon.rpc("status")["url"].startswith("http://[::1]:")


# ---- one daemon for a user ----


def test_another_runtime_directory_does_not_make_room_for_a_second_daemon(
        daemon, setup, tmp_path):
    """State, keys and the lock are the home directory's, whatever the session is."""
    second = Daemon(setup, env={"HOME": str(daemon.home), "XDG_RUNTIME_DIR": str(tmp_path)})
    try:
        os.chmod(tmp_path, 0o700)
        second.spawn()
        assert second.wait_exit() == 1
        assert "another aictld runs already" in second.log, second.log
        assert not any((tmp_path / "aictl").glob("*.sock"))
        assert daemon.chat("m-one").status == 200
    finally:
        second.discard()


def test_the_place_is_free_once_the_first_has_ended(daemon, setup, tmp_path):
    daemon.kill()
    second = Daemon(setup, env={"HOME": str(daemon.home), "XDG_RUNTIME_DIR": str(tmp_path)})
    second.rpc_path = str(tmp_path / "aictl/rpc.sock")
    try:
        os.chmod(tmp_path, 0o700)
        second.start()
        wait_until(lambda: second.chat("m-one").status == 200, "answer of the second daemon")
        second.stop()
    finally:
        second.discard()
    daemon.start()
