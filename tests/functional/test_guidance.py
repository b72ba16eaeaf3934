"""Messages users read: each says what went wrong, where, and the next command ("Done when" 6)."""

import json
import os
import re
import socket
import subprocess

import pytest

import replies
from daemon import Daemon, chat_body, config_for, provider_row
from rpc import RpcError


def message_of(answer):
    return answer.error["message"]


def test_an_unknown_model_is_named_with_near_ones_and_the_command(daemon):
    for answer in (daemon.chat("m-onee"), daemon.messages("m-onee")):
        assert answer.status == 404 and answer.error["type"] == "not_found_error"
        said = message_of(answer)
        assert "m-onee" in said and "m-one" in said.replace("m-onee", "") and "aictl models" in said
        assert answer.header("x-should-retry") == "false"


def test_a_wrong_key_names_the_provider_and_the_command(daemon, provider):
    provider.default = replies.error_status(401, "invalid key", "authentication_error")
    for ask, model, fields in [(daemon.chat, "m-one", {}), (daemon.messages, "c-one", {}),
                               (daemon.chat, "m-one", {"stream": True})]:
        answer = ask(model, **fields)
        assert answer.status == 401 and answer.header("x-should-retry") == "false"
        assert re.search(r"chatty|claudish", message_of(answer))
        assert re.search(r"aictl login (chatty|claudish|PROVIDER)", message_of(answer))


def test_a_wrong_key_shows_in_the_status(daemon, provider):
    provider.default = replies.error_status(401, "invalid key", "authentication_error")
    daemon.chat("m-one")
    row = next(row for row in daemon.rpc("status")["providers"] if row["name"] == "chatty")
    assert row["state"] == "failing" and row["error"]


def test_a_dead_provider_is_named_with_its_address_and_the_command(start_daemon):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    row = provider_row("gone", f"http://127.0.0.1:{port}", ["g-one"], key="")
    daemon = start_daemon(config_for(row, default="g-one"))
    for fields in ({}, {"stream": True}):
        answer = daemon.chat("g-one", **fields)
        assert answer.status == 502 and answer.error["type"] == "provider_unreachable"
        said = message_of(answer)
        assert "gone" in said and f"127.0.0.1:{port}" in said and "aictl test" in said
    attempt = daemon.wait_attempt()
    assert attempt["end"] == "unreachable" and attempt["error_kind"] == "PROVIDER_CONNECT"


def test_an_oversized_body_names_the_limit_and_the_option(start_daemon, setup):
    setup["globalSettings"]["bodyMax"] = 65536
    daemon = start_daemon(setup)
    body = chat_body("m-one", filler="x" * 70000)
    for path in ("/v1/chat/completions", "/v1/messages"):
        answer = daemon.ask("POST", path, body)
        assert answer.status == 413 and answer.error["type"] == "request_too_large"
        assert "65536" in message_of(answer) and "bodyMax" in message_of(answer)


def test_a_provider_that_refuses_is_quoted_and_named(daemon, provider):
    provider.default = replies.error_status(400, "temperature must be at most 2")
    answer = daemon.chat("m-one")
    assert answer.status == 400 and "temperature must be at most 2" in message_of(answer)


def test_no_model_chosen_names_the_command(start_daemon, provider):
    row = provider_row("chatty", provider.url, ["m-one", "m-two"], key="")
    daemon = start_daemon(config_for(row))
    answer = daemon.chat("aictl")
    assert answer.status == 503 and "aictl switch" in message_of(answer)


# ---- at start ----

BAD_CONFIGS = {
    "a comma too few": (
        '{\n  "providers": [\n    {"name": "a"\n     "type": "openai"}\n  ]\n}', ":4:"),
    "a wrong type": (
        '{\n  "providers": [\n    {"name": "a", "type": "openai", "baseURL": 5, "models": ["m"]}\n'
        ']}', "baseURL"),
    "an unknown dialect": (
        '{"providers": [{"name": "a", "type": "telepathy", "baseURL": "http://127.0.0.1:1",'
        ' "models": ["m"]}]}', "telepathy"),
    "an option out of range": ('{\n"providers": [],\n"globalSettings": {"bodyMax": 1}}', "bodyMax"),
    "user info in an address": (
        '{"providers": [{"name": "a", "type": "openai", "baseURL": "https://u:p@x.test/v1",'
        ' "models": ["m"]}]}', "baseURL"),
    "an empty file": ("", "config.json"),
    "listening to the world": ('{"providers": [], "listen": ["0.0.0.0:0"]}', "0.0.0.0"),
}


