"""Requests of chat clients as a Messages provider gets them: families of docs/CONFORMANCE.md about requests.

Every body that goes up is held against tests/support/strict_messages.py as well.
"""

import json

import pytest

from converting import Script, message, world

PIXEL = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")


def says(words, role="user"):
    return {"role": role, "content": words}


def call(call_id, arguments="{}", name="f"):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def calling(*calls, content=None, **more):
    return {"role": "assistant", "content": content, "tool_calls": list(calls), **more}


def tool(call_id, content):
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def use(call_id, name="f", **arguments):
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def result(call_id, content, **more):
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def text(words):
    return {"type": "text", "text": words}


def blocks(message):
    """The blocks of a message, cache marks aside; a string is one text."""
    content = message["content"]
    if isinstance(content, str):
        return [text(content)]
    return [{key: value for key, value in block.items() if key != "cache_control"} for block in content]


def turns_of(world, messages, model="c-plain", **members):
    """(role, blocks) of every message that arrives, and the losses."""
    sent, losses = world.upstream("chat", {"messages": messages, **members}, model)
    return [(message["role"], blocks(message)) for message in sent["messages"]], losses


def sent_of(world, model="c-plain", **members):
    return world.upstream("chat", {"messages": [GO], **members}, model)


GO = says("Go.")
WENT = ("user", [text("Go.")])


# ---- 12, 13: calls and results ----


@pytest.mark.parametrize("content, expected", [
    ("I'll look", [text("I'll look"), use("a", x=1)]), (None, [use("a", x=1)]), ("", [use("a", x=1)]),
    (" \n", [use("a", x=1)]),
    ([{"type": "text", "text": "I'll look"}], [text("I'll look"), use("a", x=1)]),
], ids=repr)
def test_f12_text_stands_before_the_call_and_empty_text_nowhere(world, content, expected):
    turns, _ = turns_of(world, [GO, calling(call("a", '{"x":1}'), content=content), tool("a", "r")])
    assert turns == [WENT, ("assistant", expected), ("user", [result("a", "r")])]


def test_f12_arguments_keep_their_spelling(world):
    spelled = '{"n": 1.0,"big":12345678901234567890, "u":"\\u00fc\\ud83d\\ude42"}'
    world.upstream("chat", {"messages": [GO, calling(call("a", spelled)), tool("a", "r")]})
    assert b'"input":' + spelled.encode() in world.provider.last.body


@pytest.mark.parametrize("arguments", ["", "null", " ", "{}"], ids=repr)
def test_f12_no_arguments_are_an_empty_object(world, arguments):
    turns, _ = turns_of(world, [GO, calling(call("a", arguments)), tool("a", "r")])
    assert turns[1] == ("assistant", [use("a")])


@pytest.mark.parametrize("torn", ['{"x":', "[1]", '"words"', "plain words", "{'x': 1}"], ids=repr)
def test_f12_torn_arguments_of_the_history_stay_readable(world, torn):
    turns, losses = turns_of(world, [GO, calling(call("a", torn)), tool("a", "r")])
    assert turns[1] == ("assistant", [use("a", raw=torn)]) and "torn arguments" in losses


def test_f13_tool_messages_in_a_row_are_one_user_turn_with_the_results_first(world):
    history = [GO, calling(call("a"), call("b")), tool("b", "two"), tool("a", "one"), says("go on"),
               says("now")]
    turns, losses = turns_of(world, history)
    assert turns == [WENT, ("assistant", [use("a"), use("b")]),
                     ("user", [result("b", "two"), result("a", "one"), text("go on"), text("now")])]
    assert not losses


def test_f13_a_user_message_between_calls_and_results_comes_behind_the_results(world):
    turns, _ = turns_of(world,
                        [GO, calling(call("a"), call("b")), tool("a", "one"), says("x"), tool("b", "two")])
    assert turns[2] == ("user", [result("a", "one"), result("b", "two"), text("x")])


@pytest.mark.parametrize("content, expected", [
    ("", "(empty)"), (None, "(empty)"), ([], "(empty)"), ([{"type": "text", "text": ""}], "(empty)"),
    ([{"type": "text", "text": "one"}], "one"),
    ([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}], [text("one"), text("two")]),
], ids=repr)
def test_f13_content_of_a_result_is_never_empty(world, content, expected):
    turns, _ = turns_of(world, [GO, calling(call("a")), tool("a", content)])
    assert turns[2] == ("user", [result("a", expected)])


