"""Provider keys: where they may go, where they may not be seen (rows S-21, S-35 to S-39, S-43)."""

import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import replies
from daemon import AICTLD, CANARY, Daemon, canary, config_for, provider_row
from rpc import RpcError
from waiting import IS_SANITIZED, wait_until

NOBODY = 65534


# ---- S-21: a key goes only where it was bound to ----


def test_s21_a_key_is_not_sent_to_an_origin_that_was_edited_in(daemon, make_provider, setup):
    attacker, other = make_provider(), make_provider()
    setup["providers"][0]["baseURL"] = attacker.url + "/v1"
    setup["providers"].append(provider_row("other", other.url, ["o-one"], key=""))
    daemon.write_config(setup)
    daemon.rpc("daemon.reload")
    for fields in ({}, {"stream": True}):
        answer = daemon.chat("m-one", **fields)
        assert answer.status == 503 and "origin not bound" in answer.error["message"]
        assert "chatty" in answer.error["message"] and "aictl login" in answer.error["message"]
    assert not attacker.links
    assert daemon.chat("o-one").status == 200
    assert daemon.messages("c-one").status == 200
    states = {row["name"]: row["key"]["state"] for row in daemon.rpc("provider.list")["providers"]}
    assert states["chatty"] == "not bound" and states["claudish"] == "ok"


@pytest.mark.parametrize("url", ["https://attacker.test/v1", "https://127.0.0.1:{port}/v1"])
def test_s21_another_scheme_or_host_is_another_origin(daemon, provider, setup, url):
    setup["providers"][0]["baseURL"] = url.format(port=provider.port)
    daemon.write_config(setup)
    daemon.rpc("daemon.reload")
    assert "origin not bound" in daemon.chat("m-one").error["message"]
    assert not provider.links


def test_s21_entering_the_key_again_binds_it(daemon, make_provider, setup):
    moved = make_provider()
    setup["providers"][0]["baseURL"] = moved.url + "/v1"
    daemon.write_config(setup)
    daemon.rpc("daemon.reload")
    assert daemon.chat("m-one").status == 503
    told = daemon.set_key("chatty")
    assert told["origins"] == [moved.url]
    assert daemon.chat("m-one").status == 200


def test_s21_another_path_at_the_same_origin_needs_no_new_binding(daemon, provider, setup):
    setup["providers"][0]["baseURL"] = provider.url + "/other/v4"
    daemon.write_config(setup)
    daemon.rpc("daemon.reload")
    assert daemon.chat("m-one").status == 200
    assert provider.last.path == "/other/v4/chat/completions"


def test_s21_a_provider_row_cannot_use_the_key_of_another(daemon, provider, make_provider, setup):
    thief = make_provider()
    row = provider_row("thief", thief.url, ["t-one"], key="vault:chatty")
    setup["providers"].append(row)
    daemon.write_config(setup)
    daemon.rpc("daemon.reload")
    assert "origin not bound" in daemon.chat("t-one").error["message"]
    assert not thief.links


def test_a_provider_without_its_key_says_how_to_enter_one(start_daemon, setup, provider):
    daemon = start_daemon(setup)
    answer = daemon.chat("m-one")
    assert answer.status == 503 and "aictl login chatty" in answer.error["message"]
    assert not provider.links


def test_a_plain_key_in_a_private_config_works_and_is_bound(start_daemon, provider, make_provider):
    row = provider_row("chatty", provider.url, ["m-one"], key=canary("plain"))
    daemon = start_daemon(config_for(row, default="m-one"))
    assert daemon.chat("m-one").status == 200
    assert provider.last.header("authorization") == f"Bearer {canary('plain')}"
    moved = make_provider()
    row["baseURL"] = moved.url + "/v1"
    daemon.write_config(config_for(row, default="m-one"))
    try:
        daemon.rpc("daemon.reload")
    except RpcError:
        pass
    daemon.chat("m-one")
    assert not moved.links, "the same key went to an edited address"


def test_a_plain_key_in_a_config_others_can_read_is_refused(provider):
    row = provider_row("chatty", provider.url, ["m-one"], key=canary("plain"))
    daemon = Daemon(config_for(row, default="m-one"))
    daemon.config_file.chmod(0o644)
    try:
        daemon.spawn()
        assert daemon.wait_exit() == 2
        assert "config.json" in daemon.log and "apiKey" in daemon.log
        assert not provider.links
        daemon.check_clean()
    finally:
        daemon.discard()


def wait_start_or_end(daemon):
    def is_over():
        return daemon.process.poll() is not None or Path(daemon.rpc_path).exists()
    wait_until(is_over, "start or end of the daemon")


# ---- S-30: a provider that gives the key back ----


def give_key_back(status, form, content_type="application/json"):
    """Answers with the key it was sent, inside `form`."""
    def behaviour(call):
        key = call.request.header("authorization") or call.request.header("x-api-key")
        call.head(status, [("Content-Type", content_type)])
        call.body(form.replace("KEY", key.removeprefix("Bearer ")).encode(), 7)
        call.end()
    return behaviour


