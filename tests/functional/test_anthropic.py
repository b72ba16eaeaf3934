"""Anthropic Messages, same dialect in and out."""

import json

import pytest

import replies
from daemon import messages_body, usage_of
from wire import parse_events

MESSAGES = "/v1/messages"
VERSION = [("anthropic-version", "2023-06-01")]

ODD_BODY = (
    '{"max_tokens":64,\n "system":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}'
    '}],'
    '"messages":[{"role":"user","content":"\\u00fc \\ud83d\\ude42"}], "temperature": 1.0,'
    '"metadata":{"user_id":"u","model":"inner"},  "model":"MODEL"}'
).encode()


def odd_body(model):
    return ODD_BODY.replace(b"MODEL", model)


def test_a_request_reaches_the_provider_byte_for_byte(daemon, provider):
    headers = [*VERSION, ("anthropic-beta", "one-2025-01-01,two-2025-02-02"), ("x-app", "cli")]
    body = odd_body(b"c-two")
    answer = daemon.ask("POST", MESSAGES + "?beta=true", body, headers=headers)
    seen = provider.last
    assert answer.status == 200 and answer.body == seen.answer
    assert seen.body == body and seen.path.split("?")[0] == MESSAGES
    assert seen.header("anthropic-version") == "2023-06-01"
    assert seen.header("anthropic-beta") == "one-2025-01-01,two-2025-02-02"
    assert seen.header("x-api-key").startswith("sk-canary-claudish-")
    assert seen.header("authorization") is None


def test_a_version_is_sent_when_the_client_names_none(daemon, provider):
    assert daemon.ask("POST", MESSAGES, odd_body(b"c-one")).status == 200
    assert provider.last.header("anthropic-version") == "2023-06-01"


@pytest.mark.parametrize("asked, meant", [
    (b"claude-aictl", b"c-one"), (b"C-Two", b"c-two"), (b"claudish/c-two", b"c-two"),
    (b"claude-opus-5-5", b"c-one"), (b"c-two[1m]", b"c-two"),
])
def test_only_the_model_value_is_replaced(start_daemon, setup, provider, asked, meant):
    setup["defaultModel"] = "c-one"
    daemon = start_daemon(setup, keys=["claudish"])
    assert daemon.ask("POST", MESSAGES, odd_body(asked), headers=VERSION).status == 200
    assert provider.last.body == odd_body(meant)


@pytest.mark.parametrize("reply", [
    replies.Reply(),
    replies.Reply(write_size=1),
    replies.Reply(reasoning="hm, hm", tools=(("Read", '{"path": "/ß"}'), ("Bash", '{"n": 1}'))),
    replies.Reply(text="", tools=(("Read", "{}"),), write_size=3),
], ids=["text", "one byte at a time", "thinking and tools", "a tool in pieces"])
def test_a_stream_is_passed_on_byte_for_byte(daemon, provider, reply):
    provider.will(reply)
    with daemon.open_messages("c-one") as wire:
        answer = wire.read_answer()
    assert answer.status == 200 and answer.header("content-type").startswith("text/event-stream")
    assert answer.body == provider.last.answer
    assert provider.last.body == json.dumps(messages_body("c-one", stream=True)).encode()
    assert parse_events(answer.body)[-1].name == "message_stop"


@pytest.mark.parametrize("is_stream", [False, True])
def test_usage_and_end_are_recorded(daemon, provider, is_stream):
    provider.will(replies.Reply(input_tokens=11, cached_tokens=3, output_tokens=7))
    assert daemon.messages("c-one", stream=is_stream).status == 200
    attempt = daemon.wait_attempt()
    assert (attempt["provider"], attempt["model"], attempt["end"]) == ("claudish", "c-one", "done")
    assert usage_of(attempt) == ("provider", 8, 3, 7)


def test_a_base_url_that_ends_in_v1_gets_no_second_one(start_daemon, setup, provider):
    setup["providers"][1]["baseURL"] = provider.url + "/v1"
    daemon = start_daemon(setup, keys=["claudish"])
    assert daemon.messages("c-one").status == 200
    assert provider.last.path == MESSAGES


def test_a_chat_model_answers_on_the_anthropic_surface(daemon, provider):
    answer = daemon.messages("m-one")
    assert answer.status == 200 and answer.json["type"] == "message"
    assert provider.last.path.endswith("/chat/completions")
