"""A Messages provider's answers in both dialects and forms: families and A1 to A9 of docs/CONFORMANCE.md."""

import json

import pytest

from converting import Script, begin, block, delta, event, message, messages_usage, stop, world
from meant import Meant

HELLO = Meant([("text", "Hello")], usage=(20, 0, 0, 5))
A = ("toolu_a", "f", '{"x":1}')
B = ("toolu_b", "g", '{"y":2}')
PING = event("ping")


def text(index, *pieces):
    return block(index, "text", *pieces)


def tool(index, one, *pieces):
    return block(index, "tool_use", *(pieces or [one[2]]), id=one[0], name=one[1])


def text_part(words):
    return {"type": "text", "text": words}


def tool_part(one):
    return {"type": "tool_use", "id": one[0], "name": one[1], "input": json.loads(one[2])}


def calls(*those):
    return [("call", *one) for one in those]


# ---- the families, from the other side ----


def test_f01_parallel_calls_get_indexes_of_their_own(world):
    events = [begin(), tool(0, A, "", '{"x"', ":1}"), tool(1, B), stop("tool_use")]
    world.check_messages(events, Meant(calls(A, B), "calls"),
                         message(tool_part(A), tool_part(B), stop_reason="tool_use"))


def test_f01_events_of_two_blocks_interleaved_are_kept_apart(world):
    def opened(index, one):
        return event("content_block_start", index=index,
                     content_block={"type": "tool_use", "id": one[0], "name": one[1], "input": {}})

    events = [begin(), opened(0, A), opened(1, B), delta(0, "tool_use", '{"x":'),
              delta(1, "tool_use", '{"y":2}'),
              delta(0, "tool_use", "1}"), event("content_block_stop", index=0),
              event("content_block_stop", index=1), stop("tool_use")]
    world.check_messages(events, Meant(calls(A, B), "calls"))


def test_f02_text_behind_a_call_keeps_its_place(world):
    events = [begin(), tool(0, A), text(1, "done"), stop("tool_use")]
    meant = Meant([("call", *A), ("text", "done")], "calls")
    world.check_messages(events, meant, message(tool_part(A), text_part("done"), stop_reason="tool_use"))


def test_f03_several_segments_of_reasoning_keep_their_places(world):
    thought = [{"type": "thinking", "thinking": words, "signature": "s" + words} for words in "ab"]
    events = [begin(), block(0, "thinking", "a", signature="sa"), tool(1, A),
              block(2, "thinking", "b", signature="sb"), stop("tool_use")]
    meant = Meant([("reasoning", "a"), ("call", *A), ("reasoning", "b")], "calls")

    def are_signed(said, client, _):
        if client == "messages":
            assert [one.signature for one in said.blocks if one.kind == "reasoning"] == ["sa", "sb"]

    world.check_messages(events, meant, message(thought[0], tool_part(A), thought[1], stop_reason="tool_use"),
                         look=are_signed)


@pytest.mark.parametrize("reason, meant", [
    ("end_turn", "end"), ("max_tokens", "length"), ("stop_sequence", "sequence"), ("pause_turn", "pause"),
    ("refusal", "refusal"),
    ("model_context_window_exceeded", "context"), ("something_new", "end"), ("tool_use", "end"),
])
def test_f09_stop_reasons_of_an_answer_without_calls(world, reason, meant):
    world.check_messages([begin(), text(0, "Hello"), stop(reason)], Meant([("text", "Hello")], meant),
                         message(text_part("Hello"), stop_reason=reason))


@pytest.mark.parametrize("reason, meant",
                         [("tool_use", "calls"), ("end_turn", "calls"), ("max_tokens", "length")])
def test_f09_stop_reasons_of_an_answer_with_calls(world, reason, meant):
    world.check_messages([begin(), tool(0, A), stop(reason)], Meant(calls(A), meant),
                         message(tool_part(A), stop_reason=reason))