def test_f13_an_orphan_is_user_text(world):
    turns, losses = turns_of(world, [GO, says("Hm.", "assistant"), tool("gone", "r"), says("go on")])
    assert turns == [WENT, ("assistant", [text("Hm.")]),
                     ("user", [text("[result of an unknown tool call]\nr"), text("go on")])]
    assert losses


def test_f13_second_and_missing_results_are_put_right(world):
    history = [GO, calling(call("a"), call("b")), tool("a", "one"), tool("a", "again"), says("go on")]
    turns, losses = turns_of(world, history)
    assert turns[2][1][:2] == [result("a", "one"), result("b", "(no result)", is_error=True)]
    assert {"duplicate tool result", "tool call without a result"} <= set(losses)


def test_f13_calls_of_two_assistant_messages_in_a_row_are_one_turn(world):
    history = [GO, says("Hm.", "assistant"), calling(call("a")), calling(call("b")), tool("a", "one"),
               tool("b", "two")]
    turns, _ = turns_of(world, history)
    assert turns == [WENT, ("assistant", [text("Hm."), use("a"), use("b")]),
                     ("user", [result("a", "one"), result("b", "two")])]


def test_f13_legacy_function_messages_are_calls_and_results(world):
    history = [GO, {"role": "assistant", "content": None,
                    "function_call": {"name": "f", "arguments": '{"x":1}'}},
               {"role": "function", "name": "f", "content": "r"}, says("go on")]
    turns, _ = turns_of(world, history)
    (use_block,), (result_block, words) = turns[1][1], turns[2][1]
    assert use_block["name"] == "f" and use_block["input"] == {"x": 1}
    assert result_block["tool_use_id"] == use_block["id"]
    assert words == text("go on")


# ---- 14, 15: media ----


def image_url(url, **more):
    return {"type": "image_url", "image_url": {"url": url, **more}}


def image(**source):
    return {"type": "image", "source": source}


PNG = image(type="base64", media_type="image/png", data=PIXEL)


@pytest.mark.parametrize("url, expected", [
    (f"data:image/png;base64,{PIXEL}", PNG),
    ("https://x.example/a.png", image(type="url", url="https://x.example/a.png")),
])
def test_f15_image_addresses_become_sources(world, url, expected):
    turns, _ = turns_of(world,
                        [{"role": "user", "content": [{"type": "text", "text": "see"},
                                                      image_url(url, detail="high")]}])
    assert turns == [("user", [text("see"), expected])]


def test_f14_an_image_that_follows_results_is_in_their_turn(world):
    history = [GO, calling(call("a")), tool("a", "see below"), {"role": "user", "content": [
        {"type": "text", "text": "(attached media from previous tool call)"},
        image_url(f"data:image/png;base64,{PIXEL}")]}]
    turns, _ = turns_of(world, history)
    assert turns[2] == ("user",
                        [result("a", "see below"), text("(attached media from previous tool call)"), PNG])


def test_f14_an_image_is_left_out_for_a_model_that_sees_none(world):
    sent, losses = world.upstream("chat",
                                  {"messages": [{"role": "user",
                                                 "content": [image_url(f"data:image/png;base64,{PIXEL}")]}]},
                                  "c-blind")
    assert PIXEL not in json.dumps(sent) and losses


def test_f15_a_file_becomes_a_document(world):
    part = {"type": "file", "file": {"filename": "plan.pdf",
                                     "file_data": "data:application/pdf;base64,JVBERi0="}}
    turns, _ = turns_of(world, [{"role": "user", "content": [part, {"type": "text", "text": "see"}]}])
    assert turns[0][1][0] == {"type": "document", "title": "plan.pdf",
                              "source": {"type": "base64", "media_type": "application/pdf",
                                         "data": "JVBERi0="}}


# ---- 16: reasoning ----


def test_f16_reasoning_nobody_signed_is_left_out_and_an_empty_message_with_it(world):
    history = [GO, {**says("one", "assistant"), "reasoning_content": "hm"}, says("two"),
               {**says("", "assistant"), "reasoning_content": "so"}, GO]
    turns, losses = turns_of(world, history)
    assert turns == [WENT, ("assistant", [text("one")]), ("user", [text("two"), text("Go.")])]
    assert "messages[].reasoning" in losses


def test_f16_signed_reasoning_goes_back_in_front_of_its_calls_byte_by_byte(world):
    details = [{"type": "reasoning.text", "text": "hm \u00fc", "signature": "c2ln+/=",
                "format": "anthropic-claude-v1", "index": 0}]
    turns, _ = turns_of(world,
                        [GO, {**calling(call("a")), "reasoning": "hm \u00fc", "reasoning_details": details},
                         tool("a", "r")])
    assert turns[1] == ("assistant",
                        [{"type": "thinking", "thinking": "hm \u00fc", "signature": "c2ln+/="}, use("a")])


