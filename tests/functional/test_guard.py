"""The guard: Host, Origin, Sec-Fetch-Site, content type, token (rows S-01 to S-19, S-50, S-55)."""

import itertools
import json

import pytest

from daemon import chat_body, messages_body
from waiting import wait_until
from wire import build_request

CHAT = "/v1/chat/completions"
CREDENTIAL_HEADERS = ["Authorization", "x-api-key", "api-key", "x-goog-api-key", "x-aictl-token"]

# Every route that needs a token: method, path, body.
ROUTES = [
    ("GET", "/v1/models", None),
    ("POST", CHAT, chat_body("m-one")),
    ("POST", "/v1/messages", messages_body("c-one")),
    ("POST", "/v1/v1/messages", messages_body("c-one")),
    ("POST", "/chat/completions", chat_body("m-one")),
    ("GET", "/v1/v1/models", None),
    ("GET", "/models/", None),
]
ROUTE_NAMES = [f"{method} {path}" for method, path, _ in ROUTES]


def is_error_body(answer):
    return bool(answer.error["message"]) and bool(answer.error["type"])


def get_with_hosts(daemon, hosts, token=""):
    """GET /v1/models with exactly these Host headers."""
    headers = [("Host", host) for host in hosts]
    if token is not None:
        headers.append(("Authorization", f"Bearer {token or daemon.token()}"))
    with daemon.connect() as wire:
        wire.send(build_request("GET", "/v1/models", headers))
        return wire.read_answer()


# ---- Host ----


@pytest.mark.parametrize("token", ["", None], ids=["valid token", "no token"])
def test_s01_wrong_host_is_refused_before_auth(daemon, provider, token):
    answer = get_with_hosts(daemon, [f"evil.example:{daemon.port}"], token)
    assert answer.status == 421 and is_error_body(answer)
    assert f"127.0.0.1:{daemon.port}" in answer.body.decode() or "localhost" in answer.body.decode()
    assert not provider.links and not daemon.recent()


@pytest.mark.parametrize("host", [
    ":{port}", "localhost.evil.com:{port}", "127.0.0.1.nip.io:{port}", "localhost:{other}",
    "localhost",
    "localhost:{port}.evil.com", "127.1:{port}", "0.0.0.0:{port}", "2130706433:{port}",
    "localhost.:{port}", "[::1]:{other}", "[::1%lo]:{port}", "localhost:0{port}",
    "a@localhost:{port}",
])
def test_s02_hosts_that_only_look_like_ours_are_refused(daemon, provider, host):
    answer = get_with_hosts(daemon, [host.format(port=daemon.port, other=daemon.port + 1)])
    assert answer.status in (400, 421)
    assert not provider.links


def test_s02_a_host_that_is_missing_empty_or_double_is_refused(daemon, provider):
    assert get_with_hosts(daemon, []).status == 400
    assert get_with_hosts(daemon, [""]).status in (400, 421)
    assert get_with_hosts(daemon, [daemon.host, daemon.host]).status == 400
    assert get_with_hosts(daemon, [daemon.host, "evil.example"]).status == 400
    assert not provider.links


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "LocalHost", "[::1]"])
def test_s02_our_own_hosts_in_any_case_are_served(daemon, name):
    assert get_with_hosts(daemon, [f"{name}:{daemon.port}"]).status == 200


@pytest.mark.parametrize("host", [
    "localhost:{port}/#@x", "localhost:{port}?/healthz", "{own}/healthz",
])
def test_s04_a_host_with_a_path_in_it_opens_no_route(daemon, host):
    answer = get_with_hosts(daemon, [host.format(port=daemon.port, own=daemon.host)], token=None)
    assert answer.status in (400, 421)


# ---- browsers ----


@pytest.mark.parametrize("content_type", [
    "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
    "text/plain;application/json",
])
@pytest.mark.parametrize("token", ["", None], ids=["valid token", "no token"])
def test_s05_simple_requests_of_a_web_page_go_nowhere(daemon, provider, content_type, token):
    headers = [("Content-Type", content_type), ("Origin", "https://evil.example")]
    answer = daemon.ask("POST", CHAT, chat_body("m-one"), token, headers)
    assert answer.status == 403 and is_error_body(answer)
    assert not provider.links and not daemon.recent()


@pytest.mark.parametrize("kind", ["text/plain", "application/jsonx", "application/x-json", ""])
def test_s05_a_body_that_does_not_say_json_is_refused(daemon, provider, kind):
    answer = daemon.ask("POST", CHAT, chat_body("m-one"), headers=[("Content-Type", kind)])
    assert answer.status == 415 and "application/json" in answer.body.decode()
    assert not provider.links


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_s05_json_is_recognised_with_parameters_and_in_any_case(daemon, content_type):
    answer = daemon.ask("POST", CHAT, chat_body("m-one"), headers=[("Content-Type", content_type)])
    assert answer.status == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", "own"])