def test_f09_the_stop_sequence_is_named(world):
    events = [begin(), text(0, "Hello"), stop("stop_sequence", sequence="END")]
    whole = message(text_part("Hello"), stop_reason="stop_sequence", stop_sequence="END")
    body = {"model": "c-plain", "max_tokens": 9, "messages": [{"role": "user", "content": "Go."}]}
    plain = world.ask("messages", body, Script(events, whole, "stream")).json
    assert (plain["stop_reason"], plain["stop_sequence"]) == ("stop_sequence", "END")
    streamed = world.ask("messages", {**body, "stream": True}, Script(events, whole, "whole")).body
    assert b'"stop_sequence":"END"' in streamed


def test_f10_thinking_alone_is_an_answer(world):
    events = [begin(), block(0, "thinking", "hm", signature="s"), stop()]
    whole = message({"type": "thinking", "thinking": "hm", "signature": "s"})
    world.check_messages(events, Meant([("reasoning", "hm")]), whole)


def test_f10_no_block_at_all_is_an_empty_answer(world):
    world.check_messages([begin(), stop()], Meant([]), message())


@pytest.mark.parametrize("change", [
    lambda stream: stream.replace(b"\n", b"\r\n"), lambda stream: stream.replace(b": ", b":"),
    lambda stream: b": hi\n\n" + stream.replace(b"\n\n", b"\n\n: keepalive\n\n"),
    lambda stream: stream.replace(b"\n\n", b'\n\nevent: ping\ndata: {"type": "ping"}\n\n'),
    lambda stream: stream.rstrip(b"\n"),
    lambda stream: b"".join(line + b"\n" for line in stream.split(b"\n") if not line.startswith(b"event:")),
    lambda stream: stream + b"event: data\ndata: [DONE]\n\n",
], ids=["crlf", "no space", "comments", "pings", "no last blank line", "no event lines",
        "done behind the end"])
def test_f11_framing_of_every_kind_gives_the_same_answer(world, change):
    words = "Grüße, 世界 🙂"
    events = b"".join([begin(), text(0, *words), tool(1, A), stop("tool_use")])
    world.check_messages([change(events)], Meant([("text", words), ("call", *A)], "calls", (20, 0, 0, 5)))


@pytest.mark.parametrize("start, last, told", [
    (messages_usage(13, 1, 22000, 31), messages_usage(13, 4, 22000, 31), (13, 22000, 31, 4)),
    (messages_usage(13, 1, 22000, 31), {"output_tokens": 4}, (13, 22000, 31, 4)),
    (messages_usage(2068, 1), messages_usage(22397, 4), (22397, 0, 0, 4)),
    (messages_usage(13, 1, 22000), {"input_tokens": 0, "output_tokens": 4}, (0, 22000, 0, 4)),
    (messages_usage(13, 1), {"input_tokens": None, "cache_read_input_tokens": None, "output_tokens": 4},
     (13, 0, 0, 4)),
], ids=["told twice", "output alone", "corrected", "zero", "null"])
def test_f22_counts_of_start_and_end_are_merged_never_added(world, start, last, told):
    events = [begin(start), text(0, "Hello"), stop(usage=last)]
    world.check_messages(events, Meant([("text", "Hello")], usage=told))


def test_f22_counts_of_a_whole_answer(world):
    whole = message(text_part("Hello"), usage=messages_usage(13, 4, 22000, 31))
    events = [begin(), text(0, "Hello"), stop(usage=messages_usage(13, 4, 22000, 31))]
    world.check_messages(events, Meant([("text", "Hello")], usage=(13, 22000, 31, 4)), whole)


def test_f22_cache_writes_of_an_hour_stay_told_apart(world):
    usage = {**messages_usage(13, 4, 22000, 31),
             "cache_creation": {"ephemeral_5m_input_tokens": 11, "ephemeral_1h_input_tokens": 20}}

    def split(said, client, _):
        if client == "messages":
            assert said.usage["cache_creation"] == usage["cache_creation"]

    events = [begin(usage), text(0, "Hello"), stop(usage=usage)]
    world.check_messages(events, Meant([("text", "Hello")], usage=(13, 22000, 31, 4)),
                         message(text_part("Hello"), usage=usage), look=split)


# ---- A: what this dialect really sends ----