def test_f17_thinking_of_anthropic_is_put_back_for_a_client_that_cannot_carry_it(world):
    thought = {"type": "thinking", "thinking": "because", "signature": "c2lnbmVk"}
    asked = use("toolu_f17")
    world.ask("chat", {"model": "c-plain", "messages": [GO]},
              Script(None, message(thought, asked, stop_reason="tool_use")))
    turns, _ = turns_of(world, [GO, calling(call("toolu_f17")), tool("toolu_f17", "r")],
                        reasoning_effort="high", max_tokens=9000)
    assert turns[1] == ("assistant", [thought, asked])
    assert world.provider.last.json["thinking"]["type"] == "enabled"


# ---- 20: tools ----

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "exclusiveMinimum": 0}},
          "required": ["n"], "additionalProperties": False}


@pytest.mark.parametrize("function, expected", [
    ({"name": "f", "description": "d", "parameters": SCHEMA},
     {"name": "f", "description": "d", "input_schema": SCHEMA}),
    ({"name": "f"}, {"name": "f", "input_schema": {"type": "object", "properties": {}}}),
    ({"name": "f", "parameters": {}}, {"name": "f", "input_schema": {"type": "object", "properties": {}}}),
    ({"name": "f", "parameters": None, "description": None},
     {"name": "f", "input_schema": {"type": "object", "properties": {}}}),
    ({"name": "f", "parameters": {"properties": {"x": {}}}},
     {"name": "f", "input_schema": {"type": "object", "properties": {"x": {}}}}),
], ids=["schema", "none", "empty", "null", "no type"])
def test_f20_a_function_becomes_a_tool(world, function, expected):
    sent, _ = sent_of(world, tools=[{"type": "function", "function": function}])
    assert [{key: value for key,
             value in one.items() if key != "cache_control"} for one in sent["tools"]] == [expected]


F = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize("members, choice", [
    ({"tool_choice": "auto"}, {"type": "auto"}), ({"tool_choice": "required"}, {"type": "any"}),
    ({"tool_choice": "none"}, {"type": "none"}),
    ({"tool_choice": F}, {"type": "tool", "name": "f"}), ({}, None),
    ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
    ({"tool_choice": "required", "parallel_tool_calls": False},
     {"type": "any", "disable_parallel_tool_use": True}),
    ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
    ({"tool_choice": "auto", "parallel_tool_calls": True}, {"type": "auto"}),
], ids=str)
def test_f20_tool_choice_is_said_in_the_words_of_messages(world, members, choice):
    sent, _ = sent_of(world, tools=[F], **members)
    assert sent.get("tool_choice") == choice


def test_f20_without_tools_nothing_of_them_is_sent(world):
    for members in ({"tools": []}, {}, {"tools": [{"type": "web_search_preview"}]}):
        sent, _ = sent_of(world, tool_choice="auto", parallel_tool_calls=False, **members)
        assert not {"tools", "tool_choice"} & set(sent)


def test_f20_tools_that_are_no_functions_are_left_out_and_named(world):
    custom = {"type": "custom", "custom": {"name": "patch", "format": {"type": "text"}}}
    sent, losses = sent_of(world, tools=[custom, F],
                           tool_choice={"type": "function", "function": {"name": "patch"}})
    assert [one["name"] for one in sent["tools"]] == ["f"] and "tool_choice" not in sent
    assert "tools[].custom" in losses


# ---- 28 to 32, 37 ----


@pytest.mark.parametrize("model, members, value, lost", [
    ("c-plain", {}, 8192, False), ("c-small", {}, 4096, False), ("c-plain", {"max_tokens": 50}, 50, False),
    ("c-plain", {"max_completion_tokens": 60}, 60, False),
    ("c-plain", {"max_tokens": 50, "max_completion_tokens": 60}, 60, False),
    ("c-small", {"max_tokens": 64000}, 4096, True), ("c-plain", {"max_tokens": None}, 8192, False),
], ids=str)
def test_f28_max_tokens_is_always_there_and_within_the_model(world, model, members, value, lost):
    sent, losses = sent_of(world, model, **members)
    assert sent["max_tokens"] == value and ("max_tokens" in losses) == lost


