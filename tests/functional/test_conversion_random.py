"""Requests and answers nobody would write, at random.

Whatever a client asks, a strict provider of the other dialect takes what is sent. Whatever a provider
answers, it says the same however it is cut and in whichever form it is asked for, in a good life-cycle.
"""

import random

import pytest

from converting import (
    CHAT_MODELS, MESSAGES_MODELS, PATHS, Script, begin, block, chat_usage, chunk, event, sse, stop, world,
)
from lifecycle import said_by
from meant import calls_said, check_shape

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
WORDS = ["a", "", " \n", "ü \U0001f642 \\ \"", "x-anthropic-billing-header: y", "Hello.  "]
IDS = ["toolu_1", "functions.f:0", "call-2", "ü/", "c" * 70]
ARGUMENTS = ["{}", '{"x": 1.0}', "", "null", "[1]", '{"x":', "words"]
REDACTED = {"type": "redacted_thinking", "data": "eA=="}


class Author:
    """Writes requests; the same for the same seed."""

    def __init__(self, seed):
        self.dice = random.Random(seed)

    def one(self, choices):
        return self.dice.choice(choices)

    def some(self, make, most=3):
        return [make() for _ in range(self.dice.randint(0, most))]

    def maybe(self, likely, **members):
        return members if self.dice.random() < likely else {}


class MessagesAuthor(Author):
    def text(self):
        return {"type": "text", "text": self.one(WORDS),
                **self.maybe(.2, cache_control={"type": "ephemeral"})}

    def image(self):
        return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}

    def result(self):
        inner = self.one([self.one(WORDS), self.some(self.text), [self.text(), self.image()],
                          [{"type": "tool_reference", "tool_name": "late"}]])
        return {"type": "tool_result", "tool_use_id": self.one(IDS), **self.maybe(.9, content=inner),
                **self.maybe(.3, is_error=True)}

    def spoken(self):
        thought = {"type": "thinking", "thinking": self.one(WORDS),
                   "signature": self.one(["s", "YWljdGw6dW5zaWduZWQ="])}
        use = {"type": "tool_use", "id": self.one(IDS), "name": "f",
               "input": self.one([{}, {"x": [1, None]}])}
        return self.one([self.text(), use, use, thought, REDACTED])

    def message(self):
        role = self.one(["user", "user", "assistant", "assistant", "system"])
        if role == "system":
            return {"role": role, "content": self.one([self.one(WORDS), self.some(self.text)])}
        if role == "assistant":
            return {"role": role, "content": self.one([self.one(WORDS), self.some(self.spoken, 5)])}
        asked = self.some(lambda: self.one([self.text, self.image, self.result, self.result])(), 5)
        return {"role": role, "content": self.one([self.one(WORDS), asked, asked])}

    def request(self):
        tools = [{"name": "f"}, {"name": "late", "defer_loading": True},
                 {"type": "web_search_20250305", "name": "web_search"}]
        return {
            "messages": [*self.some(self.message, 12), {"role": "user", "content": "Go."}],
            "max_tokens": self.one([1, 2000, 64000]),
            **self.maybe(.5, system=self.one([self.one(WORDS), self.some(self.text)])),
            **self.maybe(.6, tools=self.dice.sample(tools, self.dice.randint(0, 3))),
            **self.maybe(.4, tool_choice=self.one([{"type": "auto", "disable_parallel_tool_use": True},
                                                   {"type": "any"},
                                                   {"type": "tool", "name": "late"}, {"type": "none"}])),
            **self.maybe(.5, thinking=self.one([{"type": "adaptive"}, {"type": "disabled"},
                                                {"type": "enabled", "budget_tokens": 1024}])),
            **self.maybe(.3, output_config={"effort": self.one(["low", "max"])}),
            **self.maybe(.3, temperature=0.5, top_p=0.5, top_k=3),
            **self.maybe(.3, stop_sequences=list("abcdef")), **self.maybe(.5, stream=True),
        }


class ChatAuthor(Author):
    def text(self):
        return {"type": "text", "text": self.one(WORDS),
                **self.maybe(.2, cache_control={"type": "ephemeral"})}

    def image(self):
        return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}

    def call(self):
        return {"id": self.one(IDS), "type": "function",
                "function": {"name": "f", "arguments": self.one(ARGUMENTS)}}

    def content(self):
        return self.one([self.one(WORDS), self.some(self.text)])

    def message(self):
        role = self.one(["user", "assistant", "assistant", "tool", "tool", "system", "developer"])
        if role == "tool":
            return {"role": role, "tool_call_id": self.one(IDS), "content": self.content()}
        if role == "assistant":
            signed = [{"type": "reasoning.text", "text": "hm", "signature": "s",
                       "format": "anthropic-claude-v1"}]
            calls = self.some(self.call, 3)
            return {"role": role, "content": self.one([None, self.content()]),
                    **({"tool_calls": calls} if calls else {}),
                    **self.maybe(.3, reasoning_content=self.one(WORDS)),
                    **self.maybe(.2, reasoning_details=signed)}
        if role == "user":
            return {"role": role, "content": self.one([self.content(),
                                                       self.some(lambda: self.one([self.text,
                                                                                   self.image])())])}
        return {"role": role, "content": self.content()}

    def request(self):
        tools = [{"type": "function", "function": {"name": "f"}},
                 {"type": "function", "function": {"name": "g", "parameters": {}}}]
        return {
            "messages": [*self.some(self.message, 14), {"role": "user", "content": "Go."}],
            **self.maybe(.6, tools=self.dice.sample(tools, self.dice.randint(0, 2))),
            **self.maybe(.4, tool_choice=self.one(["auto", "none", "required", tools[1]])),
            **self.maybe(.3, parallel_tool_calls=False),
            **self.maybe(.5, max_tokens=self.one([1, 1024, 1025, 2000, 64000])),
            **self.maybe(.5, reasoning_effort=self.one(["none", "minimal", "low", "high", "xhigh"])),
            **self.maybe(.3, temperature=self.one([0, 0.5, 2])), **self.maybe(.3, top_p=0.5),
            **self.maybe(.2, stop=["a", " ", "b"]),
            **self.maybe(.2, response_format={"type": "json_object"}),
            **self.maybe(.5, stream=True, stream_options={"include_usage": True}),
        }


