"""What a model said, apart from the dialect and the form it was said in.

    Said            the expectation: blocks in order, why it stopped, usage
    read_answer     an answer of the daemon (chat or messages, a stream or whole) as a Heard

Reading is strict: the life cycle of a stream, the members and the values are checked on the way, so
whatever a test reads this way is well-formed. A block is one of

    ("text", words)   ("thinking", words)   ("refusal", words)   ("call", id, name, arguments as JSON text)
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


def parse(text):
    """JSON in which no name may stand twice."""
    def unique(pairs):
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names)), f"a member stands twice: {names}"
        return dict(pairs)

    return json.loads(text, object_pairs_hook=unique)


def is_whole(arguments):
    """Arguments that are a JSON object; a torn call's are not."""
    try:
        return isinstance(json.loads(arguments), dict)
    except ValueError:
        return False


def canonical(block):
    """A block in which arguments of the same value are equal; torn ones stay text."""
    if block[0] != "call":
        return tuple(block)
    kind, call_id, name, arguments = block
    return (kind, call_id, name, json.loads(arguments) if is_whole(arguments) else arguments)


@dataclasses.dataclass
class Said:
    """usage: (input without cache, read from cache, written to cache, output); None: not looked at."""

    blocks: list
    stop: str = "end"
    usage: tuple = None

    def joined(self, kind):
        return "".join(block[1] for block in self.blocks if block[0] == kind)

    def calls(self):
        return [canonical(block) for block in self.blocks if block[0] == "call"]

    def as_blocks(self, is_stream):
        """As the blocks of a message: a refusal is text; a torn call has no place in a whole one."""
        blocks = [("text", block[1]) if block[0] == "refusal" else canonical(block)
                  for block in self.blocks]
        return [block for block in blocks if is_stream or block[0] != "call" or isinstance(block[3], dict)]


@dataclasses.dataclass
class Heard:
    blocks: list = dataclasses.field(default_factory=list)
    raw_arguments: list = dataclasses.field(default_factory=list)  # of each call, as they were spelled
    signatures: list = dataclasses.field(default_factory=list)
    redacted: list = dataclasses.field(default_factory=list)
    stop: str = None  # in the words of its dialect
    stop_sequence: str = None
    usage: dict = None
    error: dict = None
    id: str = None
    model: str = None

    def joined(self, kind):
        return "".join(block[1] for block in self.blocks if block[0] == kind)

    def calls(self):
        return [canonical(block) for block in self.blocks if block[0] == "call"]


# ---- messages ----

MESSAGE_MEMBERS = {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"}
COUNTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
STARTS = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
}
DELTAS = {"text": "text_delta", "thinking": "thinking_delta", "tool_use": "input_json_delta"}
PIECES = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


def check_messages_usage(usage):
    for name in COUNTS:
        assert isinstance(usage.get(name), int) and usage[name] >= 0, f"usage.{name}: {usage}"


def check_message(message, heard):
    assert set(message) >= MESSAGE_MEMBERS, f"members of a message: {sorted(message)}"
    assert message["type"] == "message" and message["role"] == "assistant"
    assert message["id"].startswith("msg_"), message["id"]
    check_messages_usage(message["usage"])
    heard.id, heard.model = message["id"], message["model"]


class MessagesReader:
    """Events of a Messages stream, in the order the API allows."""

    def __init__(self):
        self.heard = Heard()
        self.state = "new"  # new, open, told (message_delta came), done, failed
        self.count = 0
        self.block = None  # the open one
        self.pieces, self.signature = [], []

    def take(self, event):
        data = parse(event.data)
        assert event.name == data["type"], f"event {event.name} holds {data['type']}"
        assert self.state not in ("done", "failed"), f"{event.name} behind the end"
        if event.name != "ping":
            getattr(self, "on_" + event.name)(data)

    def on_message_start(self, data):
        assert self.state == "new", "a second message_start"
        message = data["message"]
        check_message(message, self.heard)
        assert message["content"] == [] and message["stop_reason"] is None
        self.state = "open"

    def on_content_block_start(self, data):
        assert self.state == "open" and self.block is None, f"a block begins in {self.state}, {self.block}"
        assert data["index"] == self.count, f"block {data['index']}, not {self.count}"
        self.block, self.pieces, self.signature = data["content_block"], [], []
        kind = self.block["type"]
        if kind == "tool_use":
            assert set(self.block) == {"type", "id", "name", "input"} and self.block["input"] == {}
            assert SAFE_ID.match(self.block["id"]) and self.block["name"], self.block
        elif kind != "redacted_thinking":
            assert self.block == STARTS[kind], f"a block begins as {self.block}"

    def on_content_block_delta(self, data):
        assert self.block is not None and data["index"] == self.count, f"a delta for no open block: {data}"
        delta, kind = data["delta"], self.block["type"]
        if delta["type"] == "signature_delta":
            assert kind == "thinking" and delta["signature"]
            self.signature.append(delta["signature"])
            return
        assert delta["type"] == DELTAS[kind], f"{delta['type']} in a block of type {kind}"
        self.pieces.append(delta[PIECES[delta["type"]]])

    def on_content_block_stop(self, data):
        assert self.block is not None and data["index"] == self.count, f"no such block is open: {data}"
        kind, words = self.block["type"], "".join(self.pieces)
        if kind == "tool_use":
            self.heard.raw_arguments.append(words)
            self.heard.blocks.append(("call", self.block["id"], self.block["name"], words or "{}"))
        elif kind == "redacted_thinking":
            self.heard.redacted.append(self.block["data"])
        else:
            self.heard.blocks.append((kind, words))
        if kind == "thinking":
            assert len(self.signature) == 1, f"a thinking block has {len(self.signature)} signatures"
            self.heard.signatures += self.signature
        self.block = None
        self.count += 1

    def on_message_delta(self, data):
        assert self.state == "open" and self.block is None, f"message_delta in {self.state}, {self.block}"
        self.heard.stop, self.heard.stop_sequence = data["delta"]["stop_reason"], data["delta"]["stop_sequence"]
        check_messages_usage(data["usage"])
        self.heard.usage = data["usage"]
        self.state = "told"

    def on_message_stop(self, data):
        assert self.state == "told", f"message_stop in {self.state}"
        self.state = "done"

    def on_error(self, data):
        assert set(data) <= {"type", "error", "request_id"} and data["error"]["type"] and data["error"]["message"]
        self.heard.error = data["error"]
        self.state = "failed"


