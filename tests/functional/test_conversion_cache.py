"""Prompt caches and ids across a conversion: families 8, 21 and 23, and C15 of docs/CONFORMANCE.md."""

import json
import random
import re

import pytest

import strict_chat
import strict_messages
from converting import PATHS, Script, chat_message, message, world
from lifecycle import said_by

MARK = {"cache_control": {"type": "ephemeral"}}
GO = {"role": "user", "content": "Go."}


def text(words, **more):
    return {"type": "text", "text": words, **more}


def result(call_id, words, **more):
    return {"type": "tool_result", "tool_use_id": call_id, "content": words, **more}


# ---- 21, C15: ids ----

ODD_IDS = ["functions.weather:0", "a.b", "a:b", "call_-8253026841315144438", "ü/ 1", "x" * 64, "x" * 65,
           "toolu_01AbCdEf"]


def ask_for_calls(world, client, ids):
    """What a client is shown of an answer with calls of these ids, in order."""
    calls = [(call_id, "f", json.dumps({"n": number})) for number, call_id in enumerate(ids)]
    body = {"model": "m-plain", "messages": [GO], "max_tokens": 99}
    stream_or_not = {"stream": True} if client == "chat" else {}
    script = Script(None, chat_message(calls=calls, finish="tool_calls"), "whole")
    said = said_by(world.ask(client, {**body, **stream_or_not}, script))
    return [call.id for call in said.calls]


def give_back(world, client, ids, model):
    """The ids that arrive when a client sends calls and results of these ids: (in calls, in results)."""
    if client == "messages":
        uses = [{"type": "tool_use", "id": one, "name": "f", "input": {}} for one in ids]
        results = [result(one, "r") for one in ids]
        history = [GO, {"role": "assistant", "content": uses}, {"role": "user", "content": results}]
    else:
        calls = [{"id": one, "type": "function", "function": {"name": "f", "arguments": "{}"}} for one in ids]
        history = [GO, {"role": "assistant", "content": None, "tool_calls": calls},
                   *({"role": "tool", "tool_call_id": one, "content": "r"} for one in ids)]
    _, turn, *rest = world.upstream(client, {"messages": history}, model)[0]["messages"]
    if model.startswith("m-"):
        return [call["id"] for call in turn["tool_calls"]], [one["tool_call_id"] for one in rest]
    return [block["id"] for block in turn["content"]], [block["tool_use_id"] for block in rest[0]["content"]]


def test_f21_a_provider_gets_its_own_ids_back_whatever_the_client_was_shown(world):
    shown = ask_for_calls(world, "messages", ODD_IDS)
    assert len(set(shown)) == len(ODD_IDS) and all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", one) for one in shown)
    calls, results = give_back(world, "messages", shown, "m-plain")
    assert calls == results
    own = [one for one in ODD_IDS if len(one) <= 64]  # a longer one is a hash from then on
    assert [one for one in calls if one in own] == own and len(set(calls)) == len(ODD_IDS)


def test_f21_ids_of_another_provider_are_made_safe_the_same_way_in_call_and_result(world):
    calls, results = give_back(world, "chat", ODD_IDS, "c-plain")
    assert calls == results and len(set(calls)) == len(ODD_IDS)
    assert give_back(world, "chat", ODD_IDS, "c-plain") == (calls, results)


def test_f21_ids_of_nine_characters_for_those_who_want_them(world):
    calls, results = give_back(world, "messages", ["toolu_01AbCdEf", "toolu_01AbCdEg", "abcDEF123"],
                               "m-short")
    assert calls == results and len(set(calls)) == 3 and calls[2] == "abcDEF123"
    assert all(re.fullmatch(r"[a-zA-Z0-9]{9}", one) for one in calls)


