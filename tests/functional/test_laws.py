"""Laws 1 to 3 of the way (docs/ARCHITECTURE.md): what is passed on is kept, what is converted is stable, what is lost
is named. And that the life-cycle assertion, which every stream of every test goes through, can fail."""

import json
import random
import re

import pytest

import replies
import strict_chat
import strict_messages
from conversation import ChatAgent, MessagesAgent, answers, play, prefix_of, turns
from converting import (
    Script, begin, block, call, chat_message, chat_usage, chunk, delta, end, event, message, sse, stop,
)
from daemon import config_for, provider_row
from lifecycle import LifecycleError, said_by, said_in
from odd_conversation import OddChat, OddMessages, requests
from wire import parse_events

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
OWN_SIGNATURE = "YWljdGw6dW5zaWduZWQ="  # of reasoning that nobody signed: docs/dialects/anthropic.md
SAY = chunk(role="assistant", content="")
CALL = call(0, "call_a", "f", "{}")


# ---- the assertion itself ----

LEGAL_CHAT = {
    "text": [SAY, chunk(content="a"), *end()],
    "signs of life": [b": x\n\n", SAY, b": x\n\n", chunk(content="a"), b": x\n\n", *end()],
    "two calls, text between": [SAY, CALL, chunk(content="a"), call(1, "call_b", "g", "{}"), *end("tool_calls")],
    "an error at once": [sse({"error": {"message": "no", "type": "x"}})],
    "an error behind text": [SAY, chunk(content="a"), sse({"error": {"message": "no", "type": "x"}})],
    "torn arguments at a limit": [SAY, call(0, "call_a", "f", '{"a'), *end("length")],
}
ILLEGAL_CHAT = {
    "nothing": [],
    "only signs of life": [b": x\n\n"],
    "no start": [chunk(content="a"), *end()],
    "two starts": [SAY, SAY, *end()],
    "no finish": [SAY, chunk(content="a"), sse("[DONE]")],
    "no end": [SAY, chunk(content="a"), chunk("stop")],
    "two finishes": [SAY, chunk("stop"), chunk("stop"), sse("[DONE]")],
    "text behind the finish": [SAY, chunk("stop"), chunk(content="a"), sse("[DONE]")],
    "two ends": [SAY, *end(), sse("[DONE]")],
    "a sign of life behind the end": [SAY, *end(), b": x\n\n"],
    "a chunk behind the end": [SAY, *end(), chunk(content="a")],
    "a clean end behind an error": [SAY, sse({"error": {"message": "no", "type": "x"}}), sse("[DONE]")],
    "an error behind the end": [SAY, *end(), sse({"error": {"message": "no", "type": "x"}})],
    "usage twice": [SAY, chunk("stop"), *2 * [sse({"choices": [], "usage": chat_usage()})], sse("[DONE]")],
    "a piece for no call": [SAY, call(0, arguments="{}"), *end("tool_calls")],
    "a piece for an older call": [SAY, CALL, call(1, "call_b", "g", "{}"), call(0, arguments=" "), *end("tool_calls")],
    "a gap in the numbers": [SAY, call(1, "call_b", "g", "{}"), *end("tool_calls")],
    "two calls of one id": [SAY, CALL, call(1, "call_a", "g", "{}"), *end("tool_calls")],
    "a call without a name": [SAY, call(0, "call_a", None, "{}"), *end("tool_calls")],
    "torn arguments": [SAY, call(0, "call_a", "f", '{"a'), *end("tool_calls")],
    "calls that end as text": [SAY, CALL, *end("stop")],
    "calls that are none": [SAY, *end("tool_calls")],
    "another id": [SAY, chunk(content="a").replace(b"x-1", b"x-2"), *end()],
    "no blank line": [SAY, *end()[:-1], b"data: [DONE]\n"],
    "no JSON": [SAY, sse("{"), *end()],
}
TEXT, HALF = block(0, "text", "a"), b"".join(block(0, "text", "a").splitlines(True)[:6])
TOOL = block(0, "tool_use", "{}", id="toolu_a", name="f")
ERROR = event("error", error={"type": "api_error", "message": "no"})
PING = event("ping")
LEGAL_MESSAGES = {
    "text": [begin(), TEXT, stop()],
    "signs of life": [PING, begin(), PING, HALF, PING, event("content_block_stop", index=0), PING, stop()],
    "thinking, a call": [begin(), block(0, "thinking", "h", signature="s"), TOOL.replace(b'"index": 0', b'"index": 1'),
                         stop("tool_use")],
    "an error at once": [ERROR],
    "an error in a block": [begin(), HALF, ERROR],
}
ILLEGAL_MESSAGES = {
    "nothing": [],
    "only signs of life": [PING],
    "no start": [TEXT, stop()],
    "two starts": [begin(), begin(), TEXT, stop()],
    "a block in a block": [begin(), HALF, block(1, "text", "b"), event("content_block_stop", index=0), stop()],
    "a gap in the numbers": [begin(), block(1, "text", "b"), stop()],
    "a number twice": [begin(), TEXT, TEXT, stop()],
    "a delta to a closed block": [begin(), TEXT, delta(0, "text", "b"), stop()],
    "a delta of another kind": [begin(), HALF, delta(0, "thinking", "b"), event("content_block_stop", index=0), stop()],
    "a block that stays open": [begin(), HALF, stop()],
    "a block stopped twice": [begin(), TEXT, event("content_block_stop", index=0), stop()],
    "thinking without a signature": [begin(), block(0, "thinking", "h"), stop()],
    "thinking behind its signature": [begin(), block(0, "thinking", signature="s").replace(
        b"event: content_block_stop", delta(0, "thinking", "x") + b"event: content_block_stop"), stop()],
    "two finishes": [begin(), TEXT, stop().split(b"event: message_stop")[0], stop()],
    "no finish": [begin(), TEXT, event("message_stop")],
    "no end": [begin(), TEXT, stop().split(b"event: message_stop")[0]],
    "no end at all": [begin(), TEXT],
    "a block behind the finish": [begin(), stop().replace(b"event: message_stop", TEXT + b"event: message_stop")],
    "a sign of life behind the end": [begin(), TEXT, stop(), PING],
    "two ends": [begin(), TEXT, stop(), event("message_stop")],
    "a clean end behind an error": [begin(), TEXT, ERROR, event("message_stop")],
    "an error behind the end": [begin(), TEXT, stop(), ERROR],
    "calls that end as text": [begin(), TOOL, stop()],
    "calls that are none": [begin(), TEXT, stop("tool_use")],
    "torn arguments": [begin(), block(0, "tool_use", '{"a', id="toolu_a", name="f"), stop("tool_use")],
    "a chunk of chat": [begin(), TEXT, SAY, stop()],
    "a name that is not the type": [begin(), TEXT, stop().replace(b"event: message_stop", b"event: stop")],
}