def test_a01_pings_come_anywhere(world):
    events = [PING, begin(), PING,
              text(0, "Hel", "lo").replace(b"event: content_block_delta",
                                           PING + b"event: content_block_delta"), PING,
              event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None},
                    usage=messages_usage()), PING,
              event("message_stop")]
    world.check_messages(events, HELLO)


def test_a02_usage_of_the_end_overwrites_that_of_the_start(world):
    events = [begin(messages_usage(2068, 3)), text(0, "Hello"), stop(usage=messages_usage(22397, 5, 100))]
    world.check_messages(events, Meant([("text", "Hello")], usage=(22397, 100, 0, 5)))


def test_a03_total_input_is_fresh_and_cached_together(world):
    events = [begin(), text(0, "Hello"), stop(usage=messages_usage(10, 5, 200, 30))]

    def total(said, client, _):
        if client == "chat":
            assert said.usage["prompt_tokens"] == 240 and said.usage["total_tokens"] == 245

    world.check_messages(events, Meant([("text", "Hello")], usage=(10, 200, 30, 5)), look=total)


def test_a04_thinking_without_words_is_kept_for_the_replay_and_not_shown(world):
    events = [begin(), block(0, "thinking", signature="only-signed"), text(1, "Hello"), stop()]
    whole = message({"type": "thinking", "thinking": "", "signature": "only-signed"}, text_part("Hello"))

    def is_kept(said, client, _):
        if client == "messages":
            assert [(one.kind, one.signature) for one in said.blocks][0] == ("reasoning", "only-signed")
        else:
            assert [one.kind for one in said.blocks] == ["text"]

    world.check_messages(events, Meant([("reasoning", ""), ("text", "Hello")]), whole, look=is_kept)


def test_a04_a_signature_in_pieces_is_one(world):
    opened = event("content_block_start", index=0,
                   content_block={"type": "thinking", "thinking": "", "signature": ""})
    events = [begin(), opened, delta(0, "thinking", "hm"), delta(0, "signature", "abc"),
              delta(0, "signature", "def"),
              event("content_block_stop", index=0), text(1, "Hello"), stop()]

    def is_joined(said, client, _):
        if client == "messages":
            assert said.blocks[0].signature == "abcdef"

    world.check_messages(events, Meant([("reasoning", "hm"), ("text", "Hello")]), look=is_joined)


def test_a04_redacted_thinking_is_kept(world):
    redacted = {"type": "redacted_thinking", "data": "c2VjcmV0"}
    events = [begin(), event("content_block_start", index=0, content_block=redacted),
              event("content_block_stop", index=0),
              text(1, "Hello"), stop()]

    def is_kept(said, client, _):
        kept = [one.signature for one in said.blocks if one.kind == "redacted"]
        assert kept == (["c2VjcmV0"] if client == "messages" else [])

    world.check_messages(events, HELLO, message(redacted, text_part("Hello")), look=is_kept)


