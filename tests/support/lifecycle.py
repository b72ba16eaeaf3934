"""The life-cycle of a streamed answer, asserted on the wire as its bytes come.

    Stream   takes the bytes of one stream; a LifecycleError at the first event that breaks a rule
    Said     what a stream said so far, the same in every dialect: blocks, stop, usage, error
    said_by  what a whole answer says, in the same words

The rules, for Chat Completions and for Messages:

    exactly one start, before everything but signs of life (comments, pings)
    no block is opened while another is open; each has the next number
    deltas go to the open block only, and are of its kind
    exactly one finish, with every block closed; at most the usage and the end behind it
    one end ([DONE], message_stop) or one error, never both, and nothing behind either
    the bytes do not end without one of them

wire.py holds every stream against them. A test whose provider breaks them itself, and has its bytes
passed on, says so: checks_stream=False.
"""

import dataclasses
import json
import re

BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")


class LifecycleError(AssertionError):
    """A stream broke a rule."""


@dataclasses.dataclass
class Block:
    kind: str  # text, reasoning, redacted, refusal, call
    text: str = ""  # of a call: its arguments
    id: str = None
    name: str = None
    signature: str = None


@dataclasses.dataclass
class Said:
    blocks: list = dataclasses.field(default_factory=list)
    stop: str = None  # as the dialect spells it
    usage: dict = None  # the last that came
    error: dict = None
    id: str = None
    model: str = None
    signs_of_life: int = 0

    def joined(self, kind):
        return "".join(block.text for block in self.blocks if block.kind == kind)

    @property
    def text(self):
        return self.joined("text")

    @property
    def reasoning(self):
        return self.joined("reasoning")

    @property
    def calls(self):
        return [block for block in self.blocks if block.kind == "call"]

    @property
    def calls_made(self):
        """(name, arguments) of every call, decoded."""
        return [(call.name, json.loads(call.text or "{}")) for call in self.calls]


# ---- the grammar of each dialect ----


class _Grammar:
    """What both have in common. take() gets one event: its name, its data (None: a comment)."""

    def __init__(self):
        self.said = Said()
        self.has_started = self.has_finish = self.is_over = False
        self.open = None  # the block deltas go to

    def fail(self, problem):
        raise LifecycleError(problem)

    def need(self, condition, problem):
        if not condition:
            self.fail(problem)

    def take(self, name, data):
        self.need(not self.is_over, "an event behind the end")
        if data is None:
            self.said.signs_of_life += 1
        else:
            self.take_data(name, data)

    def read(self, data):
        try:
            value = json.loads(data)
        except ValueError:
            self.fail("the data is not JSON")
        self.need(isinstance(value, dict), "the data is no object")
        return value

    def take_error(self, error):
        self.need(isinstance(error, dict), "an error that is no object")
        self.need(error.get("message") and error.get("type"), "an error without message or type")
        self.said.error = error
        self.is_over = True

    def begin(self, block):
        self.said.blocks.append(block)
        self.open = block

    def check_arguments(self):
        for call in self.said.calls:
            try:
                arguments = json.loads(call.text or "{}")
            except ValueError:
                self.fail(f"arguments that are no JSON: {call.text[:100]!r}")
            self.need(isinstance(arguments, dict), "arguments that are no object")

    def end(self):
        self.need(self.is_over, "it ends as if it were whole, without an end and without an error")


