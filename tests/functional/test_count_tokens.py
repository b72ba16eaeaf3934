"""POST /v1/messages/count_tokens: a local estimate, always 200, marked as what it is; no provider is asked."""

import json

import pytest

from daemon import config_for
from wire import Answer

COUNT = "/v1/messages/count_tokens"
VERSION = [("anthropic-version", "2023-06-01")]
ENGLISH = "The quick brown fox jumps over the lazy dog while the tests run in the background. "
CODE = 'static int read_block(struct reader *reader)\n{\n    return reader->at == NULL ? -1 : 0;\n}\n'
CHINESE = "我能吞下玻璃而不伤身体，测试在后台运行。"


def say(text, **more):
    return {"model": "c-one", "messages": [{"role": "user", "content": text}], **more}


def count(daemon, body, path=COUNT, headers=()):
    answer = daemon.ask("POST", path, body, headers=[*VERSION, *headers])
    assert answer.status == 200, answer.body
    assert answer.header("content-type").startswith("application/json")
    assert list(answer.json) == ["input_tokens"] and type(answer.json["input_tokens"]) is int
    assert answer.header("x-aictl-estimate") == "input_tokens"
    return answer.json["input_tokens"]


def test_a_count_is_an_estimate_and_says_so(daemon, provider):
    assert 1 <= count(daemon, say("foo")) < 50
    assert not provider.links and not daemon.recent()


def test_it_grows_with_every_text(daemon):
    sizes = [count(daemon, say(ENGLISH * times)) for times in (1, 2, 10, 100, 1000)]
    assert sizes == sorted(set(sizes))
    assert 8 < sizes[-1] / sizes[2] / 10 < 11 or 80 < sizes[-1] / sizes[2] < 110


@pytest.mark.parametrize("text, least, most", [
    (ENGLISH * 100, 1300, 2600), (CODE * 100, 2200, 5000), (CHINESE * 100, 1000, 3000),
    ("0123456789" * 100, 250, 1100), ("🙂" * 100, 80, 400), (" " * 1000, 1, 400),
], ids=["english", "code", "chinese", "digits", "emoji", "blanks"])
def test_it_is_near_what_a_tokenizer_says(daemon, text, least, most):
    assert least <= count(daemon, say(text)) <= most


def test_the_spelling_of_a_text_does_not_count(daemon):
    plain = json.dumps(say("grüße 世界 🙂 \"q\""), ensure_ascii=False).encode()
    escaped = json.dumps(say("grüße 世界 🙂 \"q\""), ensure_ascii=True).encode()
    assert abs(count(daemon, plain) - count(daemon, escaped)) <= 2


