"""The usual behaviours of the scripted provider: answers in both dialects, and faults.

    Reply       an ordinary answer, in the dialect of the request's path, streamed when it asks so
    Cut         another behaviour that breaks off at a byte
    Status, Redirect, Raw, Echo, Endless, ErrorIn200, EmptyStream, close_unanswered, hang

Every instance is a callable that takes a provider.Call. Ids and times are constants, so that two
answers to equal requests are equal byte for byte.
"""

import dataclasses
import json
import os


def _dump(value):
    """JSON with spaces and unescaped UTF-8: a daemon that rewrites it is caught."""
    return json.dumps(value, ensure_ascii=False)


def chat_event(data):
    return f"data: {data}\n\n".encode()


def anthropic_event(data):
    return f"event: {data['type']}\ndata: {_dump(data)}\n\n".encode()


def _cut_text(text, size):
    return [text[at : at + size] for at in range(0, len(text), size)]


@dataclasses.dataclass
class Reply:
    """An ordinary answer. Delays are seconds or a provider.Gate."""

    text: str = "Hello from the scripted provider: grüße, 世界 🙂."
    tools: tuple = ()  # (name, arguments as JSON text), all in parallel
    call_ids: tuple = ()  # theirs; left out: call_0, call_1, ... and toolu_0, toolu_1, ...
    reasoning: str = ""
    signature: str = "c2ln"  # of the reasoning, where the dialect has one
    input_tokens: int = 11
    output_tokens: int = 7
    cached_tokens: int = 0
    has_usage: bool = True
    piece: int = 8  # characters per delta
    write_size: int = None  # bytes per write; cuts through UTF-8
    between_writes: float = 0
    before_head: object = 0
    before_first: object = 0  # after the head, before the first event
    between_events: object = 0
    before_end: object = 0  # before the last event
    has_end: bool = True  # False: no [DONE], no message_stop
    framing: str = "chunked"  # of streams: chunked, close
    closes: bool = False  # close the idle connection behind the answer, without saying so
    headers: tuple = ()

    def __call__(self, call):
        call.pause(self.before_head)
        if call.request.method != "POST":
            call.answer(200, _dump({"object": "list", "data": []}).encode())
        elif call.request.json.get("stream"):
            self._stream(call)
        else:
            call.answer(200, self.whole(call), self.headers)
        if self.closes:
            call.close()

    def _stream(self, call):
        said, ending = self.events(call)
        events = said + ending
        headers = [("Content-Type", "text/event-stream; charset=utf-8"), *self.headers]
        call.head(200, headers, self.framing)
        call.pause(self.before_first)
        for number, event in enumerate(events):
            if number:
                call.pause(self.between_events)
            if number == len(events) - 1:
                call.pause(self.before_end)
            call.body(event, self.write_size, self.between_writes)
        call.end()

    def whole(self, call):
        """The body of a whole answer."""
        is_anthropic = call.request.is_anthropic
        return _dump(self._anthropic_whole(call) if is_anthropic else self._chat_whole(call)).encode()

    def events(self, call):
        """The stream as two lists of events: what is said, and what ends it."""
        if call.request.is_anthropic:
            return self._anthropic_events(call)
        return self._chat_events(call)

    def _call_id(self, prefix, index):
        return self.call_ids[index] if index < len(self.call_ids) else f"{prefix}_{index}"

    # ---- chat completions ----

    def _chat_usage(self):
        return {
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.input_tokens + self.output_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
        }

    def _chat_tools(self, with_index):
        calls = []
        for index, (name, arguments) in enumerate(self.tools):
            item = {"index": index} if with_index else {}
            function = {"name": name, "arguments": arguments}
            item["id"] = self._call_id("call", index)
            calls.append({**item, "type": "function", "function": function})
        return calls

    def _chat_whole(self, call):
        message = {"role": "assistant", "content": self.text or None}
        if self.reasoning:
            message["reasoning_content"] = self.reasoning
        if self.tools:
            message["tool_calls"] = self._chat_tools(False)
        finish = "tool_calls" if self.tools else "stop"
        whole = {
            "id": "chatcmpl-scripted",
            "object": "chat.completion",
            "created": 1700000000,
            "model": call.request.model,
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        }
        return {**whole, "usage": self._chat_usage()} if self.has_usage else whole

    def _chat_events(self, call):
        def chunk(delta, finish=None):
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            return chat_event(_dump({**frame, "choices": [choice]}))

        frame = {
            "id": "chatcmpl-scripted",
            "object": "chat.completion.chunk",
            "created": 1700000000,
            "model": call.request.model,
        }
        events = [chunk({"role": "assistant", "content": ""})]
        for part in _cut_text(self.reasoning, self.piece):
            events.append(chunk({"reasoning_content": part}))
        events += [chunk({"content": part}) for part in _cut_text(self.text, self.piece)]
        for tool in self._chat_tools(True):
            arguments = tool["function"]["arguments"]
            tool["function"]["arguments"] = ""
            events.append(chunk({"tool_calls": [tool]}))
            for part in _cut_text(arguments, self.piece):
                part = {"index": tool["index"], "function": {"arguments": part}}
                events.append(chunk({"tool_calls": [part]}))
        ending = [chunk({}, "tool_calls" if self.tools else "stop")]
        wants_usage = (call.request.json.get("stream_options") or {}).get("include_usage")
        if self.has_usage and wants_usage:
            ending.append(chat_event(_dump({**frame, "choices": [], "usage": self._chat_usage()})))
        if self.has_end:
            ending.append(chat_event("[DONE]"))
        return events, ending

    # ---- Anthropic Messages ----

    def _anthropic_usage(self, output):
        return {
            "input_tokens": self.input_tokens - self.cached_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": self.cached_tokens,
            "output_tokens": output,
        }

    def _anthropic_whole(self, call):
        content = []
        if self.reasoning:
            sign = {"signature": self.signature}
            content.append({"type": "thinking", "thinking": self.reasoning, **sign})
        if self.text:
            content.append({"type": "text", "text": self.text})
        for index, (name, arguments) in enumerate(self.tools):
            tool = {"type": "tool_use", "id": self._call_id("toolu", index), "name": name}
            content.append({**tool, "input": json.loads(arguments)})
        return {
            "id": "msg_scripted",
            "type": "message",
            "role": "assistant",
            "model": call.request.model,
            "content": content,
            "stop_reason": "tool_use" if self.tools else "end_turn",
            "stop_sequence": None,
            "usage": self._anthropic_usage(self.output_tokens),
        }

    def _anthropic_blocks(self):
        """(block as started, the deltas of it) in order."""
        if self.reasoning:
            deltas = [
                {"type": "thinking_delta", "thinking": part}
                for part in _cut_text(self.reasoning, self.piece)
            ]
            deltas.append({"type": "signature_delta", "signature": self.signature})
            yield {"type": "thinking", "thinking": "", "signature": ""}, deltas
        if self.text:
            deltas = [
                {"type": "text_delta", "text": part} for part in _cut_text(self.text, self.piece)
            ]
            yield {"type": "text", "text": ""}, deltas
        for index, (name, arguments) in enumerate(self.tools):
            deltas = [
                {"type": "input_json_delta", "partial_json": part}
                for part in _cut_text(arguments, self.piece)
            ]
            tool = {"type": "tool_use", "id": self._call_id("toolu", index), "name": name}
            yield {**tool, "input": {}}, deltas

    def _anthropic_events(self, call):
        message = {**self._anthropic_whole(call), "content": [], "stop_reason": None}
        message["usage"] = self._anthropic_usage(1)
        events = [{"type": "message_start", "message": message}, {"type": "ping"}]
        blocks = list(self._anthropic_blocks())
        for index, (block, deltas) in enumerate(blocks):
            events.append({"type": "content_block_start", "index": index, "content_block": block})
            for delta in deltas:
                events.append({"type": "content_block_delta", "index": index, "delta": delta})
            if index < len(blocks) - 1:
                events.append({"type": "content_block_stop", "index": index})
        stop = {"stop_reason": "tool_use" if self.tools else "end_turn", "stop_sequence": None}
        usage = {"output_tokens": self.output_tokens}
        ending = [
            {"type": "content_block_stop", "index": max(len(blocks) - 1, 0)},
            {"type": "message_delta", "delta": stop, "usage": usage},
        ]
        if self.has_end:
            ending.append({"type": "message_stop"})
        said = [anthropic_event(event) for event in events]
        return said, [anthropic_event(event) for event in ending]


