"""One daemon between both dialects: what goes up is judged, what comes down is read.

    world       fixture, to be imported: the daemon, its provider, and the models below
    Script      a provider's answer: exact events for a stream, a twin for a plain request
    chunk, call, end, ...      the chunks of a chat stream;  chat_message: its whole twin
    begin, block, stop, ...    the events of a Messages stream;  message: its whole twin

Models of "chatty" (chat completions) and "claudish" (messages) are named by what they take beyond, or
less than, the defaults; `ALSO` says what the strict judges then accept.
"""

import dataclasses
import json
import random

import pytest

import strict_chat
import strict_messages
from daemon import Daemon, config_for, provider_row
from lifecycle import said_by
from meant import check_shape, compare
from provider import Provider

CHAT_MODELS = {
    "m-plain": {},
    "m-small": {"maxOutputTokens": 4096},
    "m-completion": {"maxCompletionTokens": True, "sampling": False, "stop": False},
    "m-back": {"reasoningBack": True},
    "m-always": {"reasoningBack": True, "reasoningBackAlways": True},
    "m-short": {"shortCallIds": True},
    "m-blind": {"images": False},
    "m-files": {"files": True},
    "m-onesystem": {"systemAnywhere": False},
    "m-nochoice": {"toolChoice": False, "parallelCalls": False},
    "m-noschema": {"jsonSchema": False},
    "m-mute": {"effort": False},
    "m-words": {"effortWords": True},
    "m-switch": {"effort": False, "thinkingSwitch": True},
    "m-flag": {"effort": False, "thinkingFlag": True},
    "m-object": {"effortObject": True},
    "m-keyed": {"cacheKey": True, "topK": True, "cacheMarks": True},
    "m-nousage": {"streamUsage": False},
}
MESSAGES_MODELS = {
    "c-plain": {},
    "c-small": {"maxOutputTokens": 4096},
    "c-adaptive": {"adaptiveThinking": True},
    "c-auto": {"autoCache": True},
    "c-noformat": {"outputFormat": False},
    "c-blind": {"images": False},
}
ALSO = {
    "m-words": {"minimal", "xhigh"}, "m-back": {"reasoning_content"}, "m-always": {"reasoning_content"},
    "m-switch": {"thinking"},
    "m-flag": {"enable_thinking", "thinking_budget"}, "m-object": {"reasoning"},
    "m-keyed": {"prompt_cache_key", "top_k", "cache_control"},
    "c-adaptive": {"adaptive"}, "c-auto": {"cache_control"},
}
PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}
CLIENTS = ("messages", "chat")
CUTS = (None, 1, "a", "b", "c")  # whole, byte by byte, random pieces by seed


# ---- the chunks of a chat stream ----

FRAME = {"id": "x-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m"}


def sse(data):
    return f"data: {data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)}\n\n".encode()


def chunk(finish=None, usage=None, **delta):
    """One chunk; its delta are the other arguments."""
    more = {"usage": usage} if usage else {}
    return sse({**FRAME, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more})