BASE = say("go")
SCHEMA = {"type": "object", "properties": {"path": {"type": "string", "description": "where it is"}}}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo" * 40 + "AAAA"}}
MORE = {
    "system": {"system": ENGLISH},
    "system blocks": {"system": [{"type": "text", "text": ENGLISH, "cache_control": {"type": "ephemeral"}}]},
    "a tool": {"tools": [{"name": "read", "description": ENGLISH, "input_schema": SCHEMA}]},
    "a second message": {"messages": [*BASE["messages"], {"role": "assistant", "content": ENGLISH}]},
    "a system message": {"messages": [*BASE["messages"], {"role": "system", "content": ENGLISH}]},
    "an image": {"messages": [{"role": "user", "content": [IMAGE]}]},
    "a call and its result": {"messages": [
        *BASE["messages"],
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "read", "input": {"path": ENGLISH}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": ENGLISH}]}]},
    "thinking": {"messages": [
        *BASE["messages"],
        {"role": "assistant", "content": [{"type": "thinking", "thinking": ENGLISH, "signature": "c2ln"},
                                          {"type": "text", "text": "so"}]}]},
}


@pytest.mark.parametrize("name", MORE)
def test_everything_the_model_reads_is_counted(daemon, name):
    assert count(daemon, {**BASE, **MORE[name]}) > count(daemon, BASE) + 10


def test_an_image_counts_as_an_image_and_not_as_its_bytes(daemon):
    large = json.loads(json.dumps(IMAGE).replace("AAAA", "QUFB" * 250_000))
    small, big = (count(daemon, say([one])) for one in (IMAGE, large))
    assert small == big < 5000


def test_claude_codes_body_is_counted(daemon):
    """As /context sends it: no max_tokens, what its requests have beside it, the query, deferred and server tools."""
    body = say("foo", system=[{"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330.bbb;"}],
               tools=[{"name": "Read", "input_schema": {"type": "object"}, "defer_loading": True},
                      {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}],
               thinking={"type": "adaptive", "display": "omitted"}, context_management={"edits": []},
               output_config={"effort": "high"}, metadata={"user_id": "u"}, tool_choice={"type": "auto"})
    body["messages"] += [{"role": "system", "content": [{"type": "text", "text": "cwd: /"}]}]
    assert count(daemon, body, COUNT + "?beta=true", [("anthropic-beta", "token-counting-2024-11-01")]) > 0


@pytest.mark.parametrize("model", ["claude-opus-5-5", "no-such-model", "m-one", "m-one[1m]", "", "x" * 1000])
def test_an_unknown_model_is_counted_all_the_same(daemon, model):
    assert count(daemon, {**say(ENGLISH), "model": model}) == count(daemon, say(ENGLISH))


def test_no_model_and_no_provider_are_needed(start_daemon):
    daemon = start_daemon(config_for())
    body = say(ENGLISH)
    del body["model"]
    assert count(daemon, body) > 0


@pytest.mark.parametrize("path", [
    "/v1/v1/messages/count_tokens", "/messages/count_tokens", "/v1/messages/count_tokens/",
    "/v1/v1/messages/count_tokens?beta=true",
])
def test_slips_of_the_path_are_forgiven(daemon, path):
    assert count(daemon, say(ENGLISH), path) == count(daemon, say(ENGLISH))


def check_error(answer, status):
    assert isinstance(answer, Answer) and answer.status == status, answer.body
    assert answer.json["type"] == "error" and answer.error["type"] and answer.error["message"]
    assert answer.header("x-should-retry") == "false" and answer.header("x-aictl-estimate") is None


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b'"x"', b"null", b'{"model":"c-one"', b"\xff\xfe", b'{"messages":"x"}', b'{"messages":[5]}',
    b'{"messages":[{"role":"user","content":5}]}', b'{"messages":[{"role":"user"}]}', b'{"messages":[]} x',
    b'{"messages":[{"role":"nobody","content":"x"}]}', b'{"messages":[{"role":"user","content":"\x01"}]}',
    b'{"messages":[{"role":"user","content":[{"type":"text","text":5}]}]}', b"{}",
])
@pytest.mark.parametrize("path", [COUNT, "/v1/v1/messages/count_tokens"])
def test_a_malformed_body_is_refused_in_the_clients_shape(daemon, body, path):
    check_error(daemon.ask("POST", path, body, headers=VERSION), 400)


def test_a_refusal_names_the_place(daemon):
    body = b'{"messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"text","text":5}]}]}'
    answer = daemon.ask("POST", COUNT, body, headers=VERSION)
    assert "messages[1].content[0].text" in answer.error["message"]


def test_it_is_guarded_like_every_other_path(daemon):
    assert daemon.ask("POST", COUNT, say("x"), token=None).status == 401
    assert daemon.ask("GET", COUNT).status == 405
    assert daemon.ask("POST", COUNT, b"{}", headers=[("Content-Type", "text/plain")]).status == 415


def test_a_large_body_is_counted_quickly_and_let_go(daemon):
    body = json.dumps(say(ENGLISH * 60_000)).encode()
    assert count(daemon, body) > 500_000
    assert daemon.rpc("status")["requests"]["active"] == 0
