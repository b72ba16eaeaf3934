"""What a test expects of a converted answer, and how an answer is held against it.

    Meant     the expectation: blocks in order, why it stopped, usage; the same for every dialect and form
    compare   holds what an answer says (lifecycle.Said) against it
    check_shape   members and values of a converted answer, beyond the life-cycle that lifecycle.py asserts

A block is ("text", words), ("reasoning", words), ("refusal", words) or ("call", id, name, arguments), these as
JSON text.
"""

import dataclasses
import json
import re

from wire import parse_events

STOPS = {  # neutral: (messages, chat)
    "end": ("end_turn", "stop"),
    "calls": ("tool_use", "tool_calls"),
    "length": ("max_tokens", "length"),
    "refusal": ("refusal", "content_filter"),
    "sequence": ("stop_sequence", "stop"),
    "pause": ("pause_turn", "stop"),
    "context": ("model_context_window_exceeded", "length"),
}
SAFE_ID = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")


class AnyId:
    """Equal to every id that every dialect takes: for those the gateway makes up."""

    def __eq__(self, other):
        return isinstance(other, str) and bool(SAFE_ID.match(other))

    def __repr__(self):
        return "<any safe id>"


ANY_ID = AnyId()


def parse_json(text):
    """JSON in which no name stands twice."""
    def unique(pairs):
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names)), f"a member stands twice: {names}"
        return dict(pairs)

    return json.loads(text, object_pairs_hook=unique)


def arguments_of(text):
    """An object, so that two spellings are equal; torn arguments stay text."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return text
    return value if isinstance(value, dict) else text


@dataclasses.dataclass
class Meant:
    """usage: (input without cache, read from cache, written to cache, output); None: not looked at."""

    blocks: list
    stop: str = "end"
    usage: tuple = None

    def joined(self, kind):
        return "".join(block[1] for block in self.blocks if block[0] == kind)

    def calls(self):
        return [(*block[1:3], arguments_of(block[3])) for block in self.blocks if block[0] == "call"]

    def as_blocks(self, is_stream):
        """As the blocks of a message: a refusal is text; a torn call has no place in a whole one."""
        calls = iter(self.calls())
        blocks = []
        for kind, *rest in self.blocks:
            one = ("call", *next(calls)) if kind == "call" else ("text" if kind == "refusal" else kind, *rest)
            if kind != "call" or is_stream or isinstance(one[3], dict):
                blocks.append(one)
        return blocks


def calls_said(said):
    return [(call.id, call.name, arguments_of(call.text)) for call in said.calls]


def blocks_said(said):
    """Of a message; redacted reasoning has no words and is looked at by the tests that have it."""
    return [("call", block.id, block.name, arguments_of(block.text)) if block.kind == "call" else (block.kind,
                                                                                                   block.text)
            for block in said.blocks if block.kind != "redacted"]


def same(got, expected, what):
    assert got == expected, f"{what}: got {got!r}, expected {expected!r}"


def compare(said, meant, dialect, is_stream):
    """What is said must be what was meant, as far as the dialect can say it."""
    same(said.error, None, "error")
    if dialect == "messages":
        same(blocks_said(said), meant.as_blocks(is_stream), "blocks")
    else:
        for kind in ("text", "reasoning", "refusal"):
            same(said.joined(kind), meant.joined(kind), kind)
        same(calls_said(said), meant.calls(), "calls")
    same(said.stop, STOPS[meant.stop][0 if dialect == "messages" else 1], "stop")
    if meant.usage:
        same(counts_of(said.usage or {}, dialect), counts_meant(meant.usage, dialect), "usage")


def counts_of(usage, dialect):
    if dialect == "messages":
        return tuple(usage.get(name) for name in COUNTS)
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return usage.get("prompt_tokens"), cached, usage.get("completion_tokens")


def counts_meant(usage, dialect):
    fresh, read, written, output = usage
    return usage if dialect == "messages" else (fresh + read + written, read, output)


# ---- members and values ----

COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
MESSAGE = {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"}
BLOCKS = {
    "text": {"type", "text"},
    "thinking": {"type", "thinking", "signature"},
    "redacted_thinking": {"type", "data"},
    "tool_use": {"type", "id", "name", "input"},
}
COMPLETION = {"id", "object", "created", "model", "choices"}
SPOKEN = {"role", "content", "reasoning_content", "refusal", "tool_calls"}


def check_messages_usage(usage):
    for name in COUNTS:
        assert isinstance(usage.get(name), int) and usage[name] >= 0, f"usage.{name} in {usage}"


def check_message(message):
    assert set(message) >= MESSAGE, f"members of a message: {sorted(message)}"
    assert message["id"].startswith("msg_"), message["id"]
    check_messages_usage(message["usage"])
    for block in message["content"]:
        check_block(block)


def check_block(block):
    assert set(block) == BLOCKS[block["type"]], f"members of a block: {block}"
    if block["type"] == "tool_use":
        assert SAFE_ID.match(block["id"]) and isinstance(block["input"], dict), block


def check_message_event(event):
    if event["type"] == "message_start":
        check_message(event["message"])
    elif event["type"] == "message_delta":
        check_messages_usage(event["usage"])
    elif event["type"] == "content_block_start":
        check_block(event["content_block"])


def check_completion(answer, is_chunk):
    if "error" in answer:
        return
    assert set(answer) - {"usage"} == COMPLETION, sorted(answer)
    assert answer["object"] == ("chat.completion.chunk" if is_chunk else "chat.completion")
    assert answer["id"].startswith("chatcmpl-") and answer["created"] > 0, answer
    if usage := answer.get("usage"):
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"], usage
        assert min(usage["prompt_tokens"], usage["completion_tokens"]) >= 0, usage
    for choice in answer["choices"]:
        spoken = choice["delta" if is_chunk else "message"]
        nulls = {name for name, value in spoken.items() if value is None}
        assert set(spoken) <= SPOKEN and nulls <= ({"content", "refusal"} if not is_chunk else set()), spoken
        for call in spoken.get("tool_calls", ()):
            assert "id" not in call or SAFE_ID.match(call["id"]), call


def check_shape(answer, dialect, is_stream):
    """The members of an answer in the form that was asked for."""
    kind = "text/event-stream" if is_stream else "application/json"
    assert (answer.header("content-type") or "").startswith(kind), answer.headers
    bodies = [event.data for event in parse_events(answer.body)] if is_stream else [answer.body.decode()]
    for body in bodies:
        if body in ("", "[DONE]"):  # a comment, the end
            continue
        if dialect == "chat":
            check_completion(parse_json(body), is_stream)
        else:
            (check_message_event if is_stream else check_message)(parse_json(body))
