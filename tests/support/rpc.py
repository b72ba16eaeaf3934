"""The control socket from Python: msgpack-RPC calls, and raw frames for bad input."""

import itertools
import socket

import msgpack

from waiting import DEADLINE, Late


class RpcError(Exception):
    """What the daemon answered instead of a result: a map of code, kind, message, detail, next."""

    def __init__(self, error):
        super().__init__(str(error))
        self.error = error
        self.kind, self.message = error["kind"], error["message"]


class Rpc:
    """One connection to rpc.sock. Use as a context manager."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(path)
        self._numbers = itertools.count(1)
        self._unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """Raw bytes; a daemon that has closed meanwhile is no error."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def read(self, timeout=DEADLINE):
        """The next message, or None when the daemon closes."""
        self.socket.settimeout(timeout)
        while True:
            for message in self._unpacker:
                return message
            try:
                data = self.socket.recv(65536)
            except socket.timeout:
                raise Late(f"no message from the control socket within {timeout} s") from None
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._unpacker.feed(data)

    def call(self, method, **params):
        """One call; RpcError when the daemon refuses."""
        number = next(self._numbers)
        self.send(msgpack.packb([0, number, method, [params] if params else []]))
        message = self.read()
        if message is None:
            raise ConnectionError(f"the daemon closed instead of answering {method}")
        kind, msgid, error, result = message
        assert (kind, msgid) == (1, number), message
        if error is not None:
            raise RpcError(error)
        return result
