"""What a strict Messages provider would refuse of a request: problems(body) lists it.

Written from the API's documents and its error texts. What only some providers or models take is
refused unless a test names it (`also`: cache_control at the top, adaptive).
"""

import base64
import re

from meant import parse_json

MEMBERS = {
    "model", "messages", "max_tokens", "system", "tools", "tool_choice", "thinking", "output_config",
    "stop_sequences", "temperature", "top_p", "top_k", "metadata", "stream",
}
BLOCKS = {
    "user": {"text", "image", "document", "tool_result"},
    "assistant": {"text", "thinking", "redacted_thinking", "tool_use"},
    "tool_result": {"text", "image", "document"},
    "system": {"text"},
}
BLOCK_MEMBERS = {
    "text": {"type", "text", "cache_control"},
    "image": {"type", "source", "cache_control"},
    "document": {"type", "source", "title", "context", "citations", "cache_control"},
    "tool_result": {"type", "tool_use_id", "content", "is_error", "cache_control"},
    "tool_use": {"type", "id", "name", "input", "cache_control"},
    "thinking": {"type", "thinking", "signature"},
    "redacted_thinking": {"type", "data"},
}
ID = re.compile(r"^[a-zA-Z0-9_-]+$")
NAME = re.compile(r"^[a-zA-Z0-9_-]{1,128}$")
IMAGES = {"image/png", "image/jpeg", "image/gif", "image/webp"}
LEAST_BUDGET = 1024
MOST_MARKS = 4


def is_blank(text):
    return not isinstance(text, str) or not text.strip()


