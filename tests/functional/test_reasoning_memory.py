"""Reasoning carried across turns (gateway/memory): for providers that want it back, of clients that drop it; found by
the id of a call, bounded, and never sent where it is not wanted or cannot be read."""

import json

import pytest

import replies
import strict_messages
from converting import Script, begin, block, call, chat_message, chunk, end, event, message, stop
from daemon import config_for, provider_row
from lifecycle import said_by
from waiting import IS_SANITIZED, wait_until

TOOL = (("f", '{"n": 1.0}'),)
TWO = (("f", '{"n": 1.0}'), ("g", "{}"))
GO = {"role": "user", "content": "go"}
CHAT_TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in "fg"]
MESSAGES_TOOLS = [{"name": name, "input_schema": {"type": "object"}} for name in "fg"]


@pytest.fixture
def world(start_daemon, provider, make_provider):
    """
    Models of one provider: plain and back and always (chat, by what they want back), signed (messages); other is a
    messages model of another provider. start(**settings) starts the daemon.
    """
    other = make_provider()

    def start(**settings):
        models = {"back": {"reasoningBack": True}, "always": {"reasoningBack": True, "reasoningBackAlways": True}}
        daemon = start_daemon(config_for(
            provider_row("chatty", provider.url, ["plain", "back", "always"], key="", capabilities={"models": models}),
            provider_row("claudish", provider.url, ["signed"], kind="anthropic", key=""),
            provider_row("strange", other.url, ["other"], kind="anthropic", key=""), default="plain", **settings))
        daemon.other = other
        return daemon

    start.other = other
    return start


def uses(said, drops=True, order=1):
    """An answer as a Messages client sends it back."""
    blocks = []
    for one in said.blocks:
        if one.kind == "reasoning" and not drops:
            blocks.append({"type": "thinking", "thinking": one.text, "signature": one.signature})
        elif one.kind == "text":
            blocks.append({"type": "text", "text": one.text})
    blocks += [{"type": "tool_use", "id": one.id, "name": one.name, "input": json.loads(one.text)}
               for one in said.calls][::order]
    return {"role": "assistant", "content": blocks}


def results(said):
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": one.id, "content": "ok"}
                                        for one in said.calls]}


def calls(said, echo=False):
    """An answer as a chat client sends it back, and the results."""
    tool_calls = [{"id": one.id, "type": "function", "function": {"name": one.name, "arguments": one.text}}
                  for one in said.calls]
    back = {"role": "assistant", "content": said.text or None, "tool_calls": tool_calls}
    if echo:
        back["reasoning_content"] = said.reasoning
    return [back, *({"role": "tool", "tool_call_id": one.id, "content": "ok"} for one in said.calls)]


def think(daemon, provider, reasoning, ids=("call_a",), model="back", is_stream=True, tools=TOOL, history=(GO,)):
    """One turn of a Messages client in which the model thinks and calls."""
    provider.will(replies.Reply(text="", tools=tools, call_ids=ids, reasoning=reasoning))
    said = said_by(daemon.messages(model, stream=is_stream, messages=list(history), tools=MESSAGES_TOOLS))
    assert said.reasoning == reasoning and len(said.calls) == len(tools)
    return said


def sent_reasoning(daemon, provider, history, model="back"):
    """reasoning_content of every assistant message that goes up."""
    answer = daemon.messages(model, messages=history, tools=MESSAGES_TOOLS)
    assert answer.status == 200, answer.body
    assistants = [one for one in provider.last.json["messages"] if one["role"] == "assistant"]
    return [one.get("reasoning_content") for one in assistants]


# ---- for chat providers ----


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize("words", ["hm", "grüße 🙂 \"q\" \\ \n\t\u0001 </think>", "x" * 100_000])
def test_reasoning_that_the_client_dropped_comes_back(world, provider, words, is_stream):
    daemon = world()
    said = think(daemon, provider, words, is_stream=is_stream)
    assert sent_reasoning(daemon, provider, [GO, uses(said), results(said)]) == [words]
    assert b'"reasoning_content"' in provider.last.body


