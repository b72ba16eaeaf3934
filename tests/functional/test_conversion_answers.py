"""A chat provider's answers in both dialects and forms: families 1 to 11 and 22 of docs/CONFORMANCE.md."""

import gzip

import pytest

from converting import Script, call, chat_message, chat_usage, chunk, end, sse, world
from lifecycle import said_by
from meant import ANY_ID, Meant

SAY = chunk(role="assistant", content="")
USAGE = chat_usage(20, 5, 4)
TOLD = (16, 4, 0, 5)
A = ("call_a", "f", '{"x":1}')
B = ("call_b", "g", '{"y":2}')


def calls(*those):
    return [("call", *one) for one in those]


# ---- 1 to 3: what stands beside and behind a call ----


def test_f01_interleaved_parallel_calls_become_one_block_after_the_other(world):
    events = [
        SAY, call(0, "call_a", "f", ""), call(1, "call_b", "g", ""), call(0, arguments='{"x":'),
        call(1, arguments='{"y":2}'), call(0, arguments="1}"), *end("tool_calls"),
    ]
    meant = Meant(calls(A, B), "calls", (20, 0, 0, 5))
    world.check_chat(events, meant, chat_message(calls=[A, B], finish="tool_calls"))


def test_f01_interleaved_calls_in_one_delta_and_in_backward_order(world):
    both = [{"index": 0, "id": "call_a", "type": "function", "function": {"name": "f", "arguments": ""}},
            {"index": 1, "id": "call_b", "type": "function",
             "function": {"name": "g", "arguments": '{"y":2}'}}]
    events = [SAY, chunk(tool_calls=both), call(0, arguments='{"x":1}'), *end("tool_calls")]
    world.check_chat(events, Meant(calls(A, B), "calls"))


def test_f01_ten_calls_piece_by_piece_in_turn(world):
    many = [(f"call_{number}", f"tool_{number}", '{"n":%d,"s":"ä🙂"}' % number) for number in range(10)]
    events = [SAY] + [call(at, one[0], one[1], "") for at, one in enumerate(many)]
    for at in range(max(len(one[2]) for one in many)):
        events += [call(index, arguments=one[2][at]) for index, one in enumerate(many) if at < len(one[2])]
    world.check_chat(events + end("tool_calls"), Meant(calls(*many), "calls"),
                     chat_message(calls=many, finish="tool_calls"))


def test_f02_text_behind_a_call_is_a_block_of_its_own(world):
    events = [SAY, call(0, *A), chunk(content="do"), chunk(content="ne"), *end("tool_calls")]
    meant = Meant([("call", *A), ("text", "done")], "calls")
    whole_meant = Meant([("text", "done"), ("call", *A)], "calls")
    world.check_chat(events, meant, chat_message("done", [A], "tool_calls"), whole_meant=whole_meant)


def test_f02_text_between_two_calls_stands_between_them(world):
    events = [SAY, chunk(content="one"), call(0, *A), chunk(content="two"), call(1, *B), *end("tool_calls")]
    meant = Meant([("text", "one"), ("call", *A), ("text", "two"), ("call", *B)], "calls")
    world.check_chat(events, meant)


def test_f03_every_segment_of_reasoning_is_a_block_and_the_message_starts_once(world):
    events = [
        SAY, chunk(reasoning_content="a"), call(0, *A), chunk(reasoning_content="b"), chunk(content="c"),
        chunk(reasoning_content="d"), *end("tool_calls"),
    ]
    meant = Meant([("reasoning", "a"), ("call", *A), ("reasoning", "b"), ("text", "c"), ("reasoning", "d")],
                  "calls")
    world.check_chat(events, meant)


# ---- 5: arguments once, names once ----