def call(index, call_id=None, name=None, arguments=None, finish=None, **more):
    """A chunk with a piece of one call; what is None is not there."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    piece = {"index": index, **({"id": call_id, "type": "function"} if call_id is not None else {}),
             "function": function, **more}
    return chunk(finish, tool_calls=[piece])


def chat_usage(prompt=20, completion=5, cached=0):
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached}}


def end(finish="stop", usage=None):
    """Finish, usage, [DONE]."""
    return [chunk(finish), sse({**FRAME, "choices": [], "usage": usage or chat_usage()}), sse("[DONE]")]


def chat_message(text=None, calls=(), finish="stop", usage=None, **more):
    """A whole chat answer; calls are (id, name, arguments)."""
    message = {"role": "assistant", "content": text, **more}
    if calls:
        message["tool_calls"] = [{"id": call_id, "type": "function",
                                  "function": {"name": name, "arguments": arguments}}
                                 for call_id, name, arguments in calls]
    return {"id": "x-1", "object": "chat.completion", "created": 1700000000, "model": "m",
            "usage": usage or chat_usage(),
            "choices": [{"index": 0, "message": message, "finish_reason": finish}]}


# ---- the events of a Messages stream ----


def event(kind, **more):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more}, ensure_ascii=False)}\n\n".encode()


def messages_usage(fresh=20, output=5, read=0, written=0):
    return {"input_tokens": fresh, "cache_creation_input_tokens": written, "cache_read_input_tokens": read,
            "output_tokens": output}


def begin(usage=None):
    return event("message_start", message={
        "id": "msg_x", "type": "message", "role": "assistant", "model": "c", "content": [],
        "stop_reason": None,
        "stop_sequence": None, "usage": usage or messages_usage(output=1)})


DELTAS = {"text": "text_delta", "thinking": "thinking_delta", "tool_use": "input_json_delta",
          "signature": "signature_delta"}
MEMBERS = {"text": "text", "thinking": "thinking", "tool_use": "partial_json", "signature": "signature"}


def delta(index, kind, piece):
    return event("content_block_delta", index=index, delta={"type": DELTAS[kind], MEMBERS[kind]: piece})


def block(index, kind, *pieces, signature=None, **more):
    """A whole block: start, deltas, stop."""
    empty = {} if kind == "tool_use" else ""
    start = {"type": kind, **({"input": {}} if kind == "tool_use" else {MEMBERS[kind]: empty}
                              if kind in MEMBERS else {}), **more}
    events = [event("content_block_start", index=index, content_block=start)]
    events += [delta(index, kind, piece) for piece in pieces]
    if signature:
        events.append(delta(index, "signature", signature))
    return b"".join(events) + event("content_block_stop", index=index)


def stop(reason="end_turn", usage=None, sequence=None):
    told = event("message_delta", delta={"stop_reason": reason, "stop_sequence": sequence},
                 usage=usage or messages_usage())
    return told + event("message_stop")


def message(*content, stop_reason="end_turn", usage=None, stop_sequence=None):
    """A whole Messages answer."""
    return {"id": "msg_x", "type": "message", "role": "assistant", "model": "c", "content": list(content),
            "stop_reason": stop_reason, "stop_sequence": stop_sequence, "usage": usage or messages_usage()}


# ---- the provider's answer ----


@dataclasses.dataclass
class Script:
    """form: "stream" or "whole" to answer so whatever was asked. cut: of CUTS."""

    events: object
    whole: object
    form: str = None
    cut: object = None
    content_type: str = None

    def __call__(self, call):
        wants_stream = bool(call.request.json.get("stream"))
        is_stream = self.form == "stream" if self.form else wants_stream
        body = self.events if is_stream else self.whole
        if isinstance(body, dict):
            body = json.dumps(body, ensure_ascii=False).encode()
        elif not isinstance(body, bytes):
            body = b"".join(body)
        kind = self.content_type or ("text/event-stream" if is_stream else "application/json")
        call.head(200, [("Content-Type", kind)])
        if isinstance(self.cut, str):
            dice = random.Random(self.cut)
            at = 0
            while at < len(body):
                size = dice.randint(1, 40)
                call.body(body[at : at + size])
                at += size
        else:
            call.body(body, self.cut)
        call.end()


def ways(has_whole):
    """(form of the provider's answer, cut) in which every answer is given."""
    yield from (("stream", cut) for cut in CUTS)
    if has_whole:
        yield "whole", None
        yield "whole", 1


# ---- the world ----


class World:
    """client: the dialect that asks; provider: the one that answers."""

    def __init__(self, daemon, provider):
        self.daemon, self.provider = daemon, provider

    def ask(self, client, body, script=None, headers=()):
        """One request in this dialect. What goes up converted is judged."""
        if script:
            self.provider.will(script)
        before = len(self.provider.requests)
        more = [("anthropic-version", "2023-06-01"), *headers] if client == "messages" else headers
        answer = self.daemon.ask("POST", PATHS[client], body, headers=more)
        for seen in self.provider.requests[before:]:
            self.judge(client, seen)
        return answer

    def judge(self, client, seen):
        if seen.method != "POST" or seen.is_anthropic == (client == "messages"):
            return  # passed on as it came
        strict = strict_messages if seen.is_anthropic else strict_chat
        found = strict.problems(seen.body, ALSO.get(seen.model, ()))
        assert not found, "\n  ".join(["a strict provider refuses:", *found, seen.body.decode()[:3000]])

    def upstream(self, client, body, model=None, headers=()):
        """The converted body that arrives at the provider, and what the answer says was lost."""
        body = dict(body)
        body["model"] = model or ("m-plain" if client == "messages" else "c-plain")
        if client == "messages":
            body.setdefault("max_tokens", 1000)
        before = len(self.provider.requests)
        answer = self.ask(client, body, headers=headers)
        assert answer.status == 200, answer.body
        assert len(self.provider.requests) == before + 1
        losses = answer.header("x-aictl-loss")
        return self.provider.last.json, losses.split(", ") if losses else []

    def refused(self, client, body, model=None):
        """The error of a request that does not reach the provider."""
        body = {**body, "model": model or ("m-plain" if client == "messages" else "c-plain")}
        before = len(self.provider.requests)
        answer = self.ask(client, body)
        assert answer.status == 400 and len(self.provider.requests) == before, answer.body
        return answer.error["message"]

    def hear(self, script, client, is_stream, provider):
        """One answer of a provider, as its client reads it."""
        model = "m-plain" if provider == "chat" else "c-plain"
        body = {"model": model, "messages": [{"role": "user", "content": "Go."}], "stream": is_stream}
        if client == "messages":
            body["max_tokens"] = 1000
        elif is_stream:
            body["stream_options"] = {"include_usage": True}
        answer = self.ask(client, body, script)
        assert answer.status == 200, f"status {answer.status}: {answer.body[:600]!r}"
        check_shape(answer, client, is_stream)
        return said_by(answer)

    def check(self, provider, events, meant, whole=None, whole_meant=None, clients=CLIENTS, look=None):
        """
        The provider's answer in every way it can come, asked for by both dialects as a stream and
        whole, says what is meant (a whole body `whole_meant`, where its form has another order).
        look(said, client, is_stream) looks at more.
        """
        for form, cut in ways(whole is not None):
            for client in clients:
                for is_stream in (True, False):
                    if client == provider and is_stream == (form == "stream"):
                        continue  # passed on as it is
                    script = Script(events, whole, form, cut)
                    place = f"{provider} {form} cut {cut} -> {client} {'stream' if is_stream else 'whole'}"
                    try:
                        said = self.hear(script, client, is_stream, provider)
                        expected = whole_meant if form == "whole" and whole_meant else meant
                        compare(said, expected, client, is_stream)
                        if look:
                            look(said, client, is_stream)
                    except AssertionError as error:
                        raise AssertionError(f"{place}: {error}") from error

    def check_chat(self, events, meant, whole=None, **more):
        self.check("chat", events, meant, whole, **more)

    def check_messages(self, events, meant, whole=None, **more):
        self.check("messages", events, meant, whole, **more)


@pytest.fixture(scope="module")
def world():
    provider = Provider().start()
    rows = [
        provider_row("chatty", provider.url, CHAT_MODELS, capabilities={"models": CHAT_MODELS}),
        provider_row("claudish", provider.url, MESSAGES_MODELS, kind="anthropic",
                     capabilities={"models": MESSAGES_MODELS}),
    ]
    daemon = Daemon(config_for(*rows, default="m-plain"))
    try:
        daemon.start()
        for name in ("chatty", "claudish"):
            daemon.set_key(name)
        yield World(daemon, provider)
        daemon.stop()
    finally:
        provider.stop()
        daemon.discard()