@pytest.mark.parametrize("dialect, events", [
    *(pytest.param("chat", events, id=f"chat: {name}") for name, events in LEGAL_CHAT.items()),
    *(pytest.param("messages", events, id=f"messages: {name}") for name, events in LEGAL_MESSAGES.items()),
])
def test_the_lifecycle_assertion_takes_a_good_stream(dialect, events):
    said_in(b"".join(events), dialect)
    said_in(b"".join(events).replace(b"\n", b"\r\n"), dialect)


@pytest.mark.parametrize("dialect, events", [
    *(pytest.param("chat", events, id=f"chat: {name}") for name, events in ILLEGAL_CHAT.items()),
    *(pytest.param("messages", events, id=f"messages: {name}") for name, events in ILLEGAL_MESSAGES.items()),
])
def test_the_lifecycle_assertion_refuses_a_broken_stream(dialect, events):
    with pytest.raises(LifecycleError):
        said_in(b"".join(events), dialect)


def test_the_lifecycle_assertion_stands_in_the_way_of_every_stream_that_is_read(daemon, provider):
    def open_broken(**options):
        provider.will(Script([SAY, SAY, chunk(content="a"), *end()], None))
        return daemon.open_chat("m-one", stream_options={"include_usage": True}, **options)

    with open_broken() as wire, pytest.raises(LifecycleError, match="a second start"):
        wire.read_answer()
    with open_broken() as wire, pytest.raises(LifecycleError, match="a second start"):
        wire.read_head()
        list(wire.events())
    with open_broken(checks_stream=False) as wire:
        assert wire.read_answer().is_complete
    provider.will(Script([SAY, SAY, *end()], None))
    with pytest.raises(LifecycleError, match="a second start"):
        daemon.chat("m-one", stream=True)


# ---- law 1: what is passed on keeps its bytes ----


