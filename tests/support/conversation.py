"""A long conversation of a coding agent, played turn by turn by a client of either dialect.

    turns(count)   what happens in it, in no dialect: what is said to the model, what it answers
    answers(list)  a provider's behaviour: the answer of the turn its request is in, by its length
    ChatAgent, MessagesAgent   a client: builds its request, takes the answer into its history
    prefix_of      the bytes of a request's body up to the end of its last message

Everything is a function of the turn's number: played again, a conversation is the same.
"""

import base64
import copy
import dataclasses
import json

import replies
from lifecycle import said_by

IMAGE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(200))).decode()
SCHEMA = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
          "properties": {"path": {"type": "string", "default": "/"}, "n": {"type": "number"}},
          "additionalProperties": False}
TOOLS = ("read", "write", "list", "look")


@dataclasses.dataclass
class Result:
    """What a tool gave: texts and images ("image") in order."""

    parts: tuple
    is_error: bool = False


@dataclasses.dataclass
class Turn:
    user: tuple = ()  # texts and images of the user, if any
    system: str = None  # behind them
    results: tuple = ()  # of the calls of the turn before, in their order
    reply: replies.Reply = None


# ---- what happens ----


def _tool(number, index):
    arguments = {"path": f"/tmp/ü {number}/{index} \"q\"\\", "n": 1.0, "big": 9007199254740993}
    return TOOLS[(number + index) % len(TOOLS)], json.dumps(arguments, ensure_ascii=index % 2 == 0)


def _call_id(number, index):
    """Some are of a form that other wires refuse."""
    plain = f"call_{number}x{index}"
    return f"functions.read:{number * 8 + index}" if number % 3 == 1 else plain


def _reply(number, reasoning):
    count = 0 if number % 5 == 4 else 1 + number % 3
    return replies.Reply(
        text="" if number % 3 == 1 and count else f"Answer {number}: grüße 🙂\n\"x\" \\ <&>",
        tools=tuple(_tool(number, index) for index in range(count)),
        call_ids=tuple(_call_id(number, index) for index in range(count)),
        reasoning=reasoning(number), signature=f"c2lnbmF0dXJl{number}AA==")


def _result(number, index):
    kinds = (
        Result((f"line {number}\n\ttab \u0001 \u2028 é",)),
        Result(("first part", "second part")),
        Result(("here it is", "image")),
        Result((f"no such file {number}",), is_error=True),
        Result(()),
        Result(("image",)),
    )
    return kinds[(number + index) % len(kinds)]


def some_reasoning(number):
    return f"Thinking about {number}…\n" if number % 2 == 0 else ""


def turns(count, reasoning=some_reasoning):
    """reasoning: what is thought in an answer, by its number."""
    made = []
    for number in range(count):
        before = made[-1].reply if made else None
        results = tuple(_result(number, at) for at in range(len(before.tools))) if before else ()
        asks = not results or number % 11 == 10
        user = (f"Question {number}: what next?",) if asks else ()
        if number % 10 == 5 and asks:
            user = (*user, "image", "and this?")
        system = f"Reminder {number}: be brief." if number in (0, 13, 27) else None
        made.append(Turn(user, system, results, _reply(number, reasoning)))
    return made


def answers(played):
    """A provider's behaviour: how many answers its request has in it tells the turn."""
    def behaviour(call):
        messages = call.request.json["messages"]
        number = sum(message["role"] == "assistant" for message in messages)
        played[number].reply(call)
    return behaviour


# ---- clients ----


class _Agent:
    """keeps_reasoning: whether it sends back what the model thought."""

    def __init__(self, model, keeps_reasoning=True):
        self.model, self.keeps_reasoning = model, keeps_reasoning
        self.history = []
        self.open_calls = []

    def body(self, number):
        """Its next request; every other one is a stream."""
        body = {**self.frame(), "model": self.model, "messages": self.history}
        if number % 2:
            body["stream"] = True
        return json.dumps(body, ensure_ascii=False).encode()

    def take(self, answer):
        said = said_by(answer)
        self.open_calls = [call.id for call in said.calls]
        self.history.append(self.message_of(said))


