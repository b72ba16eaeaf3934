"""Requests of Messages clients as a chat provider gets them: families of docs/CONFORMANCE.md about requests.

Every body that goes up is held against tests/support/strict_chat.py as well.
"""

import json

import pytest

from converting import Script, chat_message, world

PIXEL = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")
OWN_SIGNATURE = "YWljdGw6dW5zaWduZWQ="


def user(*blocks):
    return {"role": "user", "content": list(blocks) if len(blocks) != 1 or not isinstance(blocks[0],
                                                                                          str) else blocks[0]}


def assistant(*blocks):
    return {"role": "assistant",
            "content": list(blocks) if len(blocks) != 1 or not isinstance(blocks[0], str) else blocks[0]}


def text(words, **more):
    return {"type": "text", "text": words, **more}


def use(call_id, name="f", **arguments):
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def result(call_id, *content, **more):
    """content: one string, or blocks; nothing: no member."""
    if len(content) == 1 and isinstance(content[0], str):
        return {"type": "tool_result", "tool_use_id": call_id, "content": content[0], **more}
    return {"type": "tool_result", "tool_use_id": call_id, **({"content": list(content)} if content else {}),
            **more}


def image(data=PIXEL, media_type="image/png"):
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def called(*those, content=None, **more):
    """An assistant message of chat; those are (id, arguments as text)."""
    calls = [{"id": call_id, "type": "function",
              "function": {"name": "f", "arguments": arguments}} for call_id, arguments in those]
    return {"role": "assistant", "content": content, **more, "tool_calls": calls}


def answered(call_id, content):
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def says(words):
    return {"role": "user", "content": words}


def messages_of(world, messages, model="m-plain", **members):
    sent, losses = world.upstream("messages", {"messages": messages, **members}, model)
    return sent["messages"], losses


GO = says("Go.")
PART = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}


# ---- 12: text beside calls ----


@pytest.mark.parametrize("blocks, content", [
    ([text("I'll look"), use("a", x=1)], "I'll look"),
    ([use("a", x=1)], None),
    ([text(""), use("a", x=1)], None),
    ([text("I'll "), use("a", x=1), text("look")], "I'll look"),
    ([use("a", x=1), text("I'll look")], "I'll look"),
], ids=["before", "none", "empty", "around", "behind"])
def test_f12_text_beside_a_call_is_kept_and_none_is_null(world, blocks, content):
    sent, _ = messages_of(world, [GO, assistant(*blocks), user(result("a", "r"))])
    assert sent == [GO, called(("a", '{"x": 1}'), content=content), answered("a", "r")]


def test_f12_arguments_keep_their_spelling(world):
    spelled = '{"n": 1.0,"big":12345678901234567890, "u":"\\u00fc"}'
    history = [GO, assistant(use("a")), user(result("a", "r"))]
    body = json.dumps({"model": "m-plain", "max_tokens": 9, "messages": history})
    assert world.ask("messages", body.replace('"input": {}', f'"input": {spelled}').encode()).status == 200
    assert world.provider.last.json["messages"][1]["tool_calls"][0]["function"]["arguments"] == spelled


# ---- 13: results ----


def test_f13_results_follow_their_calls_at_once_and_the_rest_comes_behind(world):
    history = [GO, assistant(use("a"), use("b")),
               user(result("b", "two"), result("a", text("one"), text("more"), is_error=True), text("go on"))]
    sent, losses = messages_of(world, history)
    assert sent == [GO, called(("a", "{}"), ("b", "{}")), answered("b", "two"),
                    answered("a", "Error: one\nmore"), says("go on")]
    assert not losses


def test_f13_text_in_front_of_a_result_comes_behind_it(world):
    sent, _ = messages_of(world, [GO, assistant(use("a")), user(text("look:"), result("a", "r"))])
    assert sent == [GO, called(("a", "{}")), answered("a", "r"), says("look:")]


@pytest.mark.parametrize("content", [(), ("",), (text(""),)], ids=["absent", "empty", "empty text"])
def test_f13_an_empty_result_has_words(world, content):
    sent, _ = messages_of(world, [GO, assistant(use("a")), user(result("a", *content))])
    assert sent[-1] == answered("a", "(empty)")


def test_f13_an_empty_list_as_result_has_words(world):
    sent, _ = messages_of(world, [GO, assistant(use("a")), user({**result("a"), "content": []})])
    assert sent[-1] == answered("a", "(empty)")


