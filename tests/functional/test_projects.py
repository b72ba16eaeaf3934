"""Who asks and which model that means: tokens, directories, pins, files, and `switch`."""

import json
import subprocess
import sys
import threading

import pytest

import replies
from daemon import chat_body, config_for, provider_row
from provider import Gate
from rpc import RpcError
from waiting import wait_until


@pytest.fixture
def other(make_provider):
    return make_provider()


@pytest.fixture
def setup(provider, other):
    """Two chat providers at different addresses: what a switch moves between."""
    return config_for(
        provider_row("chatty", provider.url, ["m-one", "m-two"]),
        provider_row("other", other.url, ["o-one"]),
        default="m-one",
    )


@pytest.fixture
def daemon(start_daemon, setup):
    return start_daemon(setup, keys=("chatty", "other"))


@pytest.fixture
def project(daemon):
    """A directory with .git, and one inside it."""
    root = daemon.home / "work/shop"
    (root / ".git").mkdir(parents=True)
    (root / "src/deep").mkdir(parents=True)
    return root


def model_of(daemon, directory=None, model="aictl"):
    """The model a request with the directory's token really reached."""
    answer = daemon.chat(model, token=daemon.token(directory))
    assert answer.status == 200, answer
    return answer.json["model"]


def switch(daemon, model, directory=None):
    params = {"dir": str(directory)} if directory else {"global": True}
    return daemon.rpc("model.switch", model=model, **params)


# ---- "Done when" 3 ----


def test_switch_moves_the_very_next_request_of_a_client_that_loops_on_the_alias(
        daemon, provider, other, project):
    """Requests begun after the switch go to the new model, those before it to the old one."""
    token, answers, is_over = daemon.token(project), [], threading.Event()

    def loop():
        with daemon.connect() as wire:
            while not is_over.is_set():
                daemon.open_chat("aictl", token, wire=wire)
                answers.append(wire.read_answer())

    client = threading.Thread(target=loop)
    client.start()
    try:
        wait_until(lambda: len(answers) >= 20, "twenty answers before the switch")
        switch(daemon, "o-one", project)
        begun = len(answers) + 1  # at most this one was under way when the switch was made
        wait_until(lambda: len(answers) >= begun + 20, "twenty answers after the switch")
    finally:
        is_over.set()
        client.join()
    assert all(answer.status == 200 and b"[DONE]" in answer.body for answer in answers)
    assert all(b'"model": "m-one"' in answer.body for answer in answers[: begun - 2])
    assert all(b'"model": "o-one"' in answer.body for answer in answers[begun:])
    assert len(provider.posts) + len(other.posts) == len(answers)


def test_a_stream_under_way_stays_where_it_is_when_its_project_is_switched(
        daemon, provider, other, project):
    gate = Gate()
    provider.will(replies.Reply(before_end=gate))
    with daemon.open_chat("aictl", daemon.token(project)) as wire:
        provider.wait_request()
        switch(daemon, "o-one", project)
        assert model_of(daemon, project) == "o-one"
        gate.open()
        assert b'"model": "m-one"' in wire.read_answer().body
    assert len(provider.posts) == 1 and len(other.posts) == 1


def test_switch_back_with_a_dash(daemon, project):
    switch(daemon, "m-two", project)
    switch(daemon, "o-one", project)
    told = switch(daemon, "-", project)
    assert told["model"] == "m-two" and told["previous"] == "o-one"
    assert model_of(daemon, project) == "m-two"


def test_switch_back_from_the_first_choice_follows_the_files_again(daemon, project):
    before = model_of(daemon, project)
    switch(daemon, "o-one", project)
    told = switch(daemon, "-", project)
    assert told["model"] is None and told["effective"] == before == model_of(daemon, project)
    assert switch(daemon, "-", project)["model"] == "o-one" == model_of(daemon, project)


# ---- the token of a directory decides the project ----


def test_tokens_of_two_projects_mean_two_models(daemon, project):
    elsewhere = daemon.home / "elsewhere"
    elsewhere.mkdir()
    switch(daemon, "o-one", project)
    switch(daemon, "m-two", elsewhere)
    assert model_of(daemon, project / "src/deep") == "o-one"
    assert model_of(daemon, elsewhere) == "m-two"
    assert model_of(daemon) == "m-one"


def test_a_pin_made_after_the_token_counts(daemon, project):
    daemon.token(project / "src")
    assert model_of(daemon, project / "src") == "m-one"
    switch(daemon, "o-one", project)
    assert model_of(daemon, project / "src") == "o-one"


def test_the_same_directory_gets_the_same_token_again(daemon, project):
    first = daemon.rpc("token.get", dir=str(project))
    again = daemon.rpc("token.get", dir=str(project))
    assert first == again and first["token"].startswith("sk-aictl-")


def test_tokens_and_pins_survive_a_restart(daemon, project):
    switch(daemon, "o-one", project)
    token = daemon.token(project)
    daemon.stop()
    daemon.start()
    assert daemon.chat("aictl", token=token).json["model"] == "o-one"
    daemon.kill()
    daemon.start()
    assert daemon.chat("aictl", token=token).json["model"] == "o-one"


def test_a_concrete_model_in_the_request_wins(daemon, project):
    switch(daemon, "o-one", project)
    assert model_of(daemon, project, model="m-two") == "m-two"


def test_names_that_tools_use_by_default_mean_the_project_model(daemon, project):
    switch(daemon, "o-one", project)
    for name in ("gpt-4o", "gpt-5.1-codex", "claude-sonnet-4-5", "o3", "gemini-2.5-pro", "aictl",
                 "claude-aictl"):
        assert model_of(daemon, project, model=name) == "o-one", name