class ChatAgent(_Agent):
    path = "/v1/chat/completions"

    def frame(self):
        functions = [{"name": name, "description": f"{name} it", "parameters": SCHEMA}
                     for name in TOOLS]
        return {"tools": [{"type": "function", "function": one} for one in functions],
                "max_tokens": 3000, "temperature": 1.0}

    def start(self):
        self.history.append({"role": "system", "content": "You are a careful agent."})

    @staticmethod
    def _part(part):
        if part != "image":
            return {"type": "text", "text": part}
        return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}}

    def say(self, turn):
        for call_id, result in zip(self.open_calls, turn.results):
            words = [part for part in result.parts if part != "image"]
            content = [self._part(word) for word in words] if len(words) > 1 else "".join(words)
            self.history.append({"role": "tool", "tool_call_id": call_id, "content": content})
        images = [part for result in turn.results for part in result.parts if part == "image"]
        if images:
            self.history.append({"role": "user", "content": [self._part(one) for one in images]})
        if turn.user:
            content = [self._part(part) for part in turn.user]
            content = turn.user[0] if len(turn.user) == 1 else content
            self.history.append({"role": "user", "content": content})
        if turn.system:
            self.history.append({"role": "developer", "content": turn.system})

    def message_of(self, said):
        message = {"role": "assistant", "content": said.text or None}
        if said.calls:
            message["tool_calls"] = [
                {"id": call.id, "type": "function",
                 "function": {"name": call.name, "arguments": call.text}} for call in said.calls]
        if said.reasoning and self.keeps_reasoning:
            message["reasoning_content"] = said.reasoning
        return message


class MessagesAgent(_Agent):
    path = "/v1/messages"

    def frame(self):
        tools = [{"name": name, "description": f"{name} it", "input_schema": SCHEMA}
                 for name in TOOLS]
        system = [{"type": "text", "text": "You are a careful agent."},
                  {"type": "text", "text": "Of a project."}]
        return {"max_tokens": 3000, "system": system, "tools": tools, "temperature": 1.0}

    def start(self):
        pass

    @staticmethod
    def _block(part):
        if part != "image":
            return {"type": "text", "text": part}
        source = {"type": "base64", "media_type": "image/png", "data": IMAGE}
        return {"type": "image", "source": source}

    def say(self, turn):
        blocks = []
        for call_id, result in zip(self.open_calls, turn.results):
            block = {"type": "tool_result", "tool_use_id": call_id}
            if result.parts:
                plain = len(result.parts) == 1 and result.parts[0] != "image"
                content = [self._block(part) for part in result.parts]
                block["content"] = result.parts[0] if plain else content
            if result.is_error:
                block["is_error"] = True
            blocks.append(block)
        blocks += [self._block(part) for part in turn.user]
        plain = len(blocks) == 1 and blocks[0]["type"] == "text"
        self.history.append({"role": "user", "content": blocks[0]["text"] if plain else blocks})
        if turn.system:
            self.history.append({"role": "system", "content": turn.system})

    def message_of(self, said):
        blocks = []
        for block in said.blocks:
            if block.kind == "call":
                blocks.append({"type": "tool_use", "id": block.id, "name": block.name,
                               "input": json.loads(block.text or "{}")})
            elif block.kind == "text":
                blocks.append({"type": "text", "text": block.text})
            elif block.kind == "reasoning" and self.keeps_reasoning:
                blocks.append({"type": "thinking", "thinking": block.text,
                               "signature": block.signature})
        return {"role": "assistant", "content": blocks}


def play(daemon, agent, played, headers=()):
    """Plays the conversation; returns the client's own bodies."""
    bodies = []
    agent.start()
    for number, turn in enumerate(played):
        agent.say(copy.deepcopy(turn))
        bodies.append(agent.body(number))
        answer = daemon.ask("POST", agent.path, bodies[-1], headers=headers)
        assert answer.status == 200, (number, answer.status, answer.body[:2000], bodies[-1][-2000:])
        agent.take(answer)
    return bodies


# ---- bytes ----


def _members(text):
    """(name, start and end of the value) of every member of an object, in order."""
    decoder = json.JSONDecoder()
    at = text.index("{") + 1
    while True:
        while text[at] in " \t\r\n,":
            at += 1
        if text[at] == "}":
            return
        name, at = decoder.raw_decode(text, at)
        at = text.index(":", at) + 1
        while text[at] in " \t\r\n":
            at += 1
        start = at
        _, at = decoder.raw_decode(text, at)
        yield name, start, at


def prefix_of(body):
    """The bytes of a request's body up to the end of its last message."""
    text = body.decode()
    found = [(start, end) for name, start, end in _members(text) if name == "messages"]
    assert len(found) == 1, "messages stand there once"
    start, end = found[0]
    assert text[start] == "[" and text[end - 1] == "]"
    return text[: end - 1].rstrip().encode()
