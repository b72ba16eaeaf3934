"""Bytes that are no good HTTP request (rows B-01 to B-10): refused, once, and the end of it."""

import gzip
import json
import time

import pytest

from daemon import chat_body
from waiting import wait_until
from wire import Closed, build_request

CHAT = "/v1/chat/completions"
BODY = json.dumps(chat_body("m-one")).encode()


def good_lines(daemon, *more):
    own = [f"Host: {daemon.host}", f"Authorization: Bearer {daemon.token()}"]
    return [*own, "Content-Type: application/json", *more]


def post(daemon, *more, body=BODY, line=f"POST {CHAT} HTTP/1.1"):
    """A good request but for what is added."""
    return "\r\n".join([line, *good_lines(daemon, *more)]).encode("latin-1") + b"\r\n\r\n" + body


def assert_refused(daemon, provider, data, statuses=(400,)):
    """One answer with one of the statuses, then the end of the connection; nothing went further."""
    answer, is_closed = daemon.ask_raw(data)
    assert answer.status in statuses, (answer, data[:300])
    assert is_closed, f"the connection stayed open after {data[:300]!r}"
    assert not provider.links


def test_the_good_request_that_these_tests_spoil_is_good(daemon, provider):
    with daemon.connect() as wire:
        wire.send(post(daemon, f"Content-Length: {len(BODY)}"))
        assert wire.read_answer().status == 200
    assert len(provider.posts) == 1


def test_b01_a_bare_cr_that_hides_a_header_is_refused(daemon, provider):
    chunked = b"0\r\n\r\n"
    for spoiled in ("X-Abc: \rTransfer-Encoding: chunked", "X-Abc: a\rb", "X-Abc:\r", "X\rAbc: 1",
                    "X-Abc: 1\r\rX-Def: 2"):
        assert_refused(daemon, provider, post(daemon, spoiled, body=chunked))


SIZE = len(BODY)