def test_s06_no_answer_allows_another_origin(daemon, origin):
    origin = f"http://{daemon.host}" if origin == "own" else origin
    preflight = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization, content-type"),
    ]
    answers = [
        daemon.ask("OPTIONS", CHAT, token=None, headers=preflight),
        daemon.ask("OPTIONS", CHAT, headers=preflight),
        daemon.ask("GET", "/v1/models", headers=[("Origin", origin)]),
        daemon.ask("GET", "/healthz", token=None, headers=[("Origin", origin)]),
    ]
    for answer in answers:
        assert not [name for name, _ in answer.headers if name.startswith("access-control-")]
    assert answers[0].status >= 400


def test_s06_our_own_origin_is_served(daemon):
    for name in ("127.0.0.1", "localhost"):
        headers = [("Origin", f"http://{name}:{daemon.port}")]
        assert daemon.ask("GET", "/v1/models", headers=headers).status == 200


@pytest.mark.parametrize("origin", [
    "http://localhost.evil.com:{port}", "https://127.0.0.1:{port}", "http://127.0.0.1:{other}",
    "http://127.0.0.1", "http://127.0.0.1:{port}.evil.com", "http://evil.example", "null", "",
])
def test_s06_origins_that_only_look_like_ours_are_refused(daemon, origin):
    origin = origin.format(port=daemon.port, other=daemon.port + 1)
    assert daemon.ask("GET", "/v1/models", headers=[("Origin", origin)]).status == 403


@pytest.mark.parametrize("site, status", [
    ("cross-site", 403), ("same-site", 403), ("Cross-Site", 403),
    ("same-origin", 200), ("none", 200),
])
def test_s07_requests_a_browser_calls_foreign_are_refused(daemon, provider, site, status):
    headers = [("Sec-Fetch-Site", site)]
    assert daemon.ask("POST", CHAT, chat_body("m-one"), headers=headers).status == status
    assert len(provider.links) == (1 if status == 200 else 0)


# ---- tokens ----


def revoked_token(daemon):
    made = daemon.rpc("token.get", dir="/tmp/revoked")
    daemon.rpc("token.revoke", id=made["id"])
    return made["token"]


def expired_token(daemon):
    token = daemon.rpc("token.get", dir="/tmp/expired", expires_s=1)["token"]

    def is_over():
        return daemon.ask("GET", "/v1/models", token=token).status == 401
    wait_until(is_over, "end of the token")
    return token


def wrong_tokens(daemon):
    """Name and text of tokens that are not valid."""
    good = daemon.token()
    other_end = "0" if good[-1] != "0" else "1"
    return {
        "none": None,
        "wrong": "sk-aictl-wrong",
        "someone else's": "sk-proj-abcdefghijklmnop",
        "last character changed": good[:-1] + other_end,
        "cut": good[:-1],
        "longer": good + "0",
        "in capitals": good.upper(),
        "revoked": revoked_token(daemon),
        "expired": expired_token(daemon),
        "20 KB of it": good[:20] + "a" * 20000,
    }


def test_s13_every_route_refuses_every_bad_token_with_the_same_answer(daemon, provider):
    bad = wrong_tokens(daemon)
    for method, path, body in ROUTES:
        answers = {name: daemon.ask(method, path, body, token) for name, token in bad.items()}
        statuses = {name: answer.status for name, answer in answers.items()}
        assert statuses == dict.fromkeys(bad, 401), path
        assert len({answer.body for answer in answers.values()}) == 1, path
        assert is_error_body(answers["none"]) and "aictl token" in answers["none"].body.decode()
    assert not provider.links


def test_s13_only_the_listed_routes_need_no_token(daemon):
    assert daemon.ask("GET", "/healthz", token=None).status == 200
    assert daemon.ask("HEAD", "/api/hello", token=None).status == 200
    for path in ("/v1", "/metrics", "/status", "/v1/keys", "/rpc", "/api/hello/x", "/healthz/x"):
        assert daemon.ask("GET", path, token=None).status in (401, 404), path


@pytest.mark.parametrize("name", CREDENTIAL_HEADERS)
def test_s13_each_credential_header_is_accepted(daemon, name):
    value = f"Bearer {daemon.token()}" if name == "Authorization" else daemon.token()
    answer = daemon.ask("GET", "/v1/models", token=None, headers=[(name, value)])
    assert answer.status == 200


@pytest.mark.parametrize("value", [
    "{}", "Basic {}", "Bearer", "Bearer  ", "bearer-{}", "{} Bearer",
])
def test_s13_an_authorization_that_is_not_a_bearer_token_is_refused(daemon, value):
    headers = [("Authorization", value.format(daemon.token()))]
    assert daemon.ask("GET", "/v1/models", token=None, headers=headers).status == 401


def test_s14_a_stale_credential_beside_a_valid_token_is_ignored(daemon):
    for valid, stale in itertools.permutations(CREDENTIAL_HEADERS, 2):
        token, old = daemon.token(), "sk-ant-stale"
        pair = [(valid, token), (stale, old)]
        headers = [(k, f"Bearer {v}" if k == "Authorization" else v) for k, v in pair]
        assert daemon.ask("GET", "/v1/models", token=None, headers=headers).status == 200, headers