class Judge:
    """One body being read."""

    def __init__(self, also=()):
        self.also = set(also)
        self.found = []
        self.marks = 0

    def bad(self, place, what):
        self.found.append(f"{place}: {what}")

    def want(self, condition, place, what):
        if not condition:
            self.bad(place, what)
        return bool(condition)

    def members(self, place, value, known):
        if not self.want(isinstance(value, dict), place, "must be an object"):
            return False
        for name in sorted(set(value) - set(known)):
            self.bad(f"{place}.{name}", "is not known")
        for name in value:
            self.want(value[name] is not None, f"{place}.{name}", "is null")
        return True

    def mark(self, place, holder):
        if isinstance(holder, dict) and "cache_control" in holder:
            self.marks += 1
            mark = holder["cache_control"]
            self.want(mark == {"type": "ephemeral"} or mark in [{"type": "ephemeral",
                                                                 "ttl": ttl} for ttl in ("5m", "1h")],
                      place, f"cache_control is {mark}")

    # ---- blocks ----

    def source(self, place, source, types):
        """types: media types of base64 data; plain text where they hold text/plain."""
        kind = source.get("type") if isinstance(source, dict) else None
        if kind == "url":
            self.want(set(source) == {"type", "url"} and source["url"].startswith(("https://", "http://")),
                      place, source)
        elif kind == "text" and "text/plain" in types:
            self.want(source.get("media_type") == "text/plain" and not is_blank(source.get("data")), place,
                      source)
        elif self.want(kind == "base64", place, f"a source of type {kind}"):
            self.want(source.get("media_type") in types - {"text/plain"}, place,
                      f"{source.get('media_type')}")
            try:
                self.want(base64.b64decode(source.get("data") or "", validate=True), place, "no data")
            except ValueError:
                self.bad(place, "its data is no base64")

    def block(self, place, block, where):
        kind = block.get("type") if isinstance(block, dict) else None
        if not self.want(kind in BLOCKS[where], place, f"a block of type {kind} in {where}"):
            return
        self.members(place, block, BLOCK_MEMBERS[kind])
        self.mark(place, block)
        getattr(self, "on_" + kind)(place, block)

    def on_text(self, place, block):
        self.want(not is_blank(block.get("text")), place, "text is empty or white space")

    def on_image(self, place, block):
        self.source(place, block.get("source"), IMAGES)

    def on_document(self, place, block):
        self.source(place, block.get("source"), {"application/pdf", "text/plain"})

    def on_tool_use(self, place, block):
        self.want(ID.match(block.get("id") or ""), place, f"id {block.get('id')!r}")
        self.want(NAME.match(block.get("name") or ""), place, f"name {block.get('name')!r}")
        self.want(isinstance(block.get("input"), dict), place, "input must be an object")

    def on_thinking(self, place, block):
        self.want(isinstance(block.get("thinking"), str) and block.get("signature"), place,
                  "has no signature")

    def on_redacted_thinking(self, place, block):
        self.want(block.get("data"), place, "has no data")

    def on_tool_result(self, place, block):
        self.want(ID.match(block.get("tool_use_id") or ""), place,
                  f"tool_use_id {block.get('tool_use_id')!r}")
        self.want(isinstance(block.get("is_error", True), bool), place, "is_error must be true or false")
        content = block.get("content")
        if isinstance(content, list):
            self.want(content, place, "content is an empty array")
            for number, inner in enumerate(content):
                self.block(f"{place}.content[{number}]", inner, "tool_result")
        elif content is not None:
            self.want(isinstance(content, str), place, "content is neither text nor blocks")

    # ---- messages ----

    def content(self, place, message):
        """The blocks of a message; a string is one text."""
        content = message.get("content")
        if isinstance(content, str):
            self.want(not is_blank(content), place, "content is empty or white space")
            return [{"type": "text", "text": content}]
        if not self.want(isinstance(content, list) and content, place, "content must be filled"):
            return []
        for number, block in enumerate(content):
            self.block(f"{place}.content[{number}]", block, message["role"])
        return content

    def results(self, place, blocks, called):
        """Every call of the turn before is answered once, in front of everything else."""
        answered = [block.get("tool_use_id") for block in blocks if block.get("type") == "tool_result"]
        leading = [block.get("type") for block in blocks[: len(answered)]]
        self.want(leading == ["tool_result"] * len(answered), place, "something stands before a tool_result")
        self.want(sorted(map(str, answered)) == sorted(map(str, called)), place,
                  f"answers {answered}, called were {called}")

    def messages(self, messages):
        if not self.want(isinstance(messages, list) and messages, "messages", "must be a filled array"):
            return [], []
        called, seen, before = [], set(), "assistant"
        history = []
        for number, message in enumerate(messages):
            place = f"messages[{number}]"
            role = message.get("role")
            if not self.want(role in ("user", "assistant"), place, f"role {role!r}"):
                continue
            self.members(place, message, {"role", "content"})
            self.want(role != before, place,
                      f"{role} follows {before}" if number else "the first is not the user's")
            blocks = self.content(place, message)
            if role == "user":
                self.results(place, blocks, called)
            called = [block.get("id") for block in blocks if block.get("type") == "tool_use"]
            self.want(len(set(called)) == len(called) and not seen & set(called), place,
                      f"ids come twice: {called}")
            seen |= set(called)
            before = role
            history.append((role, blocks))
        self.want(not called, "messages", f"calls {called} are never answered")
        return history

    def last_turn(self, history, thinks):
        """A prefill ends in no white space; a running tool loop begins with its thinking."""
        if not history:
            return
        role, blocks = history[-1]
        if role == "assistant":
            self.want(not thinks, "messages", "an answer to be continued beside thinking")
            text = blocks[-1].get("text", "x")
            self.want(text == text.rstrip(), "messages", f"the last text ends in white space: {text!r}")
        elif thinks and any(block.get("type") == "tool_result" for block in blocks):
            kind = history[-2][1][0].get("type")
            self.want(kind in ("thinking", "redacted_thinking"), "messages",
                      f"the calling turn begins with {kind}")

    # ---- tools, thinking, the rest ----

    def tools(self, body):
        names = []
        if "tools" in body:
            self.want(isinstance(body["tools"], list) and body["tools"], "tools", "must be a filled array")
        for number, tool in enumerate(body.get("tools") or ()):
            place = f"tools[{number}]"
            known = {"type", "name", "description", "input_schema", "strict", "cache_control"}
            if not self.members(place, tool, known):
                continue
            self.mark(place, tool)
            name, schema = tool.get("name"), tool.get("input_schema")
            self.want(tool.get("type", "custom") == "custom", place, f"type {tool.get('type')}")
            self.want(NAME.match(name or "") and name not in names, place,
                      f"name {name!r} is wrong or comes twice")
            names.append(name)
            self.want(isinstance(schema, dict) and schema.get("type") == "object", place,
                      f"input_schema {schema!r}")
        return names

    def choice(self, body, names, thinks):
        if "tool_choice" not in body:
            return
        choice = body["tool_choice"]
        kind = choice.get("type") if isinstance(choice, dict) else None
        self.want(names, "tool_choice", "without tools")
        known = {"auto": {"disable_parallel_tool_use"}, "any": {"disable_parallel_tool_use"},
                 "tool": {"name", "disable_parallel_tool_use"}, "none": set()}
        if self.want(kind in known, "tool_choice", f"{choice}"):
            self.members("tool_choice", choice, {"type"} | known[kind])
            self.want(kind != "tool" or choice.get("name") in names, "tool_choice", f"{choice}")
            self.want(kind not in ("any", "tool") or not thinks, "tool_choice",
                      "forces a call beside thinking")

    def thinking(self, body):
        """Whether it is on."""
        thinking = body.get("thinking", {"type": "disabled"})
        kind = thinking.get("type")
        if kind == "enabled":
            self.members("thinking", thinking, {"type", "budget_tokens"})
            budget = thinking.get("budget_tokens")
            self.want(isinstance(budget, int) and LEAST_BUDGET <= budget < body.get("max_tokens", 0),
                      "thinking",
                      f"budget_tokens {budget} with max_tokens {body.get('max_tokens')}")
        else:
            known = ("disabled", "adaptive") if "adaptive" in self.also else ("disabled",)
            self.want(kind in known, "thinking", f"{thinking}")
            self.members("thinking", thinking, {"type"})
        return kind in ("enabled", "adaptive")

    def sampling(self, body, thinks):
        for name, most, kind in (("temperature", 1, (int, float)), ("top_p", 1, (int, float)),
                                 ("top_k", 1 << 20, int)):
            value = body.get(name, 0)
            self.want(isinstance(value, kind) and 0 <= value <= most, name, f"{value!r}")
            self.want(name not in body or not thinks, name, "beside thinking")
        self.want("temperature" not in body or "top_p" not in body, "top_p", "beside temperature")
        if "stop_sequences" in body:
            stops = body["stop_sequences"]
            self.want(isinstance(stops, list) and stops and not any(map(is_blank, stops)), "stop_sequences",
                      f"{stops!r}")

    def output(self, config):
        if not self.members("output_config", config, {"effort", "format"}):
            return
        self.want(config, "output_config", "is empty")
        self.want("effort" not in config or "adaptive" in self.also, "output_config.effort", "is not known")
        self.want(config.get("effort", "low") in ("low", "medium", "high", "max"), "output_config",
                  f"{config}")
        if "format" in config:
            form = config["format"]
            self.want(set(form) == {"type",
                                    "schema"} and form["type"] == "json_schema" and isinstance(form["schema"],
                                                                                               dict),
                      "output_config.format", f"{form}")

    def system(self, system):
        if isinstance(system, str):
            self.want(not is_blank(system), "system", "is empty")
        elif self.want(isinstance(system, list) and system, "system", "must be filled"):
            for number, block in enumerate(system):
                self.block(f"system[{number}]", block, "system")

    def body(self, body):
        self.members("body", body, MEMBERS | (self.also & {"cache_control"}))
        self.want(isinstance(body.get("model"), str) and body["model"], "model", "must be text")
        most = body.get("max_tokens")
        self.want(isinstance(most, int) and most > 0, "max_tokens", f"{most!r}")
        if "system" in body:
            self.system(body["system"])
        names = self.tools(body)
        thinks = self.thinking(body)
        self.choice(body, names, thinks)
        self.last_turn(self.messages(body.get("messages")), thinks)
        self.sampling(body, thinks)
        if "output_config" in body:
            self.output(body["output_config"])
        if "metadata" in body:
            self.want(set(body["metadata"]) == {"user_id"} and isinstance(body["metadata"]["user_id"], str),
                      "metadata", "")
        self.want(isinstance(body.get("stream", True), bool), "stream", "must be true or false")
        self.mark("body", body)
        self.want(self.marks <= MOST_MARKS, "cache_control", f"{self.marks} marks")


def problems(body, also=()):
    """What is wrong with a request's bytes."""
    judge = Judge(also)
    judge.body(parse_json(body))
    return judge.found
