"""What a strict Chat Completions provider would refuse of a request: problems(body) lists it.

Written from the API's documents and from what providers answered others. Where providers differ the
strictest one counts; what only some of them know is refused unless a test names it (`also`).
"""

import base64
import json
import re

from meant import parse_json

MEMBERS = {
    "model", "messages", "tools", "tool_choice", "parallel_tool_calls", "response_format", "max_tokens",
    "max_completion_tokens", "temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "n",
    "stop", "user", "reasoning_effort", "stream", "stream_options",
}
MESSAGE_MEMBERS = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls"},
    "tool": {"role", "tool_call_id", "content"},
}
PARTS = {"system": {"text"}, "user": {"text", "image_url", "file"}, "assistant": {"text"}, "tool": {"text"}}
NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
IMAGE = re.compile(r"^data:image/(png|jpeg|gif|webp);base64,([A-Za-z0-9+/]+=*)$")
EFFORTS = {"none", "low", "medium", "high"}


class Judge:
    """One body being read. also: names of members this provider knows beside the usual ones."""

    def __init__(self, also=()):
        self.also = set(also)
        self.found = []

    def bad(self, place, what):
        self.found.append(f"{place}: {what}")

    def want(self, condition, place, what):
        if not condition:
            self.bad(place, what)
        return bool(condition)

    def members(self, place, value, known):
        """An object of known members, none of them null."""
        if not self.want(isinstance(value, dict), place, "must be an object"):
            return False
        for name in sorted(set(value) - set(known)):
            self.bad(f"{place}.{name}", "is not known")
        return True

    # ---- messages ----

    def part(self, place, part, role):
        kind = part.get("type") if isinstance(part, dict) else None
        if not self.want(kind in PARTS[role], place, f"a part of type {kind} in a message of role {role}"):
            return
        self.members(place, part, {"type", kind} | (self.also & {"cache_control"}))
        if kind == "text":
            self.want(isinstance(part.get("text"), str) and part["text"], place, "has no text")
        elif kind == "image_url":
            self.image(place, part.get("image_url"))
        else:
            file = part.get("file")
            if self.members(place, file, {"filename", "file_data", "file_id"}):
                self.want(str(file.get("file_data", "")).startswith("data:"), place,
                          "file_data must be a data URL")

    def image(self, place, image):
        if not self.members(place, image, {"url", "detail"}):
            return
        url = image.get("url", "")
        match = IMAGE.match(url)
        if self.want(match or url.startswith(("https://", "http://")), place,
                     f"url is {url[:60]!r}") and match:
            try:
                base64.b64decode(match.group(2), validate=True)
            except ValueError:
                self.bad(place, "its data is no base64")

    def content(self, place, message):
        role, content = message["role"], message.get("content")
        if isinstance(content, list):
            self.want(content, place, "content is an empty array")
            for number, part in enumerate(content):
                self.part(f"{place}.content[{number}]", part, role)
        elif content is None:
            self.want(role == "assistant" and "content" in message and message.get("tool_calls"), place,
                      "content is null or not there")
        elif self.want(isinstance(content, str), place, "content is neither text nor parts"):
            self.want(content, place, "content is empty")

    def call(self, place, call, ids):
        if not self.members(place, call, {"id", "type", "function"}):
            return
        self.want(call.get("type") == "function", place, "type must be function")
        self.want(isinstance(call.get("id"), str) and call["id"] and call["id"] not in ids, place,
                  f"id {call.get('id')!r} is empty or comes twice")
        ids.append(call.get("id"))
        function = call.get("function")
        if not self.members(place, function, {"name", "arguments"}):
            return
        self.want(NAME.match(function.get("name") or ""), place, f"name {function.get('name')!r}")
        try:
            self.want(isinstance(json.loads(function["arguments"]), dict), place, "arguments are no object")
        except (KeyError, TypeError, ValueError):
            self.bad(place, f"arguments are no JSON text: {function.get('arguments')!r}")

    def messages(self, messages):
        if not self.want(isinstance(messages, list) and messages, "messages", "must be a filled array"):
            return
        unanswered = []
        for number, message in enumerate(messages):
            place = f"messages[{number}]"
            role = message.get("role") if isinstance(message, dict) else None
            if not self.want(role in MESSAGE_MEMBERS, place, f"role {role!r}"):
                continue
            self.members(place, message, MESSAGE_MEMBERS[role] | (self.also & {"reasoning_content"}))
            self.content(place, message)
            if role == "tool":
                self.want(message.get("tool_call_id") in unanswered, place,
                          f"answers {message.get('tool_call_id')!r}; open are {unanswered}")
                unanswered = [one for one in unanswered if one != message.get("tool_call_id")]
                continue
            self.want(not unanswered, place, f"calls {unanswered} are not answered before it")
            unanswered = []
            if "tool_calls" in message:
                self.want(isinstance(message["tool_calls"], list) and message["tool_calls"], place,
                          "tool_calls must be a filled array")
                for at, call in enumerate(message["tool_calls"] or ()):
                    self.call(f"{place}.tool_calls[{at}]", call, unanswered)
        self.want(not unanswered, "messages", f"calls {unanswered} are never answered")

    # ---- tools ----

    def tool(self, place, tool, names):
        if not self.members(place, tool, {"type", "function"}):
            return
        self.want(tool.get("type") == "function", place, f"type {tool.get('type')!r}")
        function = tool.get("function")
        if not self.members(place, function, {"name", "description", "parameters", "strict"}):
            return
        name, schema = function.get("name"), function.get("parameters")
        self.want(NAME.match(name or "") and name not in names, place,
                  f"name {name!r} is wrong or comes twice")
        names.append(name)
        self.want(isinstance(function.get("description", ""), str), place, "description must be text")
        self.want(isinstance(schema, dict) and schema.get("type") == "object" and
                  isinstance(schema.get("properties", {}), dict), place, f"parameters are {schema!r}")
        self.want(isinstance(function.get("strict", True), bool), place, "strict must be true or false")

    def tools(self, body):
        names = []
        if "tools" in body:
            self.want(isinstance(body["tools"], list) and body["tools"], "tools", "must be a filled array")
            for number, tool in enumerate(body["tools"] or ()):
                self.tool(f"tools[{number}]", tool, names)
        for name in ("tool_choice", "parallel_tool_calls"):
            self.want(name not in body or names, name, "without tools")
        choice = body.get("tool_choice", "auto")
        if isinstance(choice, dict):
            self.want(choice == {"type": "function",
                                 "function": {"name": choice.get("function", {}).get("name")}} and
                      choice["function"]["name"] in names, "tool_choice", f"{choice}")
        else:
            self.want(choice in ("auto", "none", "required"), "tool_choice", f"{choice!r}")
        self.want(isinstance(body.get("parallel_tool_calls", True), bool), "parallel_tool_calls",
                  "must be a boolean")

    # ---- the rest ----

    def format(self, form):
        kind = form.get("type") if isinstance(form, dict) else None
        if kind != "json_schema":
            self.want(form in ({"type": "text"}, {"type": "json_object"}), "response_format", f"{form}")
        elif self.members("response_format", form, {"type", "json_schema"}):
            inner = form.get("json_schema")
            if self.members("response_format.json_schema", inner,
                            {"name", "description", "schema", "strict"}):
                self.want(NAME.match(inner.get("name") or ""), "response_format.json_schema.name", f"{inner}")
                self.want(isinstance(inner.get("schema"), dict), "response_format.json_schema.schema",
                          f"{inner}")

    def number(self, body, name, least, most, kind=(int, float)):
        value = body.get(name, least)
        self.want(isinstance(value, kind) and not isinstance(value, bool) and least <= value <= most, name,
                  f"{value!r}")

    def settings(self, body):
        self.want("max_tokens" not in body or "max_completion_tokens" not in body, "max_tokens",
                  "stands beside max_completion_tokens")
        for name in ("max_tokens", "max_completion_tokens", "n"):
            self.number(body, name, 1, 1 << 24, int)
        self.number(body, "temperature", 0, 2)
        self.number(body, "top_p", 0, 1)
        self.number(body, "frequency_penalty", -2, 2)
        self.number(body, "presence_penalty", -2, 2)
        if "response_format" in body:
            self.format(body["response_format"])
        if "stop" in body:
            stops = [body["stop"]] if isinstance(body["stop"], str) else body["stop"]
            self.want(isinstance(stops, list) and 1 <= len(stops) <= 4 and all(isinstance(stop, str) and stop
                      for stop in stops), "stop", f"{stops!r}")
        known = EFFORTS | (self.also & {"minimal", "xhigh"})
        self.want(body.get("reasoning_effort", "low") in known, "reasoning_effort",
                  f"{body.get('reasoning_effort')}")
        self.want(isinstance(body.get("user", ""), str), "user", "must be text")
        self.want(isinstance(body.get("stream", True), bool), "stream", "must be true or false")
        if "stream_options" in body:
            self.want(body.get("stream") is True, "stream_options", "without stream")
            self.members("stream_options", body["stream_options"], {"include_usage"})

    def body(self, body):
        self.members("body", body,
                     MEMBERS | (self.also - {"cache_control", "reasoning_content", "minimal", "xhigh"}))
        for name, value in body.items():
            self.want(value is not None, name, "is null")
        self.want(isinstance(body.get("model"), str) and body["model"], "model", "must be text")
        self.messages(body.get("messages"))
        self.tools(body)
        self.settings(body)


def problems(body, also=()):
    """What is wrong with a request's bytes."""
    judge = Judge(also)
    judge.body(parse_json(body))
    return judge.found