@pytest.mark.parametrize("pieces", [
    [call(0, *A)],
    [call(0, "call_a", "f", '{"x":'), call(0, "call_a", "f", "1}")],
    [call(0, "call_a", "f", ""), call(0, "call_a", "f", '{"x":1}'), call(0, "call_a", "f", "")],
    [call(0, "call_a", "f", ""),
     chunk(tool_calls=[{"index": 0, "function": {"name": None, "arguments": '{"x":1}'}}])],
    [call(0, None, "f", '{"x":'), call(0, "call_a", None, "1}")],
    [call(0, "call_a", None, '{"x":'), call(0, None, "f", "1}")],
    [call(0, None, None, '{"x":1}'), call(0, "call_a", "f")],
], ids=["whole", "repeated identity", "empty pieces", "null name", "late id", "late name", "identity last"])
def test_f05_arguments_and_identity_come_out_once(world, pieces):
    meant = Meant(calls(A), "calls")
    world.check_chat([SAY, *pieces, *end("tool_calls")], meant, chat_message(calls=[A], finish="tool_calls"))


@pytest.mark.parametrize("call_id", [None, ""])
def test_f05_a_call_without_an_id_gets_one(world, call_id):
    events = [SAY, call(0, call_id, "f", '{"x":1}'), call(1, call_id, "g", '{"y":2}'), *end("tool_calls")]
    nameless = [{"type": "function", "function": {"name": name, "arguments": arguments},
                 **({} if call_id is None else {"id": ""})}
                for _, name, arguments in (A, B)]
    whole = chat_message(finish="tool_calls", tool_calls=nameless)

    def ids_differ(said, *_):
        assert len({one.id for one in said.calls}) == 2, said.calls

    meant = Meant(calls((ANY_ID, *A[1:]), (ANY_ID, *B[1:])), "calls")
    world.check_chat(events, meant, whole, look=ids_differ)


def test_f05_arguments_keep_their_spelling(world):
    spelled = '{ "big":12345678901234567890, "small": 1.0, "e":1e3,"u":"\\u00fc\\/" }'
    pieces = [spelled[at : at + 7] for at in range(0, len(spelled), 7)]
    events = [SAY, call(0, "call_a", "f", ""), *(call(0, arguments=piece) for piece in pieces),
              *end("tool_calls")]

    def spelling(said, client, is_stream):
        if is_stream or client == "chat":
            assert [one.text for one in said.calls] == [spelled]

    meant = Meant(calls(("call_a", "f", spelled)), "calls")
    world.check_chat(events, meant, chat_message(calls=[("call_a", "f", spelled)], finish="tool_calls"),
                     look=spelling)


def test_f05_a_whole_message_keeps_the_spelling_of_numbers(world):
    spelled = '{"big":12345678901234567890,"small":1.0,"e":1e3}'
    script = Script(None, chat_message(calls=[("call_a", "f", spelled)], finish="tool_calls"))
    body = {"model": "m-plain", "max_tokens": 9, "messages": [{"role": "user", "content": "Go."}]}
    assert b'"input":' + spelled.encode() in world.ask("messages", body, script).body


# ---- 6, 7: the first and the last chunk; usage ----


def test_f06_text_in_the_first_and_in_the_finish_chunk_is_kept(world):
    events = [chunk(role="assistant", content="He"), chunk("stop", content="llo"), sse("[DONE]")]
    world.check_chat(events, Meant([("text", "Hello")]), chat_message("Hello"))


@pytest.mark.parametrize("ending", [
    [chunk("stop"), sse({"choices": [], "usage": USAGE})],
    [chunk("stop"), chunk(usage=USAGE)],
    [chunk("stop", usage=USAGE)],
    [chunk(usage=chat_usage(20, 1, 4), content=""), chunk("stop", usage=USAGE)],
    [chunk("stop"), chunk("stop", usage=USAGE)],
    [chunk("stop", x_groq={"usage": USAGE}), ],
    [sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]})],
    [sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None}),
     sse({"choices": [], "usage": USAGE})],
    [sse({"choices": [], "usage": USAGE}), chunk("stop")],
], ids=["own chunk", "dummy choice", "finish chunk", "every chunk", "second finish", "in the delta",
        "in the choice",
        "null before", "before the finish"])