def test_f28_sampling_goes_within_its_bounds(world):
    sent, losses = sent_of(world, temperature=1.5, seed=7, frequency_penalty=0.5, presence_penalty=0.5,
                           stop="END")
    assert sent["temperature"] == 1 and sent["stop_sequences"] == ["END"] and "seed" not in sent
    assert {"temperature", "seed", "frequency_penalty", "presence_penalty"} <= set(losses)
    assert sent_of(world, top_p=0.9)[0]["top_p"] == 0.9


def test_f28_of_temperature_and_top_p_one_is_sent(world):
    sent, losses = sent_of(world, temperature=0.5, top_p=0.9)
    assert sent["temperature"] == 0.5 and "top_p" not in sent and "top_p" in losses


@pytest.mark.parametrize("stop, sequences",
                         [(["a", "b", "c", "d"], ["a", "b", "c", "d"]), (["\n", "END"], ["END"]), ([], None),
                          (None, None)], ids=repr)
def test_f28_stop_sequences_of_white_space_are_left_out(world, stop, sequences):
    assert sent_of(world, stop=stop)[0].get("stop_sequences") == sequences


@pytest.mark.parametrize("wish, most, thinking", [
    ({"reasoning_effort": "high"}, 64000, "enabled"), ({"reasoning_effort": "low"}, 64000, "enabled"),
    ({"reasoning_effort": "high"}, 2000, "enabled"),
    ({"reasoning_effort": "high"}, 1024, None), ({"reasoning_effort": "none"}, 64000, "disabled"),
    ({}, 64000, None),
    ({"reasoning": {"max_tokens": 5000}}, 64000, 5000),
    ({"enable_thinking": True, "thinking_budget": 5000}, 64000, 5000),
    ({"enable_thinking": False}, 64000, "disabled"), ({"thinking": {"type": "disabled"}}, 64000, "disabled"),
    ({"thinking": {"type": "enabled"}}, 64000, "enabled"),
    ({"reasoning": {"effort": "medium"}}, 64000, "enabled"),
    ({"thinking": {"type": "enabled", "budget_tokens": 32000}}, 32000, "enabled"),
    ({"reasoning_effort": "tomorrow"}, 64000, None),
], ids=str)
def test_f29_the_wish_to_think_becomes_a_budget_below_max_tokens(world, wish, most, thinking):
    sent, _ = sent_of(world, max_tokens=most, **wish)
    told = sent.get("thinking")
    if isinstance(thinking, int):
        assert told == {"type": "enabled", "budget_tokens": thinking}
    else:
        assert (told or {}).get("type") == thinking
        assert thinking != "enabled" or 1024 <= told["budget_tokens"] < most


@pytest.mark.parametrize("effort, word",
                         [("minimal", "low"), ("low", "low"), ("medium", "medium"), ("high", "high"),
                          ("xhigh", "max")])
def test_f29_a_model_that_thinks_adaptively_is_told_the_effort(world, effort, word):
    sent, _ = sent_of(world, "c-adaptive", reasoning_effort=effort)
    assert sent["thinking"] == {"type": "adaptive"} and sent["output_config"] == {"effort": word}


def test_f29_with_thinking_nothing_is_sent_that_it_excludes(world):
    sent, losses = sent_of(world, reasoning_effort="high", max_tokens=9000, temperature=0.2, top_p=0.5,
                           top_k=3)
    assert sent["thinking"]["type"] == "enabled" and not {"temperature", "top_p", "top_k"} & set(sent)
    assert {"temperature", "top_p", "top_k"} <= set(losses)


def test_f29_a_forced_call_wins_over_thinking(world):
    sent, losses = sent_of(world, reasoning_effort="high", max_tokens=9000, tools=[F], tool_choice="required")
    assert sent["tool_choice"] == {"type": "any"} and "thinking" not in sent and "reasoning_effort" in losses


def test_f29_a_running_tool_loop_without_signed_thinking_goes_on_without(world):
    history = [GO, calling(call("call_unsigned")), tool("call_unsigned", "r")]
    sent, losses = world.upstream("chat",
                                  {"messages": history, "reasoning_effort": "high", "max_tokens": 9000})
    assert "thinking" not in sent and "reasoning_effort" in losses


def test_f29_a_tool_loop_that_the_user_broke_off_goes_on_without_thinking(world):
    """The gateway answers the call in the user's place: for the API it is a running loop all the same."""
    history = [GO, calling(call("call_unanswered")), says("Stop that.")]
    sent, _ = world.upstream("chat", {"messages": history, "reasoning_effort": "high", "max_tokens": 9000})
    assert sent["messages"][2]["content"][0]["type"] == "tool_result" and "thinking" not in sent


