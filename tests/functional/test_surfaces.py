"""The small surfaces: models lists, health, hello, slips of paths, methods, the Unix socket."""

import pytest

from daemon import chat_body, messages_body


def test_models_come_in_the_chat_shape_by_default(daemon):
    answer = daemon.ask("GET", "/v1/models")
    assert answer.status == 200 and answer.json["object"] == "list"
    models = {model["id"]: model for model in answer.json["data"]}
    assert {"m-one", "m-two", "c-one", "c-two", "aictl"} <= set(models)
    assert models["m-one"]["object"] == "model" and models["m-one"]["owned_by"] == "chatty"


def test_models_come_in_the_anthropic_shape_to_anthropic_headers(daemon):
    path = "/v1/models?limit=1000"
    answer = daemon.ask("GET", path, headers=[("anthropic-version", "2023-06-01")])
    assert answer.status == 200 and answer.json["has_more"] is False
    models = {model["id"]: model for model in answer.json["data"]}
    assert {"m-one", "c-one", "claude-aictl"} <= set(models)
    assert models["c-one"]["type"] == "model"
    assert models["c-one"]["display_name"] and models["c-one"]["created_at"]
    assert answer.json["first_id"] == answer.json["data"][0]["id"]


def test_hello_and_health_answer_anyone_local(daemon, provider):
    hello = daemon.ask("HEAD", "/api/hello", token=None)
    assert hello.status == 200
    health = daemon.ask("GET", "/healthz", token=None)
    assert health.status == 200
    assert "m-one" not in health.body.decode() and str(daemon.home) not in health.body.decode()
    assert not provider.links


@pytest.mark.parametrize("path", [
    "/v1/v1/chat/completions", "/chat/completions", "/v1/chat/completions/", "/chat/completions/",
])
def test_slips_in_chat_paths_are_forgiven(daemon, provider, path):
    assert daemon.ask("POST", path, chat_body("m-one")).status == 200
    assert provider.last.path == "/v1/chat/completions"


@pytest.mark.parametrize("path", ["/v1/v1/messages?beta=true", "/messages", "/v1/messages/"])
def test_slips_in_message_paths_are_forgiven(daemon, provider, path):
    assert daemon.ask("POST", path, messages_body("c-one")).status == 200
    assert provider.last.path.split("?")[0] == "/v1/messages"


@pytest.mark.parametrize("path", ["/models", "/v1/v1/models", "/v1/models/"])
def test_slips_in_the_models_path_are_forgiven(daemon, path):
    assert daemon.ask("GET", path).status == 200


def test_unknown_paths_and_wrong_methods_are_told_apart(daemon, provider):
    assert daemon.ask("GET", "/v1/nothing").status == 404
    assert daemon.ask("GET", "/v1/chat/completions").status == 405
    assert daemon.ask("POST", "/v1/models", {}).status == 405
    assert daemon.ask("DELETE", "/v1/models").status == 405
    assert not provider.links


def test_the_unix_socket_serves_the_same_surface(daemon, provider):
    with daemon.connect_unix() as wire:
        wire.send(daemon.build("POST", "/v1/chat/completions", chat_body("m-one", stream=True)))
        assert b"[DONE]" in wire.read_answer().body
        wire.send(daemon.build("GET", "/v1/models"))
        assert wire.read_answer().status == 200


def test_on_the_unix_socket_the_uid_of_the_peer_is_credential_enough(daemon):
    with daemon.connect_unix() as wire:
        wire.send(daemon.build("GET", "/v1/models", token=None))
        assert wire.read_answer().status == 200


def test_http_1_0_is_answered_and_closed(daemon):
    data = daemon.build("GET", "/healthz").replace(b"HTTP/1.1", b"HTTP/1.0")
    answer, is_closed = daemon.ask_raw(data)
    assert answer.status == 200 and is_closed


def test_answers_carry_the_headers_that_keep_browsers_out(daemon):
    answer = daemon.ask("GET", "/v1/models")
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("server") is None or "aictl" in answer.header("server")