@pytest.mark.parametrize("form", ["stream", "whole"])
def test_reasoning_of_an_answer_in_the_other_form_comes_back(world, provider, form):
    daemon = world()
    events = [chunk(role="assistant", content=""), chunk(reasoning_content="h"), chunk(reasoning_content="m"),
              call(0, "call_a", "f", "{}"), *end("tool_calls")]
    whole = chat_message(None, [("call_a", "f", "{}")], "tool_calls", reasoning_content="hm")
    for is_stream in (True, False):
        provider.will(Script(events, whole, form))
        said = said_by(daemon.messages("back", stream=is_stream, messages=[GO], tools=MESSAGES_TOOLS))
        assert sent_reasoning(daemon, provider, [GO, uses(said), results(said)]) == ["hm"]


@pytest.mark.parametrize("name", ["reasoning", "reasoning_text", "reasoning_content"])
def test_reasoning_under_another_name_comes_back_under_the_one_that_is_wanted(world, provider, name):
    daemon = world()
    events = [chunk(role="assistant", content=""), chunk(**{name: "hm"}), call(0, "call_a", "f", "{}"),
              *end("tool_calls")]
    provider.will(Script(events, None))
    said = said_by(daemon.messages("back", stream=True, messages=[GO], tools=MESSAGES_TOOLS))
    assert sent_reasoning(daemon, provider, [GO, uses(said), results(said)]) == ["hm"]


@pytest.mark.parametrize("drops", [True, False])
def test_it_is_not_sent_to_a_provider_that_does_not_want_it(world, provider, drops):
    daemon = world()
    for model in ("plain", "back"):
        said = think(daemon, provider, "hm", model=model)
        assert sent_reasoning(daemon, provider, [GO, uses(said, drops), results(said)], "plain") == [None]
        assert b"reasoning_content" not in provider.last.body
    losses = daemon.wait_attempt()["losses"]
    assert losses == (None if drops else "messages[].reasoning")


def test_it_is_found_by_the_id_of_a_call(world, provider):
    """Two conversations at once that begin alike, each gets its own."""
    daemon = world()
    one = think(daemon, provider, "first", ids=("call_one",))
    two = think(daemon, provider, "second", ids=("call_two",))
    assert sent_reasoning(daemon, provider, [GO, uses(one), results(one)]) == ["first"]
    assert sent_reasoning(daemon, provider, [GO, uses(two), results(two)]) == ["second"]


REWRITTEN = {
    "a reminder in the first message": lambda go, one: [{"role": "user", "content": [
        {"type": "text", "text": "go"}, {"type": "text", "text": "<system-reminder>x</system-reminder>"}]}, *one],
    "an old result cleared": lambda go, one: [go, one[0], {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "call_one", "content": "[Old tool result content cleared]"}]}],
    "a system message in front": lambda go, one: [{"role": "system", "content": "x"}, go, *one],
    "the first turn cut off": lambda go, one: [go],
}


@pytest.mark.parametrize("name", REWRITTEN)
def test_it_is_found_though_the_client_rewrote_what_stands_before(world, provider, name):
    """Agents add reminders and clear old results; ids as long as these are no chance."""
    daemon = world()
    one = think(daemon, provider, "first", ids=("call_one",))
    history = [GO, uses(one), results(one)]
    two = think(daemon, provider, "second", ids=("call_6f9a1c04e2b74d21",), history=history)
    rewritten = REWRITTEN[name](GO, history[1:])
    assert sent_reasoning(daemon, provider, [*rewritten, uses(two), results(two)])[-1] == "second"


def test_an_unknown_call_gets_none(world, provider):
    daemon = world()
    said = think(daemon, provider, "hm")
    unknown = json.loads(json.dumps([uses(said), results(said)]).replace("call_a", "call_b"))
    assert sent_reasoning(daemon, provider, [GO, *unknown]) == [None]
    assert sent_reasoning(daemon, provider, [GO, *unknown], "always") == [""]