@pytest.mark.parametrize("form, model, sent_form", [
    ({"type": "json_schema", "json_schema": {"name": "t", "strict": True, "schema": SCHEMA}}, "c-plain",
     {"type": "json_schema", "schema": SCHEMA}),
    ({"type": "json_schema", "json_schema": {"name": "t", "schema": SCHEMA}}, "c-noformat", None),
    ({"type": "json_object"}, "c-plain", None),
    ({"type": "text"}, "c-plain", None),
], ids=str)
def test_f30_a_response_format_becomes_an_output_format(world, form, model, sent_form):
    sent, losses = sent_of(world, model, response_format=form)
    assert sent.get("output_config", {}).get("format") == sent_form
    assert any("response_format" in loss for loss in losses) == (sent_form is None and form["type"] != "text")


def texts_of(system):
    return [system] if isinstance(system, str) else [block["text"] for block in system]


def test_f31_system_and_developer_messages_in_front_are_the_system(world):
    history = [says("one", "system"),
               {"role": "developer", "content": [{"type": "text", "text": "two"},
                                                 {"type": "text", "text": "three"}]}, GO]
    sent, _ = world.upstream("chat", {"messages": history})
    assert texts_of(sent["system"]) == ["one", "two", "three"]
    assert blocks(sent["messages"][0]) == [text("Go.")]


def test_f31_system_text_in_the_middle_is_kept_in_its_place(world):
    history = [says("one", "system"), GO, says("cwd: /x", "system"), says("Hm.", "assistant"),
               says("later", "developer"), says("And?")]
    turns, losses = turns_of(world, history)
    assert turns == [("user", [text("Go."), text("<system>\ncwd: /x\n</system>")]),
                     ("assistant", [text("Hm.")]),
                     ("user", [text("<system>\nlater\n</system>"), text("And?")])]
    assert losses


def test_f31_only_system_messages_still_make_a_conversation(world):
    turns, _ = turns_of(world, [says("one", "system")])
    assert [role for role, _ in turns] == ["user"]


def test_f32_neighbours_of_one_role_are_merged_and_empty_texts_left_out(world):
    history = [GO, says(""), says("b"), says("x", "assistant"), says("", "assistant"), says(" ", "assistant"),
               says("y", "assistant"), says("c")]
    turns, _ = turns_of(world, history)
    assert turns == [("user", [text("Go."), text("b")]), ("assistant", [text("x"), text("y")]),
                     ("user", [text("c")])]


def test_f32_the_first_is_the_users_and_a_prefill_ends_without_white_space(world):
    turns, _ = turns_of(world, [says("Hm.", "assistant"), says("b"), says("The answer is: \n", "assistant")])
    assert turns[0][0] == "user" and turns[1] == ("assistant", [text("Hm.")])
    assert turns[-1] == ("assistant", [text("The answer is:")])


def test_f32_an_empty_user_message_between_assistants_does_not_break_the_order(world):
    turns, _ = turns_of(world, [GO, says("x", "assistant"), says(""), says("y", "assistant"), says("b")])
    assert turns == [WENT, ("assistant", [text("x"), text("y")]), ("user", [text("b")])]


def test_f37_more_than_one_answer_is_refused(world):
    assert "n" in world.refused("chat", {"messages": [GO], "n": 2})
    assert sent_of(world, n=1)[0]["model"] == "c-plain"


def test_f37_what_only_chat_knows_is_left_out_and_named(world):
    odd = {"logprobs": True, "top_logprobs": 2, "logit_bias": {"1": 2}, "store": True, "metadata": {"a": "b"},
           "service_tier": "auto",
           "modalities": ["text"], "prediction": {"type": "content", "content": "x"}, "verbosity": "low",
           "prompt_cache_key": "k", "x_new": 1}
    sent, losses = sent_of(world, **odd, user="u-1", top_k=None, audio=None)
    rest = {key: sent[key] for key in sent if key not in ("messages", "max_tokens")}
    assert rest == {"model": "c-plain", "metadata": {"user_id": "u-1"}}
    assert set(losses) == set(odd)


@pytest.mark.parametrize("wrong, place", [
    ([{"role": "user", "content": [{"type": "text", "text": 7}]}], "messages[0].content[0].text"),
    ([{"role": "user", "content": 7}], "messages[0].content"),
    ([{"role": "nobody", "content": "x"}], "messages[0].role"),
    ([GO, {"role": "assistant", "tool_calls": 7}], "messages[1].tool_calls"), ([7], "messages[0]"),
    ("x", "messages"),
], ids=str)
def test_f37_nonsense_is_refused_with_its_place(world, wrong, place):
    assert place in world.refused("chat", {"messages": wrong})