def test_f13_an_orphan_is_user_text_and_not_a_tool_message(world):
    sent, losses = messages_of(world, [GO, assistant("Hm."), user(result("gone", "r"), text("go on"))])
    assert sent[:2] == [GO, {"role": "assistant", "content": "Hm."}] and len(sent) == 3
    assert sent[2]["role"] == "user"
    words = [part["text"] for part in sent[2]["content"]]
    assert words == ["[result of an unknown tool call]\nr", "go on"] and losses


def test_f13_a_second_result_for_a_call_is_left_out(world):
    sent, losses = messages_of(world, [GO, assistant(use("a")), user(result("a", "one"), result("a", "two"))])
    assert sent == [GO, called(("a", "{}")), answered("a", "one")] and "duplicate tool result" in losses


def test_f13_a_call_nobody_answered_is_answered(world):
    sent, losses = messages_of(world,
                               [GO, assistant(use("a"), use("b")), user(result("b", "r"), text("go on"))])
    assert sent[1] == called(("a", "{}"), ("b", "{}"))
    assert sorted(sent[2:4], key=lambda one: one["tool_call_id"]) == [answered("a", "(no result)"),
                                                                      answered("b", "r")]
    assert sent[4:] == [says("go on")] and losses


def test_f13_results_in_two_user_messages_are_all_in_front(world):
    sent, _ = messages_of(world,
                          [GO, assistant(use("a"), use("b")), user(result("a", "one"), text("x")),
                           user(result("b", "two"))])
    assert sent == [GO, called(("a", "{}"), ("b", "{}")), answered("a", "one"), answered("b", "two"),
                    says("x")]


# ---- 14, 15: media ----


def test_f14_an_image_in_a_result_comes_in_a_user_message_behind_all_results(world):
    history = [GO, assistant(use("a"), use("b")),
               user(result("a", text("shot"), image()), result("b", "two"), text("go on"))]
    sent, _ = messages_of(world, history)
    assert sent[2] == answered("a", "shot\n[image: see the next message]") and sent[3] == answered("b", "two")
    assert sent[4] == {"role": "user",
                       "content": [{"type": "text", "text": "(images from the tool results above)"}, PART]}
    assert sent[5] == says("go on")


def test_f14_an_image_is_left_out_for_a_model_that_sees_none_and_no_base64_is_text(world):
    history = [user(text("see"), image()), assistant(use("a")), user(result("a", image()))]
    sent, losses = messages_of(world, history, "m-blind")
    assert PIXEL not in str(sent) and any("image" in loss for loss in losses)
    assert [part["text"] for part in sent[0]["content"]][0] == "see"
    assert "image" in sent[0]["content"][1]["text"]
    assert sent[2]["role"] == "tool" and "image" in sent[2]["content"] and len(sent) == 3


@pytest.mark.parametrize("source, url", [
    ({"type": "url", "url": "https://x.example/a.png"}, "https://x.example/a.png"),
    ({"type": "base64", "media_type": "image/jpeg", "data": PIXEL}, f"data:image/jpeg;base64,{PIXEL}"),
])
def test_f15_image_sources_become_addresses(world, source, url):
    sent, _ = messages_of(world, [user(text("see"), {"type": "image", "source": source})])
    assert sent == [{"role": "user",
                     "content": [{"type": "text", "text": "see"},
                                 {"type": "image_url", "image_url": {"url": url}}]}]


def document(**source):
    return {"type": "document", "title": "plan.pdf", "source": source}


def test_f15_a_document_is_a_file_where_files_are_taken_and_else_refused(world):
    pdf = document(type="base64", media_type="application/pdf", data="JVBERi0=")
    sent, _ = messages_of(world, [user(text("see"), pdf)], "m-files")
    assert sent[0]["content"][1] == {"type": "file",
                                     "file": {"filename": "plan.pdf",
                                              "file_data": "data:application/pdf;base64,JVBERi0="}}
    assert "document" in world.refused("messages", {"messages": [user(pdf)], "max_tokens": 9})


def test_f15_a_document_of_plain_text_is_text_everywhere(world):
    sent, _ = messages_of(world, [user(document(type="text", media_type="text/plain", data="the plan"))])
    assert sent == [says("plan.pdf\n\nthe plan")]


# ---- 16, 17: reasoning ----

THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
HIDDEN = {"type": "redacted_thinking", "data": "eA=="}


def test_f16_thinking_of_the_history_is_left_out_and_an_empty_message_with_it(world):
    history = [GO, assistant(THOUGHT, text("one")), says("two"), assistant(THOUGHT, HIDDEN), says("three")]
    sent, losses = messages_of(world, history)
    assert sent == [GO, {"role": "assistant", "content": "one"}, says("two"), says("three")]
    assert "messages[].reasoning" in losses


