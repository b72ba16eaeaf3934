"""A stand-in for aictld's control socket: answers what a test wants, however hostile.

    Control    serves rpc.sock and the gen file below a runtime directory, and remembers every call
"""

import contextlib
import os
import socket
import threading
from pathlib import Path

import msgpack


class Control:
    """Use as a context manager. answers: method -> result, or a function of the parameters."""

    def __init__(self, runtime, **answers):
        self.dir = Path(runtime) / "aictl"
        self.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = self.dir / "rpc.sock"
        self.calls = []
        self.answers = {}
        for name, answer in answers.items():
            self.answers[name.replace("_", ".", 1)] = answer
        self._generation = 0
        self._listener = None

    def __enter__(self):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(16)
        self.announce()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Closes and removes the socket, as a daemon that ends does."""
        if self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self.path.unlink()
            self._listener = None

    def announce(self):
        """Rewrites the gen file: something was switched."""
        self._generation += 1
        fresh = self.dir / "gen.new"
        fresh.write_text(f"{id(self)}{self._generation}\n")
        fresh.rename(self.dir / "gen")

    def count(self, method):
        return sum(name == method for name, _ in self.calls)

    def _accept(self):
        listener = self._listener
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        unpacker = msgpack.Unpacker(raw=False)
        with connection, contextlib.suppress(ConnectionError):
            while data := connection.recv(65536):
                unpacker.feed(data)
                for _, number, method, params in unpacker:
                    self._answer(connection, number, method, params[0] if params else {})

    def _answer(self, connection, number, method, params):
        self.calls.append((method, params))
        answer = self.answers.get(method, {})
        if callable(answer):
            answer = answer(params)
        if isinstance(answer, bytes):
            connection.sendall(answer)
        elif isinstance(answer, Refusal):
            connection.sendall(msgpack.packb([1, number, answer.error, None]))
        else:
            connection.sendall(msgpack.packb([1, number, None, answer]))


class Refusal:
    """An answer that is an error, as the daemon sends them."""

    def __init__(self, code, kind, message, detail=None, next=None):
        self.error = dict(code=code, kind=kind, message=message, detail=detail, next=next)


def environment(home):
    """A bare environment with everything of aictl below `home`."""
    runtime = Path(home) / "run"
    runtime.mkdir(mode=0o700, exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(runtime),
        "LANG": "C.UTF-8",
        **{name: os.environ[name] for name in os.environ if name.endswith("SAN_OPTIONS")},
    }