def test_c15_an_id_that_repeats_over_turns_is_unique_at_a_messages_provider(world):
    """Some servers number the calls of each answer anew; the API refuses a history with an id twice."""
    def turn(words):
        call = {"id": "call_0", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        return [{"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_0", "content": words}]

    sent, _ = world.upstream("chat", {"messages": [GO, *turn("one"), *turn("two"), *turn("three")]})
    asked, answered = sent["messages"][1::2], sent["messages"][2::2]
    ids = [turn["content"][0]["id"] for turn in asked]
    assert len(set(ids)) == 3 and ids == [turn["content"][0]["tool_use_id"] for turn in answered]


@pytest.mark.parametrize("client", ["messages", "chat"])
def test_c15_the_same_id_in_two_turns_is_shown_as_two(world, client):
    first, second = (ask_for_calls(world, client, ["functions.Bash:0"])[0] for _ in range(2))
    if client == "messages":
        assert first != second
        for shown in (first, second):
            assert give_back(world, client, [shown], "m-plain") == (["functions.Bash:0"],) * 2
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", first)


# ---- 8: usage of a stream ----


@pytest.mark.parametrize("model, members", [
    ("m-plain", {"stream": True, "stream_options": {"include_usage": True}}), ("m-nousage", {"stream": True}),
])
def test_f08_usage_is_asked_of_a_stream_where_it_is_taken(world, model, members):
    sent, _ = world.upstream("messages", {"messages": [GO], "stream": True}, model)
    assert {key: sent[key] for key in sent if key.startswith("stream")} == members


@pytest.mark.parametrize("members", [{}, {"stream": False}, {"stream": None}], ids=str)
def test_f08_a_plain_request_says_nothing_of_streams(world, members):
    for client in PATHS:
        sent, _ = world.upstream(client, {"messages": [GO], **members})
        assert not {"stream", "stream_options"} & set(sent)


@pytest.mark.parametrize("options, has_usage",
                         [(None, False), ({}, False), ({"include_usage": False}, False),
                          ({"include_usage": True}, True)], ids=str)
def test_f08_a_chat_client_sees_usage_of_a_messages_provider_when_it_asked(world, options, has_usage):
    answer = world.ask("chat",
                       {"model": "c-plain", "messages": [GO], "stream": True, "stream_options": options})
    assert (b'"usage"' in answer.body) == has_usage and (said_by(answer).usage is not None) == has_usage
    assert world.daemon.wait_attempt()["usage"]["source"] == "provider"
    assert "stream_options" not in world.provider.last.json


# ---- 23: bytes that stay ----


def messages_end(raw):
    """Where the messages of a body end: behind the last one, before the bracket."""
    decoder, at = json.JSONDecoder(), 1
    while True:
        name, at = decoder.raw_decode(raw, at)
        _, end = decoder.raw_decode(raw, at + 1)
        if name == "messages":
            return end - 1
        at = end + 1


def is_continued(before, after):
    return after.startswith(before[: messages_end(before)])


def agent_of(client, seed):
    """The turns of an agent's conversation: what each request adds to the history."""
    dice = random.Random(seed)
    for number in range(20):
        ids = [f"toolu_{seed}_{number}_{index}" for index in range(dice.randint(0, 3))]
        words = f"Turn {number}: grüße \\ \" \u2028 🙂 " + "x" * dice.randint(0, 60)
        reminder = f"<system-reminder>{number}</system-reminder>"
        if client == "messages":
            uses = [{"type": "tool_use", "id": one, "name": "f",
                     "input": {"n": number, "s": words}} for one in ids]
            yield {"role": "assistant", "content": [text(words), *uses]}, \
                {"role": "user", "content": [*(result(one,
                                                      [text(words), text("b")] if dice.random() < .5
                                                      else words, is_error=dice.random() < .2)
                                               for one in ids), text(reminder)]}
        else:
            calls = [{"id": one, "type": "function",
                      "function": {"name": "f",
                                   "arguments": json.dumps({"n": 1.0, "s": words})}} for one in ids]
            yield ({"role": "assistant", "content": words, **({"tool_calls": calls} if calls else {})},
                   *({"role": "tool", "tool_call_id": one, "content": words} for one in ids),
                   {"role": "user", "content": reminder})


TOOLS = {"messages": [{"name": "f", "description": 'has "messages":[] in it',
                       "input_schema": {"type": "object"}}],
         "chat": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]}
SYSTEM = {"messages": {"system": [text("You are an agent.", **MARK)]}, "chat": {}}


@pytest.mark.parametrize("client", PATHS)
@pytest.mark.parametrize("seed", [1, 2])
def test_f23_every_turn_of_a_conversation_begins_with_the_bytes_of_the_one_before(world, client, seed):
    history, before = [GO] if client == "messages" else [{"role": "system", "content": "You are an agent."},
                                                         GO], None
    for turn in agent_of(client, seed):
        world.upstream(client, {"messages": history, "tools": TOOLS[client], **SYSTEM[client]})
        raw = world.provider.last.body.decode()
        assert before is None or is_continued(before,
                                              raw), f"{len(history)} messages:\n{before[-600:]}\n{raw[-900:]}"
        history, before = [*history, *turn], raw


def moved_mark(history):
    """The history with a cache mark on its last block, as Claude Code moves it from turn to turn."""
    *earlier, last = history
    content = [text(last["content"])] if isinstance(last["content"], str) else last["content"]
    return [*earlier, {**last, "content": [*content[:-1], {**content[-1], **MARK}]}]


def test_f23_a_cache_mark_that_moves_does_not_change_what_a_chat_provider_gets(world):
    history, before = [GO], None
    for turn in agent_of("messages", 3):
        world.upstream("messages", {"messages": moved_mark(history), **SYSTEM["messages"]})
        raw = world.provider.last.body.decode()
        assert "cache_control" not in raw and (before is None or is_continued(before, raw))
        history, before = [*history, *turn], raw


@pytest.mark.parametrize("client", PATHS)
def test_f23_one_request_gives_the_same_bytes_every_time(world, client):
    history = [GO]
    for turn in agent_of(client, 4):
        history += turn
    bodies = set()
    for _ in range(3):
        world.upstream(client, {"messages": history, "tools": TOOLS[client]})
        bodies.add(world.provider.last.body)
    assert len(bodies) == 1