class _Chat(_Grammar):
    STOPS = {"stop", "length", "tool_calls", "content_filter", "function_call"}
    PIECES = {"content": "text", "reasoning_content": "reasoning", "refusal": "refusal"}

    def __init__(self):
        super().__init__()
        self.frame = {}
        self.has_usage = False

    def take_data(self, name, data):
        if data == "[DONE]":
            self.need(self.has_finish, "[DONE] without a finish_reason")
            self.is_over = True
            return
        chunk = self.read(data)
        if chunk.get("error"):
            self.take_error(chunk["error"])
        else:
            self.need(not name, f"a chunk in an event named {name!r}")
            self.take_chunk(chunk)

    def take_chunk(self, chunk):
        for key in ("id", "object", "created", "model"):
            first = self.frame.setdefault(key, chunk.get(key))
            self.need(chunk.get(key) == first, f"{key} changes from {first!r} to {chunk.get(key)!r}")
        self.said.id, self.said.model = self.frame["id"], self.frame["model"]
        self.need(isinstance(chunk.get("choices"), list), "a chunk without choices")
        if chunk.get("usage"):
            self.need(not self.has_usage, "usage twice")
            self.said.usage, self.has_usage = chunk["usage"], True
        if not chunk["choices"]:
            self.need(self.has_finish and chunk.get("usage"), "an empty chunk that is no usage")
            return
        self.need(len(chunk["choices"]) == 1, "several choices in one chunk")
        self.take_choice(chunk["choices"][0])

    def take_choice(self, choice):
        self.need(choice.get("index") == 0, f"choice {choice.get('index')!r}")
        self.need(not self.has_finish, "a choice behind the finish")
        delta = choice.get("delta") or {}
        if not self.has_started:
            self.need(delta.get("role") == "assistant", "the first chunk does not name the role")
            self.has_started = True
        else:
            self.need("role" not in delta, "a second start: the role again")
        for key, kind in self.PIECES.items():
            if delta.get(key):
                self.take_piece(kind, delta[key])
        for entry in delta.get("tool_calls") or []:
            self.take_call(entry)
        if delta.get("function_call"):
            self.take_legacy_call(delta["function_call"])
        if choice.get("finish_reason") is not None:
            self.take_finish(choice["finish_reason"])

    def take_piece(self, kind, piece):
        self.need(isinstance(piece, str), f"a piece of {kind} that is no text")
        if not self.open or self.open.kind != kind:
            self.begin(Block(kind))
        self.open.text += piece

    def take_call(self, entry):
        calls, function = self.said.calls, entry.get("function") or {}
        if entry.get("id"):
            self.need(entry.get("index") == len(calls),
                      f"call {entry.get('index')!r} begins where {len(calls)} is next")
            self.need(function.get("name"), "a call begins without a name")
            self.need(entry.get("type") == "function", "a call begins without its type")
            self.need(entry["id"] not in {call.id for call in calls}, "two calls of one id")
            self.begin(Block("call", id=entry["id"], name=function["name"]))
        else:
            is_open = calls and self.open is calls[-1] and entry.get("index") == len(calls) - 1
            self.need(is_open, f"a piece for call {entry.get('index')!r}, which is not open")
            self.need(not function.get("name"), "a call is named twice")
        self.open.text += function.get("arguments") or ""

    def take_legacy_call(self, call):
        if call.get("name"):
            self.need(not self.said.calls, "a second function_call")
            self.begin(Block("call", name=call["name"]))
        self.need(self.open and self.open.kind == "call", "a piece of no function_call")
        self.open.text += call.get("arguments") or ""

    def take_finish(self, reason):
        self.need(reason in self.STOPS, f"finish_reason {reason!r}")
        is_calling = reason in ("tool_calls", "function_call")
        self.need(bool(self.said.calls) or not is_calling, f"{reason} without a call")
        self.need(reason != "stop" or not self.said.calls, "stop though there are calls")
        if is_calling:
            self.check_arguments()
        self.said.stop, self.has_finish, self.open = reason, True, None