SERVER = [
    ({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
     [("tool_use", '{"query":"x"}')]),
    ({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1",
      "content": [{"type": "web_search_result", "url": "https://x.example", "title": "X",
                   "encrypted_content": "e"}]}, []),
    ({"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "m", "server_name": "s", "input": {"a": 1}}, []),
    ({"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "is_error": False, "content": [text_part("r")]},
     []),
    ({"type": "bash_code_execution_tool_result", "tool_use_id": "srvtoolu_1",
      "content": {"type": "x", "stdout": "1"}}, []),
    ({"type": "compaction", "content": None}, [("compaction", "words")]),
    ({"type": "a_type_of_tomorrow", "data": {"x": [1]}}, [("tool_use", "{}")]),
]


def test_a05_blocks_of_the_providers_own_tools_are_no_calls(world):
    events, parts = [begin(), text(0, "Hel")], [text_part("Hel")]
    for index, (start, pieces) in enumerate(SERVER, 1):
        events.append(event("content_block_start", index=index, content_block=start))
        for kind, piece in pieces:
            events.append(delta(index, kind, piece) if kind == "tool_use" else
                          event("content_block_delta", index=index,
                                delta={"type": "compaction_delta", "content": piece}))
        events.append(event("content_block_stop", index=index))
        parts.append(start)
    events += [text(len(SERVER) + 1, "lo"), tool(len(SERVER) + 3, A), stop("tool_use")]
    meant = Meant([("text", "Hel"), ("text", "lo"), ("call", *A)], "calls")
    world.check_messages(events, meant,
                         message(*parts, text_part("lo"), tool_part(A), stop_reason="tool_use"))


def test_a05_unknown_deltas_in_known_blocks_are_skipped(world):
    opened = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    odd = event("content_block_delta", index=0, delta={"type": "delta_of_tomorrow", "x": {"y": 1}})
    events = [begin(), opened, odd, delta(0, "text", "Hello"), odd, event("content_block_stop", index=0),
              event("event_of_tomorrow", x=1), stop()]
    world.check_messages(events, HELLO)


def test_a06_a_pause_is_an_ordinary_stop_for_chat(world):
    world.check_messages([begin(), text(0, "Hello"), stop("pause_turn")], Meant([("text", "Hello")], "pause"),
                         message(text_part("Hello"), stop_reason="pause_turn"))


def test_a07_citations_are_left_out_and_text_in_many_blocks_is_joined_without_anything(world):
    cite = event("content_block_delta", index=0,
                 delta={"type": "citations_delta",
                        "citation": {"type": "web_search_result_location", "url": "u"}})
    opened = event("content_block_start", index=0,
                   content_block={"type": "text", "text": "", "citations": []})
    events = [begin(), opened, cite, delta(0, "text", "Hel"), event("content_block_stop", index=0),
              text(1, "l"), text(2, "o"), stop()]
    whole = message({"type": "text", "text": "Hel", "citations": [{"type": "char_location"}]}, text_part("l"),
                    text_part("o"))
    world.check_messages(events, Meant([("text", "Hel"), ("text", "l"), ("text", "o")]), whole)


@pytest.mark.parametrize("pieces", [(), ("",), ("{}",), ("", "")], ids=repr)
def test_a08_a_tool_without_parameters_gets_an_empty_object(world, pieces):
    bare = ("toolu_a", "f", "{}")
    events = [begin(), block(0, "tool_use", *pieces, id="toolu_a", name="f"), stop("tool_use")]
    world.check_messages(events, Meant(calls(bare), "calls"),
                         message(tool_part(bare), stop_reason="tool_use"))


def test_a08_input_in_the_start_of_a_block_counts_when_no_deltas_come(world):
    opened = event("content_block_start", index=0, content_block=tool_part(A))
    events = [begin(), opened, event("content_block_stop", index=0), stop("tool_use")]
    world.check_messages(events, Meant(calls(A), "calls"))


def test_a08_input_in_the_start_and_in_deltas_counts_once(world):
    opened = event("content_block_start", index=0, content_block=tool_part(A))
    events = [begin(), opened, delta(0, "tool_use", A[2]), event("content_block_stop", index=0),
              stop("tool_use")]
    world.check_messages(events, Meant(calls(A), "calls"))


def test_c14_input_torn_by_the_limit_stays_torn(world):
    torn = ("toolu_b", "g", '{"y":')
    events = [begin(), tool(0, A), tool(1, torn), stop("max_tokens")]
    world.check_messages(events, Meant(calls(A, torn), "length"))


def test_a10_text_that_stands_in_the_start_of_its_block_is_kept(world):
    opened = event("content_block_start", index=0, content_block=text_part("Hel"))
    events = [begin(), opened, delta(0, "text", "lo"), event("content_block_stop", index=0), stop()]
    world.check_messages(events, HELLO)


def test_s04_done_behind_message_stop_is_not_parsed(world):
    events = [begin(), text(0, "Hello"), stop(), b"event: data\ndata: [DONE]\n\n", b"data: [DONE]\n\n"]
    world.check_messages(events, HELLO)


def test_s05_a_stream_without_event_lines_goes_by_the_type_in_its_data(world):
    lines = b"".join([begin(), text(0, "Hello"), stop()]).split(b"\n")
    world.check_messages([b"\n".join(line for line in lines if not line.startswith(b"event:"))], HELLO)