@pytest.mark.parametrize("order", [1, -1])
def test_it_is_found_by_any_of_parallel_calls_in_any_order(world, provider, order):
    daemon = world()
    said = think(daemon, provider, "hm", ids=("call_a", "call_b"), tools=TWO)
    assert sent_reasoning(daemon, provider, [GO, uses(said, order=order), results(said)]) == ["hm"]


def test_the_same_wrapped_id_in_two_turns_keeps_two_reasonings(world, provider):
    """Kimi counts its calls anew in each answer."""
    daemon = world()
    one = think(daemon, provider, "first", ids=("functions.f:0",))
    history = [GO, uses(one), results(one)]
    two = think(daemon, provider, "second", ids=("functions.f:0",), history=history)
    assert one.calls[0].id != two.calls[0].id
    history += [uses(two), results(two)]
    assert sent_reasoning(daemon, provider, history) == ["first", "second"]
    ids = [one["id"] for each in provider.last.json["messages"] for one in each.get("tool_calls", ())]
    assert ids == ["functions.f:0"] * 2


def test_the_same_plain_id_in_two_turns_keeps_two_reasonings(world, provider):
    """Some servers number the calls of each answer: call_0. Of another turn it must not get the words (law 2, too)."""
    daemon = world()
    one = think(daemon, provider, "first", ids=("call_0",))
    history = [GO, uses(one), results(one)]
    two = think(daemon, provider, "second", ids=("call_0",), history=history)
    history += [uses(two), results(two)]
    told = sent_reasoning(daemon, provider, history)
    assert told[1] == "second" and told[0] != "second"


def test_another_conversation_with_the_same_id_does_not_get_the_words(world, provider):
    daemon = world()
    asked = [{"role": "user", "content": "a"}], [{"role": "user", "content": "b"}]
    one = think(daemon, provider, "first", ids=("call_0",), history=asked[0])
    two = think(daemon, provider, "second", ids=("call_0",), history=asked[1])
    assert sent_reasoning(daemon, provider, [*asked[1], uses(two), results(two)]) == ["second"]
    assert sent_reasoning(daemon, provider, [*asked[0], uses(one), results(one)]) == ["first"]


@pytest.mark.parametrize("model", ["back", "always"])
def test_what_the_client_kept_counts_and_not_the_memory(world, provider, model):
    daemon = world()
    said = think(daemon, provider, "hm")
    back = uses(said, drops=False)
    back["content"][0]["thinking"] = "edited by the client"
    assert sent_reasoning(daemon, provider, [GO, back, results(said)], model) == ["edited by the client"]


def test_turns_without_calls_need_none(world, provider):
    daemon = world()
    provider.will(replies.Reply(text="so", reasoning="hm"))
    said = said_by(daemon.messages("always", stream=True, messages=[GO]))
    for model in ("back", "always"):
        assert sent_reasoning(daemon, provider, [GO, uses(said), GO], model) == [None]


def test_a_model_of_another_provider_gets_the_words_as_well(world, provider):
    """Words that nobody signed can be read by every model."""
    daemon = world()
    said = think(daemon, provider, "hm", model="plain")
    assert sent_reasoning(daemon, provider, [GO, uses(said), results(said)], "always") == ["hm"]


def test_an_answer_that_broke_off_leaves_nothing(world, provider):
    daemon = world()
    events = [chunk(role="assistant", content=""), chunk(reasoning_content="hm"), call(0, "call_a", "f", '{"a')]
    provider.will(Script(events, None))
    answer = daemon.messages("back", stream=True, messages=[GO], tools=MESSAGES_TOOLS)
    assert b"event: error" in answer.body
    back = {"role": "assistant", "content": [{"type": "tool_use", "id": "call_a", "name": "f", "input": {}}]}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_a", "content": "ok"}]}
    assert sent_reasoning(daemon, provider, [GO, back, result]) == [None]


