"""What Claude Code 2.1.330 sends, request by request, at a chat provider and at a Messages provider.

The bodies are made here after what was measured of that version: names, oddities and order are its own,
the words are not. A chat provider's copy is held against strict_chat.py by the fixture.
"""

import copy
import json

import pytest

from converting import Script, begin, block, chat_message, message, stop, world
from lifecycle import said_by

PIXEL = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")
MARK = {"cache_control": {"type": "ephemeral"}}
BETAS = ("claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,"
         "mid-conversation-tool-changes-2026-07-01,thinking-token-count-2026-05-13,"
         "advanced-tool-use-2025-11-20,effort-2025-11-24")
HEADERS = [
    ("anthropic-version", "2023-06-01"), ("anthropic-beta", BETAS), ("x-app", "cli"),
    ("user-agent", "claude-cli/2.1.330 (external, sdk-cli)"),
    ("anthropic-dangerous-direct-browser-access", "true"),
    ("x-claude-code-session-id", "5f1c8b1e-0000-4000-8000-000000000000"),
    ("x-stainless-lang", "js"), ("x-stainless-timeout", "600"), ("accept", "application/json"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
]
USER = json.dumps({"device_id": "d" * 64, "account_uuid": "",
                   "session_id": "5f1c8b1e-0000-4000-8000-000000000000"})


def text(words, **more):
    return {"type": "text", "text": words, **more}


def image_part(media_type):
    return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{PIXEL}"}}


def schema(**properties):
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
            "properties": properties,
            "required": sorted(properties)[:1], "additionalProperties": False}


TOOLS = [
    {"name": "Bash", "description": "Runs a command.\n\nUse \"quotes\".",
     "input_schema": schema(command={"type": "string"},
                            timeout={"type": "number", "exclusiveMinimum": 0, "maximum": 600000,
                                     "default": 120000})},
    {"name": "Read", "description": "Reads a file.",
     "input_schema": schema(file_path={"type": "string", "pattern": "^/"})},
    {"name": "ToolSearch", "description": "Finds tools.",
     "input_schema": schema(query={"type": "string"}, max_results={"type": "integer", "default": 5})},
    {"name": "DeferredToolPlaceholder", "description": "Not to be called.",
     "input_schema": {"type": "object", "properties": {}}, "defer_loading": True},
]
WEB_SEARCH = {"name": "WebSearch", "description": "Searches.", "defer_loading": True,
              "input_schema": schema(query={"type": "string", "minLength": 2},
                                     allowed_domains={"type": "array", "items": {"type": "string"},
                                                      "maxItems": 20})}
ENVIRONMENT = "# Environment\ncwd: /home/me/project\n\nDeferred tools: WebSearch\n\nAgents and skills: none"
REMINDER = "<system-reminder>\nToday is Monday.\n</system-reminder>"


def system(suffix):
    """Block 0 differs from one kind of request to the next."""
    return [text(f"x-anthropic-billing-header: cc_version=2.1.330.{suffix}; cc_entrypoint=sdk-cli;"),
            text("You are an agent.", **MARK),
            text("Long rules.\n\nMore of them.", **MARK)]


def request(model, messages, suffix="bbb", tools=TOOLS):
    return {
        "model": model, "messages": messages, "system": system(suffix), "tools": tools,
        "metadata": {"user_id": USER}, "max_tokens": 32000,
        "thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "high"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}, "stream": True,
    }


def first_turn(model):
    asked = {"role": "user", "content": [text(REMINDER),
                                         text("Search the web and look at the picture.", **MARK)]}
    return request(model, [asked, {"role": "system", "content": [text(ENVIRONMENT, **MARK)]}])


SIGNATURE = "YWljdGw6dW5zaWduZWQ="
CALLS = [{"type": "tool_use", "id": "call_search", "name": "ToolSearch",
          "input": {"query": "select:WebSearch", "max_results": 1}},
         {"type": "tool_use", "id": "call_read", "name": "Read",
          "input": {"file_path": "/home/me/project/a.png"}},
         {"type": "tool_use", "id": "call_bash", "name": "Bash", "input": {"command": "false"}}]


