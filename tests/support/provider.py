"""The scripted provider: an HTTP server on 127.0.0.1 that answers as told, and remembers.

    Provider    the server; a port of its own, one thread per connection
    behaviour   a callable that answers one request, given a Call (replies.py has the usual ones)
    Call        one request being answered; all bytes go through it, so a fault can stand at any
    Seen        what is remembered of a request, Link what is remembered of a connection
    Gate        holds a behaviour at a point until the test opens it

Which behaviour answers: the next of those queued with `will()`, else the one of the request's model
(`on_model()`), else the default, an ordinary answer. Every wait of a behaviour also notices a peer
that closes, at the moment it happens: "when did it see the close" is `seen.link.at_closed`.
"""

import collections
import json
import os
import select
import socket
import struct
import threading
import time

import replies
from waiting import DEADLINE, Late

GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR


class PeerGone(Exception):
    """The peer closed or reset the connection."""


class HangUp(Exception):
    """The behaviour ended the connection itself."""


class Stopped(Exception):
    """The provider is being stopped."""


class Gate:
    """Closed until open() is called; then open for good."""

    def __init__(self):
        self.fd, self._inside = os.pipe()

    def open(self):
        if self._inside is not None:
            os.close(self._inside)  # end of file: readable from now on
            self._inside = None

    def __del__(self):
        self.open()
        os.close(self.fd)


class Link:
    """One accepted connection."""

    def __init__(self):
        self.at_accepted = time.monotonic()
        self.at_closed = None  # when the peer's FIN or RST was noticed
        self.requests = []


class Seen:
    """One request, from its head on."""

    def __init__(self, link, method, path, headers):
        self.link, self.method, self.path, self.headers = link, method, path, headers
        self.body = b""
        self.at_complete = None  # when its last byte came
        self.sent = 0  # bytes of the answer so far, head and framing included
        self.answer = b""  # body of the answer so far, framing left out

    def values(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name):
        values = self.values(name)
        assert len(values) <= 1, f"{name} was sent {len(values)} times"
        return values[0] if values else None

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def model(self):
        try:
            return self.json.get("model")
        except ValueError:
            return None

    @property
    def is_anthropic(self):
        return self.path.split("?")[0].endswith("/messages")


class Call:
    """What a behaviour does with its connection."""

    def __init__(self, connection, seen):
        self._connection = connection
        self.request = seen
        self.keep_alive = True
        self._is_chunked = False
        self._left = None  # bytes until the fault
        self._fault = None

    # ---- bytes ----

    def send(self, data):
        """Sends raw bytes; blocks while the peer does not read."""
        view = memoryview(data)
        while view:
            if self._left == 0:
                self._fault(self)
            piece = view if self._left is None else view[: self._left]
            self._connection.wait(select.POLLOUT)
            try:
                sent = self._connection.socket.send(piece)
            except (BrokenPipeError, ConnectionResetError):
                self._connection.note_gone()
                raise PeerGone() from None
            except BlockingIOError:
                continue
            self.request.sent += sent
            view = view[sent:]
            if self._left is not None:
                self._left -= sent
        if self._left == 0:
            self._fault(self)

    def fail_after(self, size, fault):
        """After `size` more bytes fault(call) runs: Call.reset, Call.close or Call.stall."""
        self._left, self._fault = size, fault

    def head(self, status, headers=(), framing="chunked", length=None):
        """Sends the head. framing: chunked, length (give `length`), or close (until the end)."""
        lines = [f"HTTP/1.1 {status} Scripted"]
        lines += [f"{name}: {value}" for name, value in headers]
        self._is_chunked = framing == "chunked"
        if framing == "chunked":
            lines.append("Transfer-Encoding: chunked")
        elif framing == "length":
            lines.append(f"Content-Length: {length}")
        else:
            lines.append("Connection: close")
            self.keep_alive = False
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")

    def body(self, data, size=None, between=0):
        """Sends body bytes, framed; `size` bytes at a time with pauses `between`, when given."""
        step = size or len(data) or 1
        for at in range(0, len(data), step):
            piece = data[at : at + step]
            self.request.answer += piece
            self.send(b"%x\r\n%s\r\n" % (len(piece), piece) if self._is_chunked else piece)
            if between:
                self.pause(between)

    def end(self):
        """Ends the body."""
        if self._is_chunked:
            self.send(b"0\r\n\r\n")

    def answer(self, status, body, headers=(), content_type="application/json"):
        """A whole answer at once."""
        self.head(status, [("Content-Type", content_type), *headers], "length", len(body))
        self.body(body)

    # ---- waits; each ends early, with PeerGone, when the peer closes ----

    def pause(self, seconds_or_gate):
        """Waits for a time or until a Gate opens."""
        if isinstance(seconds_or_gate, Gate):
            self._connection.wait(0, gate=seconds_or_gate)
        elif seconds_or_gate:
            self._connection.wait(0, timeout=seconds_or_gate)

    def stall(self):
        """Does nothing any more, until the peer closes."""
        self._connection.wait(0)

    # ---- ends ----

    def close(self):
        """Ends the connection with a FIN."""
        raise HangUp()

    def reset(self):
        """Ends the connection with a RST."""
        self._connection.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        raise HangUp()