@pytest.fixture
def two(start_daemon, provider, make_provider):
    """
    Two providers of each dialect, each at an origin of its own: models a-m and b-m (messages), a-c and b-c (chat);
    .a and .b are the providers.
    """
    other = make_provider()
    daemon = start_daemon(config_for(
        provider_row("a-messages", provider.url, ["a-m"], kind="anthropic", key=""),
        provider_row("b-messages", other.url, ["b-m"], kind="anthropic", key=""),
        provider_row("a-chat", provider.url, ["a-c"], key=""),
        provider_row("b-chat", other.url, ["b-c"], key=""),
        default="a-m"))
    daemon.a, daemon.b = provider, other
    return daemon


def odd(messages, model, before="", behind=""):
    """A Messages body of odd spelling around given messages."""
    return (f'{{ "zeta":1.0,{before}\t"messages" : [{messages}],\r\n "max_tokens":64, "model" :"{model}", '
            f'"small": 1e-400, "list": [ 1.50, [ ] ]{behind} }}').encode()


USER = '{"role":"user","content":"\\u00fc \\/ hi"}'


def assistant(*blocks):
    return f'{{ "role":"assistant", "content":[ {" , ".join(blocks)} ]}}'


def thinking(signature, words="h\\u006dm, \\/"):
    return f'{{"type":"thinking","thinking":"{words}", "signature":"{signature}"}}'


SAID = '{"type":"text","text":"so \\u2026"}'
CALLED = '{"type":"tool_use","id":"toolu_0","name":"f","input":{"n":1.0}}'
RESULT = '{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_0","content":"ok"}]}'


def learn(daemon, model, provider, signature, is_stream):
    """Has a provider sign some reasoning."""
    provider.will(replies.Reply(reasoning="hm", signature=signature))
    said = said_by(daemon.messages(model, stream=is_stream))
    assert [one.signature for one in said.blocks if one.kind == "reasoning"] == [signature]


def sent(daemon, provider, body, path=MESSAGES):
    answer = daemon.ask("POST", path, body)
    assert answer.status == 200, answer.body
    return provider.last.body, answer.header("x-aictl-loss")


@pytest.mark.parametrize("is_stream", [False, True])
def test_law1_every_edit_of_a_chat_body_at_once_leaves_the_rest(two, is_stream):
    body = odd(USER, "B-C", before=f'"stream":{str(is_stream).lower()},"stream_options": {{ "x":1.0 }},')
    upstream, losses = sent(two, two.b, body, CHAT)
    expected = body.replace(b'"B-C"', b'"b-c"')
    if is_stream:
        added = re.sub(rb'("stream_options": ?\{) ?"x":1.0 ?\}', rb"\1", expected)
        assert added[: added.index(b"stream_options")] == upstream[: upstream.index(b"stream_options")]
        assert json.loads(upstream)["stream_options"] == {"x": 1.0, "include_usage": True}
        assert upstream.endswith(expected[expected.index(b'\t"messages"'):])
    else:
        assert upstream == expected
    assert losses is None


@pytest.mark.parametrize("is_stream", [False, True])
def test_law1_thinking_of_another_provider_is_taken_out_and_nothing_else(two, is_stream):
    learn(two, "a-m", two.a, "QUFBQQ==", is_stream)
    history = ", ".join([USER, assistant(thinking("QUFBQQ=="), SAID), USER])
    upstream, losses = sent(two, two.b, odd(history, "b-m"))
    kept = ", ".join([USER, assistant(SAID), USER])
    assert upstream == odd(kept, "b-m")
    assert losses == "messages[].reasoning"
    assert two.wait_attempt()["losses"] == "messages[].reasoning"
    upstream, losses = sent(two, two.a, odd(history, "a-m"))
    assert upstream == odd(history, "a-m") and losses is None


