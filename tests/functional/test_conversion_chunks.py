"""Oddities of real chat providers in converted answers: C1 to C23 and S of docs/CONFORMANCE.md."""

import json

import pytest

from converting import Script, call, chat_message, chat_usage, chunk, end, sse, world
from meant import ANY_ID, Meant, compare

SAY = chunk(role="assistant", content="")
A = ("call_a", "f", '{"x":1}')
B = ("call_b", "g", '{"y":2}')
HELLO = Meant([("text", "Hello")], usage=(20, 0, 0, 5))
DONE = sse("[DONE]")


def choice(delta, finish=None, **more):
    """A chunk of nothing but its choice and what is given."""
    return sse({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more})


def calls(*those):
    return [("call", *one) for one in those]


# ---- C1 to C4: frames, roles, content ----


def test_c01_ids_models_and_times_that_change_are_made_one(world):
    events = [
        choice({"role": "assistant", "content": ""}, id="", model="", created=0, object=""),
        choice({"content": "Hel"}, id="one", model="a", created=1),
        choice({"content": "lo"}, id="two", created=2),
        choice({}, "stop", id=None, model=None), sse({"id": 7, "choices": [], "usage": chat_usage()}), DONE,
    ]

    def is_ours(said, client, _):
        assert said.model == "m-plain" and len(said.id) > 12, (said.id, said.model)

    world.check_chat(events, HELLO, look=is_ours)


def test_c02_chunks_without_choices_are_skipped(world):
    filters = sse({"id": "", "object": "", "created": 0, "model": "", "choices": [],
                   "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]})
    events = [filters, SAY, sse({"choices": []}), chunk(content="Hello"), sse({"choices": [], "usage": None}),
              sse({}), *end()]
    world.check_chat(events, HELLO)


@pytest.mark.parametrize("role", ["assistant", None, "", 3],
                         ids=["on every chunk", "null", "empty", "a number"])
def test_c03_the_role_is_said_once_however_often_it_came(world, role):
    events = [choice({"role": role, "content": "Hel"}), choice({"role": role, "content": "lo"}),
              choice({"role": role}, "stop"),
              sse({"choices": [], "usage": chat_usage()}), DONE]
    world.check_chat(events, HELLO)


def test_c03_the_role_never_came(world):
    world.check_chat([chunk(content="Hello"), *end()], HELLO)


@pytest.mark.parametrize("content, words", [
    ([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}], [("text", "Hello")]),
    ([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "Hello"}],
     [("reasoning", "hm"), ("text", "Hello")]),
    ([{"type": "thinking", "thinking": "hm"}, "Hello"], [("reasoning", "hm"), ("text", "Hello")]),
    ([{"type": "reference", "reference_ids": [1]}, {"type": "text", "text": "Hello"}], [("text", "Hello")]),
    ({"a": 1, "b": "ü"}, [("text", '{"a": 1, "b": "ü"}')]),
    ([], []),
], ids=["parts", "thinking of parts", "thinking and a string", "a reference", "an object", "no parts"])
def test_c04_content_of_every_type_is_text(world, content, words):
    events = [SAY, chunk(content=content), *end()]
    world.check_chat(events, Meant(words), chat_message(content))


@pytest.mark.parametrize("more", [{"content": None}, {"content": ""}, {}], ids=["null", "empty", "absent"])
def test_c04_the_first_delta_may_be_a_call_beside_no_content(world, more):
    piece = {"index": 0, "id": "call_a", "type": "function",
             "function": {"name": "f", "arguments": '{"x":1}'}}
    world.check_chat([chunk(role="assistant", tool_calls=[piece], **more), *end("tool_calls")],
                     Meant(calls(A), "calls"))


def test_c04_a_whole_message_without_content_is_calls_alone(world):
    whole = chat_message(calls=[A], finish="tool_calls")
    del whole["choices"][0]["message"]["content"]
    world.check_chat([SAY, call(0, *A), *end("tool_calls")], Meant(calls(A), "calls"), whole)


# ---- C5 to C7: reasoning ----