@dataclasses.dataclass
class Cut:
    """Another behaviour, broken off after `at` bytes: how is reset, close or stall."""

    inner: object
    at: int
    how: str = "reset"
    before: object = 0  # a Gate to wait for: a reset overtakes bytes that nobody has read yet

    def _break(self, call):
        call.pause(self.before)
        getattr(call, self.how)()

    def __call__(self, call):
        if self.at == 0:
            self._break(call)
        call.fail_after(self.at, self._break)
        self.inner(call)


@dataclasses.dataclass
class Status:
    """A whole answer of any status; body is bytes or becomes JSON."""

    status: int
    body: object = b"{}"
    headers: tuple = ()
    content_type: str = "application/json"
    before_body: object = 0  # a delay or a Gate behind the head

    def __call__(self, call):
        body = self.body if isinstance(self.body, bytes) else _dump(self.body).encode()
        headers = [("Content-Type", self.content_type), *self.headers]
        call.head(self.status, headers, "length", len(body))
        call.pause(self.before_body)
        call.body(body)


def error_status(status, message, kind="invalid_request_error", headers=()):
    """An error answer whose body both dialects understand."""
    error = {"type": kind, "message": message, "code": None, "param": None}
    return Status(status, {"type": "error", "error": error}, headers)


def late(gate, then):
    """Another behaviour, behind a gate or a delay."""
    def behaviour(call):
        call.pause(gate)
        then(call)
    return behaviour