AUTHORS = {"messages": (MessagesAuthor, CHAT_MODELS), "chat": (ChatAuthor, MESSAGES_MODELS)}


@pytest.mark.parametrize("client", PATHS)
@pytest.mark.parametrize("seed", range(8))
def test_any_history_becomes_a_request_that_a_strict_provider_takes(world, client, seed):
    author, models = AUTHORS[client]
    for number in range(60):
        body = author(f"{seed} {number}").request()
        model = random.Random(number).choice(sorted(models))
        before = len(world.provider.requests)
        answer = world.ask(client, {"model": model, **body})
        assert answer.status == 200, (answer.body, body)
        assert len(world.provider.requests) == before + 1


# ---- answers ----

PIECES = ["a", "", " ", "\n\n", "ü 🙂", '"\\', None]


class ChatAnswer(Author):
    """Pieces of calls, text and reasoning in any order, with the oddities of real ones."""

    def call(self, index):
        """The pieces of one call; what names it comes with the first, and now and then again."""
        pieces = self.one([["{}"], [""], ["null"], ['{"x":', "1}"], ["", '{"x"', None, ":1", "}", ""]])
        named = {"id": f"{self.one(IDS)}{index}", "name": self.one("fgh")}
        for number, piece in enumerate(pieces):
            told = {**self.maybe(.2, id=self.one([named["id"], "", None]))} if number else {"id": named["id"]}
            name = self.maybe(.2, name=self.one([named["name"], "",
                                                 None])) if number else {"name": named["name"]}
            yield {"tool_calls": [{"index": index, **told, "function": {**name, "arguments": piece}}]}

    def words(self):
        return {**self.maybe(.2, role="assistant"), **self.maybe(.6, content=self.one(PIECES)),
                **self.maybe(.3, reasoning_content=self.one(PIECES)),
                **self.maybe(.1, reasoning=self.one(PIECES)),
                **self.maybe(.05, refusal=self.one(PIECES))}

    def deltas(self):
        """Calls interleaved; text may stand before, between and behind them, not inside of one."""
        calls = [list(self.call(index)) for index in range(self.dice.randint(0, 4))]
        yield from self.some(self.words, 6)
        while any(calls):
            yield self.one([pieces for pieces in calls if pieces]).pop(0)
        yield from self.some(self.words, 4)

    def events(self):
        finish = self.one(["stop", "tool_calls", "length"])
        said = [chunk(usage=self.one([None, None, chat_usage()]), **delta) for delta in self.deltas()]
        return [chunk(content="Hi."), *said, chunk(finish), *self.some(lambda: chunk(finish)), sse("[DONE]")]


class MessagesAnswer(Author):
    def block(self, index):
        kind = self.one(["text", "thinking", "tool_use", "server_tool_use", "redacted_thinking"])
        if kind in ("server_tool_use", "redacted_thinking"):
            start = {"type": kind, "data": "eA==", "id": "srv_1", "name": "s", "input": {}}
            return event("content_block_start", index=index,
                         content_block=start) + event("content_block_stop", index=index)
        if kind == "tool_use":
            pieces = self.one([["{}"], ['{"x"', ":1}"], [""], []])
            return block(index, kind, *pieces, id=f"toolu_{index}", name="f")
        pieces = [piece for piece in self.some(lambda: self.one(PIECES)) if piece is not None]
        return block(index, kind, *pieces, signature=self.one(["s", None]) if kind == "thinking" else None)

    def events(self):
        return [begin(), *self.some(lambda: event("ping")), block(0, "text", "Hi."),
                *(self.block(index) for index in range(1, self.dice.randint(1, 8))),
                stop(self.one(["end_turn", "tool_use", "max_tokens"]))]


ANSWERS = {"chat": ChatAnswer, "messages": MessagesAnswer}


def contents(said, client):
    """In what all forms have to be equal: words by their kind, and calls, ids that were made up aside."""
    calls = [(name, arguments) for _, name, arguments in calls_said(said)]
    kinds = {kind: said.joined(kind) for kind in ("text", "reasoning", "refusal")}
    return kinds, [one for one in calls if client == "chat" or isinstance(one[1], dict)], said.stop


@pytest.mark.parametrize("client, provider", [("messages", "chat"), ("chat", "messages")])
@pytest.mark.parametrize("seed", range(4))
def test_any_answer_says_the_same_however_it_comes(world, client, provider, seed):
    for number in range(40):
        events, first = ANSWERS[provider](f"{seed} {number}").events(), None
        for cut, is_stream in ((None, True), (1, True), ("x", True), (None, False), ("y", False)):
            body = {"model": "m-plain" if provider == "chat" else "c-plain",
                    "messages": [{"role": "user", "content": "Go."}],
                    "max_tokens": 99, "stream": is_stream}
            answer = world.ask(client, body, Script(events, None, "stream", cut))
            if answer.status == 200:
                check_shape(answer, client, is_stream)
                heard = said_by(answer)
                heard = "error" if heard.error else contents(heard, client)
            else:
                heard = "error"
            first = first or heard
            assert heard == first, f"cut {cut}, stream {is_stream}\n" + b"".join(events).decode()