def test_a_restart_forgets_and_nothing_fails(world, start_daemon, provider):
    daemon = world()
    said = think(daemon, provider, "hm")
    daemon.stop()
    daemon.start()
    assert sent_reasoning(daemon, provider, [GO, uses(said), results(said)]) == [None]
    assert sent_reasoning(daemon, provider, [GO, uses(said), results(said)], "always") == [""]


# ---- bounds ----


def test_the_memory_is_bounded_and_forgets_the_oldest(world, provider):
    daemon = world(memoryMax=65536)
    size, count = 4000, 40
    turns = [think(daemon, provider, f"{number:04}" + "x" * size, ids=(f"call_{number}",), is_stream=number % 2 == 0)
             for number in range(count)]

    def known(number):
        said = turns[number]
        told, = sent_reasoning(daemon, provider, [GO, uses(said), results(said)])
        assert told in (None, said.reasoning)
        return told is not None

    kept = [known(number) for number in range(count)]
    assert kept == sorted(kept), "an older one outlived a newer one"
    assert 65536 // (size + 400) - 2 <= sum(kept) <= 65536 // size


def test_what_a_conversation_still_asks_for_is_not_the_first_to_be_forgotten(world, provider):
    """Else the beginning of a long one changes at every turn (law 2)."""
    daemon = world(memoryMax=65536)
    used = think(daemon, provider, "used" + "x" * 4000, ids=("call_used",))
    for number in range(40):
        think(daemon, provider, f"{number:04}" + "x" * 4000, ids=(f"call_{number}",))
        told, = sent_reasoning(daemon, provider, [GO, uses(used), results(used)])
        assert told == used.reasoning, f"forgotten after {number}"


def test_one_answer_cannot_push_out_everything(world, provider):
    daemon = world(memoryMax=65536)
    small = think(daemon, provider, "hm", ids=("call_small",))
    large = think(daemon, provider, "x" * 60_000, ids=("call_large",))
    assert sent_reasoning(daemon, provider, [GO, uses(large), results(large)]) == [None]
    assert sent_reasoning(daemon, provider, [GO, uses(small), results(small)]) == ["hm"]


def test_many_answers_do_not_grow_the_daemon(world, provider):
    daemon = world(memoryMax=1 << 20)
    for number in range(60):
        provider.will(replies.Reply(text="", tools=TOOL, call_ids=(f"call_{number}",), reasoning="x" * 100_000,
                                    piece=10_000))
        assert daemon.messages("back", stream=True, tools=MESSAGES_TOOLS).status == 200
        if number == 20:
            before = daemon.rss()
    grown = daemon.rss() - before
    assert IS_SANITIZED or grown < 1 << 20, f"grew by {grown} bytes"


# ---- signed reasoning, for Messages providers ----


def think_signed(daemon, provider, signature="c2ln", model="signed", is_stream=True, ids=("toolu_a",), **fields):
    """One turn of a chat client with a provider that signs."""
    provider.will(replies.Reply(text="", tools=TOOL, call_ids=ids, reasoning="hm", signature=signature))
    return said_by(daemon.chat(model, stream=is_stream, messages=[GO], tools=CHAT_TOOLS, **fields))


def sent_blocks(daemon, provider, said, model="signed", echo=False, **fields):
    """The assistant's blocks as they go up."""
    answer = daemon.chat(model, messages=[GO, *calls(said, echo)], tools=CHAT_TOOLS, **fields)
    assert answer.status == 200, answer.body
    assert not strict_messages.problems(provider.last.body)
    return next(one["content"] for one in provider.last.json["messages"] if one["role"] == "assistant")


SIGNED = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize("echo", [False, True], ids=["dropped", "sent back as reasoning_content"])
def test_signed_reasoning_comes_back_in_front_of_the_call(world, provider, echo, is_stream):
    """A chat client has no field for a signature, whether it sends the words back or not."""
    daemon = world()
    said = think_signed(daemon, provider, is_stream=is_stream, reasoning_effort="high", max_tokens=8000)
    blocks = sent_blocks(daemon, provider, said, echo=echo, reasoning_effort="high", max_tokens=8000)
    assert [one["type"] for one in blocks] == ["thinking", "tool_use"] and blocks[0] == SIGNED
    assert provider.last.json["thinking"]["type"] == "enabled"