@pytest.mark.parametrize("lines", [
    ["Content-Length: {n}", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: chunked", "Content-Length: {n}"],
    ["Content-Length: {n}", "Content-Length: {n}"],
    ["Content-Length: {n}", "Content-Length: 5"],
    ["Content-Length: +{n}"], ["Content-Length: -1"], ["Content-Length: 0x{n}"],
    ["Content-Length: {n}, {n}"], ["Content-Length: {n} {n}"], ["Content-Length: {n}.0"],
    ["Content-Length: 99999999999999999999999"], ["Content-Length: 18446744073709551616"],
    ["Content-Length:"], ["Content-Length: 1e3"], ["Content_Length: {n}", "Content-Length: x"],
])
def test_b02_doubtful_lengths_are_refused(daemon, provider, lines):
    lines = [line.format(n=SIZE) for line in lines]
    assert_refused(daemon, provider, post(daemon, *lines), (400, 413))


@pytest.mark.parametrize("value", [
    "xchunked", "chunked, identity", "identity, chunked", "identity", "gzip, chunked",
    "chunked, chunked", "\x0bchunked", "chunked\x0b", "chunked;q=1", "",
    "chunke d", ",chunked", "chunked,",
])
def test_b03_transfer_encodings_other_than_chunked_are_refused(daemon, provider, value):
    data = post(daemon, f"Transfer-Encoding: {value}", body=b"%x\r\n%s\r\n0\r\n\r\n" % (SIZE, BODY))
    assert_refused(daemon, provider, data, (400, 501))


def test_b03_transfer_encoding_twice_or_with_http_1_0_is_refused(daemon, provider):
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (SIZE, BODY)
    twice = ["Transfer-Encoding: chunked"] * 2
    assert_refused(daemon, provider, post(daemon, *twice, body=chunked))
    old = post(daemon, twice[0], body=chunked, line=f"POST {CHAT} HTTP/1.0")
    assert_refused(daemon, provider, old)


def test_b03_chunked_itself_is_read(daemon, provider):
    chunks = [b"1\r\n%c\r\n" % byte for byte in BODY]
    chunked = b"".join(chunks) + b"0\r\n\r\n"
    with daemon.connect() as wire:
        wire.send(post(daemon, "Transfer-Encoding: Chunked", body=chunked))
        assert wire.read_answer().status == 200
    assert provider.last.body == BODY


@pytest.mark.parametrize("line", [
    "X-Fold: a\r\n b", "Host-Fold: a\r\n\tb", " Leading: 1", "\tLeading: 1", "NoColon",
    ": empty name", "Sp ace: 1", "Name : 1", "X-Nul: a\x00b", "X-Ctl: a\x01b",
    "X-Del: a\x7fb", "X(: 1", "X\x80: 1",
])
def test_b04_header_lines_that_are_none_are_refused(daemon, provider, line):
    assert_refused(daemon, provider, post(daemon, line, f"Content-Length: {SIZE}"))


def test_b04_line_ends_other_than_crlf_are_refused(daemon, provider):
    good = post(daemon, f"Content-Length: {SIZE}")
    head, body = good.split(b"\r\n\r\n", 1)
    assert_refused(daemon, provider, head.replace(b"\r\n", b"\n") + b"\n\n" + body)
    assert_refused(daemon, provider, head + b"\n\n" + body)
    assert_refused(daemon, provider, head.replace(b"\r\nHost", b"\nHost") + b"\r\n\r\n" + body)
    assert_refused(daemon, provider, head + b"\r\n\r" + b"X-A: 1\r\n\r\n" + body)
    assert_refused(daemon, provider, head + b"\r\n\r\rX" + body)


@pytest.mark.parametrize("line", [
    "GET /healthz HTTP/1.1 ", "GET /heal thz HTTP/1.1", "GET HTTP/1.1",
    " GET /healthz HTTP/1.1", "GET\t/healthz\tHTTP/1.1", "GET /heal\x00thz HTTP/1.1",
    "GET /h\xc3\xa9 HTTP/1.1", "GET healthz HTTP/1.1",
    "GET /healthz HTTP/1.1\x0b", "GET /healthz http/1.1", "G\x01T /healthz HTTP/1.1",
])
def test_b04_request_lines_that_are_none_are_refused(daemon, provider, line):
    assert_refused(daemon, provider, post(daemon, body=b"", line=line), (400, 505))


@pytest.mark.parametrize("line", [
    "Authorization: Bearer {token}", "Host: evil.example", "x-api-key: {token}",
])
def test_b06_trailers_are_never_used(daemon, provider, line):
    trailer = line.format(token=daemon.token()).encode()
    chunked = b"%x\r\n%s\r\n0\r\n%s\r\n\r\n" % (SIZE, BODY, trailer)
    lines = [f"Host: {daemon.host}", "Content-Type: application/json", "Transfer-Encoding: chunked"]
    data = "\r\n".join([f"POST {CHAT} HTTP/1.1", *lines]).encode() + b"\r\n\r\n" + chunked
    assert daemon.ask_raw(data)[0].status in (400, 401)
    assert not provider.links


def test_b07_pipelined_requests_are_answered_in_order(daemon, provider):
    one = post(daemon, f"Content-Length: {SIZE}")
    two = daemon.build("GET", "/v1/models")
    three = daemon.build("GET", "/healthz")
    with daemon.connect() as wire:
        wire.send(one + two + three)
        answers = [wire.read_answer() for _ in range(3)]
    assert [answer.status for answer in answers] == [200] * 3
    assert "choices" in answers[0].json and "data" in answers[1].json
    assert len(provider.posts) == 1


def test_b07_what_follows_connection_close_is_ignored(daemon, provider):
    first = daemon.build("GET", "/healthz", headers=[("Connection", "close")])
    with daemon.connect() as wire:
        wire.send(first + post(daemon, f"Content-Length: {SIZE}"))
        assert wire.read_answer().status == 200
        assert wire.is_closed()
    assert not provider.links


def test_b07_a_request_inside_a_body_is_body(daemon, provider):
    inner = daemon.build("GET", "/v1/models")
    body = chat_body("m-one")
    body["messages"][0]["content"] = inner.decode()
    data = json.dumps(body).encode()
    with daemon.connect() as wire:
        wire.send(post(daemon, f"Content-Length: {len(data)}", body=data))
        assert "choices" in wire.read_answer().json
        wire.send(daemon.build("GET", "/healthz"))
        assert wire.read_answer().status == 200
    assert len(provider.requests) == 1 and provider.last.body == data


def send_until_answer(wire, pieces):
    """Sends pieces until the daemon stops taking them; returns its answer and the bytes sent."""
    sent = 0
    wire.socket.setblocking(False)
    for piece in pieces:
        try:
            while piece:
                count = wire.socket.send(piece)
                sent, piece = sent + count, piece[count:]
        except BlockingIOError:
            wire.socket.setblocking(True)
            break
        except (BrokenPipeError, ConnectionResetError):
            break
        if peek(wire):
            break
    wire.socket.setblocking(True)
    return wire.read_answer(), sent


def peek(wire):
    try:
        return wire.socket.recv(1, 0x2)  # MSG_PEEK
    except (BlockingIOError, ConnectionResetError):
        return b""


@pytest.mark.parametrize("flood, statuses", [
    ("one long header", (431,)), ("many headers", (431,)), ("long address", (414, 400)),
    ("empty lines", (400,)), ("long method", (400, 414)),
])
def test_b08_floods_before_the_body_are_cut_off(daemon, provider, flood, statuses):
    start = f"GET /v1/models HTTP/1.1\r\nHost: {daemon.host}\r\n".encode()
    floods = {
        "one long header": (start + b"X-Long: ", b"a" * 65536),
        "many headers": (start, b"X-Many: 1\r\n" * 1000),
        "long address": (b"GET /v1/", b"a" * 65536),
        "empty lines": (b"", b"\r\n" * 5000),
        "long method": (b"", b"A" * 65536),
    }
    first, more = floods[flood]
    with daemon.connect() as wire:
        answer, sent = send_until_answer(wire, [first] + [more] * 160)
        assert answer.status in statuses
    assert sent < 9 << 20, "the daemon read far more than a head may be"
    assert not provider.links


def test_b08_a_head_at_the_limit_is_served_and_one_above_is_not(daemon):
    def ask(count):
        with daemon.connect() as wire:
            headers = daemon.headers("", *[("X-Many", "1")] * count)
            wire.send(build_request("GET", "/v1/models", headers))
            return wire.read_answer().status
    assert ask(90) == 200
    assert ask(200) == 431


@pytest.mark.parametrize("data, statuses", [
    (b"GET /healthz\r\n\r\n", (400, 505)),
    (b"GET /healthz HTTP/0.9\r\nHost: {host}\r\n\r\n", (400, 505)),
    (b"GET /healthz HTTP/2.0\r\nHost: {host}\r\n\r\n", (400, 505)),
    (b"GET /healthz HTTP/1.2\r\nHost: {host}\r\n\r\n", (400, 505)),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 32, (400,)),
    (b"GET http://{host}/healthz HTTP/1.1\r\nHost: {host}\r\n\r\n", (400,)),
    (b"CONNECT example.com:443 HTTP/1.1\r\nHost: {host}\r\n\r\n", (400, 405, 501)),
    (b"OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n", (400, 401, 405)),
    (b"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade, HTTP2-Settings\r\n"
     b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", (400, 426, 501, 505)),
    (b"TRACE /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n", (400, 405, 501)),
])
def test_b09_other_protocols_on_the_port_are_refused(daemon, provider, data, statuses):
    data = data.replace(b"{host}", daemon.host.encode())
    answer, is_closed = daemon.ask_raw(data)
    assert answer.status in statuses
    if b"OPTIONS" not in data:
        assert is_closed


def test_b10_expect_100_continue_is_answered_before_the_body(daemon, provider):
    with daemon.connect() as wire:
        wire.send(post(daemon, f"Content-Length: {SIZE}", "Expect: 100-continue", body=b""))
        assert wire.read_answer().status == 100
        wire.send(BODY)
        assert wire.read_answer().status == 200
    assert provider.last.body == BODY and provider.last.header("expect") is None


def test_b10_another_expectation_is_refused(daemon, provider):
    with daemon.connect() as wire:
        wire.send(post(daemon, f"Content-Length: {SIZE}", "Expect: the-unexpected"))
        assert wire.read_answer().status in (400, 417)
    assert not provider.links


def test_b10_head_has_no_body_and_range_is_ignored(daemon):
    with daemon.connect() as wire:
        wire.send(daemon.build("HEAD", "/healthz") + daemon.build("GET", "/healthz"))
        assert wire.read_answer(is_head_only=True).status == 200
        assert wire.read_answer().status == 200
    assert daemon.ask("GET", "/v1/models", headers=[("Range", "bytes=0-1")]).status == 200


def test_b10_compressed_bodies_are_understood_or_refused(daemon, provider):
    packed = gzip.compress(BODY)
    answer = daemon.ask("POST", CHAT, packed, headers=[("Content-Encoding", "gzip")])
    assert answer.status in (200, 415)
    assert all(seen.json == json.loads(BODY) for seen in provider.posts)
    answer = daemon.ask("POST", CHAT, BODY, headers=[("Content-Encoding", "x-unknown")])
    assert answer.status == 415


def test_a_client_that_stops_in_the_head_is_cut_off(start_daemon, setup):
    setup["globalSettings"]["clientHeaderMs"] = 300
    daemon = start_daemon(setup)
    with daemon.connect() as wire:
        wire.send(b"GET /healthz HTTP/1.1\r\nHost: ")
        begun = time.monotonic()
        try:
            assert wire.read_answer().status == 408
        except Closed:
            pass
        assert time.monotonic() - begun >= 0.25
    wait_until(lambda: daemon.ask("GET", "/healthz").status == 200, "answer to others")


def test_a_client_that_stops_in_the_body_is_cut_off(start_daemon, setup, provider):
    setup["globalSettings"]["clientBodyIdleMs"] = 300
    daemon = start_daemon(setup, keys=["chatty"])
    answer, is_closed = daemon.ask_raw(post(daemon, f"Content-Length: {SIZE}", body=BODY[:-1]))
    assert answer.status == 408 and is_closed
    assert not provider.links
