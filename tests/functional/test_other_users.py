"""Other users of the machine, and clients that are already gone (rows S-08, S-09, S-12)."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys

import pytest

from daemon import chat_body
from waiting import stays, wait_until

NOBODY = 65534

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv"),
]


def as_nobody(address, data):
    """Has uid 65534 connect, send, and read to the end; returns what came."""
    script = """
import socket, sys
kind, where, data = sys.argv[1], sys.argv[2], bytes.fromhex(sys.argv[3])
try:
    if kind == "tcp":
        peer = socket.create_connection(("127.0.0.1", int(where)), 5)
    else:
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(5)
        peer.connect(where)
except PermissionError:
    print("not permitted")
    sys.exit()
answer = b""
try:
    peer.sendall(data)
    peer.shutdown(socket.SHUT_WR) if kind == "rpc" else None
    while more := peer.recv(65536):
        answer += more
except (ConnectionResetError, BrokenPipeError):
    pass
print(answer.hex())
"""
    kind, where = address
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
               sys.executable, "-I", "-c", script, kind, str(where), data.hex()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd="/")
    assert done.returncode == 0, done.stderr
    if done.stdout.strip() == "not permitted":
        return None
    return bytes.fromhex(done.stdout.strip())


def test_s08_another_uid_is_refused_even_with_a_valid_token(daemon, provider):
    stolen = daemon.build("POST", "/v1/chat/completions", chat_body("m-one"))
    answer = as_nobody(("tcp", daemon.port), stolen)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 403 ")
    assert not provider.links and not daemon.recent()
    assert daemon.chat("m-one").status == 200


def test_s08_another_uid_does_not_even_get_the_health(daemon):
    answer = as_nobody(("tcp", daemon.port), daemon.build("GET", "/healthz", token=None))
    assert answer == b"" or answer.startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize("kind", ["http", "rpc"])
def test_s12_another_uid_is_refused_even_when_the_sockets_are_open_to_it(daemon, provider, kind):
    """The test of ssh-agent: loose modes must not be all that protects."""
    path = daemon.http_path if kind == "http" else daemon.rpc_path
    for directory in (daemon.home, daemon.runtime, daemon.runtime / "aictl"):
        directory.chmod(0o755)
    os.chmod(path, 0o666)
    data = b"\x94\x00\x01\xa6status\x91\x80"
    if kind == "http":
        data = daemon.build("POST", "/v1/chat/completions", chat_body("m-one"))
    assert as_nobody((kind, path), data) == b""
    assert not provider.links
    assert daemon.rpc("status")["pid"] == daemon.pid


def test_s12_as_made_the_sockets_cannot_be_reached_at_all(daemon):
    assert as_nobody(("rpc", daemon.rpc_path), b"\x94\x00\x01\xa6status\x91\x80") is None


GONE_CLIENT = """
import os, socket, sys
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
peer.sendall(bytes.fromhex(sys.argv[2]))
os._exit(0)
"""


def leave_orphan(port, uid, data=b""):
    """Has a client of this uid connect, send and exit; waits until the kernel holds its orphan."""
    subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", sys.executable,
                    "-I", "-c", GONE_CLIENT, str(port), data.hex()], check=True, cwd="/")
    return wait_until(lambda: find_orphan(port), "orphan in FIN_WAIT2")


def find_orphan(port):
    """uid and inode of a socket to this port in state FIN_WAIT2 (05), as the kernel tells them."""
    there = struct.pack("!H", port).hex().upper()
    for line in open("/proc/net/tcp"):
        fields = line.split()
        if fields[2].endswith(":" + there) and fields[3] == "05":
            return fields[7], fields[9]
    return None


def test_s09_a_client_that_is_already_gone_is_not_taken_for_root(daemon, provider):
    """After its exit the kernel reports an orphaned socket as uid 0: unknown, so not served."""
    data = daemon.build("POST", "/v1/chat/completions", chat_body("m-one"))
    os.kill(daemon.pid, signal.SIGSTOP)  # stopped, so that it accepts only after the client's end
    try:
        for uid in (0, NOBODY):
            leave_orphan(daemon.port, uid, data)
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    stays(lambda: not provider.links, "refusal of an orphaned request")
    assert daemon.chat("m-one").status == 200


def test_s09_the_kernel_still_reports_orphans_as_root():
    """If this changes, S-09 proves nothing any more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert leave_orphan(server.getsockname()[1], NOBODY) == ("0", "0")