def test_f16_thinking_goes_back_as_reasoning_content_where_it_is_wanted(world):
    history = [GO, assistant(THOUGHT, {**THOUGHT, "thinking": "so", "signature": OWN_SIGNATURE}, HIDDEN,
                             text("one"), use("a")),
               user(result("a", "r"))]
    sent, _ = messages_of(world, history, "m-back")
    assert sent[1] == called(("a", "{}"), content="one", reasoning_content="hm\n\nso")


def test_f17_reasoning_the_client_did_not_bring_back_is_put_back_by_the_calls_id(world):
    whole = chat_message("Look.", [("call_f17", "f", "{}")], "tool_calls", reasoning_content="because ü")
    asked = {"model": "m-back", "max_tokens": 1000, "messages": [GO]}
    assert world.ask("messages", asked, Script(None, whole)).status == 200
    history = [GO, assistant(text("Look."), use("call_f17")), user(result("call_f17", "r"))]
    sent, _ = messages_of(world, history, "m-back")
    assert sent[1] == called(("call_f17", "{}"), content="Look.", reasoning_content="because ü")


def test_f17_unknown_reasoning_is_empty_only_where_the_provider_demands_it(world):
    history = [GO, assistant(use("call_never_seen")), user(result("call_never_seen", "r")),
               assistant("Done."), says("And?")]
    sent, _ = messages_of(world, history, "m-always")
    assert sent[1] == called(("call_never_seen", "{}"), reasoning_content="")
    assert sent[3] == {"role": "assistant", "content": "Done."}
    assert messages_of(world, history, "m-back")[0][1] == called(("call_never_seen", "{}"))


# ---- 20: tools ----


def tools_of(world, tools, **members):
    sent, losses = world.upstream("messages", {"messages": [GO], "tools": tools, **members},
                                  members.pop("model", None))
    return sent, losses


SCHEMA = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
          "additionalProperties": False,
          "properties": {"n": {"type": "integer", "exclusiveMinimum": 0, "default": 1.0},
                         "s": {"pattern": "^a", "maxItems": 2}},
          "required": ["n"]}


@pytest.mark.parametrize("tool, function", [
    ({"name": "f", "description": "d", "input_schema": SCHEMA},
     {"name": "f", "description": "d", "parameters": SCHEMA}),
    ({"name": "f"}, {"name": "f", "parameters": {"type": "object", "properties": {}}}),
    ({"name": "f", "input_schema": {}}, {"name": "f", "parameters": {"type": "object", "properties": {}}}),
    ({"name": "f", "input_schema": None}, {"name": "f", "parameters": {"type": "object", "properties": {}}}),
    ({"type": "custom", "name": "f", "input_schema": SCHEMA, "cache_control": {"type": "ephemeral"}},
     {"name": "f", "parameters": SCHEMA}),
    ({"name": "f", "input_schema": {"properties": {"x": {}}}},
     {"name": "f", "parameters": {"properties": {"x": {}}, "type": "object"}}),
], ids=["schema", "none", "empty", "null", "custom", "no type"])
def test_f20_a_tool_becomes_a_function_with_an_object_for_a_schema(world, tool, function):
    sent, _ = tools_of(world, [tool])
    assert sent["tools"] == [{"type": "function", "function": function}]


WEB = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}


def test_f20_tools_of_the_provider_are_no_functions_and_without_tools_nothing_of_them_is_sent(world):
    sent, losses = tools_of(world, [WEB], tool_choice={"type": "auto"})
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(sent)
    assert "tools[].web_search_20250305" in losses
    sent, _ = tools_of(world, [WEB, {"name": "f"}], tool_choice={"type": "tool", "name": "web_search"})
    assert [one["function"]["name"] for one in sent["tools"]] == ["f"] and "tool_choice" not in sent


@pytest.mark.parametrize("choice, sent_choice, parallel", [
    ({"type": "auto"}, ("auto", None), None), ({"type": "any"}, "required", None),
    ({"type": "none"}, "none", None),
    ({"type": "tool", "name": "f"}, {"type": "function", "function": {"name": "f"}}, None),
    ({"type": "auto", "disable_parallel_tool_use": True}, ("auto", None), False),
    ({"type": "any", "disable_parallel_tool_use": True}, "required", False),
    ({"type": "auto", "disable_parallel_tool_use": False}, ("auto", None), None),
], ids=str)
def test_f20_tool_choice_is_said_in_the_words_of_chat(world, choice, sent_choice, parallel):
    sent, _ = tools_of(world, [{"name": "f"}], tool_choice=choice)
    expected = sent_choice if isinstance(sent_choice, tuple) else (sent_choice,)
    assert sent.get("tool_choice") in expected
    assert sent.get("parallel_tool_calls") in (parallel, None if parallel is None else False)
    assert (sent.get("parallel_tool_calls") is False) == (parallel is False)