DETAILS = [{"type": "reasoning.text", "text": "hm", "format": "unknown", "index": 0}]
SUMMARY = [{"type": "reasoning.summary", "summary": "hm", "format": "openai-responses-v1", "index": 0}]
SEALED = [{"type": "reasoning.encrypted", "data": "c2VhbGVk", "format": "openai-responses-v1", "index": 0}]


@pytest.mark.parametrize("told", [
    {"reasoning_content": "hm"}, {"reasoning": "hm"}, {"reasoning_text": "hm"},
    {"reasoning_details": DETAILS},
    {"reasoning_details": SUMMARY}, {"reasoning": "hm", "reasoning_details": DETAILS},
    {"reasoning": "hm", "reasoning_content": "hm"}, {"reasoning_content": "", "reasoning": "hm"},
    {"reasoning": "hm", "reasoning_details": [*DETAILS, *SEALED]},
    {"reasoning": None, "reasoning_content": "hm"},
], ids=str)
def test_c05_reasoning_of_every_name_counts_once(world, told):
    events = [SAY, chunk(content="", **told), chunk(content="Hello"), *end()]
    world.check_chat(events, Meant([("reasoning", "hm"), ("text", "Hello")]), chat_message("Hello", **told))


def test_c05_sealed_reasoning_alone_opens_nothing(world):
    events = [SAY, chunk(reasoning_details=SEALED), chunk(content="Hello"), *end()]
    world.check_chat(events, HELLO, chat_message("Hello", reasoning_details=SEALED))


def test_c05_a_signature_of_anthropic_behind_a_chat_provider_is_kept(world):
    signed = [{"type": "reasoning.text", "signature": "c2lnbmVk", "format": "anthropic-claude-v1",
               "index": 0}]
    events = [SAY, chunk(reasoning="hm", reasoning_details=[{**DETAILS[0], "format": "anthropic-claude-v1"}]),
              chunk(reasoning_details=signed), chunk(content="Hello"), *end()]

    def is_signed(said, client, _):
        if client == "messages":
            assert [block.signature for block in said.blocks if block.kind == "reasoning"] == ["c2lnbmVk"]

    world.check_chat(events, Meant([("reasoning", "hm"), ("text", "Hello")]), look=is_signed)


def test_c06_a_first_line_end_of_reasoning_is_kept_and_empty_content_opens_nothing(world):
    events = [chunk(role="assistant", reasoning_content="\n", content=""),
              chunk(reasoning_content="hm", content=""),
              chunk(content=""), chunk(content=None), chunk(content="Hello"), *end()]
    world.check_chat(events, Meant([("reasoning", "\nhm"), ("text", "Hello")]))


@pytest.mark.parametrize("space", ["\n", "\n\n", "  \t"])
def test_c06_white_space_alone_before_a_call_is_no_text(world, space):
    events = [SAY, chunk(content=space), call(0, *A), *end("tool_calls")]
    world.check_chat(events, Meant(calls(A), "calls"), chat_message(space, [A], "tool_calls"))


def test_c06_white_space_inside_text_is_kept(world):
    events = [SAY, *(chunk(content=piece) for piece in ("a", "\n\n", "  ", "b", "\n", "c ")), *end()]
    world.check_chat(events, Meant([("text", "a\n\n  b\nc ")]), chat_message("a\n\n  b\nc "))


def test_c07_reasoning_may_come_behind_text(world):
    events = [SAY, chunk(content="one"), chunk(reasoning="hm"), chunk(content="two"), *end()]
    world.check_chat(events, Meant([("text", "one"), ("reasoning", "hm"), ("text", "two")]))


def test_c07_text_and_reasoning_in_one_delta_are_two_blocks(world):
    events = [SAY, chunk(content="Hello", reasoning="hm"), *end()]
    world.check_chat(events, Meant([("reasoning", "hm"), ("text", "Hello")]),
                     chat_message("Hello", reasoning="hm"))


# ---- C8 to C16: calls ----


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_c08_arguments_come_in_pieces_of_every_size(world, size):
    arguments = '{"path":"/grüße/🙂","n":[1,2,{"x":null}]}'
    pieces = [call(0, arguments=arguments[at : at + size]) for at in range(0, len(arguments), size)]
    events = [SAY, call(0, "call_a", "f", ""), call(0, arguments=""), *pieces, call(0, arguments=""),
              *end("tool_calls")]
    world.check_chat(events, Meant(calls(("call_a", "f", arguments)), "calls"))