def test_an_override_is_carried_by_the_token(daemon, project):
    switch(daemon, "o-one", project)
    token = daemon.rpc("token.get", dir=str(project), override="m-two")["token"]
    assert daemon.chat("aictl", token=token).json["model"] == "m-two"
    assert model_of(daemon, project) == "o-one"


# ---- files ----


def test_a_project_file_chooses_and_a_local_file_is_stronger(daemon, project):
    (project / ".aictl.json").write_text('{"model": "m-two"}')
    assert model_of(daemon, project) == "m-two"
    (project / ".aictl.local.json").write_text('{"model": "o-one"}')
    wait_until(lambda: model_of(daemon, project) == "o-one", "effect of the local file")


def test_a_pin_is_stronger_than_a_file_and_says_so(daemon, project):
    (project / ".aictl.json").write_text('{\n  "model": "m-two"\n}\n')
    switch(daemon, "o-one", project)
    told = daemon.rpc("model.get", dir=str(project / "src"), explain=True)
    assert (told["model"], told["provider"], told["source"]) == ("o-one", "other", "pin")
    assert told["project"] == {"dir": str(project), "name": "shop"}
    by_file = next(choice for choice in told["chain"] if choice["model"] == "m-two")
    assert by_file["file"] == str(project / ".aictl.json") and by_file["line"] == 2
    assert [choice["effective"] for choice in told["chain"]].count(True) == 1


def test_a_file_of_a_project_can_only_choose_a_configured_model(
        daemon, provider, project, make_provider):
    thief = make_provider()
    (project / ".aictl.json").write_text(json.dumps({
        "model": "not-configured", "baseURL": thief.url, "apiKey": "x", "headers": {"X-Evil": "1"},
        "providers": [provider_row("thief", thief.url, ["not-configured"], key="")],
    }))
    answer = daemon.chat("aictl", token=daemon.token(project))
    assert answer.status in (200, 404, 503)
    assert not thief.links
    assert all(seen.header("x-evil") is None for seen in provider.requests)


def test_a_model_of_the_project_file_named_in_the_request_follows_a_switch(daemon, project):
    """A tool started with the file's model in its environment names it; it counts as the alias."""
    (project / ".aictl.json").write_text('{"model": "m-two"}')
    assert model_of(daemon, project, model="m-two") == "m-two"
    switch(daemon, "o-one", project)
    assert model_of(daemon, project, model="m-two") == "o-one"


# ---- the peer's directory ----


def ask_from(directory, daemon, token):
    """A program in `directory` asks over the Unix socket; returns the model it reached."""
    script = """
import socket, sys
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
peer.sendall(sys.stdin.buffer.read())
answer = b""
while b'"model"' not in answer:
    answer += peer.recv(65536)
sys.stdout.write(answer.split(b"\\r\\n\\r\\n", 1)[1].decode())
"""
    request = daemon.build("POST", "/v1/chat/completions", chat_body("aictl"), token)
    done = subprocess.run([sys.executable, "-I", "-c", script, daemon.http_path], input=request,
                          capture_output=True, cwd=directory, timeout=30)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["model"]


def test_a_unix_peer_belongs_to_the_project_of_its_working_directory(daemon, project):
    switch(daemon, "o-one", project)
    assert ask_from(project / "src/deep", daemon, daemon.token()) == "o-one"
    assert ask_from("/", daemon, daemon.token()) == "m-one"


def test_the_token_is_stronger_than_the_peers_directory(daemon, project):
    elsewhere = daemon.home / "elsewhere"
    elsewhere.mkdir()
    switch(daemon, "o-one", project)
    switch(daemon, "m-two", elsewhere)
    assert ask_from(project, daemon, daemon.token(elsewhere)) == "m-two"


# ---- what is told ----


def test_status_of_a_directory_tells_what_is_effective_and_why(daemon, project):
    switch(daemon, "o-one", project)
    token = daemon.token(project / "src")
    told = daemon.rpc("status", dir=str(project / "src"))
    assert told["project"] == {"dir": str(project), "name": "shop"}
    assert (told["model"], told["provider"], told["source"]) == ("o-one", "other", "pin")
    assert told["url"].endswith(f":{daemon.port}")
    assert told["token_masked"].startswith("sk-aictl-") and token not in repr(told)
    assert {row["name"] for row in told["providers"]} == {"chatty", "other"}


def test_the_record_names_the_project_and_what_was_asked(daemon, project):
    switch(daemon, "o-one", project)
    model_of(daemon, project, model="gpt-4o")
    attempt = daemon.wait_attempt()
    assert attempt["project"] == "shop"
    assert (attempt["requested"], attempt["model"]) == ("gpt-4o", "o-one")


@pytest.mark.parametrize("params", [
    {"model": "no-such-model", "global": True}, {"model": "m-two"}, {"model": "", "global": True},
    {"model": "-", "global": True},
])
def test_a_switch_that_cannot_be_made_changes_nothing(daemon, params):
    with pytest.raises(RpcError) as refused:
        daemon.rpc("model.switch", **params)
    assert refused.value.message
    assert model_of(daemon) == "m-one"


def test_a_switch_raises_the_generation_shells_watch(daemon, project):
    generation = daemon.runtime / "aictl/gen"
    before = generation.read_text() if generation.exists() else ""
    switch(daemon, "o-one", project)
    assert generation.read_text() != before