def test_f20_a_choice_without_tools_or_for_a_provider_that_takes_none_is_not_sent(world):
    assert "tool_choice" not in tools_of(world, [], tool_choice={"type": "any"})[0]
    sent, losses = tools_of(world, [{"name": "f"}],
                            tool_choice={"type": "any", "disable_parallel_tool_use": True},
                            model="m-nochoice")
    assert sent.get("tool_choice") in (None, "auto") and "parallel_tool_calls" not in sent
    assert "tool_choice" in losses


def test_f20_deferred_tools_are_declared_once_a_search_found_them(world):
    tools = [{"name": "ToolSearch"}, {"name": "WebSearch", "defer_loading": True},
             {"name": "Other", "defer_loading": True}]
    history = [GO, assistant(use("a", "ToolSearch", query="web")),
               user(result("a", {"type": "tool_reference", "tool_name": "WebSearch"}))]
    before, _ = tools_of(world, tools)
    assert [one["function"]["name"] for one in before["tools"]] == ["ToolSearch"]
    sent, _ = world.upstream("messages", {"messages": history, "tools": tools})
    assert [one["function"]["name"] for one in sent["tools"]] == ["ToolSearch", "WebSearch"]
    assert sent["messages"][-1] == answered("a", "Tool WebSearch is available now.")


# ---- 28 to 31, 37: the rest of the body ----


@pytest.mark.parametrize("model, name, value, lost", [
    ("m-plain", "max_tokens", 32000, False), ("m-completion", "max_completion_tokens", 32000, False),
    ("m-small", "max_tokens", 4096, True),
])
def test_f28_the_limit_has_the_targets_name_and_its_maximum(world, model, name, value, lost):
    sent, losses = world.upstream("messages", {"messages": [GO], "max_tokens": 32000}, model)
    assert {key: sent[key] for key in sent if "max" in key} == {name: value}
    assert ("max_tokens" in losses) == lost


def test_f28_numbers_keep_their_spelling_and_go_only_where_they_are_taken(world):
    body = (b'{"model":"m-plain","max_tokens":1000,"temperature":1.0,"top_p":0.90,"top_k":40,'
            b'"stop_sequences":["END","\\n\\nHuman:"],"messages":[{"role":"user","content":"Go."}]}')
    answer = world.ask("messages", body)
    assert answer.status == 200
    raw = world.provider.last.body
    assert b'"temperature":1.0' in raw and b'"top_p":0.90' in raw and b"top_k" not in raw
    assert world.provider.last.json["stop"] == ["END", "\n\nHuman:"]
    assert "top_k" in answer.header("x-aictl-loss")


def test_f28_a_reasoning_model_gets_neither_temperature_nor_stop(world):
    sent, losses = world.upstream("messages",
                                  {"messages": [GO], "temperature": 1, "top_p": 0.9, "stop_sequences": ["x"]},
                                  "m-completion")
    assert not {"temperature", "top_p", "stop"} & set(sent)
    assert {"temperature", "top_p", "stop"} <= set(losses)


def test_f28_more_stop_sequences_than_chat_takes_are_cut(world):
    sent, losses = world.upstream("messages", {"messages": [GO], "stop_sequences": list("abcdef")})
    assert sent["stop"] == list("abcd") and "stop" in losses


ADAPTIVE = {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "high"}}
BUDGET = {"thinking": {"type": "enabled", "budget_tokens": 31999}, "max_tokens": 32000}