@pytest.mark.parametrize("blocks, kept", [
    ((thinking("QUFBQQ=="), SAID, CALLED), (SAID, CALLED)),
    ((SAID, thinking("QUFBQQ==")), (SAID,)),
    ((SAID, thinking("QUFBQQ=="), CALLED), (SAID, CALLED)),
    ((thinking("QUFBQQ=="), thinking("QUFBQQ==", ""), SAID), (SAID,)),
    ((thinking("QUFBQQ=="), SAID, thinking("QUFBQQ=="), CALLED), (SAID, CALLED)),
    ((thinking("QUFBQQ=="), thinking("QkJCQg=="), SAID), (thinking("QkJCQg=="), SAID)),
    ((thinking("dW5rbm93bg=="), thinking("QUFBQQ=="), SAID), (thinking("dW5rbm93bg=="), SAID)),
    (('{"type":"thinking","thinking":"no signature"}', thinking("QUFBQQ=="), SAID),
     ('{"type":"thinking","thinking":"no signature"}', SAID)),
], ids=["first", "last", "middle", "two", "apart", "own stays", "unknown stays", "unsigned stays"])
def test_law1_foreign_thinking_is_taken_out_wherever_it_stands(two, blocks, kept):
    learn(two, "a-m", two.a, "QUFBQQ==", False)
    learn(two, "b-m", two.b, "QkJCQg==", False)
    behind = RESULT if CALLED in blocks else USER
    upstream, _ = sent(two, two.b, odd(", ".join([USER, assistant(*blocks), behind]), "b-m"))
    expected = odd(", ".join([USER, assistant(*kept), behind]), "b-m")
    assert json.loads(upstream) == json.loads(expected)
    assert re.sub(rb"[\s,]", b"", upstream) == re.sub(rb"[\s,]", b"", expected), "an edit beyond blocks and commas"


def test_law1_a_message_of_foreign_thinking_alone_goes_as_a_whole(two):
    learn(two, "a-m", two.a, "QUFBQQ==", False)
    upstream, _ = sent(two, two.b, odd(", ".join([USER, assistant(thinking("QUFBQQ==")), USER]), "b-m"))
    assert json.loads(upstream)["messages"] == [json.loads(USER)] * 2


@pytest.mark.parametrize("is_stream", [False, True])
def test_law1_withheld_thinking_is_known_by_its_data(two, is_stream):
    redacted = {"type": "redacted_thinking", "data": "d2l0aGhlbGQ="}
    events = [begin(), block(0, "redacted_thinking", data="d2l0aGhlbGQ="),
              block(1, "text", "so"), stop()]
    two.a.will(Script(events, message(redacted, {"type": "text", "text": "so"})))
    said_by(two.messages("a-m", stream=is_stream))
    history = ", ".join([USER, assistant('{"type":"redacted_thinking","data":"d2l0aGhlbGQ="}', SAID), USER])
    assert sent(two, two.a, odd(history, "a-m"))[0] == odd(history, "a-m")
    upstream, losses = sent(two, two.b, odd(history, "b-m"))
    assert upstream == odd(", ".join([USER, assistant(SAID), USER]), "b-m") and losses == "messages[].reasoning"


@pytest.mark.parametrize("is_stream", [False, True])
def test_law1_our_own_signature_is_never_sent_to_a_messages_provider(two, is_stream):
    two.a.will(replies.Reply(reasoning="hm"))
    said = said_by(two.messages("a-c", stream=is_stream))  # converted: nobody signed it
    signature = next(one.signature for one in said.blocks if one.kind == "reasoning")
    assert signature == OWN_SIGNATURE
    history = ", ".join([USER, assistant(thinking(signature), SAID), USER])
    for model, provider in (("a-m", two.a), ("b-m", two.b)):
        upstream, losses = sent(two, provider, odd(history, model))
        assert upstream == odd(", ".join([USER, assistant(SAID), USER]), model)
        assert losses == "messages[].reasoning"


def test_law1_our_own_signature_is_known_after_a_restart(start_daemon, provider):
    row = provider_row("real", provider.url, ["real"], kind="anthropic", key="")
    daemon = start_daemon(config_for(row, default="real"))
    history = ", ".join([USER, assistant(thinking(OWN_SIGNATURE), SAID), USER])
    assert sent(daemon, provider, odd(history, "real"))[0] == odd(", ".join([USER, assistant(SAID), USER]), "real")


@pytest.mark.parametrize("history", [
    ", ".join([USER, assistant(SAID), USER]),
    ", ".join([USER, assistant(thinking("bmV2ZXIgc2Vlbg=="), SAID), USER]),
    '{"role":"user","content":"the words \\"signature\\" and \\"thinking\\" and QUFBQQ=="}',
    '{"role":"user","content":[{"type":"text","text":"{\\"type\\":\\"thinking\\",\\"signature\\":\\"QUFBQQ==\\"}"}]}',
    '{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":'
    '"x"}],"signature":"QUFBQQ=="}]}',
], ids=["none", "unknown", "words", "quoted", "elsewhere"])
def test_law1_a_body_without_foreign_thinking_is_not_touched(two, history):
    learn(two, "a-m", two.a, "QUFBQQ==", False)
    for behind in ("", f', "system":"{OWN_SIGNATURE}"'):
        body = odd(history, "b-m", behind=behind)
        assert sent(two, two.b, body) == (body, None)


