"""Files of the daemon that are damaged: it starts all the same and says what is wrong."""

import pytest

from daemon import canary, chat_body
from rpc import RpcError

DAMAGE = {
    "cut": lambda whole: whole[: len(whole) // 2],
    "empty": lambda whole: b"",
    "zeros": lambda whole: bytes(len(whole)),
    "garbage": lambda whole: b"\xff\xfe{{{",
    "another shape": lambda whole: b"[1, 2, 3]",
    "another version": lambda whole: whole.replace(b'1', b'999', 1),
}


@pytest.fixture
def used(daemon, tmp_path):
    """A daemon that was used, stopped: both lists have entries."""
    daemon.old_token = daemon.token(tmp_path)
    daemon.rpc("model.switch", model="m-two", dir=str(tmp_path))
    daemon.stop()
    return daemon


def spoil(daemon, name, damage):
    path = daemon.state / name
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    return path.read_bytes()


def restart(daemon):
    daemon._tokens.clear()  # what was good before need not be now
    daemon.start()


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_tokens_are_set_aside_and_new_ones_can_be_made(used, provider, tmp_path, damage):
    bad = spoil(used, "tokens.json", damage)
    restart(used)
    assert (used.state / "tokens.json.bad").read_bytes() == bad
    assert "tokens.json" in used.log and "tokens.json.bad" in used.log
    answer = used.chat("aictl", used.old_token)
    assert answer.status in (200, 401)
    assert used.chat("aictl", used.token(tmp_path)).header("x-aictl-model") == "chatty/m-two"
    assert used.chat("m-one").status == 200
    used.stop()
    restart(used)
    assert used.chat("aictl", used.token(tmp_path)).status == 200


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_pins_are_set_aside_and_new_ones_can_be_made(used, tmp_path, damage):
    bad = spoil(used, "pins.json", damage)
    restart(used)
    assert (used.state / "pins.json.bad").read_bytes() == bad
    assert "pins.json" in used.log and "pins.json.bad" in used.log
    token = used.token(tmp_path)
    assert used.chat("aictl", token).header("x-aictl-model") == "chatty/m-one"
    used.rpc("model.switch", model="m-two", dir=str(tmp_path))
    assert used.chat("aictl", token).header("x-aictl-model") == "chatty/m-two"


def test_both_lists_may_be_damaged(used, tmp_path):
    spoil(used, "tokens.json", "cut")
    spoil(used, "pins.json", "garbage")
    restart(used)
    assert (used.state / "tokens.json.bad").exists() and (used.state / "pins.json.bad").exists()
    assert used.chat("aictl", used.token(tmp_path)).status == 200


def test_what_was_set_aside_before_is_replaced(used):
    for damage in ("cut", "garbage"):
        spoil(used, "tokens.json", damage)
        restart(used)
        used.token()
        used.stop()
    assert (used.state / "tokens.json.bad").read_bytes() == DAMAGE["garbage"](b"")


def test_tokens_that_cannot_be_set_aside_cost_no_pins(used):
    """A failure to set one list aside must not be taken for damage of the other."""
    pins = (used.state / "pins.json").read_bytes()
    spoil(used, "tokens.json", "garbage")
    (used.state / "tokens.json.bad").mkdir()
    used.spawn()
    status = used.wait_exit()
    assert status > 0 and "tokens.json" in used.log
    assert (used.state / "pins.json").read_bytes() == pins
    assert not (used.state / "pins.json.bad").exists()
    used.process = None  # it ended as it should


# ---- the vault ----


def check_vault_is_out_of_use(daemon, provider):
    """It serves, says what is wrong, and gives no request a wrong reason."""
    status = daemon.rpc("status")
    assert status["vault_error"] or status["vault_reason"]
    assert "vault" in daemon.log
    for answer in (daemon.chat_unix("m-one"), daemon.chat_unix("m-one", stream=True)):
        assert answer.status in (403, 500, 503), answer
        assert answer.error["type"] and "vault" in answer.error["message"]
    assert not provider.posts
    with pytest.raises(RpcError) as caught:
        daemon.set_key("chatty", canary("chatty"))
    assert caught.value.kind in ("VAULT_CORRUPT", "KEYSTORE_LOCKED", "FORBIDDEN", "IO"), (
        caught.value.error)


def ask_over_unix(daemon):
    """The way to ask without a token: tokens are made with a secret of the vault."""
    def chat(model, **fields):
        with daemon.connect_unix() as wire:
            body = chat_body(model, **fields)
            wire.send(daemon.build("POST", "/v1/chat/completions", body, None))
            return wire.read_answer()
    return chat


def test_a_vault_that_is_a_directory_costs_the_keys_and_not_the_service(used, provider):
    vault = used.state / "vault.aiv"
    vault.rename(used.state / "vault.moved")
    (used.state / "vault.aiv.bak").unlink(missing_ok=True)
    vault.mkdir()
    restart(used)
    used.chat_unix = ask_over_unix(used)
    check_vault_is_out_of_use(used, provider)
    used.stop()
    assert vault.is_dir(), "nothing was written over it"
    vault.rmdir()
    (used.state / "vault.moved").rename(vault)
    restart(used)
    assert used.chat("m-one").status == 200


@pytest.mark.parametrize("damage", ["cut", "empty", "zeros", "garbage"])
def test_a_damaged_vault_costs_the_keys_and_not_the_service(used, provider, damage):
    bad = spoil(used, "vault.aiv", damage)
    restart(used)
    used.chat_unix = ask_over_unix(used)
    check_vault_is_out_of_use(used, provider)
    used.stop()
    assert (used.state / "vault.aiv").read_bytes() == bad
