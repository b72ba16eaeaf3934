"""The real aictld under test, in a home directory of its own.

    Daemon     starts the program, talks to it over HTTP and the control socket, stops and checks it
    provider_row, config_for   what goes into config.json
    canary()   a key that is recognised wherever it turns up

Every stop checks the exit status, that no sanitizer complained, and that no canary stands in the
log or in any file of the home directory (config.json excepted where the test itself put it there).
The program is $AICTL_BUILD/daemon/aictld.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from rpc import Rpc
from waiting import DEADLINE, wait_until
from wire import Wire, build_request

BUILD = Path(os.environ.get("AICTL_BUILD", "build/dev")).resolve()
AICTLD = BUILD / "daemon" / "aictld"
AICTL = BUILD / "client" / "aictl"

CHECKER = re.compile(r"SAN_OPTIONS$|^MALLOC_")  # settings of memory checkers, passed on
SANITIZER = re.compile(r"\w+Sanitizer|runtime error: ")
CANARY = "sk-canary-"


def canary(name):
    """A provider key that no log, file or answer may hold."""
    return f"{CANARY}{name}-7f3a91c4e8"


def provider_row(name, url, models, kind="openai", key="vault", **more):
    """One row of `providers`; key: "vault", "" (none wanted), or the plain key."""
    path = "/v1" if kind == "openai" else ""
    row = {"name": name, "type": kind, "baseURL": url + path, "models": list(models), **more}
    if key:
        row["apiKey"] = f"vault:{name}" if key == "vault" else key
    return row


def config_for(*rows, default=None, listen=("127.0.0.1:0",), **settings):
    """A config.json. Retries are off unless a test asks: most tests count requests."""
    config = {
        "providers": list(rows),
        "globalSettings": {"maxRetries": 0, "drainMs": 5000, **settings},
        "listen": list(listen),
    }
    if default:
        config["defaultModel"] = default
    return config


class Daemon:
    """One aictld with a home directory. start(), then stop(), or use as a context manager."""

    def __init__(self, config=None, env=None, wrapper=(), args=(), has_runtime_dir=True):
        """config: a dict or text, None for no file. wrapper: a command to put before it."""
        self.home = Path(tempfile.mkdtemp(prefix="aictl-", dir="/tmp"))
        self.runtime = self.home / "run"
        self.runtime.mkdir(mode=0o700)
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.runtime),
            **{name: value for name, value in os.environ.items() if CHECKER.search(name)},
        }
        self.config_file = self.home / ".config/aictl/config.json"
        self.state = self.home / ".local/state/aictl"
        sockets = self.runtime / "aictl" if has_runtime_dir else self.state / "run"
        self.rpc_path, self.http_path = str(sockets / "rpc.sock"), str(sockets / "http.sock")
        if not has_runtime_dir:
            del self.env["XDG_RUNTIME_DIR"]
        self.env.update(env or {})
        self.log_file = self.home / "stderr.log"
        self.command = [*wrapper, str(AICTLD), *args]
        self.process = None
        self.port = None
        self._tokens = {}
        self.has_plain_keys = False
        if config is not None:
            self.write_config(config)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        self.discard()

    # ---- life ----

    def write_config(self, config):
        """Replaces config.json (by rename, as editors do), mode 0600."""
        text = config if isinstance(config, str) else json.dumps(config, indent=2)
        self.has_plain_keys = self.has_plain_keys or CANARY in text
        self.config_file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.config_file.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(text)
        fresh.rename(self.config_file)

    def spawn(self):
        """Starts the program without waiting for it."""
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                self.command, env=self.env, cwd=self.home, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )
        return self

    def start(self):
        """Starts it and waits until the control socket answers."""
        self.spawn()
        wait_until(self._is_ready, f"answer on the control socket; log:\n{self.log}")
        self.port = int(re.search(r":(\d+)/?$", self.rpc("status")["url"]).group(1))
        return self

    def _is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"aictld ended with {self.process.returncode}:\n{self.log}")
        try:
            return self.rpc("status")
        except (FileNotFoundError, ConnectionError):
            return False

    @property
    def pid(self):
        """Of aictld itself, also when a wrapper started it and stayed."""
        pid = self.process.pid
        while Path(f"/proc/{pid}/comm").read_text().strip() != "aictld":
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            assert children, "no aictld below the wrapper"
            pid = int(children[0])
        return pid

    def wait_exit(self, timeout=DEADLINE):
        """Waits until the program has ended; returns its exit status."""
        return self.process.wait(timeout)

    def terminate(self):
        os.kill(self.pid, signal.SIGTERM)

    def stop(self):
        """Ends it in order and checks that it was a good daemon."""
        if self.process is not None and self.process.poll() is None:
            self.terminate()
            self.wait_exit()
        status = self.process.returncode if self.process else 0
        assert status == 0, f"aictld ended with {status}:\n{self.log}"
        self.check_clean()

    def kill(self):
        """SIGKILL: what was not written is lost."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait_exit()

    def discard(self):
        """Ends it by force where it still runs, and removes the home directory."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.wait_exit()
        shutil.rmtree(self.home, ignore_errors=True)

    # ---- checks ----

    @property
    def log(self):
        """Everything it wrote on standard error and output."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def check_clean(self):
        """No sanitizer report, no key in the log, no key in a file."""
        found = SANITIZER.search(self.log)
        assert not found, f"sanitizer report:\n{self.log[found.start() :][:6000]}"
        for path in self.home.rglob("*"):
            if not path.is_file() or (path == self.config_file and self.has_plain_keys):
                continue
            assert CANARY.encode() not in path.read_bytes(), f"a provider key stands in {path}"

    def rss(self):
        """Resident memory, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024

    def virtual_size(self):
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmSize:\s+(\d+)", status).group(1)) * 1024

    def wait_active(self, count):
        """Waits until so many requests are under way."""
        wait_until(lambda: self.rpc("status")["requests"]["active"] == count,
                   f"{count} requests under way")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    # ---- the control socket ----

    def rpc(self, method, **params):
        """One call on rpc.sock; no answer may hold a key."""
        with Rpc(self.rpc_path) as rpc:
            result = rpc.call(method, **params)
        assert CANARY not in repr(result), f"{method} gave a provider key away"
        return result

    def set_key(self, provider, key=None):
        """Puts a canary (or a given key) into the vault for a configured provider."""
        return self.rpc("key.set", provider=provider, key=key or canary(provider))

    def token(self, directory=None):
        """The token of a directory, or the global one."""
        if directory not in self._tokens:
            params = {"dir": str(directory)} if directory else {}
            self._tokens[directory] = self.rpc("token.get", **params)["token"]
        return self._tokens[directory]

    def recent(self, count=256):
        """Attempts, newest first."""
        return self.rpc("status", recent=count)["recent"]

    def wait_attempt(self, condition=lambda attempt: True):
        """Waits for the newest attempt to be over and to satisfy the condition; returns it."""
        def ended():
            newest = self.recent(1)
            return newest and newest[0]["end"] != "open" and condition(newest[0]) and newest[0]
        return wait_until(ended, "such an attempt in the record")

    # ---- HTTP ----

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    def connect(self, **options):
        """A raw connection to the TCP listener."""
        return Wire(self.address, **options)

    def connect_unix(self, **options):
        return Wire(self.http_path, **options)

    def headers(self, token="", *more):
        """The headers of an ordinary request. token: "" for the global one, None for none."""
        headers = [("Host", self.host)]
        if token is not None:
            headers.append(("Authorization", f"Bearer {token or self.token()}"))
        return [*headers, *more]

    def build(self, method, path, body=None, token="", headers=()):
        """The bytes of an ordinary request; a dict becomes a JSON body."""
        more = list(headers)
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        if body is not None and not any(name.lower() == "content-type" for name, _ in more):
            more.append(("Content-Type", "application/json"))
        return build_request(method, path, self.headers(token, *more), body)

    def ask(self, method, path, body=None, token="", headers=(), checks_stream=True):
        """One request on a connection of its own, and its whole answer (checks_stream: wire.py)."""
        with self.connect(checks_stream=checks_stream) as wire:
            wire.send(self.build(method, path, body, token, headers))
            answer = wire.read_answer(is_head_only=method == "HEAD")
        assert CANARY.encode() not in answer.body, "an answer holds a provider key"
        return answer

    def ask_raw(self, data):
        """Exact bytes on a connection of their own: (the answer, does the daemon close)."""
        with self.connect() as wire:
            wire.send(data)
            answer = wire.read_answer()
            return answer, wire.is_closed(2)

    def chat(self, model="aictl", token="", headers=(), checks_stream=True, **fields):
        """A chat completion."""
        body = chat_body(model, **fields)
        return self.ask("POST", "/v1/chat/completions", body, token, headers, checks_stream)

    def messages(self, model="claude-aictl", token="", headers=(), checks_stream=True, **fields):
        """An Anthropic message."""
        more = [("anthropic-version", "2023-06-01"), *headers]
        body = messages_body(model, **fields)
        return self.ask("POST", "/v1/messages", body, token, more, checks_stream)

    def open_chat(self, model="aictl", token="", wire=None, checks_stream=True, **fields):
        """Sends a streamed chat completion; returns the connection, its answer not yet read."""
        wire = wire or self.connect(checks_stream=checks_stream)
        body = chat_body(model, stream=True, **fields)
        wire.send(self.build("POST", "/v1/chat/completions", body, token))
        return wire

    def open_messages(self, model="claude-aictl", token="", wire=None, checks_stream=True, **fields):
        """The same for Anthropic Messages."""
        wire = wire or self.connect(checks_stream=checks_stream)
        body = messages_body(model, stream=True, **fields)
        version = [("anthropic-version", "2023-06-01")]
        wire.send(self.build("POST", "/v1/messages", body, token, version))
        return wire


def usage_of(attempt):
    """What an attempt's record says of usage, in short."""
    usage = attempt["usage"]
    return usage["source"], usage["input"], usage["cache_read"], usage["output"]


def chat_body(model, **fields):
    return {"model": model, "messages": [{"role": "user", "content": "Say hello."}], **fields}


def messages_body(model, **fields):
    return {"max_tokens": 64, **chat_body(model, **fields)}