@pytest.fixture
def failing_daemon():
    """Starts daemons that are expected to end by themselves."""
    made = []

    def start(config, **options):
        made.append(Daemon(config, **options))
        return made[-1].spawn()

    yield start
    for daemon in made:
        daemon.discard()


@pytest.mark.parametrize("name", BAD_CONFIGS)
def test_a_bad_config_stops_the_start_with_file_line_and_command(failing_daemon, name):
    text, part = BAD_CONFIGS[name]
    daemon = failing_daemon(text)
    assert daemon.wait_exit() not in (0, -6, -11)
    assert str(daemon.config_file) in daemon.log or "config.json:" in daemon.log
    assert part in daemon.log and "aictl config check" in daemon.log
    assert re.search(r"config\.json:\d+:\d+", daemon.log) or name == "an empty file"
    daemon.check_clean()


def test_a_port_in_use_is_named_with_a_way_out(failing_daemon, setup):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        setup["listen"] = [f"127.0.0.1:{port}"]
        daemon = failing_daemon(setup)
        assert daemon.wait_exit() not in (0, -6, -11)
    assert f"127.0.0.1:{port}" in daemon.log
    assert "ss -ltnp" in daemon.log or '"listen"' in daemon.log
    daemon.check_clean()


def test_a_second_daemon_leaves_the_first_alone_and_says_so(daemon, failing_daemon, setup):
    second = failing_daemon(setup, env={
        "HOME": str(daemon.home), "XDG_RUNTIME_DIR": str(daemon.runtime)})
    assert second.wait_exit() not in (0, -6, -11)
    assert "another aictld runs already" in second.log and "aictl daemon status" in second.log
    assert daemon.chat("m-one").status == 200
    assert daemon.rpc("status")["pid"] == daemon.pid


# ---- at reload ----


def test_a_bad_config_at_reload_names_the_place_and_keeps_the_old_one(daemon, provider):
    daemon.write_config('{\n  "providers": [\n    {"name": "chatty",, }\n  ]\n}')
    with pytest.raises(RpcError) as refused:
        daemon.rpc("daemon.reload")
    assert re.search(r"config\.json:3:\d+", str(refused.value.error))
    assert "aictl config check" in str(refused.value.error)
    assert daemon.chat("m-one").status == 200
    assert re.search(r"config\.json:3:\d+", daemon.rpc("status")["config"]["error"])


def test_a_config_that_is_checked_names_every_problem(daemon):
    row = '{"name": "a", "type": "nope", "baseURL": "ftp://x", "models": []}'
    text = '{"providers": [%s],\n "typo": 1}' % row
    told = daemon.rpc("config.check", text=text, file="mine.json")
    assert told["ok"] is False
    problems = told["errors"] + told["warnings"]
    assert all(problem["line"] and problem["message"] for problem in problems)
    assert any("nope" in problem["message"] for problem in problems)
    assert any("baseURL" in (problem["path"] or "") for problem in problems)
    assert any("typo" in problem["message"] + (problem["path"] or "") for problem in problems)


def test_the_provider_test_tells_latency_or_reason(daemon, provider):
    told = daemon.rpc("provider.test", provider="chatty")
    assert told["ok"] is True and told["model"] == "m-one" and told["latency_ms"] >= 0
    assert provider.last.json["max_tokens"] == 16
    provider.will(replies.error_status(401, "invalid key", "authentication_error"))
    told = daemon.rpc("provider.test", provider="claudish")
    assert told["ok"] is False and told["status"] == 401
    assert told["error"] and "aictl login" in told["next"]


@pytest.mark.parametrize("program", [("daemon/aictld", "--check"), ("client/aictl", "config", "check")])
@pytest.mark.parametrize("type_, status, said", [
    ("openai", 0, "is valid: 1 providers, 1 models"),
    ("opanai", 2, 'error: providers[0].type: "opanai" is not a type (did you mean openai?'),
])
def test_a_configuration_is_checked_without_a_daemon(tmp_path, program, type_, status, said):
    file = tmp_path / "new.json"
    row = {"name": "x", "type": type_, "baseURL": "https://x.example/v1", "models": ["m"]}
    file.write_text(json.dumps({"providers": [row]}))
    file.chmod(0o600)
    command = [f"{os.environ['AICTL_BUILD']}/{program[0]}", *program[1:], str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30,
                          env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]})
    assert (done.returncode, done.stderr) == (status, "")
    assert done.stdout.startswith(str(file)) and said in done.stdout