@pytest.mark.parametrize("more", [
    {"id": "", "type": ""}, {"id": None, "type": None}, {"id": "call_a"}, {},
], ids=["empty", "null", "repeated", "absent"])
@pytest.mark.parametrize("function", [{"name": ""}, {"name": None}, {"name": "f"}, {}], ids=str)
def test_c09_an_empty_or_null_identity_neither_overwrites_nor_starts_a_call(world, more, function):
    blank = {"index": 0, **more, "function": {**function, "arguments": None}}
    rest = {"index": 0, **more, "function": {**function, "arguments": "1}"}}
    events = [SAY, call(0, "call_a", "f", '{"x":'), chunk(role=None, content=None, tool_calls=[blank]),
              chunk(tool_calls=[rest]), *end("tool_calls")]
    world.check_chat(events, Meant(calls(A), "calls"))


def test_c10_one_index_for_two_calls_with_a_finish_each(world):
    events = [SAY, call(0, *A), chunk("tool_calls"), call(0, *B), chunk("tool_calls"), *end("tool_calls")[1:]]
    world.check_chat(events, Meant(calls(A, B), "calls", (20, 0, 0, 5)))


def test_c10_one_index_for_two_calls_of_one_name(world):
    twin = ("call_c", "f", '{"x":3}')
    world.check_chat([SAY, call(0, *A), call(0, *twin), *end("tool_calls")], Meant(calls(A, twin), "calls"))


def test_c11_a_call_or_text_on_the_finish_chunk_counts(world):
    world.check_chat([SAY, call(0, *A, finish="tool_calls"), DONE], Meant(calls(A), "calls"))
    world.check_chat([SAY, chunk(content="Hel"), chunk("stop", content="lo"), DONE],
                     Meant([("text", "Hello")]))


@pytest.mark.parametrize("finishes, meant", [
    (["tool_calls", "tool_calls"], "calls"), (["tool_calls", "stop"], "calls"), (["stop"], "calls"),
    (["", "stop"], "calls"),
    (["stop", "length"], "length"),
], ids=str)
def test_c12_finishes_that_repeat_change_or_lie_close_once(world, finishes, meant):
    events = [SAY, call(0, *A), *(chunk(finish) for finish in finishes),
              sse({"choices": [], "usage": chat_usage()}), DONE]
    world.check_chat(events, Meant(calls(A), meant, (20, 0, 0, 5)))


def test_c12_an_empty_finish_on_every_chunk_is_none(world):
    events = [chunk("", role="assistant", content=""), chunk("", content="Hello"), *end()]
    world.check_chat(events, HELLO)


def test_c12_tool_calls_without_any_is_an_ordinary_end(world):
    world.check_chat([SAY, chunk(content="Hello"), *end("tool_calls")], HELLO,
                     chat_message("Hello", finish="tool_calls"))


@pytest.mark.parametrize("arguments", ["null", "", " \n", None, {}], ids=repr)
def test_c13_no_arguments_are_an_empty_object(world, arguments):
    piece = {"index": 0, "id": "call_a", "type": "function",
             "function": {"name": "f", "arguments": arguments}}
    whole = chat_message(finish="tool_calls", tool_calls=[piece])
    meant = Meant(calls(("call_a", "f", "{}")), "calls")
    world.check_chat([SAY, chunk(tool_calls=[piece]), *end("tool_calls")], meant, whole)