@pytest.mark.parametrize("behaviour", [
    give_key_back(401, '{"error": {"message": "invalid key KEY", "type": "x"}}'),
    give_key_back(400, '{"error": {"message": "invalid key KEY", "type": "x"}}'),
    give_key_back(500, '{"detail": ["KEY", "KEY"]}'),
    give_key_back(403, "<html>bad key KEY</html>", "text/html"),
    give_key_back(429, "KEY", "text/plain"),
    give_key_back(200, 'data: {"error": {"message": "bad key KEY"}}\n\n', "text/event-stream"),
], ids=["401", "400", "500 of another shape", "html", "plain text", "error in a stream"])
@pytest.mark.parametrize("model", ["m-one", "c-one"])
def test_s30_a_key_that_a_provider_gives_back_reaches_nobody(daemon, provider, model, behaviour):
    """The Daemon helper looks for canaries in answers, in the record and, at its end, in the log."""
    provider.default = behaviour
    ask = daemon.chat if model == "m-one" else daemon.messages
    for is_stream in (False, True):
        assert ask(model, stream=is_stream).status >= 400
    assert daemon.recent() and daemon.rpc("status")["providers"]


# ---- S-35: another process of the same user ----


def probe(pid):
    """What a process of the same uid can open of aictld: names of what worked."""
    script = """
import ctypes, os, sys
pid, worked = int(sys.argv[1]), []
for name in ("environ", "mem", "maps", "auxv", "stack", "io", "smaps"):
    try:
        os.close(os.open(f"/proc/{pid}/{name}", os.O_RDONLY))
        open(f"/proc/{pid}/{name}", "rb").read(1) if name != "mem" else None
        worked.append(name)
    except PermissionError:
        pass
try:
    worked += ["fd"] if os.listdir(f"/proc/{pid}/fd") is not None else []
except PermissionError:
    pass
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(16, pid, 0, 0) == 0:
    worked.append("ptrace")
class Io(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
here = ctypes.create_string_buffer(8)
local, far = Io(ctypes.addressof(here), 8), Io(0x400000, 8)
if libc.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(far), 1, 0) != -1:
    worked.append("process_vm_readv")
elif ctypes.get_errno() != 1:
    worked.append("process_vm_readv: " + os.strerror(ctypes.get_errno()))
print(" ".join(worked))
"""
    command = [sys.executable, "-I", "-c", script, str(pid)]
    if os.geteuid() == 0:
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture
def own_uid_daemon(setup):
    """A daemon whose uid the probe can have without being root: root reads everything anyway."""
    wrapper = ()
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("needs setpriv to give up root")
        wrapper = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    daemon = Daemon(setup, wrapper=wrapper)
    binary = daemon.home / "aictld"
    shutil.copy(AICTLD, binary)  # the build may lie where another uid cannot read
    daemon.command[-1] = str(binary)
    if wrapper:
        for path in [daemon.home, *daemon.home.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
    yield daemon
    daemon.discard()


def test_s35_the_same_user_cannot_look_into_the_daemon(own_uid_daemon):
    daemon = own_uid_daemon
    daemon.spawn()
    wait_start_or_end(daemon)
    assert daemon.process.poll() is None, daemon.log
    assert probe(daemon.pid) == []
    daemon.stop()


def test_s35_the_probe_itself_sees_an_ordinary_process():
    command = ["sleep", "60"]
    if os.geteuid() == 0:
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
    with subprocess.Popen(command) as sleeper:
        try:
            name = Path(f"/proc/{sleeper.pid}/comm")
            wait_until(lambda: name.read_text().strip() == "sleep", "exec of sleep")
            assert {"environ", "maps", "fd"} <= set(probe(sleeper.pid))
        finally:
            sleeper.kill()


def test_s34_no_core_is_written(daemon):
    limits = Path(f"/proc/{daemon.pid}/limits").read_text()
    assert re.search(r"Max core file size\s+0\s+0\s", limits)


# ---- S-36: memory ----


def find_in_memory(pid, needle):
    """How often `needle` stands in the process's memory. Root only."""
    count = 0
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            bounds, permissions, _, _, inode, *name = line.split()
            low, high = (int(part, 16) for part in bounds.split("-"))
            if name and name[0].startswith("[v") or inode != "0" and "w" not in permissions:
                continue
            try:
                memory.seek(low)
                count += memory.read(high - low).count(needle)
            except OSError:
                continue  # a guard page
    return count


@pytest.mark.needs_root
@pytest.mark.skipif(IS_SANITIZED, reason="sanitizers keep freed memory in quarantine")
def test_s36_no_key_stays_in_memory_after_use(daemon, provider):
    for number in range(100):
        ask, model = (daemon.chat, "m-one") if number % 2 else (daemon.messages, "c-one")
        assert ask(model, stream=number % 4 == 0).status == 200
    provider.will(replies.reset_unanswered, replies.error_status(401, "no"))
    daemon.chat("m-one")
    daemon.chat("m-one")
    wait_until(lambda: daemon.rpc("status")["requests"]["active"] == 0, "idleness")
    assert find_in_memory(daemon.pid, b"claudish"), "the scan sees nothing: it proves nothing"
    assert find_in_memory(daemon.pid, CANARY.encode()) == 0


@pytest.mark.needs_root
@pytest.mark.skipif(IS_SANITIZED, reason="sanitizers keep freed memory in quarantine")
def test_s36_no_plain_key_of_the_config_stays_in_memory(start_daemon, provider):
    row = provider_row("chatty", provider.url, ["m-one"], key=canary("plain"))
    daemon = start_daemon(config_for(row, default="m-one"))
    assert daemon.chat("m-one").status == 200
    assert find_in_memory(daemon.pid, CANARY.encode()) == 0


# ---- S-37: the environment ----


@pytest.fixture
def tls_listener(tmp_path):
    """A TLS server with a certificate nobody trusts; gives (port, list of handshake results)."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.1)
    results, is_over = [], threading.Event()

    def serve():
        while not is_over.is_set():
            try:
                plain, _ = server.accept()
            except TimeoutError:
                continue
            try:
                with context.wrap_socket(plain, server_side=True) as secure:
                    results.append(secure.recv(65536))
            except OSError as error:
                results.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    yield server.getsockname()[1], results
    is_over.set()
    thread.join()
    server.close()


def test_s37_no_tls_secret_is_written_and_no_key_sent_to_an_untrusted_server(
        start_daemon, tls_listener, tmp_path):
    port, results = tls_listener
    keylog = tmp_path / "keylog"
    row = provider_row("secure", "https://x", ["s-one"])
    row["baseURL"] = f"https://localhost:{port}/v1"
    daemon = start_daemon(config_for(row, default="s-one"), keys=["secure"], env={
        "SSLKEYLOGFILE": str(keylog), "CURL_CA_BUNDLE": str(tmp_path / "cert.pem"),
        "SSL_CERT_FILE": str(tmp_path / "cert.pem"), "OPENSSL_CONF": str(tmp_path / "nothing"),
    })
    answer = daemon.chat("s-one")
    assert answer.status == 502 and answer.error["type"] == "provider_unreachable"
    assert "TLS" in answer.error["message"] or "certificate" in answer.error["message"]
    wait_until(lambda: results, "handshake")
    assert isinstance(results[0], Exception), "the request was sent to a server nobody trusts"
    assert not keylog.exists()


def test_s37_a_proxy_of_the_environment_is_not_used(start_daemon, setup, provider, make_provider):
    proxy = make_provider()
    names = ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
    daemon = start_daemon(setup, keys=["chatty"], env=dict.fromkeys(names, proxy.url))
    assert daemon.chat("m-one").status == 200
    assert len(provider.posts) == 1 and not proxy.links


def test_s37_a_netrc_and_a_curlrc_are_not_used(start_daemon, setup, provider):
    setup["providers"][0].pop("apiKey")
    daemon = start_daemon(setup)
    (daemon.home / ".netrc").write_text("default login evil password netrc-secret\n")
    (daemon.home / ".curlrc").write_text('header = "X-Evil: 1"\n')
    assert daemon.chat("m-one").status == 200
    assert provider.last.header("authorization") is None and provider.last.header("x-evil") is None


# ---- S-38, S-39, S-43 ----


def test_s38_no_secret_stands_on_the_command_line(daemon):
    assert CANARY.encode() not in Path(f"/proc/{daemon.pid}/cmdline").read_bytes()


def test_s39_files_are_private_whatever_the_umask(start_daemon, setup):
    script = 'umask 000; exec "$@"'
    daemon = start_daemon(setup, keys=["chatty"], wrapper=("sh", "-c", script, "sh"))
    daemon.token("/tmp/x")
    daemon.rpc("model.switch", model="m-two", **{"global": True})
    roots = [daemon.runtime / "aictl", daemon.state, daemon.home / ".local/share/aictl-kek"]
    paths = [path for root in roots for path in [root, *root.rglob("*")]]
    assert not [path for path in paths if stat.S_IMODE(path.lstat().st_mode) & 0o077]


def test_s43_a_damaged_vault_is_told_and_never_overwritten(start_daemon, setup, provider):
    daemon = start_daemon(setup, keys=["chatty"])
    daemon.stop()
    vault = daemon.state / "vault.aiv"
    damaged = bytearray(vault.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    vault.write_bytes(damaged)
    daemon.start()
    with pytest.raises(RpcError):
        daemon.set_key("chatty")
    assert daemon.rpc("provider.list")["providers"][0]["key"]["state"] in ("corrupt", "locked")
    assert "vault" in daemon.log
    daemon.stop()
    assert vault.read_bytes() == damaged and not provider.links


def test_keys_survive_a_restart_and_a_kill(daemon, provider):
    for end in (daemon.stop, daemon.kill):
        end()
        daemon.start()
        assert daemon.chat("m-one").status == 200
        assert provider.last.header("authorization") == f"Bearer {canary('chatty')}"