def test_law1_model_and_thinking_are_edited_in_one_body(two):
    learn(two, "a-m", two.a, "QUFBQQ==", True)
    for before in ("", '"model":"B-M",'):
        history = [USER, assistant(thinking("QUFBQQ=="), SAID), USER]
        text = odd(", ".join(history), "MODEL", before=before).decode()
        text = text.replace(' "model" :"MODEL",', "") if before else text.replace("MODEL", "B-M")
        expected = text.replace("B-M", "b-m").replace(thinking("QUFBQQ==") + " , ", "")
        assert sent(two, two.b, text.encode())[0].decode() == expected


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("dialect", ["chat", "messages"])
def test_law1_an_answer_of_the_clients_dialect_and_form_is_not_touched(two, dialect, is_stream):
    reply = replies.Reply(reasoning="hm", tools=(("f", '{"n": 1.0}'), ("g", "{}")), write_size=7)
    two.a.will(reply)
    if dialect == "chat":
        more = {"stream_options": {"include_usage": True}} if is_stream else {}
        answer = two.chat("a-c", stream=is_stream, **more)
    else:
        answer = two.messages("a-m", stream=is_stream)
    assert answer.body == two.a.last.answer


# ---- law 2: converted, turn n + 1 begins with turn n ----

TURNS = 40
LONG = "x" * 9000  # more than the memory of 65536 bytes keeps of one answer


def long_reasoning(number):
    return f"{number}{LONG}" if number % 2 == 0 else ""


# name: (agent, provider's type, capabilities, what is thought, settings, what a strict provider then takes)
PLAYS = {
    "messages to chat": (lambda: MessagesAgent("m"), "openai", {}, None, {}, ()),
    "messages to chat, reasoning sent back": (
        lambda: MessagesAgent("m"), "openai", {"reasoningBack": True}, None, {}, {"reasoning_content"}),
    "messages to chat, reasoning from memory": (
        lambda: MessagesAgent("m", keeps_reasoning=False), "openai", {"reasoningBack": True}, None, {},
        {"reasoning_content"}),
    "messages to chat, reasoning forgotten": (
        lambda: MessagesAgent("m", keeps_reasoning=False), "openai",
        {"reasoningBack": True, "reasoningBackAlways": True}, long_reasoning, {"memoryMax": 65536},
        {"reasoning_content"}),
    "messages to chat, poor provider": (
        lambda: MessagesAgent("m"), "openai",
        {"images": False, "systemAnywhere": False, "shortCallIds": True, "parallelCalls": False}, None, {}, ()),
    "chat to messages": (lambda: ChatAgent("m"), "anthropic", {}, None, {}, ()),
    "chat to messages, reasoning from memory": (
        lambda: ChatAgent("m", keeps_reasoning=False), "anthropic", {}, None, {}, ()),
    "chat to messages, reasoning forgotten": (
        lambda: ChatAgent("m", keeps_reasoning=False), "anthropic", {}, long_reasoning, {"memoryMax": 65536}, ()),
    "chat to messages, marks at the top": (
        lambda: ChatAgent("m"), "anthropic", {"autoCache": True, "images": False}, None, {}, {"cache_control"}),
}


def daemon_for(start_daemon, provider, name):
    _, kind, capabilities, _, settings, _ = PLAYS[name]
    row = provider_row("only", provider.url, ["m"], kind=kind, key="", capabilities=capabilities)
    return start_daemon(config_for(row, default="m", **settings))


def check_prefixes(bodies):
    for number, (now, then) in enumerate(zip(bodies, bodies[1:])):
        prefix = prefix_of(now)
        if then.startswith(prefix):
            continue
        at = next(at for at in range(len(prefix)) if prefix[at : at + 1] != then[at : at + 1])
        raise AssertionError(
            f"turn {number + 1} differs at byte {at} of {len(prefix)}:\n"
            f"turn {number}: ...{prefix[max(at - 200, 0) : at + 200]!r}\n"
            f"turn {number + 1}: ...{then[max(at - 200, 0) : at + 200]!r}")


def judge(body, is_anthropic, also):
    strict = strict_messages if is_anthropic else strict_chat
    found = strict.problems(body, also)
    assert not found, "a strict provider refuses:\n  " + "\n  ".join(found)