def test_c13_arguments_that_are_an_object_are_taken(world):
    piece = {"index": 0, "id": "call_a", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
    whole = chat_message(finish="tool_calls", tool_calls=[piece])
    world.check_chat([SAY, chunk(tool_calls=[piece]), *end("tool_calls")], Meant(calls(A), "calls"), whole)


@pytest.mark.parametrize("torn", ['{"x":', '{"x":"abc', '{"x":1', "{"], ids=repr)
def test_c14_arguments_torn_by_the_limit_are_never_mended(world, torn):
    events = [SAY, chunk(content="Hello"), call(0, "call_a", "f", torn), *end("length")]
    meant = Meant([("text", "Hello"), ("call", "call_a", "f", torn)], "length")
    world.check_chat(events, meant, chat_message("Hello", [("call_a", "f", torn)], "length"))


def test_c14_only_the_torn_one_of_two_calls_is_left_out_of_a_whole_message(world):
    torn = ("call_b", "g", '{"y":')
    events = [SAY, call(0, *A), call(1, *torn), *end("length")]
    world.check_chat(events, Meant(calls(A, torn), "length"), chat_message(calls=[A, torn], finish="length"))


@pytest.mark.parametrize("call_id",
                         ["functions.weather:0", "call_-8253026841315144438", "a b/c", "ü", "x" * 300,
                          "toolu_01AbC"])
def test_c15_ids_of_every_form_are_shown_in_a_safe_one(world, call_id):
    shown = call_id if call_id in ("call_-8253026841315144438", "toolu_01AbC") else ANY_ID
    events = [SAY, call(0, call_id, "f", '{"x":1}'), *end("tool_calls")]
    meant = Meant(calls((shown, "f", '{"x":1}')), "calls")
    world.check_chat(events, meant, chat_message(calls=[(call_id, "f", '{"x":1}')], finish="tool_calls"))


def test_c16_calls_without_a_type_or_with_an_index_are_whole(world):
    bare = {"index": 0, "id": "call_a", "function": {"name": "f", "arguments": '{"x":1}'}}
    whole = chat_message(finish="tool_calls", tool_calls=[bare])
    world.check_chat([SAY, chunk(tool_calls=[bare]), *end("tool_calls")], Meant(calls(A), "calls"), whole)


def test_c16_calls_without_an_index_are_told_apart_by_their_ids(world):
    pieces = [{"id": one[0], "type": "function",
               "function": {"name": one[1], "arguments": one[2]}} for one in (A, B)]
    world.check_chat([SAY, chunk(tool_calls=pieces), *end("tool_calls")], Meant(calls(A, B), "calls"))


# ---- C17 to C23 ----


@pytest.mark.parametrize("position", ["usage", "x_groq", "choice"])
def test_c17_usage_of_a_whole_answer_stands_in_three_places(world, position):
    whole = chat_message("Hello")
    usage = whole.pop("usage")
    if position == "choice":
        whole["choices"][0]["usage"] = usage
    else:
        whole[position] = usage if position == "usage" else {"usage": usage}
    world.check_chat([SAY, chunk(content="Hello"), *end()], HELLO, whole)


def test_c17_usage_grows_chunk_by_chunk_and_the_last_counts(world):
    events = [choice({"content": "Hel"}, usage=chat_usage(20, 1)),
              choice({"content": "lo"}, usage=chat_usage(20, 3)),
              choice({}, "stop", usage=chat_usage(20, 5)), sse({"choices": [], "usage": None}), DONE]
    world.check_chat(events, HELLO)


def test_c18_totals_and_details_that_make_no_sense_break_nothing(world):
    odd = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": -3,
           "completion_tokens_details": {"reasoning_tokens": 99},
           "prompt_tokens_details": {"cached_tokens": -4}, "cost": 1e-9, "queue_time": 0.1}
    world.check_chat([SAY, chunk(content="Hello"), *end(usage=odd)], HELLO, chat_message("Hello", usage=odd))