def redirect(status, to):
    return Status(status, b"moved", (("Location", to),), "text/plain")


@dataclasses.dataclass
class Raw:
    """Exact bytes, then the end of the connection."""

    data: bytes

    def __call__(self, call):
        call.send(self.data)
        call.close()


@dataclasses.dataclass
class ErrorIn200:
    """A 200 whose stream or body holds an error, after `text` when there is one."""

    message: str = "the engine is overloaded"
    kind: str = "overloaded_error"
    text: str = ""

    def __call__(self, call):
        error = {"type": self.kind, "message": self.message}
        if not call.request.json.get("stream"):
            call.answer(200, _dump({"type": "error", "error": error}).encode())
            return
        call.head(200, [("Content-Type", "text/event-stream")])
        if self.text:
            for event in Reply(text=self.text).events(call)[0]:
                call.body(event)
        if call.request.is_anthropic:
            call.body(anthropic_event({"type": "error", "error": error}))
        else:
            call.body(chat_event(_dump({"error": error})))
        call.end()


def empty_stream(call):
    """A 200 that ends before its first event."""
    call.head(200, [("Content-Type", "text/event-stream")])
    call.end()


def short_length(call):
    """A Content-Length that promises more than comes."""
    body = b'{"id": "chatcmpl-short", "choices": ['
    call.head(200, [("Content-Type", "application/json")], "length", len(body) + 100)
    call.body(body)
    call.close()


@dataclasses.dataclass
class Endless:
    """A stream that never ends, `size` characters per event; seen.sent says how far it is."""

    size: int = 4096
    between: float = 0

    def __call__(self, call):
        call.head(200, [("Content-Type", "text/event-stream")])
        events, _ = Reply(text="x" * self.size, piece=self.size).events(call)
        for event in events[:-1]:
            call.body(event)
        while True:
            call.send(b"%x\r\n%s\r\n" % (len(events[-1]), events[-1]))
            call.pause(self.between)


@dataclasses.dataclass
class Garbage:
    """A 200 stream of random bytes that are no events."""

    size: int = 4096

    def __call__(self, call):
        call.head(200, [("Content-Type", "text/event-stream")])
        call.body(os.urandom(self.size))
        call.end()


def echo(call):
    """Answers with what it was asked, but for the headers: those hold the key."""
    seen = call.request
    body = {"method": seen.method, "path": seen.path, "body": seen.body.decode("utf-8", "replace")}
    call.answer(200, _dump(body).encode())


def close_unanswered(call):
    """Reads the request, then closes: what a stale keep-alive connection looks like."""
    call.close()


def reset_unanswered(call):
    call.reset()


def hang(call):
    """Reads the request and never answers."""
    call.stall()