@pytest.mark.parametrize("name", PLAYS)
def test_law2_a_long_conversation_grows_only_at_its_end(start_daemon, provider, name):
    agent, kind, _, reasoning, _, also = PLAYS[name]
    played = turns(TURNS, reasoning) if reasoning else turns(TURNS)
    provider.default = answers(played)
    daemon = daemon_for(start_daemon, provider, name)
    one = agent()
    asked = play(daemon, one, played)
    bodies = [seen.body for seen in provider.posts]
    assert len(bodies) == TURNS
    check_prefixes(bodies)
    for body in bodies:
        judge(body, kind == "anthropic", also)
    for number, body in enumerate(asked):  # the same, asked again
        assert daemon.ask("POST", one.path, body).status == 200
        assert provider.last.body == bodies[number], f"turn {number}, asked again, differs"


@pytest.mark.parametrize("name", ["messages to chat", "chat to messages", "messages to chat, poor provider"])
def test_law2_another_daemon_sends_the_same_bytes(start_daemon, make_provider, name):
    agent, _, _, _, _, _ = PLAYS[name]
    played = turns(TURNS, lambda number: "")
    sent_by = []
    asked = None
    for _ in range(2):
        provider = make_provider()
        provider.default = answers(played)
        daemon = daemon_for(start_daemon, provider, name)
        if asked is None:
            path = agent().path
            asked = play(daemon, agent(), played)
        else:
            assert all(daemon.ask("POST", path, body).status == 200 for body in asked)
        sent_by.append([seen.body for seen in provider.posts])
    assert sent_by[0] == sent_by[1]


def test_law2_a_wish_to_think_stands_behind_the_messages(start_daemon, provider):
    """It may be granted in one turn and not in the next."""
    name = "chat to messages, reasoning from memory"
    played = turns(TURNS)
    provider.default = answers(played)
    daemon = daemon_for(start_daemon, provider, name)

    class Thinker(ChatAgent):
        def frame(self):
            return {**super().frame(), "reasoning_effort": "high"}

    play(daemon, Thinker("m", keeps_reasoning=False), played)
    bodies = [seen.body for seen in provider.posts]
    check_prefixes(bodies)
    for body in bodies:
        judge(body, True, ())
    wishes = [json.loads(body).get("thinking", {}).get("type") for body in bodies]
    assert wishes.count("enabled") >= TURNS // 4


# (what asks, provider's type, capabilities, what a strict provider then takes)
ODDITIES = {
    "messages to chat": (OddMessages, "openai", {}, ()),
    "messages to a poor chat": (
        OddMessages, "openai",
        {"reasoningBack": True, "images": False, "systemAnywhere": False, "shortCallIds": True}, {"reasoning_content"}),
    "chat to messages": (OddChat, "anthropic", {}, ()),
    "chat to messages, marks at the top": (OddChat, "anthropic", {"autoCache": True}, {"cache_control"}),
}


@pytest.mark.parametrize("name", ODDITIES)
def test_law2_conversations_of_any_oddity_grow_only_at_their_end(start_daemon, provider, name):
    """Blank messages vanish and let their neighbours meet: the end of the last message is not looked at."""
    odd, kind, capabilities, also = ODDITIES[name]
    row = provider_row("only", provider.url, ["m"], kind=kind, key="", capabilities=capabilities)
    daemon = start_daemon(config_for(row, default="m"))
    for seed in range(40):
        dice = random.Random(f"{name} {seed}")
        before = None
        for body in requests(odd(dice), dice.randint(2, 6)):
            answer = daemon.ask("POST", odd.path, body)
            assert answer.status == 200, (seed, answer.body, body)
            sent = provider.last.body
            judge(sent, kind == "anthropic", also)
            assert before is None or sent.startswith(before), (seed, body, before, sent)
            before = prefix_of(sent).rstrip(b"]}")