def second_turn(model):
    """With the results of three calls; the system message is a plain string by now, the mark has moved."""
    body = first_turn(model)
    body["system"] = system("355")
    asked, environment = body["messages"]
    asked["content"][-1].pop("cache_control")
    environment["content"] = ENVIRONMENT
    results = [
        {"type": "tool_result", "tool_use_id": "call_search",
         "content": [{"type": "tool_reference", "tool_name": "WebSearch"}]},
        {"type": "tool_result", "tool_use_id": "call_read", "content": [
            {"type": "image", "source": {"type": "base64", "data": PIXEL, "media_type": "image/png"}}]},
        {"type": "tool_result", "tool_use_id": "call_bash", "content": "Exit code 1", "is_error": True,
         **MARK},
    ]
    thought = {"type": "thinking", "thinking": "They want a search.", "signature": SIGNATURE}
    body["messages"] += [{"role": "assistant", "content": [thought, text("I'll look."), *CALLS]},
                         {"role": "user", "content": results}]
    body["tools"] = [*TOOLS, WEB_SEARCH]
    return body


def ask(world, body, script=None):
    return world.ask("messages", copy.deepcopy(body), script, headers=HEADERS[1:])


def function(tool):
    return {"type": "function",
            "function": {"name": tool["name"], "description": tool["description"],
                         "parameters": tool["input_schema"]}}


SYSTEM_SENT = {"role": "system", "content": "You are an agent.\n\nLong rules.\n\nMore of them."}
ENVIRONMENT_SENT = {"role": "system", "content": ENVIRONMENT}
ASKED_SENT = {"role": "user", "content": [text(REMINDER), text("Search the web and look at the picture.")]}


def calls_sent(**more):
    calls = [{"id": one["id"], "type": "function",
              "function": {"name": one["name"], "arguments": json.dumps(one["input"])}} for one in CALLS]
    return {"role": "assistant", "content": "I'll look.", **more, "tool_calls": calls}


RESULTS_SENT = [
    {"role": "tool", "tool_call_id": "call_search", "content": "Tool WebSearch is available now."},
    {"role": "tool", "tool_call_id": "call_read", "content": "[image: see the next message]"},
    {"role": "tool", "tool_call_id": "call_bash", "content": "Error: Exit code 1"},
    {"role": "user", "content": [text("(images from the tool results above)"), image_part("image/png")]},
]


