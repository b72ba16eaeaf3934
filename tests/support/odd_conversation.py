"""Conversations as no good client has them, at random: what a converter must get through without breaking law 2.

    OddMessages, OddChat   make a history by dice: blank texts, results that are missing, late, doubled or of unknown
                           calls, several messages of one role, system messages anywhere, torn arguments
    requests               the bodies of its turns: up to each place where the model is to answer
"""

import json

from conversation import IMAGE, SCHEMA

WORDS = ("a", "", " ", "\n\n", "hello\tx", "grüße 🙂", '"q\\"', "x ", " y", "1.0", "long " * 50)
OWN_SIGNATURE = "YWljdGw6dW5zaWduZWQ="


class _Odd:
    def __init__(self, dice):
        self.dice = dice
        self.count = 0
        self.open = []  # ids that wait for their results

    def words(self):
        return self.dice.choice(WORDS)

    def chance(self, part):
        return self.dice.random() < part

    def times(self, *counts):
        return range(self.dice.choice(counts))

    def answered(self):
        """Ids of the calls before, some left out, some twice, seldom in another order."""
        ids, self.open = self.open, []
        if self.chance(0.2):
            self.dice.shuffle(ids)
        ids = [one for one in ids for _ in range(2 if self.chance(0.1) else 1) if not self.chance(0.1)]
        return [*ids, f"nope{self.count}"] if self.chance(0.07) else ids

    def call_id(self, odd):
        self.count += 1
        self.open.append(odd.format(self.count) if self.chance(0.2) else f"call_{self.count}")
        return self.open[-1]

    def history(self, turns):
        messages = self.start()
        for _ in range(turns):
            messages += self.ask()
            messages += [self.answer() for _ in self.times(1, 1, 1, 1, 2)]
        return messages + self.ask()


class OddMessages(_Odd):
    path = "/v1/messages"

    def start(self):
        return []

    def frame(self):
        return {"max_tokens": 100, "system": "sys", "tools": [{"name": "read", "input_schema": SCHEMA}]}

    def text(self):
        return {"type": "text", "text": self.words()}

    def image(self):
        return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}}

    def result(self, call_id):
        block = {"type": "tool_result", "tool_use_id": call_id}
        content = self.dice.choice((None, "", self.words(), [self.text()], [self.image()],
                                    [self.text(), self.image(), self.text()], []))
        if content is not None:
            block["content"] = content
        if self.chance(0.2):
            block["is_error"] = self.chance(0.5)
        return block

    def system(self):
        return {"role": "system", "content": self.dice.choice((self.words(), [self.text(), self.text()]))}

    def user(self):
        blocks = [self.result(one) for one in self.answered()]
        for _ in self.times(0, 0, 1, 2):
            at = self.dice.randint(0, len(blocks)) if self.chance(0.3) else len(blocks)
            blocks.insert(at, self.dice.choice((self.text(), self.image())))
        blocks = blocks or [self.text()]
        plain = len(blocks) == 1 and blocks[0]["type"] == "text" and self.chance(0.5)
        return {"role": "user", "content": blocks[0]["text"] if plain else blocks}

    def ask(self):
        messages = []
        for _ in self.times(1, 1, 1, 2):
            messages += [self.system()] if self.chance(0.15) else []
            messages.append(self.user())
            messages += [self.system()] if self.chance(0.15) else []
        return messages

    def answer(self):
        blocks = []
        for _ in self.times(0, 1, 1, 2, 3, 4):
            kind = self.dice.choice(("thinking", "redacted", "text", "text", "call", "call"))
            if kind == "thinking":
                sign = self.dice.choice(("c2ln", OWN_SIGNATURE))
                blocks.append({"type": "thinking", "thinking": self.words(), "signature": sign})
            elif kind == "redacted":
                blocks.append({"type": "redacted_thinking", "data": "enp6"})
            elif kind == "text":
                blocks.append(self.text())
            else:
                call_id = self.call_id("toolu_{}-x")
                blocks.append({"type": "tool_use", "id": call_id, "name": "read", "input": {"n": 1.0}})
        return {"role": "assistant", "content": blocks or self.words()}


class OddChat(_Odd):
    path = "/v1/chat/completions"

    def start(self):
        return [{"role": "system", "content": "sys"}] if self.chance(0.7) else []

    def frame(self):
        return {"max_tokens": 100, "tools": [{"type": "function", "function": {"name": "read", "parameters": SCHEMA}}]}

    def part(self):
        url = {"url": f"data:image/png;base64,{IMAGE}"}
        return self.dice.choice(({"type": "text", "text": self.words()}, {"type": "image_url", "image_url": url}))

    def result(self, call_id):
        parts = [{"type": "text", "text": self.words()} for _ in range(2)]
        return {"role": "tool", "tool_call_id": call_id, "content": self.dice.choice(("", self.words(), parts))}

    def ask(self):
        messages = [self.result(one) for one in self.answered()]
        for _ in self.times(0, 1, 1, 2):
            at = len(messages) if self.chance(0.8) else self.dice.randint(0, len(messages))
            messages.insert(at, self.dice.choice((
                {"role": "user", "content": self.words()}, {"role": "system", "content": self.words()},
                {"role": "user", "content": [self.part() for _ in self.times(1, 2, 3)]},
                {"role": "developer", "content": "dev"})))
        # Something is asked: of blanks alone nothing would be left but the answer before.
        is_asked = messages and messages[-1]["role"] == "tool"
        return messages if is_asked else [*messages, {"role": "user", "content": "go on"}]

    def answer(self):
        """Never empty: what says nothing is left out, and its neighbours meet."""
        message = {"role": "assistant", "content": f"so {self.words()}"}
        if self.chance(0.3):
            message["reasoning_content"] = self.words()
        if self.chance(0.6):
            message["content"] = self.dice.choice((None, "", message["content"]))
            message["tool_calls"] = [
                {"id": self.call_id("functions.x:{}"), "type": "function",
                 "function": {"name": "read", "arguments": self.dice.choice(("{}", "", '{"n": 1.0}', '{"torn'))}}
                for _ in self.times(1, 1, 2, 3)]
        return message


def requests(odd, turns):
    """The bodies of a conversation's turns, one for each place where the model is to answer."""
    messages = odd.history(turns)
    for size in range(1, len(messages) + 1):
        is_asked = messages[size - 1]["role"] != "assistant"
        if is_asked and (size == len(messages) or messages[size]["role"] == "assistant"):
            body = {**odd.frame(), "model": "m", "messages": messages[:size]}
            yield json.dumps(body, ensure_ascii=False).encode()