def use_twice(call_id, behind):
    call_ = {"role": "assistant", "content": None, "tool_calls": [
        {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
    result = {"role": "tool", "tool_call_id": call_id, "content": "ok"}
    return [{"role": "user", "content": "go"}, call_, result, call_, behind]


def test_law2_a_call_id_that_comes_in_two_turns_is_two_ids_for_a_messages_provider(two):
    """Servers that number the calls of each answer: call_0. Messages providers want every id once."""
    history = use_twice("call_0", {"role": "tool", "tool_call_id": "call_0", "content": "ok"})
    assert two.chat("a-m", messages=history).status == 200
    judge(two.a.last.body, True, ())


def test_law2_a_call_behind_which_only_blanks_come_is_answered_all_the_same(two):
    history = [{"role": "user", "content": "go"}, *use_twice("call_0", {"role": "user", "content": " "})[3:]]
    assert two.chat("a-m", messages=history).status == 200
    judge(two.a.last.body, True, ())


def test_law2_ids_of_a_provider_come_back_to_it_as_it_made_them(start_daemon, provider):
    played = turns(TURNS)
    provider.default = answers(played)
    daemon = daemon_for(start_daemon, provider, "messages to chat")
    play(daemon, MessagesAgent("m"), played)
    expected = [call_id for turn in played[:-1] for call_id in turn.reply.call_ids]
    messages = provider.last.json["messages"]
    assert [one["id"] for each in messages for one in each.get("tool_calls", ())] == expected
    assert [each["tool_call_id"] for each in messages if each["role"] == "tool"] == expected


def test_law2_the_daemon_made_up_no_id_and_no_time(start_daemon, provider):
    """Calls without ids: what the client was given must be the same in every later turn."""
    whole = chat_message(calls=[("", "f", "{}"), ("", "g", "{}")], finish="tool_calls")
    provider.default = Script([SAY, call(0, "", "f", "{}"), call(1, "", "g", "{}"), *end("tool_calls")], whole)
    daemon = daemon_for(start_daemon, provider, "messages to chat")
    said = said_by(daemon.messages("m", stream=True))
    history = [{"role": "user", "content": "go"}]
    bodies = []
    for _ in range(4):
        uses = [{"type": "tool_use", "id": one.id, "name": one.name, "input": {}} for one in said.calls]
        results = [{"type": "tool_result", "tool_use_id": one.id, "content": "ok"} for one in said.calls]
        history += [{"role": "assistant", "content": uses}, {"role": "user", "content": results}]
        said = said_by(daemon.messages("m", messages=history))
        bodies.append(provider.last.body)
    check_prefixes(bodies)
    ids = [one["id"] for each in json.loads(bodies[-1])["messages"] for one in each.get("tool_calls", ())]
    assert len(set(ids)) == len(ids), "ids of different turns meet"


# ---- law 3: nothing is lost in silence ----

LOST = {  # client: (model, members of the body, what is lost of it)
    "chat": ("a-m", {"logit_bias": {"1": 2}, "frobnicate": 1.0, "seed": 3},
             {"logit_bias", "frobnicate", "seed"}),
    "messages": ("a-c", {"context_management": {"edits": []}, "top_k": 3, "frobnicate": None, "nicate": {}},
                 {"context_management", "top_k", "nicate"}),
}


def ask(daemon, dialect, model, **fields):
    return (daemon.chat if dialect == "chat" else daemon.messages)(model, **fields)


def names(text):
    return set(text.split(", ")) if text else set()


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("dialect", LOST)
def test_law3_what_is_lost_is_named_to_the_client_in_the_log_and_in_the_record(two, dialect, is_stream):
    model, fields, lost = LOST[dialect]
    answer = ask(two, dialect, model, stream=is_stream, **fields)
    assert answer.status == 200 and names(answer.header("x-aictl-loss")) == lost
    assert names(two.wait_attempt()["losses"]) == lost
    line = [line for line in two.log.splitlines() if "request[" in line][-1]
    assert names(line.partition("; lost: ")[2]) == lost, line


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("dialect, model", [
    ("chat", "a-c"), ("chat", "a-m"), ("messages", "a-m"), ("messages", "a-c")])
def test_law3_nothing_lost_is_not_mentioned(two, dialect, model, is_stream):
    answer = ask(two, dialect, model, stream=is_stream, temperature=0.5)
    assert answer.status == 200 and answer.header("x-aictl-loss") is None
    assert two.wait_attempt()["losses"] is None and "lost" not in two.log


@pytest.mark.parametrize("dialect, model", [("chat", "a-c"), ("messages", "a-m")])
def test_law3_unknown_members_that_are_passed_on_are_no_loss(two, dialect, model):
    answer = ask(two, dialect, model, frobnicate=1, context_management={}, logit_bias={})
    assert answer.status == 200 and answer.header("x-aictl-loss") is None


@pytest.mark.parametrize("dialect, model, fields, lost", [
    ("messages", "a-c", {"tools": [{"name": "f", "input_schema": {"type": "object"}, "frob": 1}]}, "tools[].frob"),
    ("messages", "a-c", {"tools": [{"type": "web_search_20250305", "name": "web_search"}],
                         "tool_choice": {"type": "auto"}}, "tools[].web_search_20250305"),
    ("chat", "a-m", {"tools": [{"type": "function", "function": {"name": "f", "frob": 1}}]}, "tools[].function.frob"),
    ("chat", "a-m", {"messages": [{"role": "user", "content": "x", "frob": 1}]}, "messages[].frob"),
    ("messages", "a-c", {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "frob": 1}]}]},
     "messages[].content[].frob"),
])
def test_law3_fields_inside_are_named_with_their_place(two, dialect, model, fields, lost):
    answer = ask(two, dialect, model, **fields)
    assert lost in names(answer.header("x-aictl-loss")), answer.headers
    assert lost in names(two.wait_attempt()["losses"])