@pytest.mark.parametrize("wish, model, members", [
    (ADAPTIVE, "m-plain", {"reasoning_effort": "high"}),
    ({**ADAPTIVE, "output_config": {"effort": "max"}}, "m-plain", {"reasoning_effort": "high"}),
    ({**ADAPTIVE, "output_config": {"effort": "max"}}, "m-words", {"reasoning_effort": "xhigh"}),
    (BUDGET, "m-plain", {"reasoning_effort": "high"}),
    ({"thinking": {"type": "disabled"}}, "m-plain", {"reasoning_effort": "none"}),
    ({}, "m-plain", {}),
    (ADAPTIVE, "m-object", {"reasoning": {"effort": "high"}}),
    (BUDGET, "m-object", {"reasoning": {"max_tokens": 31999}}),
    (ADAPTIVE, "m-switch", {"thinking": {"type": "enabled"}}),
    ({"thinking": {"type": "disabled"}}, "m-switch", {"thinking": {"type": "disabled"}}),
    (BUDGET, "m-flag", {"enable_thinking": True, "thinking_budget": 31999}),
    ({"thinking": {"type": "disabled"}}, "m-flag", {"enable_thinking": False}),
    (ADAPTIVE, "m-mute", {}),
], ids=str)
def test_f29_the_wish_to_think_is_said_in_the_targets_words(world, wish, model, members):
    sent, losses = world.upstream("messages", {"messages": [GO], **wish}, model)
    words = {"reasoning_effort", "reasoning", "thinking", "enable_thinking", "thinking_budget",
             "output_config"}
    assert {key: sent[key] for key in sent if key in words} == members
    assert ("reasoning_effort" in losses) == (model == "m-mute")


FORM = {"type": "json_schema",
        "schema": {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}}


@pytest.mark.parametrize("members", [{"output_config": {"format": FORM}}, {"output_format": FORM}],
                         ids=["output_config", "beta"])
def test_f30_a_schema_for_the_answer_becomes_a_response_format(world, members):
    sent, _ = world.upstream("messages", {"messages": [GO], **members})
    form = sent["response_format"]
    assert form["type"] == "json_schema" and form["json_schema"]["schema"] == FORM["schema"]
    sent, losses = world.upstream("messages", {"messages": [GO], **members}, "m-noschema")
    assert sent["response_format"] == {"type": "json_object"} and losses


def test_f31_system_text_is_one_message_of_its_own_and_stays_where_it_stood(world):
    history = [GO, {"role": "system",
                    "content": [text("cwd: /x", cache_control={"type": "ephemeral"}), text("date")]},
               assistant("Hm."), {"role": "system", "content": "later"}, says("And?")]
    sent, _ = messages_of(world, history,
                          system=[text("one"), text("two", cache_control={"type": "ephemeral"})])
    assert sent == [{"role": "system", "content": "one\n\ntwo"}, GO,
                    {"role": "system", "content": "cwd: /x\n\ndate"},
                    {"role": "assistant", "content": "Hm."}, {"role": "system", "content": "later"},
                    says("And?")]


def test_f31_a_system_string_and_none_at_all(world):
    assert messages_of(world, [GO], system="one")[0] == [{"role": "system", "content": "one"}, GO]
    assert messages_of(world, [GO], system="")[0] == [GO]
    assert messages_of(world, [GO], system=[])[0] == [GO]


def test_f31_later_system_text_is_the_users_where_only_the_first_is_taken(world):
    history = [GO, {"role": "system", "content": "later"}, assistant("Hm."), says("And?")]
    sent, losses = messages_of(world, history, "m-onesystem", system="one")
    assert [one["role"] for one in sent] == ["system", "user", "user", "assistant", "user"]
    assert sent[2]["content"] == "<system>\nlater\n</system>" and losses


def test_f32_empty_texts_are_left_out_and_parts_kept_in_order(world):
    sent, _ = messages_of(world,
                          [user(text(""), text("a"), text("b")), assistant(text("")), says("c"),
                           assistant(text("x"), text("y")), GO])
    assert sent == [{"role": "user",
                     "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, says("c"),
                    {"role": "assistant", "content": "xy"}, GO]


def test_f37_what_only_messages_knows_is_left_out_and_named(world):
    odd = {"context_management": {"edits": [{"type": "clear_thinking_20251015"}]}, "service_tier": "auto",
           "container": "c", "mcp_servers": [],
           "inference_geo": "eu", "speed": "fast"}
    sent, losses = world.upstream("messages",
                                  {"messages": [GO], **odd, "metadata": {"user_id": "u-1"}, "x_new": 1})
    assert sent == {"model": "m-plain", "messages": [GO], "max_tokens": 1000, "user": "u-1"}
    assert set(odd) | {"x_new"} >= set(losses) >= set(odd) - {"mcp_servers"} | {"x_new"}


@pytest.mark.parametrize("wrong, place", [
    ([{"role": "user", "content": [{"type": "text", "text": 7}]}], "messages[0].content[0].text"),
    ([{"role": "user", "content": 7}], "messages[0].content"),
    ([GO, {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": []}]}],
     "messages[1].content[0].input"),
    ([{"role": "tool", "content": "x"}], "messages[0].role"),
], ids=str)
def test_f37_nonsense_is_refused_with_its_place(world, wrong, place):
    assert place in world.refused("messages", {"messages": wrong, "max_tokens": 9})