def test_the_first_turn_as_a_chat_provider_gets_it(world):
    answer = ask(world, first_turn("m-plain"))
    sent = world.provider.last.json
    assert answer.status == 200
    assert sent == {
        "model": "m-plain", "tools": [function(tool) for tool in TOOLS[:3]],
        "messages": [SYSTEM_SENT, ASKED_SENT, ENVIRONMENT_SENT],
        "max_tokens": 32000, "reasoning_effort": "high", "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert list(sent)[:3] == ["model", "tools", "messages"]


def test_the_first_turn_says_what_was_left_out(world):
    losses = ask(world, {**first_turn("m-plain"), "stream": False}).header("x-aictl-loss").split(", ")
    assert {"context_management", "system: billing header", "thinking.display"} <= set(losses)


def test_the_headers_of_the_client_stay_here(world):
    ask(world, first_turn("m-plain"))
    names = {name.lower() for name, _ in world.provider.last.headers}
    assert not {name for name in names if name.startswith(("anthropic-", "x-stainless", "x-claude", "x-app"))}
    assert world.provider.last.path == "/v1/chat/completions"


def test_the_second_turn_as_a_chat_provider_gets_it(world):
    answer = ask(world, second_turn("m-plain"))
    sent = world.provider.last.json
    assert answer.status == 200
    assert sent["messages"] == [SYSTEM_SENT, ASKED_SENT, ENVIRONMENT_SENT, calls_sent(), *RESULTS_SENT]
    assert sent["tools"] == [function(tool) for tool in [*TOOLS[:3], WEB_SEARCH]]


def test_the_second_turn_keeps_its_reasoning_where_the_provider_wants_it_back(world):
    ask(world, second_turn("m-back"))
    assert world.provider.last.json["messages"][3] == calls_sent(reasoning_content="They want a search.")


def test_the_second_turn_begins_with_the_first_ones_messages_byte_for_byte(world):
    """But for the tools: a search has added one, and nothing in front of them may change."""
    bodies = []
    for body in (first_turn("m-plain"), {**second_turn("m-plain"), "tools": TOOLS}):
        ask(world, body)
        bodies.append(world.provider.last.body.decode())
    shared = bodies[0][: bodies[0].index(',"max_tokens"') - 1]
    assert shared.endswith("}") and bodies[1].startswith(shared)


def test_a_model_that_takes_no_system_text_in_the_middle_still_learns_where_it_is(world):
    ask(world, second_turn("m-onesystem"))
    sent = world.provider.last.json["messages"]
    assert [one["role"] for one in sent] == ["system", "user", "user", "assistant", "tool", "tool", "tool",
                                             "user"]
    assert "cwd: /home/me/project" in sent[2]["content"]


def test_its_web_search_request_has_no_tools_left(world):
    body = request("m-plain", [{"role": "user", "content": [text("Perform a web search for: x")]}],
                   tools=[{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}])
    ask(world, {**body, "tool_choice": {"type": "auto"}})
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(world.provider.last.json)


def test_its_title_request_becomes_a_response_format(world):
    form = {"type": "json_schema",
            "schema": {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"],
                                              "additionalProperties": False}}
    body = request("m-plain", [{"role": "user", "content": [text("<session>\nhello\n</session>")]}], tools=[])
    ask(world, {**body, "output_config": {"format": form}, "thinking": {"type": "disabled"}})
    sent = world.provider.last.json
    assert sent["response_format"]["json_schema"]["schema"] == form["schema"] and "tools" not in sent
    assert sent.get("reasoning_effort", "none") == "none"


def test_its_older_models_ask_for_a_budget(world):
    body = {**first_turn("m-plain"),
            "thinking": {"type": "enabled", "budget_tokens": 31999, "display": "omitted"}}
    del body["output_config"]
    ask(world, body)
    assert world.provider.last.json["reasoning_effort"] == "high"


def test_a_limit_above_the_models_is_cut_so_that_it_can_raise_it(world):
    ask(world, {**first_turn("m-small"), "max_tokens": 128000})
    assert world.provider.last.json["max_tokens"] == 4096


def test_after_an_error_event_it_repeats_without_a_stream(world):
    answer = ask(world, {**first_turn("m-plain"), "stream": False},
                 Script(None, chat_message("Hello", reasoning_content="hm"), "whole"))
    assert [one["type"] for one in answer.json["content"]] == ["thinking", "text"]
    assert answer.json["content"][0]["signature"]
    assert not {"stream", "stream_options"} & set(world.provider.last.json)


def test_what_it_gets_back_is_what_it_sends_back(world):
    """A turn told by a chat provider comes back in the next request, and arrives as it was said."""
    calls = [("functions.Bash:0", "Bash", '{"command": "ls"}'),
             ("functions.Read:1", "Read", '{"file_path":"/x"}')]
    script = Script(None, chat_message("I'll look.", calls, "tool_calls", reasoning_content="Hm."), "whole")
    said = said_by(ask(world, first_turn("m-back"), script))
    blocks = []
    for one in said.blocks:
        if one.kind == "reasoning":
            blocks.append({"type": "thinking", "thinking": one.text, "signature": one.signature})
        elif one.kind == "text":
            blocks.append(text(one.text))
        else:
            blocks.append({"type": "tool_use", "id": one.id, "name": one.name, "input": json.loads(one.text)})
    body = first_turn("m-back")
    results = [{"type": "tool_result", "tool_use_id": one.id, "content": "done"} for one in said.calls]
    body["messages"] += [{"role": "assistant", "content": blocks}, {"role": "user", "content": results}]
    ask(world, body)
    turn = world.provider.last.json["messages"][3:]
    assert turn[0]["content"] == "I'll look." and turn[0]["reasoning_content"] == "Hm."
    assert [(one["id"], one["function"]["name"],
             json.loads(one["function"]["arguments"])) for one in turn[0]["tool_calls"]] == \
        [(call_id, name, json.loads(arguments)) for call_id, name, arguments in calls]
    assert [one["tool_call_id"] for one in turn[1:]] == [call_id for call_id, _, _ in calls]


def test_reasoning_is_found_again_though_marks_forms_and_the_billing_header_have_changed(world):
    """For a client that leaves thinking out of its history: what changes from turn to turn is no obstacle."""
    calls = [(one["id"], one["name"], json.dumps(one["input"])) for one in CALLS]
    whole = chat_message("I'll look.", calls, "tool_calls", reasoning_content="They want a search.")
    ask(world, {**first_turn("m-back"), "stream": False}, Script(None, whole))
    body = second_turn("m-back")
    body["messages"][2]["content"].pop(0)
    ask(world, body)
    assert world.provider.last.json["messages"][3] == calls_sent(reasoning_content="They want a search.")


# ---- at its own kind of provider ----


@pytest.mark.parametrize("make", [first_turn, second_turn])
def test_a_messages_provider_gets_the_very_bytes_but_for_thinking_nobody_signed(world, make):
    body = make("c-plain")
    assert ask(world, body).status == 200
    seen = world.provider.last
    for one in body["messages"]:
        if one["role"] == "assistant":
            one["content"] = [part for part in one["content"] if part.get("signature") != SIGNATURE]
    assert seen.json == body and seen.header("anthropic-beta") == BETAS
    if make is first_turn:
        assert seen.body == json.dumps(body).encode()


def test_context_tokens_are_counted_at_once_without_a_provider(world):
    before = len(world.provider.requests)
    for body in (first_turn("m-plain"), second_turn("m-plain"),
                 {"model": "m-plain", "messages": [{"role": "user", "content": "foo"}], "tools": TOOLS[:1]}):
        asked = {name: body[name] for name in ("model", "messages", "tools", "system") if name in body}
        answer = world.daemon.ask("POST", "/v1/messages/count_tokens?beta=true", asked, headers=HEADERS)
        assert answer.status == 200 and 0 < answer.json["input_tokens"] < 5000
    assert len(world.provider.requests) == before


# ---- other clients at a Messages provider ----


def test_qwen_code_at_a_messages_provider(world):
    """Arrays of five text parts, results as parts, reasoning sent back, an image behind the results."""
    parts = [text(f"part {number}") for number in range(5)]
    call = {"id": "call_1", "type": "function",
            "function": {"name": "read_file", "arguments": '{"path":"a.png"}'}}
    body = {
        "messages": [
            {"role": "system", "content": "You are an agent."}, {"role": "user", "content": parts},
            {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": [text("see the media below")]},
            {"role": "user",
             "content": [text("(attached media from previous tool call)"), image_part("image/jpeg")]},
        ],
        "tools": [{"type": "function",
                   "function": {"name": "read_file", "description": "d",
                                "parameters": {"type": "object", "properties": {}}}}],
        "max_tokens": 32000, "stream": True, "stream_options": {"include_usage": True},
    }
    sent, _ = world.upstream("chat", body)
    assert [one["role"] for one in sent["messages"]] == ["user", "assistant", "user"]
    assert [one["text"] for one in sent["messages"][0]["content"]] == [one["text"] for one in parts]
    assert [one["type"] for one in sent["messages"][2]["content"]] == ["tool_result", "text", "image"]


def test_opencode_at_a_messages_provider(world):
    """tool_choice auto, reasoning_content sent back; the answer's thinking comes as the same."""
    body = {
        "model": "c-plain", "messages": [{"role": "system", "content": "s"},
                                         {"role": "user", "content": "Go."},
                                         {"role": "assistant", "content": "Hm.", "reasoning_content": "r"},
                                         {"role": "user", "content": "And?"}],
        "max_tokens": 32000, "tool_choice": "auto", "stream": True, "stream_options": {"include_usage": True},
        "tools": [{"type": "function",
                   "function": {"name": "bash", "parameters": {"type": "object", "properties": {}}}}],
    }
    events = [begin(), block(0, "thinking", "hm", signature="s"), block(1, "text", "Hello"), stop()]
    said = said_by(world.ask("chat", body, Script(events, message(), "stream")))
    assert (said.reasoning, said.text, said.stop) == ("hm", "Hello", "stop")
    assert said.usage["prompt_tokens"] == 20
    assert world.provider.last.json["tool_choice"] == {"type": "auto"}