class _Connection(threading.Thread):
    """Reads requests off one connection and has each answered."""

    def __init__(self, provider, accepted):
        super().__init__(daemon=True)
        self._provider = provider
        self.socket = accepted
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.link = Link()
        self._pending = b""

    def run(self):
        try:
            while self._answer_one():
                pass
        except (PeerGone, HangUp, Stopped):
            pass
        except Exception as error:  # a mistake in a behaviour: the test must hear of it
            self._provider.note_error(error)
        finally:
            self.socket.close()

    def _answer_one(self):
        seen = self._read_request()
        call = Call(self, seen)
        self._provider.choose(seen)(call)
        return call.keep_alive

    def wait(self, events, gate=None, timeout=None):
        """Waits for events of the socket, the gate or the timeout, whichever is first."""
        poller = select.poll()
        poller.register(self.socket, events | select.POLLRDHUP)
        poller.register(self._provider.stop_gate.fd, select.POLLIN)
        if gate:
            poller.register(gate.fd, select.POLLIN)
        ready = dict(poller.poll(None if timeout is None else timeout * 1000))
        if self._provider.stop_gate.fd in ready:
            raise Stopped()
        flags = ready.get(self.socket.fileno(), 0)
        if flags & GONE and not events & select.POLLIN:
            self.note_gone()
            raise PeerGone()

    def note_gone(self):
        with self._provider.changed:
            if self.link.at_closed is None:
                self.link.at_closed = time.monotonic()
            self._provider.changed.notify_all()

    def _receive(self):
        while True:
            self.wait(select.POLLIN)
            try:
                data = self.socket.recv(1 << 20)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                data = b""
            if not data:
                self.note_gone()
                raise PeerGone()
            self._pending += data
            return

    def _take_until(self, mark):
        while mark not in self._pending:
            self._receive()
        taken, self._pending = self._pending.split(mark, 1)
        return taken

    def _take(self, size):
        parts, have = [self._pending], len(self._pending)
        while have < size:  # joined once: bodies may be large
            self._pending = b""
            self._receive()
            parts.append(self._pending)
            have += len(self._pending)
        whole = b"".join(parts)
        self._pending = whole[size:]
        return whole[:size]

    def _read_request(self):
        lines = self._take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = [tuple(line.split(": ", 1)) for line in lines[1:]]
        headers = [pair if len(pair) == 2 else (pair[0].rstrip(":"), "") for pair in headers]
        seen = Seen(self.link, method, path, headers)
        if (seen.header("transfer-encoding") or "").lower() == "chunked":
            while size := int(self._take_until(b"\r\n"), 16):
                seen.body += self._take(size + 2)[:-2]
            self._take_until(b"\r\n")
        else:
            seen.body = self._take(int(seen.header("content-length") or 0))
        seen.at_complete = time.monotonic()
        self._provider.note_request(seen)
        return seen


class Provider:
    """The server. Use as a context manager, or start() and stop()."""

    def __init__(self, accepting=True, host="127.0.0.1", port=0):
        """accepting=False: connections are completed by the kernel but never taken."""
        self.links, self.requests, self.errors = [], [], []
        self.changed = threading.Condition()
        self.stop_gate = Gate()
        self._queue = collections.deque()
        self._by_model = {}
        self.default = replies.Reply()
        self._socket = socket.create_server((host, port), backlog=512)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://{host}:{self.port}"
        self._acceptor = threading.Thread(target=self._accept, daemon=True) if accepting else None

    def start(self):
        if self._acceptor:
            self._acceptor.start()
        return self

    def stop(self):
        """Stops and reports a behaviour's own mistakes as the test's failure."""
        self.stop_gate.open()
        if self._acceptor:
            self._acceptor.join(DEADLINE)
        self._socket.close()
        assert not self.errors, f"a behaviour failed: {self.errors[0]!r}"

    __enter__ = start

    def __exit__(self, *_):
        self.stop()

    def _accept(self):
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        poller.register(self.stop_gate.fd, select.POLLIN)
        while self.stop_gate.fd not in dict(poller.poll()):
            connection = _Connection(self, self._socket.accept()[0])
            with self.changed:
                self.links.append(connection.link)
                self.changed.notify_all()
            connection.start()

    # ---- the script ----

    def will(self, *behaviours):
        """Queues behaviours for the next requests, one each."""
        with self.changed:
            self._queue.extend(behaviours)

    def on_model(self, model, behaviour):
        """Answers every request for this model so."""
        self._by_model[model] = behaviour

    def choose(self, seen):
        with self.changed:
            if self._queue:
                return self._queue.popleft()
        return self._by_model.get(seen.model, self.default)

    # ---- the memory ----

    def note_request(self, seen):
        with self.changed:
            seen.link.requests.append(seen)
            self.requests.append(seen)
            self.changed.notify_all()

    def note_error(self, error):
        with self.changed:
            self.errors.append(error)
            self.changed.notify_all()

    def wait_for(self, condition, what, timeout=DEADLINE):
        """Waits until condition(), looked at after every event; returns its value."""
        end = time.monotonic() + timeout
        with self.changed:
            while not (value := condition()):
                if self.errors:
                    raise AssertionError(f"a behaviour failed: {self.errors[0]!r}")
                if not self.changed.wait(min(0.05, max(end - time.monotonic(), 0.001))):
                    if time.monotonic() >= end:
                        raise Late(f"the provider saw no {what} within {timeout} s")
            return value

    def wait_request(self, number=1):
        """Waits for the n-th request and returns it."""
        self.wait_for(lambda: len(self.requests) >= number, f"request {number}")
        return self.requests[number - 1]

    def wait_closed(self, seen):
        """Waits until the peer closed the request's connection; returns the time."""
        return self.wait_for(lambda: seen.link.at_closed, "close by the peer")

    @property
    def posts(self):
        return [seen for seen in self.requests if seen.method == "POST"]

    @property
    def last(self):
        assert self.requests, "the provider saw no request"
        return self.requests[-1]