def test_withheld_reasoning_comes_back_as_it_was(world, provider):
    daemon = world()
    redacted = {"type": "redacted_thinking", "data": "d2l0aGhlbGQ="}
    use = {"type": "tool_use", "id": "toolu_a", "name": "f", "input": {}}
    events = [begin(), block(0, "redacted_thinking", data="d2l0aGhlbGQ="),
              block(1, "thinking", "hm", signature="c2ln"),
              block(2, "tool_use", "{}", id="toolu_a", name="f"), stop("tool_use")]
    for is_stream in (True, False):
        provider.will(Script(events, message(redacted, SIGNED, use, stop_reason="tool_use")))
        said = said_by(daemon.chat("signed", stream=is_stream, messages=[GO], tools=CHAT_TOOLS))
        assert sent_blocks(daemon, provider, said)[:2] == [redacted, SIGNED]


@pytest.mark.parametrize("echo", [False, True])
def test_signed_reasoning_is_not_sent_to_another_provider(world, provider, echo):
    daemon = world()
    said = think_signed(daemon, provider)
    blocks = sent_blocks(daemon, daemon.other, said, "other", echo)
    assert [one["type"] for one in blocks] == ["tool_use"]
    assert sent_blocks(daemon, provider, said, "signed")[0] == SIGNED, "and back again"


def test_words_of_signed_reasoning_can_be_read_by_a_chat_provider(world, provider):
    """After a switch from a provider that signs to one that wants the words."""
    daemon = world()
    provider.will(replies.Reply(text="", tools=TOOL, call_ids=("toolu_a",), reasoning="hm"))
    said = said_by(daemon.messages("signed", stream=True, messages=[GO], tools=MESSAGES_TOOLS))
    assert sent_reasoning(daemon, provider, [GO, uses(said, drops=False), results(said)]) == ["hm"]


def test_thinking_is_not_asked_for_when_the_running_turn_has_none(world, provider):
    """Anthropic refuses calls of a running turn without their thinking: then it is left out, and said."""
    daemon = world()
    said = think_signed(daemon, provider)
    unknown = json.loads(json.dumps(calls(said)).replace("toolu_a", "toolu_b"))
    answer = daemon.chat("signed", messages=[GO, *unknown], tools=CHAT_TOOLS, reasoning_effort="high", max_tokens=8000)
    assert answer.status == 200 and "thinking" not in provider.last.json
    assert answer.header("x-aictl-loss") == "reasoning_effort"
    assert not strict_messages.problems(provider.last.body)


def test_signers_are_noted_of_streams_that_are_passed_on_in_pieces(world, provider):
    """A signature cut over deltas is one signature, when it comes back after a switch."""
    daemon = world()
    events = [begin(), event("content_block_start", index=0, content_block={
        "type": "thinking", "thinking": "", "signature": ""})]
    events += [event("content_block_delta", index=0, delta={"type": kind, member: piece}) for kind, member, piece in (
        ("thinking_delta", "thinking", "hm"), ("signature_delta", "signature", "c2lnbmVk"),
        ("signature_delta", "signature", "QnlBAAA="))]
    events += [event("content_block_stop", index=0), block(1, "text", "so"), stop()]
    provider.will(Script(events, None))
    said = said_by(daemon.messages("signed", stream=True))
    assert said.blocks[0].signature == "c2lnbmVkQnlBAAA="
    assert daemon.messages("other", messages=[GO, uses(said, drops=False), GO]).status == 200
    kinds = [one["type"] for one in world.other.last.json["messages"][1]["content"]]
    assert kinds == ["text"]
    wait_until(lambda: daemon.rpc("status")["requests"]["active"] == 0, "end of all")