@pytest.mark.parametrize("key", [
    "a\r\nx-evil: 1", "a\nb", "a, b", "a\u0000b", "grüße", "x" * 5000, "🙂", "", " ", ":", '"', "\u2028",
])
@pytest.mark.parametrize("dialect, model", [("chat", "a-m"), ("messages", "a-c")])
def test_law3_a_name_cannot_break_the_header_or_the_log(two, dialect, model, key):
    answer = ask(two, dialect, model, **{key: 1})
    assert answer.status == 200 and answer.header("x-evil") is None
    told = answer.header("x-aictl-loss")
    assert told and len(told) < 1000 and ", " not in told and all(" " <= c <= "~" for c in told)
    assert two.wait_attempt()["losses"]
    line = [line for line in two.log.splitlines() if "request[" in line][-1]
    assert "; lost: " in line


@pytest.mark.parametrize("dialect, model", [("chat", "a-m"), ("messages", "a-c")])
def test_law3_many_losses_are_bounded_and_say_that_there_are_more(two, dialect, model):
    fields = {f"member_{number:04}_{'y' * 40}": 1 for number in range(3000)}
    answer = ask(two, dialect, model, **fields)
    told = answer.header("x-aictl-loss")
    assert answer.status == 200 and told.startswith("member_0000_") and told.endswith("more")
    assert len(told) < 4000
    assert two.wait_attempt()["losses"]


TORN = [SAY, chunk(content="a"), call(0, "call_a", "f", '{"a'), *end("length")]
TORN_WHOLE = chat_message("a", calls=[("call_a", "f", '{"a')], finish="length")


def test_law3_losses_of_a_whole_answer_are_told_as_well(two):
    """A whole Messages answer has no place for a call whose input is cut off."""
    two.a.will(Script(TORN, TORN_WHOLE))
    answer = two.messages("a-c")
    said = said_by(answer)
    assert said.stop == "max_tokens" and not said.calls and said.text == "a"
    assert names(answer.header("x-aictl-loss")) == {"tool_use with torn input"}
    assert "tool_use with torn input" in two.wait_attempt()["losses"]
    assert "lost: tool_use with torn input" in two.log


def test_law3_losses_of_a_streamed_answer_are_in_the_record_and_the_log(two):
    searched = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    events = [begin(), event("content_block_start", index=0, content_block=searched),
              event("content_block_stop", index=0), block(1, "text", "found"), stop()]
    two.a.will(Script(events, None))
    answer = two.chat("a-m", stream=True)
    assert said_by(answer).text == "found"
    assert "server_tool_use" in two.wait_attempt()["losses"] and "server_tool_use" in two.log


def test_law3_the_losses_told_are_those_of_the_attempt_that_answered(start_daemon, provider, make_provider):
    """The first candidate loses nothing, since it speaks the client's dialect; the second does."""
    other = make_provider()
    daemon = start_daemon(config_for(
        provider_row("first", provider.url, ["m"], key=""),
        provider_row("second", other.url, ["m"], kind="anthropic", key=""), default="m", maxRetries=1))
    fields = {"logit_bias": {"1": 2}}
    assert daemon.chat("m", **fields).header("x-aictl-loss") is None
    provider.will(replies.error_status(500, "no", "api_error"))
    assert daemon.chat("m", **fields).header("x-aictl-loss") == "logit_bias"
    last, first = daemon.recent(2)
    assert (last["losses"], first["losses"]) == ("logit_bias", None)


def test_events_of_a_converted_stream_are_framed_as_the_dialect_wants(two):
    """Each event with its name and one line of data (Messages), data alone (Chat)."""
    for event_ in parse_events(two.messages("a-c", stream=True).body):
        assert event_.name == event_.json["type"] and event_.raw.count(b"\n") == 3
    for event_ in parse_events(two.chat("a-m", stream=True).body):
        assert not event_.name and event_.raw.count(b"\n") == 2