class _Messages(_Grammar):
    KINDS = {"text": "text", "thinking": "reasoning", "redacted_thinking": "redacted",
             "tool_use": "call"}
    # Type of a delta: the kinds it may go to, and the member with the piece.
    DELTAS = {
        "text_delta": ("text", "text"),
        "thinking_delta": ("reasoning", "thinking"),
        "signature_delta": ("reasoning", "signature"),
        "input_json_delta": ("call", "partial_json"),
    }

    def take_data(self, name, data):
        event = self.read(data)
        kind = event.get("type")
        self.need(name == kind, f"an event named {name!r} of type {kind!r}")
        if kind == "ping":
            self.said.signs_of_life += 1
        elif kind == "error":
            self.take_error(event.get("error"))
        elif kind == "message_start":
            self.take_start(event)
        else:
            self.need(self.has_started, f"{kind} before message_start")
            reader = getattr(self, f"take_{kind}", None)
            self.need(reader, f"an event of type {kind!r}")
            reader(event)

    def take_start(self, event):
        message = event.get("message") or {}
        self.need(not self.has_started, "a second message_start")
        self.has_started = True
        self.need(message.get("role") == "assistant" and message.get("type") == "message"
                  and message.get("content") == [], "a message_start without its frame")
        self.need(message.get("stop_reason", "") is None, "a message_start with a stop_reason")
        self.need(isinstance(message.get("usage"), dict), "a message_start without usage")
        self.said.id, self.said.model = message.get("id"), message.get("model")
        self.said.usage = dict(message["usage"])

    def take_content_block_start(self, event):
        block = event.get("content_block") or {}
        self.need(not self.open, "a block is opened while another is open")
        self.need(not self.has_finish, "a block behind the message_delta")
        count = len(self.said.blocks)
        self.need(event.get("index") == count, f"block {event.get('index')!r}, {count} is next")
        kind = self.KINDS.get(block.get("type"), "other")
        self.begin(Block(kind, text=block.get("text") or block.get("thinking") or ""))
        if kind == "call":
            self.need(block.get("id") and block.get("name"), "a tool_use without id or name")
            self.need(block["id"] not in {call.id for call in self.said.calls[:-1]},
                      "two calls of one id")
            self.need(block.get("input") == {}, "a tool_use that begins with its input")
            self.open.id, self.open.name = block["id"], block["name"]
        if kind == "redacted":
            self.open.signature = block.get("data")

    def need_open(self, event):
        index = len(self.said.blocks) - 1
        self.need(self.open and event.get("index") == index,
                  f"{event['type']} for block {event.get('index')!r}, which is not open")

    def take_content_block_delta(self, event):
        self.need_open(event)
        delta = event.get("delta") or {}
        if self.open.kind == "other" or delta.get("type") == "citations_delta":
            return
        kind, member = self.DELTAS.get(delta.get("type"), (None, None))
        self.need(kind == self.open.kind, f"{delta.get('type')} in a block of {self.open.kind}")
        self.need(isinstance(delta.get(member), str), f"{delta['type']} without {member}")
        if member == "signature":
            self.open.signature = (self.open.signature or "") + delta["signature"]
            return
        self.need(self.open.signature is None, "a piece behind the signature")
        self.open.text += delta[member]

    def take_content_block_stop(self, event):
        self.need_open(event)
        self.need(self.open.kind not in ("reasoning", "redacted") or self.open.signature,
                  "reasoning without a signature")
        self.open = None

    def take_message_delta(self, event):
        self.need(not self.has_finish, "a second message_delta")
        self.need(not self.open, "a message_delta while a block is open")
        reason = (event.get("delta") or {}).get("stop_reason")
        self.need(isinstance(reason, str), f"stop_reason {reason!r}")
        self.need(bool(self.said.calls) or reason != "tool_use", "tool_use without a call")
        self.need(not self.said.calls or reason not in ("end_turn", "stop_sequence"),
                  f"{reason} though there are calls")
        self.need(isinstance(event.get("usage"), dict), "a message_delta without usage")
        if reason == "tool_use":
            self.check_arguments()
        self.said.stop, self.has_finish = reason, True
        self.said.usage.update(event["usage"])

    def take_message_stop(self, _):
        self.need(self.has_finish, "message_stop without a message_delta")
        self.is_over = True


GRAMMARS = {"chat": _Chat, "messages": _Messages}


def dialect_of(path):
    """The dialect a client that asks at this path speaks; None for a path of another kind."""
    if "/chat/completions" in path:
        return "chat"
    return "messages" if path.split("?")[0].rstrip("/").endswith("/messages") else None