def test_f07_usage_is_told_once_and_complete_wherever_it_stood(world, ending, request):
    told = None if "in the delta" in request.node.name else TOLD  # nobody has it there: no crash, that is all
    events = [SAY, chunk(content="Hello"), *ending, sse("[DONE]")]
    world.check_chat(events, Meant([("text", "Hello")], usage=told), chat_message("Hello", usage=USAGE))


def test_f07_usage_of_groq_counts_when_there_is_no_other(world):
    last = sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
                "x_groq": {"id": "q", "usage": USAGE}})
    world.check_chat([SAY, chunk(content="Hello"), last, sse("[DONE]")],
                     Meant([("text", "Hello")], usage=TOLD))


def test_f07_usage_nobody_told_is_zero_counts_and_no_failure(world):
    def zeros(said, client, is_stream):
        if client == "messages":
            assert said.usage["output_tokens"] == 0 and said.usage["input_tokens"] == 0
        else:
            assert said.usage is None or said.usage["total_tokens"] == 0

    events = [SAY, chunk(content="Hello"), chunk("stop"), sse("[DONE]")]
    world.check_chat(events, Meant([("text", "Hello")]), look=zeros)


# ---- 9: why it stopped ----


@pytest.mark.parametrize("word, meant", [
    ("stop", "end"), ("length", "length"), ("content_filter", "refusal"), ("something_new", "end"),
    ("eos", "end"),
    ("max_tokens", "length"), ("tool_calls", "end"), ("STOP", "end"),
])
def test_f09_finish_words_of_an_answer_without_calls(world, word, meant):
    events = [SAY, chunk(content="Hello"), *end(word)]
    world.check_chat(events, Meant([("text", "Hello")], meant), chat_message("Hello", finish=word))


@pytest.mark.parametrize("word, meant", [
    ("stop", "calls"), ("tool_calls", "calls"), ("function_call", "calls"), ("length", "length"),
    ("tool_use", "calls"),
    ("content_filter", "refusal"), ("", "calls"),
])
def test_f09_finish_words_of_an_answer_with_calls(world, word, meant):
    events = [SAY, call(0, *A), *end(word)]
    world.check_chat(events, Meant(calls(A), meant), chat_message(calls=[A], finish=word))


# ---- 10: life cycle ----


def test_f10_reasoning_alone_is_an_answer(world):
    events = [SAY, chunk(reasoning_content="Hm, "), chunk(reasoning_content="hm."), *end()]
    meant = Meant([("reasoning", "Hm, hm.")], usage=(20, 0, 0, 5))
    world.check_chat(events, meant, chat_message("", reasoning_content="Hm, hm."))


def test_f10_nothing_said_but_a_finish_is_an_empty_answer(world):
    world.check_chat([SAY, *end()], Meant([]), chat_message(""))


def test_f10_every_piece_on_its_own_is_no_block_of_its_own(world):
    words = list("Grüße, 世界 🙂!")
    events = [SAY, *(chunk(content=word) for word in words), *end()]
    world.check_chat(events, Meant([("text", "".join(words))]), chat_message("".join(words)))


def test_f10_an_end_that_stands_where_none_belongs_ends_nothing(world):
    """[DONE] comes in the middle, too (streams.md S4): nothing that was said is lost."""
    events = [SAY, chunk(content="Hello"), *end(), chunk(content=" again"), chunk("stop"), sse("[DONE]")]
    world.check_chat(events, Meant([("text", "Hello again")]))


# ---- 11: framing ----

TEXT = "Grüße, 世界 🙂 — zwei\nZeilen"
PLAIN = b"".join([SAY, *(chunk(content=char) for char in TEXT), *end()])


def with_several_data_lines(stream):
    """JSON over two lines of one event: a line end stands between two members."""
    return stream.replace(b', "object"', b',\ndata: "object"')