def read_messages_stream(body):
    reader = MessagesReader()
    for event in parse_events(body):
        if event.name or event.data:  # not a comment
            reader.take(event)
    assert reader.state in ("done", "failed"), f"the stream ends in {reader.state}"
    return reader.heard


def read_messages_whole(body):
    message, heard = parse(body), Heard()
    check_message(message, heard)
    for block in message["content"]:
        if block["type"] == "tool_use":
            assert set(block) == {"type", "id", "name", "input"} and SAFE_ID.match(block["id"]), block
            assert isinstance(block["input"], dict)
            heard.blocks.append(("call", block["id"], block["name"], json.dumps(block["input"])))
        elif block["type"] == "thinking":
            assert set(block) == {"type", "thinking", "signature"} and block["signature"]
            heard.blocks.append(("thinking", block["thinking"]))
            heard.signatures.append(block["signature"])
        elif block["type"] == "redacted_thinking":
            heard.redacted.append(block["data"])
        else:
            assert set(block) == {"type", "text"}, block
            heard.blocks.append(("text", block["text"]))
    heard.stop, heard.stop_sequence, heard.usage = message["stop_reason"], message["stop_sequence"], message["usage"]
    return heard


# ---- chat completions ----

CHUNK_MEMBERS = {"id", "object", "created", "model", "choices"}


def check_chat_usage(usage):
    prompt, completion = usage["prompt_tokens"], usage["completion_tokens"]
    assert usage["total_tokens"] == prompt + completion, f"totals do not add up: {usage}"
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    assert 0 <= cached <= prompt and completion >= 0, usage


class ChatReader:
    """Chunks of a chat stream."""

    def __init__(self):
        self.heard = Heard()
        self.frame = None  # what has to be the same in all chunks
        self.is_done = False
        self.called = []  # [id, name, pieces]

    def take(self, event):
        assert not self.is_done and self.heard.error is None, f"more behind the end: {event.data}"
        if event.data == "[DONE]":
            self.is_done = True
            return
        chunk = parse(event.data)
        if "error" in chunk:
            self.on_error(chunk)
            return
        self.check_frame(chunk)
        if chunk["choices"]:
            self.on_choice(chunk["choices"])
        else:
            assert self.heard.usage is None, "usage came twice"
            assert self.heard.stop, "usage before the finish"
            check_chat_usage(chunk["usage"])
            self.heard.usage = chunk["usage"]

    def on_error(self, chunk):
        assert set(chunk) == {"error"} and chunk["error"]["message"] and chunk["error"]["type"], chunk
        self.heard.error = chunk["error"]

    def check_frame(self, chunk):
        assert set(chunk) - {"usage"} == CHUNK_MEMBERS, sorted(chunk)
        assert chunk["object"] == "chat.completion.chunk"
        frame = {name: chunk[name] for name in CHUNK_MEMBERS - {"choices"}}
        assert self.frame in (None, frame), f"{frame} after {self.frame}"
        assert frame["id"].startswith("chatcmpl-") and isinstance(frame["created"], int) and frame["created"] > 0
        if self.frame is None:
            delta = chunk["choices"][0]["delta"]
            assert delta.get("role") == "assistant", f"the first chunk has no role: {delta}"
        self.frame = frame
        self.heard.id, self.heard.model = frame["id"], frame["model"]

    def on_choice(self, choices):
        assert len(choices) == 1 and choices[0]["index"] == 0
        delta, finish = choices[0]["delta"], choices[0]["finish_reason"]
        assert self.heard.stop is None, f"a choice behind the finish: {choices}"
        assert set(delta) <= {"role", "content", "reasoning_content", "refusal", "tool_calls"}, delta
        for name, kind in (("reasoning_content", "thinking"), ("content", "text"), ("refusal", "refusal")):
            if delta.get(name):
                self.heard.blocks.append((kind, delta[name]))
        for call in delta.get("tool_calls", ()):
            self.on_call(call)
        if finish is not None:
            assert finish in ("stop", "length", "tool_calls", "content_filter"), finish
            self.heard.stop = finish

    def on_call(self, call):
        index = call["index"]
        if index == len(self.called):
            assert set(call) == {"index", "id", "type", "function"} and call["type"] == "function", call
            assert SAFE_ID.match(call["id"]) and call["function"]["name"], call
            self.called.append([call["id"], call["function"]["name"], []])
        else:
            assert index == len(self.called) - 1, f"a piece of call {index}, {len(self.called)} have begun"
            assert set(call) == {"index", "function"} and set(call["function"]) == {"arguments"}, call
        self.called[index][2].append(call["function"]["arguments"])

    def finished(self):
        assert self.is_done or self.heard.error, "the stream has no end"
        assert self.heard.error or self.heard.stop, "[DONE] without a finish_reason"
        for call_id, name, pieces in self.called:
            self.heard.raw_arguments.append("".join(pieces))
            self.heard.blocks.append(("call", call_id, name, "".join(pieces)))
        return self.heard


