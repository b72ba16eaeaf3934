"""HTTP as exact bytes: a client connection that sends what it is given and reads with a deadline.

    Wire     one connection (TCP or Unix); send() puts bytes on it, read_answer() takes one off
    Answer   a status, headers as they came, the body with its framing removed
    Event    one server-sent event of a stream: name, data, raw bytes

Nothing is corrected on the way: what a test writes is what the daemon gets. Every stream that is read
is held against the rules of lifecycle.py, unless its test says checks_stream=False.
"""

import dataclasses
import json
import socket
import struct
import time

import lifecycle
from waiting import DEADLINE, Late


@dataclasses.dataclass
class Answer:
    status: int
    headers: list  # of (name in lower case, value)
    body: bytes
    is_complete: bool = True  # the framing said where the body ends, and it came to there

    def header(self, name):
        """The header's value, or None; given twice is an error of the daemon."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, f"header {name} came {len(values)} times"
        return values[0] if values else None

    def count(self, name):
        """How often the header came."""
        return sum(key == name for key, _ in self.headers)

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """The `error` object of a chat or Anthropic error body."""
        return self.json["error"]


@dataclasses.dataclass
class Event:
    name: str
    data: str
    raw: bytes

    @property
    def json(self):
        return json.loads(self.data)


class Closed(Exception):
    """The other side closed (FIN) or reset the connection."""


class Wire:
    """One client connection. Use as a context manager."""

    def __init__(self, address, receive_buffer=None, checks_stream=True):
        """
        address: (host, port), or the path of a Unix socket. checks_stream: False where the test's
        provider breaks the life-cycle itself and its bytes are passed on.
        """
        family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
        if isinstance(address, tuple) and ":" in address[0]:
            family = socket.AF_INET6
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(address)
        self._pending = b""  # came, but not taken yet
        self._is_chunked = self._is_streaming = False
        self._checks_stream = checks_stream
        self._dialect = None  # of the last request, where its path tells
        self.stream = None  # the last answer's lifecycle.Stream, when it is one and is checked

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    # ---- writing ----

    def send(self, data):
        """Sends all bytes; a peer that closes meanwhile is no error (its answer still counts)."""
        self._note_dialect(data)
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def _note_dialect(self, data):
        line = bytes(data[:500]).split(b"\r\n")[0].split(b" ")
        if len(line) == 3 and line[2].startswith(b"HTTP/"):
            self._dialect = lifecycle.dialect_of(line[1].decode("latin-1"))

    def half_close(self):
        """FIN, with the reading side still open."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        """FIN. Returns the time it was sent."""
        now = time.monotonic()
        self.socket.close()
        return now

    def reset(self):
        """RST. Returns the time it was sent."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return self.close()

    # ---- reading ----

    def _receive(self, timeout=DEADLINE):
        self.socket.settimeout(max(timeout, 0.001))
        try:
            data = self.socket.recv(65536)
        except socket.timeout:
            raise Late(f"nothing to read within {timeout:.1f} s") from None
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed()
        self._pending += data

    def _take_until(self, mark):
        while mark not in self._pending:
            self._receive()
        taken, self._pending = self._pending.split(mark, 1)
        return taken

    def _take(self, size):
        while len(self._pending) < size:
            self._receive()
        taken, self._pending = self._pending[:size], self._pending[size:]
        return taken

    def read_head(self):
        """Status and headers of the next answer; the body follows by read_body() or pieces()."""
        lines = self._take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status = lines[0].split(" ")[:2]
        assert version in ("HTTP/1.1", "HTTP/1.0"), lines[0]
        headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            assert name and name == name.strip(), f"bad header line {line!r}"
            headers.append((name.lower(), value.strip()))
        answer = Answer(int(status), headers, b"")
        self._is_chunked = (answer.header("transfer-encoding") or "").lower() == "chunked"
        self._length = answer.header("content-length")
        assert not (self._is_chunked and self._length), "both framings in one answer"
        is_stream = (answer.header("content-type") or "").startswith("text/event-stream")
        is_checked = is_stream and answer.status == 200 and self._checks_stream
        self.stream = lifecycle.Stream(self._dialect) if is_checked else None
        return answer

    def pieces(self):
        """Pieces of the body as they come. Closed is raised when it breaks off."""
        for piece in self._unchecked_pieces():
            if self.stream:
                self.stream.feed(piece)
            yield piece
        if self.stream:
            self.stream.end()

    def _unchecked_pieces(self):
        if self._is_chunked:
            while True:
                size = int(self._take_until(b"\r\n").split(b";")[0], 16)
                data = self._take(size)
                assert self._take(2) == b"\r\n", "a chunk without its end"
                if size == 0:
                    return
                yield data
        elif self._length is not None:
            left = int(self._length)
            while left:
                if not self._pending:
                    self._receive()
                data = self._take(min(left, len(self._pending)))
                left -= len(data)
                yield data
        else:
            try:
                while True:
                    if self._pending:
                        yield self._take(len(self._pending))
                    self._receive()
            except Closed:
                return

    def read_answer(self, is_head_only=False):
        """The next whole answer; is_complete is false when the connection ended before its end."""
        answer = self.read_head()
        if is_head_only or answer.status in (204, 304) or 100 <= answer.status < 200:
            return answer
        body = []
        try:
            for piece in self.pieces():
                body.append(piece)
        except Closed:
            answer.is_complete = False
        answer.body = b"".join(body)
        return answer

    def events(self):
        """Server-sent events of a streamed answer whose head was read."""
        pending = b""
        for piece in self.pieces():
            pending += piece
            while b"\n\n" in pending:
                raw, pending = pending.split(b"\n\n", 1)
                yield parse_event(raw + b"\n\n")
        if pending:
            yield parse_event(pending)

    def is_closed(self, timeout=DEADLINE):
        """True when the other side closes within the timeout without sending anything more."""
        assert not self._pending, f"more came: {self._pending[:200]!r}"
        try:
            self._receive(timeout)
        except Closed:
            return True
        except Late:
            return False
        raise AssertionError(f"more came: {self._pending[:200]!r}")

    def read_rest(self):
        """Everything that comes until the other side closes."""
        try:
            while True:
                self._receive()
        except Closed:
            rest, self._pending = self._pending, b""
            return rest


def parse_event(raw):
    """One event from its bytes."""
    name, data = "", []
    for line in raw.decode("utf-8").splitlines():
        field, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
    return Event(name, "\n".join(data), raw)


def parse_events(body):
    """All events of a whole stream body."""
    return [parse_event(raw + b"\n\n") for raw in body.split(b"\n\n") if raw.strip()]


def head_and_body(request):
    """The bytes of a request, cut behind its head."""
    head, body = request.split(b"\r\n\r\n", 1)
    return head + b"\r\n\r\n", body


def build_request(method, path, headers=(), body=None):
    """The bytes of a request; only Content-Length is added (when there is a body)."""
    lines = [f"{method} {path} HTTP/1.1"] + [f"{name}: {value}" for name, value in headers]
    if body is not None and not any(name.lower() == "content-length" for name, _ in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")