FRAMINGS = {
    "crlf": PLAIN.replace(b"\n", b"\r\n"),
    "cr": PLAIN.replace(b"\n", b"\r"),
    "no space": PLAIN.replace(b"data: ", b"data:"),
    "several data lines": with_several_data_lines(PLAIN),
    "comments": b": OPENROUTER PROCESSING\n\n" + PLAIN.replace(b"\n\n", b"\n\n: keepalive\n\n"),
    "comments inside an event": PLAIN.replace(b"data: ", b": x\ndata: "),
    "events without data": PLAIN.replace(b"\n\n", b"\n\nevent: ping\n\n"),
    "pings with data": PLAIN.replace(b"\n\n", b'\n\nevent: ping\ndata: {"type": "ping"}\n\n'),
    "ids and retries": PLAIN.replace(b"data: ", b"id: 7\nretry: 10\ndata: "),
    "no last blank line": PLAIN[:-2],
    "no last line end, no done": PLAIN.replace(b"data: [DONE]\n\n", b"")[:-2],
    "byte order mark": b"\xef\xbb\xbf" + PLAIN,
    "blank lines in front": b"\n\n\n" + PLAIN,
    "escaped to ascii": PLAIN.decode().encode("ascii", "backslashreplace").replace(b"\\U0001f642",
                                                                                   b"\\ud83d\\ude42")
                             .replace(b"\\xfc", b"\\u00fc").replace(b"\\xdf", b"\\u00df"),
}


@pytest.mark.parametrize("name", FRAMINGS)
def test_f11_framing_of_every_kind_gives_the_same_text(world, name):
    world.check_chat([FRAMINGS[name]], Meant([("text", TEXT)], usage=(20, 0, 0, 5)))


def test_f11_a_line_of_five_megabytes_passes(world):
    text = "0123456789abcdeü" * (5 << 16)
    for client in ("messages", "chat"):
        said = world.hear(Script([SAY, chunk(content=text), *end()], None, "stream"), client,
                          client == "messages", "chat")
        assert said.joined("text") == text


def test_f11_an_answer_in_gzip_is_read_or_refused_but_never_passed_on_as_text(world):
    packed = gzip.compress(PLAIN)

    def answer(call):
        call.head(200, [("Content-Type", "text/event-stream"), ("Content-Encoding", "gzip")])
        call.body(packed)
        call.end()

    world.provider.will(answer)
    answer = world.daemon.messages("m-plain", stream=True)
    if answer.status == 200:
        said = said_by(answer)
        assert said.error or said.joined("text") == TEXT
    else:
        assert answer.status >= 500 and answer.error["message"]
    asked = world.provider.last.header("accept-encoding")
    assert asked in (None, "",
                     "identity") or answer.status == 200, "an encoding is asked for and then refused"


# ---- 22: counts ----


@pytest.mark.parametrize("usage, told", [
    (chat_usage(11649, 9, 11584), (65, 11584, 0, 9)),
    (chat_usage(10, 9, 14), (0, 10, 0, 9)),
    ({"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 55,
      "completion_tokens_details": {"reasoning_tokens": 20}},
     (30, 0, 0, 25)),
    ({"prompt_tokens": 30, "completion_tokens": 25, "total_tokens": 55,
      "completion_tokens_details": {"reasoning_tokens": 40}},
     (30, 0, 0, 25)),
    ({"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 35, "prompt_cache_hit_tokens": 12,
      "prompt_cache_miss_tokens": 18},
     (18, 12, 0, 5)),
    ({"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 35,
      "prompt_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 8}}, (12, 10, 8, 5)),
    ({"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 35, "prompt_tokens_details": None},
     (30, 0, 0, 5)),
    ({"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 12}, (30, 0, 0, 5)),
], ids=["cached", "more cached than sent", "xai", "more reasoning than output", "deepseek",
        "openrouter writes", "null details",
        "totals that lie"])
def test_f22_counts_convert_and_never_go_below_zero(world, usage, told):
    events = [SAY, chunk(content="Hello"), *end(usage=usage)]
    world.check_chat(events, Meant([("text", "Hello")], usage=told), chat_message("Hello", usage=usage))