@pytest.mark.parametrize("usage, told", [
    (chat_usage(20, 5, 12), (8, 12, 0, 5)),
    ({"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25, "prompt_cache_hit_tokens": 12},
     (8, 12, 0, 5)),
    ({"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25, "cached_tokens": 12}, (8, 12, 0, 5)),
], ids=["openai", "deepseek", "moonshot"])
def test_c19_cached_tokens_are_taken_out_of_the_input(world, usage, told):
    meant = Meant([("text", "Hello")], usage=told)
    world.check_chat([SAY, chunk(content="Hello"), *end(usage=usage)], meant,
                     chat_message("Hello", usage=usage))


def test_c20_the_words_of_a_refusal_reach_every_client(world):
    events = [SAY, chunk(refusal="I can't "), chunk(refusal="help."), *end()]
    meant = Meant([("refusal", "I can't help.")])
    world.check_chat(events, meant, chat_message(refusal="I can't help."))


def test_c20_a_filter_that_left_nothing_is_a_refusal(world):
    world.check_chat([SAY, *end("content_filter")], Meant([], "refusal"),
                     chat_message(finish="content_filter"))


def test_c21_members_nobody_knows_change_nothing(world):
    odd = {"provider": "X", "obfuscation": "ab", "service_tier": None, "p": "xyz", "citations": ["u"],
           "system_fingerprint": None}
    inner = {"native_finish_reason": "STOP", "content_filter_results": {"hate": {"filtered": False}},
             "token_ids": [1], "stop_reason": None,
             "logprobs": {"content": [{"token": "H", "logprob": -1.5}]},
             "executed_tools": [{"index": 0, "arguments": "{}"}]}
    delta = {"role": "assistant", "content": "Hello", "annotations": [], "audio": None, "function_call": None,
             "tool_calls": None, "x": 1}
    events = [sse({**odd, "choices": [{"index": 0, "delta": delta, "finish_reason": None, **inner}]}),
              choice({}, "stop", **odd),
              sse({"choices": [], "usage": {**chat_usage(), "cost": 0.1}}), DONE]
    world.check_chat(events, HELLO)


def test_c22_a_legacy_function_call_is_a_call(world):
    events = [SAY, chunk(function_call={"name": "f", "arguments": ""}),
              chunk(function_call={"arguments": '{"x":'}),
              chunk(function_call={"arguments": "1}"}), *end("function_call")]
    whole = chat_message(finish="function_call", function_call={"name": "f", "arguments": '{"x":1}'})
    world.check_chat(events, Meant(calls((ANY_ID, "f", '{"x":1}')), "calls"), whole)


@pytest.mark.parametrize("empty", [{}, {"name": "", "arguments": ""}, None], ids=repr)
def test_c22_an_empty_function_call_beside_calls_is_nothing(world, empty):
    events = [SAY, call(0, *A), chunk(function_call=empty), *end("tool_calls")]
    world.check_chat(events, Meant(calls(A), "calls"),
                     chat_message(calls=[A], finish="tool_calls", function_call=empty))


def test_c23_the_message_so_far_beside_the_delta_is_not_told_again(world):
    def both(piece, so_far, finish=None):
        one = {"index": 0, "delta": {"role": "assistant", "content": piece}, "finish_reason": finish,
               "message": {"role": "assistant", "content": so_far}}
        return sse({"object": "chat.completion.chunk", "choices": [one], "citations": ["https://x.example"],
                    "search_results": [{"title": "x"}], "usage": chat_usage()})

    events = [both("Hel", "Hel"), both("lo", "Hello"), both("", "Hello", "stop")]
    world.check_chat(events, HELLO)


# ---- S: framing ----


def test_s03_a_body_that_ends_behind_a_finish_is_a_good_end(world):
    world.check_chat([SAY, chunk(content="Hello"), *end()[:2]], HELLO)


@pytest.mark.parametrize("kind",
                         ["text/event-stream;charset=UTF-8", "application/octet-stream", "application/json",
                          "text/plain"])
def test_s08_a_stream_under_any_content_type_is_read(world, kind):
    for client, is_stream in (("messages", True), ("messages", False), ("chat", False)):
        said = world.hear(Script([SAY, chunk(content="Hello"), *end()], None, "stream", None, kind), client,
                          is_stream, "chat")
        compare(said, HELLO, client, is_stream)


def test_s07_white_space_before_a_whole_body_is_no_content(world):
    whole = b" \n" * 200 + json.dumps(chat_message("Hello")).encode()
    world.check_chat([SAY, chunk(content="Hello"), *end()], HELLO, whole)


def test_s11_retry_after_on_a_good_answer_is_not_obeyed(world):
    def answer(call):
        call.head(200, [("Content-Type", "application/json"), ("Retry-After", "60")])
        call.body(json.dumps(chat_message("Hello")).encode())
        call.end()

    for _ in range(3):
        world.provider.will(answer)
        assert world.daemon.messages("m-plain").json["content"] == [{"type": "text", "text": "Hello"}]