def test_f23_cache_marks_in_chat_parts_reach_a_messages_provider_and_no_more_than_four(world):
    marked = [{"role": "user", "content": [text(f"part {number}", **MARK)]} for number in range(6)]
    history = [{"role": "system", "content": [text("sys", **MARK)]}, *marked]
    sent, _ = world.upstream("chat", {"messages": history})
    raw = world.provider.last.body.decode()
    assert raw.count('"cache_control"') == 4
    are_marked = [bool(block.get("cache_control")) for block in sent["messages"][0]["content"]]
    assert are_marked == [False, False, True, True, True, True]


def test_f23_a_chat_client_without_marks_gets_some_from_the_gateway(world):
    history = [{"role": "system", "content": "sys"}, GO]
    sent, _ = world.upstream("chat", {"messages": history, "tools": TOOLS["chat"]})
    assert sent["tools"][-1]["cache_control"] == sent["system"][-1]["cache_control"] == {"type": "ephemeral"}
    sent, _ = world.upstream("chat", {"messages": history, "tools": TOOLS["chat"]}, "c-auto")
    assert sent["cache_control"] == {"type": "ephemeral"} and "cache_control" not in sent["tools"][-1]


def test_f23_marks_go_to_a_chat_provider_that_takes_them_in_parts(world):
    history = [{"role": "user", "content": [text("a"), text("b", **MARK)]}]
    sent, _ = world.upstream("messages", {"messages": history, **SYSTEM["messages"]}, "m-keyed")
    assert sent["messages"][0]["content"] == [text("You are an agent.", **MARK)]
    assert sent["messages"][1]["content"] == [text("a"), text("b", **MARK)]


BILLING = "x-anthropic-billing-header: cc_version=2.1.330.bbb; cc_entrypoint=sdk-cli;"


def test_f23_the_billing_header_is_left_out_only_when_it_leads(world):
    def systems(*blocks):
        sent, losses = world.upstream("messages", {"messages": [GO], "system": [text(one) for one in blocks]})
        return [one["content"] for one in sent["messages"] if one["role"] == "system"], losses

    assert systems(BILLING, "You are an agent.") == (["You are an agent."], ["system: billing header"])
    assert systems(BILLING) == ([], ["system: billing header"])
    assert systems("You are an agent.", BILLING)[0] == [f"You are an agent.\n\n{BILLING}"]


def test_f23_the_billing_header_is_passed_on_to_its_own_provider(world):
    body = {"model": "c-plain", "max_tokens": 9, "messages": [GO],
            "system": [text(BILLING), text("x", **MARK)]}
    assert world.ask("messages", body).status == 200
    assert world.provider.last.body == json.dumps(body).encode()


# ---- the judges themselves find what they are there for ----


@pytest.mark.parametrize("judge, body, word", [
    (strict_chat, {"messages": [GO]}, "model"), (strict_chat, {"model": "m", "messages": []}, "filled array"),
    (strict_chat, {"model": "m", "messages": [GO], "metadata": {}}, "is not known"),
    (strict_chat, {"model": "m", "messages": [GO], "tools": []}, "tools"),
    (strict_chat, {"model": "m", "messages": [GO], "tool_choice": "auto"}, "without tools"),
    (strict_chat, {"model": "m", "messages": [{"role": "user", "content": [text("a", **MARK)]}]},
     "cache_control"),
    (strict_chat, {"model": "m", "messages": [GO, {"role": "tool", "tool_call_id": "a", "content": "r"}]},
     "answers"),
    (strict_chat, {"model": "m", "messages": [GO, {"role": "assistant", "content": None, "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, GO]},
        "not answered"),
    (strict_chat, {"model": "m", "messages": [GO], "stream_options": {"include_usage": True}},
     "without stream"),
    (strict_messages, {"model": "m", "messages": [GO]}, "max_tokens"),
    (strict_messages, {"model": "m", "max_tokens": 9, "messages": [GO, GO]}, "follows"),
    (strict_messages, {"model": "m", "max_tokens": 9, "messages": [{"role": "system", "content": "x"}]},
     "role"),
    (strict_messages, {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [text(" ")]}]},
     "white space"),
    (strict_messages, {"model": "m", "max_tokens": 9,
                       "messages": [GO, {"role": "assistant", "content": "a "}]}, "white space"),
    (strict_messages, {"model": "m", "max_tokens": 9,
                       "messages": [{"role": "user", "content": [result("a", "r")]}]}, "called were"),
    (strict_messages, {"model": "m", "max_tokens": 2000, "messages": [GO],
                       "thinking": {"type": "enabled", "budget_tokens": 2000}}, "budget"),
    (strict_messages, {"model": "m", "max_tokens": 9,
                       "messages": [{"role": "user", "content": [text("a", **MARK)] * 5}]}, "5 marks"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_the_strict_judges_find_what_a_provider_would_refuse(judge, body, word):
    found = judge.problems(json.dumps(body).encode())
    assert any(word in one for one in found), found