def is_sign_of_life(dialect, event):
    """Whether an event (wire.Event) is what keeps a silent stream alive in this dialect."""
    if dialect == "chat":
        return event.raw.startswith(b":") and not event.data and not event.name
    return event.name == "ping" and event.json == {"type": "ping"}


# ---- bytes to events ----


def _parse(raw):
    """(name, data) of an event; data None when it has none: a comment, a blank."""
    name, data = "", []
    for line in re.split(r"\r\n|\n|\r", raw.decode("utf-8")):
        field, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
    return name, "\n".join(data) if data else None


class Stream:
    """The bytes of one streamed answer, checked as they come."""

    def __init__(self, dialect=None):
        """dialect: chat or messages; None: the first event tells."""
        self._grammar = GRAMMARS[dialect]() if dialect else None
        self._pending = b""
        self._last = []  # for the report

    @property
    def said(self):
        return self._grammar.said if self._grammar else Said()

    def feed(self, data):
        self._pending += data
        if self._pending.endswith(b"\r"):
            return  # its line feed may follow
        *events, self._pending = BLANK_LINE.split(self._pending)
        for raw in events:
            self._take(raw)

    def end(self):
        """The bytes are over, as their framing says."""
        self._report(lambda: self._finish())

    def _finish(self):
        if self._pending.strip():
            raise LifecycleError(f"an event without its blank line: {self._pending[:200]!r}")
        if self._grammar:
            self._grammar.end()
        else:
            raise LifecycleError("a stream without any event")

    def _take(self, raw):
        if not raw.strip():
            return
        self._last = [*self._last[-4:], raw]
        name, data = _parse(raw)
        if not self._grammar and data is not None:
            self._grammar = (_Messages if name else _Chat)()
        if self._grammar:
            self._report(lambda: self._grammar.take(name, data))

    def _report(self, check):
        try:
            check()
        except LifecycleError as error:
            last = b"\n\n".join(raw[:500] for raw in self._last).decode("utf-8", "replace")
            raise LifecycleError(f"{error}; the last events:\n{last}") from None


def said_in(body, dialect=None):
    """What a whole stream body said; checked on the way."""
    stream = Stream(dialect)
    stream.feed(body)
    stream.end()
    return stream.said


# ---- whole answers ----


def _said_by_message(body):
    said = Said(stop=body["stop_reason"], usage=body["usage"], id=body["id"], model=body["model"])
    for block in body["content"]:
        kind = _Messages.KINDS.get(block["type"], "other")
        text = block.get("text") or block.get("thinking") or ""
        if kind == "call":
            assert isinstance(block["input"], dict), block
            text = json.dumps(block["input"])
        sign = block.get("signature") or block.get("data")
        said.blocks.append(Block(kind, text, block.get("id"), block.get("name"), sign))
    return said


def _said_by_completion(body):
    choice, = body["choices"]
    message = choice["message"]
    assert message["role"] == "assistant" and "content" in message, message
    said = Said(stop=choice["finish_reason"], usage=body.get("usage"), id=body.get("id"),
                model=body.get("model"))
    for key, kind in (("reasoning_content", "reasoning"), ("content", "text"),
                      ("refusal", "refusal")):
        if message.get(key):
            said.blocks.append(Block(kind, message[key]))
    for call in message.get("tool_calls") or []:
        function = call["function"]
        said.blocks.append(Block("call", function["arguments"], call["id"], function["name"]))
    if message.get("function_call"):
        call = message["function_call"]
        said.blocks.append(Block("call", call["arguments"], name=call["name"]))
    return said


def said_by(answer):
    """What a good answer says, streamed or whole, in either dialect."""
    assert answer.status == 200, (answer.status, answer.body[:500])
    if (answer.header("content-type") or "").startswith("text/event-stream"):
        return said_in(answer.body)
    body = answer.json
    return _said_by_message(body) if body.get("type") == "message" else _said_by_completion(body)