def read_chat_stream(body):
    reader = ChatReader()
    for event in parse_events(body):
        if event.data:
            assert not event.name, f"a chat stream names no events: {event.name}"
            reader.take(event)
    return reader.finished()


def read_chat_whole(body):
    answer, heard = parse(body), Heard()
    assert set(answer) - {"usage"} == CHUNK_MEMBERS and answer["object"] == "chat.completion", sorted(answer)
    heard.id, heard.model = answer["id"], answer["model"]
    (choice,) = answer["choices"]
    message = choice["message"]
    assert choice["index"] == 0 and message["role"] == "assistant" and "content" in message
    assert set(message) <= {"role", "content", "reasoning_content", "refusal", "tool_calls"}, sorted(message)
    for name, kind in (("reasoning_content", "thinking"), ("content", "text"), ("refusal", "refusal")):
        if message.get(name) is not None:
            assert isinstance(message[name], str)
            heard.blocks.append((kind, message[name]))
    for call in message.get("tool_calls", ()):
        assert set(call) == {"id", "type", "function"} and call["type"] == "function" and SAFE_ID.match(call["id"])
        arguments = call["function"]["arguments"]
        heard.raw_arguments.append(arguments)
        heard.blocks.append(("call", call["id"], call["function"]["name"], arguments))
    heard.stop = choice["finish_reason"]
    assert heard.stop in ("stop", "length", "tool_calls", "content_filter"), heard.stop
    if answer.get("usage"):
        check_chat_usage(answer["usage"])
        heard.usage = answer["usage"]
    return heard


READERS = {
    ("messages", True): read_messages_stream, ("messages", False): read_messages_whole,
    ("chat", True): read_chat_stream, ("chat", False): read_chat_whole,
}


def read_answer(answer, dialect, is_stream):
    """A successful answer, in the form that was asked for."""
    assert answer.status == 200, f"status {answer.status}: {answer.body[:600]!r}"
    kind = "text/event-stream" if is_stream else "application/json"
    assert (answer.header("content-type") or "").startswith(kind), answer.headers
    answer.body.decode("utf-8")  # raises where bytes were cut or mixed up
    return READERS[dialect, is_stream](answer.body)


# ---- comparing ----


def same(got, expected, what):
    assert got == expected, f"{what}: got {got!r}, expected {expected!r}"


def compare(heard, said, dialect, is_stream):
    """What is heard must be what was said, as far as the dialect can say it."""
    same(heard.error, None, "error")
    if dialect == "messages":
        same([canonical(block) for block in heard.blocks], said.as_blocks(is_stream), "blocks")
    else:
        for kind in ("text", "thinking", "refusal"):
            same(heard.joined(kind), said.joined(kind), kind)
        same(heard.calls(), said.calls(), "calls")
    same(heard.stop, STOPS[said.stop][0 if dialect == "messages" else 1], "stop")
    if said.usage:
        same(counts_of(heard.usage or {}, dialect), counts_told(said.usage, dialect), "usage")


def counts_of(usage, dialect):
    if dialect == "messages":
        names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
        return tuple(usage.get(name) for name in names)
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return usage.get("prompt_tokens"), cached, usage.get("completion_tokens")


def counts_told(told, dialect):
    fresh, read, written, output = told
    return told if dialect == "messages" else (fresh + read + written, read, output)