def test_s14_two_different_valid_tokens_are_refused(daemon, provider):
    one, two = daemon.token(daemon.home / "a"), daemon.token(daemon.home / "b")
    assert one != two
    both = [("x-api-key", two)]
    assert daemon.ask("POST", CHAT, chat_body("m-one"), one, both).status == 400
    assert daemon.ask("POST", CHAT, chat_body("m-one"), one, [("x-api-key", one)]).status == 200
    assert len(provider.posts) == 1


@pytest.mark.parametrize("name", ["key", "api_key", "token", "access_token"])
def test_s14_a_token_in_the_query_is_no_token(daemon, name):
    path = f"/v1/models?{name}={daemon.token()}"
    assert daemon.ask("GET", path, token=None).status == 401
    assert daemon.token() not in daemon.log


@pytest.mark.parametrize("path", [
    "/v1/proxy/x", "//v1/models", "/v1/../admin", "/v1%2fmodels", "/V1/models", "/v1/models;x",
    "/v1/./models", "/healthz/../v1/models", "/healthz/%2e%2e/v1/models",
    "/api/hello/../../v1/models",
    "/v1/models%00", "/v1/models/..;/healthz", "/healthz%2f..%2fv1%2fmodels", "/v1\\models",
    "/healthz;/v1/models", "/v1/models?/healthz", "/v1/models#/healthz",
])
def test_s19_spellings_of_a_path_never_open_a_route(daemon, provider, path):
    assert daemon.ask("GET", path, token=None).status in (400, 401, 404)
    assert not provider.links


# ---- what reaches the provider ----

FORWARDABLE = {
    "host", "authorization", "content-type", "content-length", "accept", "user-agent",
    "accept-encoding",
}


@pytest.mark.parametrize("connection", [
    "authorization, x-api-key", "host, content-length", "keep-alive",
])
def test_s50_only_listed_headers_reach_the_provider(daemon, provider, connection):
    headers = [
        ("Connection", connection), ("TE", "trailers"), ("Forwarded", "for=10.0.0.1"),
        ("X-Forwarded-For", "10.0.0.1"), ("X-Forwarded-Host", "evil.example"),
        ("Cookie", "session=1"), ("Proxy-Authorization", "Basic eA=="), ("X-Evil", "1"),
        ("x-api-key", "sk-stale"),
        ("Accept", "application/json"), ("Upgrade-Insecure-Requests", "1"), ("Via", "1.1 x"),
    ]
    answer = daemon.ask("POST", CHAT, chat_body("m-one"), headers=headers)
    assert answer.status == 200
    seen = provider.last
    names = [name.lower() for name, _ in seen.headers]
    assert set(names) <= FORWARDABLE and len(names) == len(set(names)), names
    assert seen.header("authorization").startswith("Bearer sk-canary-chatty")
    assert seen.header("host") == f"127.0.0.1:{provider.port}"
    assert daemon.token() not in repr(seen.headers)


def duplicates(model):
    return [
        b'{"model": "m-one", "model": "%s", "messages": []}' % model,
        b'{"model": "m-one", "messages": [], "mod\\u0065l": "%s"}' % model,
        b'{"MODEL": "%s", "model": "m-one", "messages": []}' % model,
        b'{"model": "m-one\\u0000%s", "messages": []}' % model,
        b'{"model": "m-one", "stream": true, "stream": false, "messages": []}',
    ]


@pytest.mark.parametrize("path, model", [(CHAT, b"m-two"), ("/v1/messages", b"c-two")])
def test_s55_fields_given_twice_are_refused(daemon, provider, path, model):
    for body in duplicates(model):
        answer = daemon.ask("POST", path, body, headers=[("anthropic-version", "2023-06-01")])
        assert answer.status in (400, 404), body
        assert is_error_body(answer)
    assert not provider.links


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b'"model"', b'{"model": 1}', b'{"model": ""}', b'{"messages": []}',
    b'{"model": "m-one"} x', b'\xef\xbb\xbf{"model": "m-one"}', b'{"model": "m-one",}',
    b"\xff\xfe{}", b'{"model": "m-one", "stream": "yes"}', b'{"model": null}',
])
def test_s55_bodies_that_are_not_a_request_are_refused(daemon, provider, body):
    for path in (CHAT, "/v1/messages"):
        answer = daemon.ask("POST", path, body)
        assert answer.status == 400 and is_error_body(answer), path
        assert answer.header("x-should-retry") == "false"
    assert not provider.links


def test_refusals_speak_the_dialect_of_the_path(daemon):
    anthropic = daemon.ask("POST", "/v1/messages", messages_body("c-one"), token=None).json
    assert anthropic["type"] == "error" and anthropic["error"]["type"] == "authentication_error"
    chat = daemon.ask("POST", CHAT, chat_body("m-one"), token=None).json
    assert "type" not in chat and set(chat["error"]) >= {"message", "type", "code"}
    assert json.loads(daemon.ask("GET", "/nothing/here").body)["error"]["message"]
