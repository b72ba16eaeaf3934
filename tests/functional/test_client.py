"""aictl as a user meets it: what it prints, where, and how it ends.

Against a stand-in for the daemon where the answer matters, against the real one where the way there
does.
"""

import json
import os
import re
import socket
import subprocess
import time

import pytest

from control import Control, Refusal, environment
from daemon import AICTL, canary
from terminal import Terminal
from waiting import latency_limit, wait_until

HOSTILE = "x\x1b]0;title\x07\x9b31m\u202ey"


@pytest.fixture
def env(tmp_path):
    return environment(tmp_path)


@pytest.fixture
def control(env):
    with Control(env["XDG_RUNTIME_DIR"]) as control:
        yield control


@pytest.fixture
def aictl(env, tmp_path):
    """aictl(args...) runs it without a terminal; returns the finished process, text decoded."""

    def run(*args, stdin="", cwd=tmp_path, **more):
        return subprocess.run(
            [AICTL, *args], env={**env, **more}, cwd=cwd, input=stdin, capture_output=True,
            text=True, timeout=60,
        )

    return run


def status_of(params, **more):
    """An answer to `status` that has everything."""
    attempt = {
        "model": "glm-4.6", "provider": "bigmodel", "project": "shop", "status": 200, "end": "done",
        "started_ms": int(time.time() * 1000), "content_ms": 412, "total_ms": 8123,
        "usage": {"source": "provider", "input": 1200, "cache_read": 45000, "output": 845},
    }
    return {
        "version": "9.9", "pid": 4242, "uptime_s": 11533, "url": "http://127.0.0.1:3000",
        "urls": ["http://127.0.0.1:3000", "http://[::1]:3000"], "vault": "unlocked",
        "config": {"path": "/home/u/.config/aictl/config.json", "error": None}, "demo": False,
        "project": {"dir": params.get("dir"), "name": "shop"}, "model": "glm-4.6",
        "provider": "bigmodel", "source": "project file", "source_file": "/w/.aictl.json",
        "source_line": 2, "token_masked": "sk-aictl-3f...9c",
        "providers": [
            {"name": "bigmodel", "type": "openai", "key": "ok", "state": "ok", "in_flight": 0,
             "last_ok_ms_ago": 60000},
            {"name": "deepseek", "type": "openai", "key": "missing", "state": "unknown"},
            {"name": "claude", "type": "anthropic", "key": "ok", "state": "failing",
             "error": "claude answered 529: overloaded", "error_ms_ago": 42000},
            {"name": "demo", "type": "demo", "key": "none needed", "state": "ok"},
        ],
        "requests": {"total": 142, "active": 1, "failed": 3},
        "recent": [attempt, {**attempt, "status": 401, "end": "provider error"},
                   {**attempt, "end": "open", "total_ms": -1, "usage": {"source": "none"}},
                   {**attempt, "usage": {"source": "estimate", "input": 10, "output": 3}}],
        **more,
    }


# ---- status ----


def test_status_shows_what_is_effective_and_why(aictl, control, tmp_path):
    control.answers["status"] = status_of
    done = aictl()
    assert done.returncode == 0 and done.stderr == ""
    for shown in (
        "glm-4.6  via bigmodel", "set in /w/.aictl.json:2", "shop  ~", "http://127.0.0.1:3000",
        "sk-aictl-3f...9c", "aictld 9.9, pid 4242, up 3 h 12 min", "142, 1 running, 3 failed",
        "no key: aictl login deepseek", "failed 42 s ago", "\n  claude answered 529: overloaded\n",
        "1 min ago", "offline: answers are made up",
    ):
        assert shown in done.stdout, shown
    assert control.calls[-1] == ("status", {"dir": str(tmp_path)})


def test_status_says_when_only_the_demo_is_there(aictl, control):
    control.answers["status"] = lambda p: status_of(p, demo=True)
    assert "Demo only: answers are made up" in aictl("status").stdout


def test_status_shows_a_broken_configuration_and_a_locked_vault(aictl, control):
    control.answers["status"] = lambda p: status_of(
        p, vault="locked", vault_reason="no keyfile", vault_error="KEYSTORE_LOCKED",
        config={"path": "/c.json", "error": "line 3, column 5: unknown type"},
    )
    shown = aictl("status").stdout
    assert "line 3, column 5: unknown type" in shown and "aictl config check" in shown
    assert "locked: no keyfile" in shown and "check that the keyfile exists" in shown


def test_what_does_not_fit_a_narrow_terminal_is_broken_or_left_out(env, control, tmp_path):
    control.answers["status"] = lambda p: status_of(
        p, config={"path": "/c.json", "error": "line 3: " + "this and that " * 12}
    )
    for args in (["status"], ["status", "--recent"], ["help"], ["help", "login"]):
        with Terminal([str(AICTL), *args], {**env, "TERM": "xterm", "NO_COLOR": "1"}, tmp_path,
                      columns=60) as terminal:
            assert terminal.wait() == 0
        assert max(map(len, terminal.shown.splitlines())) <= 60, args


def test_recent_is_a_table_that_fits_eighty_columns(env, control, tmp_path):
    control.answers["status"] = status_of
    with Terminal([str(AICTL), "status", "--recent", "3"], {**env, "TERM": "xterm", "NO_COLOR": "1"},
                  tmp_path) as terminal:
        assert terminal.wait() == 0
    lines = terminal.shown.replace("\r\n", "\n").splitlines()
    assert lines[0].split() == "WHEN MODEL PROVIDER PROJECT END IN CACHE OUT FIRST TOTAL".split()
    assert lines[1].split()[1:] == "glm-4.6 bigmodel shop done 46.2k 45.0k 845 412ms 8.1s".split()
    assert "401" in lines[2] and "running" in lines[3] and "~10" in lines[4]
    assert max(map(len, lines)) <= 80
    assert control.calls[-1][1]["recent"] == 3


def test_colour_is_for_terminals_that_want_it(env, control, tmp_path, aictl):
    control.answers["status"] = status_of
    assert "\x1b" not in aictl().stdout
    for more, is_coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        with Terminal([str(AICTL)], {**env, "TERM": "xterm", **more}, tmp_path) as terminal:
            assert terminal.wait() == 0
        assert ("\x1b[" in terminal.shown) == is_coloured, more
    with Terminal([str(AICTL), "--no-color"], {**env, "TERM": "xterm"}, tmp_path) as terminal:
        assert terminal.wait() == 0
    assert "\x1b" not in terminal.shown


def test_no_answer_acts_on_the_terminal(env, control, tmp_path):
    hostile = status_of({}, model=HOSTILE, version=HOSTILE, url=HOSTILE, token_masked=HOSTILE)
    hostile["providers"][0].update(name=HOSTILE, error=HOSTILE, state="failing")
    hostile["recent"][0].update(model=HOSTILE, project=HOSTILE, end=HOSTILE)
    control.answers["status"] = hostile
    control.answers["model.get"] = {"model": HOSTILE}
    control.answers["model.list"] = {"models": [{"id": HOSTILE, "providers": [HOSTILE]}]}
    control.answers["model.switch"] = Refusal(6, "M", HOSTILE, HOSTILE, HOSTILE)
    for args in (["status"], ["status", "-r"], ["model"], ["models"], ["switch", "x"],
                 ["--json", "status"]):
        with Terminal([str(AICTL), *args], {**env, "NO_COLOR": "1"}, tmp_path) as terminal:
            terminal.wait()
        assert not set(terminal.shown) & set("\x1b\x07\x9b\x7f"), args
        assert "\u202e" not in terminal.shown or "--json" in args


# ---- models ----


def test_model_prints_just_the_name(aictl, control):
    control.answers["model.get"] = {"model": "glm-4.6", "provider": "p"}
    assert aictl("model").stdout == "glm-4.6\n"


def test_the_shown_model_is_no_override_but_aictl_override_is(aictl, control):
    control.answers["model.get"] = {"model": "m"}
    aictl("model", AICTL_MODEL="shown")
    assert "override" not in control.calls[-1][1]
    aictl("model", AICTL_OVERRIDE="mine")
    assert control.calls[-1][1]["override"] == "mine"


def test_no_model_is_a_failure_with_a_next_step(aictl, control):
    control.answers["model.get"] = {"model": None}
    done = aictl("model")
    assert done.returncode == 1 and done.stdout == ""
    assert "no model is chosen" in done.stderr and "aictl switch MODEL" in done.stderr


def test_explain_marks_the_source_that_decided(aictl, control):
    control.answers["model.get"] = {
        "model": "b",
        "chain": [
            {"source": "pin", "dir": "/w", "model": "a", "note": "no provider has it"},
            {"source": "project file", "file": "/w/.aictl.json", "line": 3, "model": "b",
             "effective": True},
        ],
    }
    lines = aictl("model", "--explain").stdout.splitlines()
    assert lines[1].split() == ["a", "pin", "/w"] and lines[2].strip() == "no provider has it"
    assert lines[3].split() == ["=>", "b", "project", "file", "/w/.aictl.json:3"]


def test_c_is_the_directory(aictl, control, tmp_path):
    control.answers["model.get"] = {"model": "m"}
    (tmp_path / "there").mkdir()
    aictl("-C", "there", "model")
    assert control.calls[-1][1]["dir"] == str(tmp_path / "there")
    done = aictl("-C", "nowhere", "model")
    assert done.returncode == 1 and "nowhere: No such file" in done.stderr


def test_json_is_the_answer_and_failures_are_json_too(aictl, control):
    control.answers["model.get"] = {"model": "m", "source_line": 2}
    assert json.loads(aictl("model", "--json").stdout) == {"model": "m", "source_line": 2}
    control.answers["model.get"] = Refusal(18, "NO_MODEL", "none", "here", "aictl switch")
    done = aictl("--json", "model")
    error = json.loads(done.stdout)["error"]
    assert (error["kind"], error["message"], error["detail"]) == ("NO_MODEL", "none", "here")
    assert done.returncode == 1 and "aictl: none: here" in done.stderr


@pytest.mark.parametrize("code, status", [(6, 1), (61, 2), (17, 3), (3, 4), (9999, 1)])
def test_the_exit_status_is_that_of_the_kind(aictl, control, code, status):
    control.answers["model.get"] = Refusal(code, "K", "what", "where", "next")
    assert aictl("model").returncode == status


def switched(**more):
    """An answer to `model.switch`."""
    return {
        "model": "b", "provider": "p", "previous": "a", "scope": "project", "effective": "b",
        "project": {"dir": "/w/shop", "name": "shop"}, "source": "pin", "source_file": None,
        "source_line": None, **more,
    }


def test_switch_says_what_changed(aictl, control):
    control.answers["model.switch"] = switched()
    assert aictl("switch", "b").stdout == "shop -> b via p, was a\n"


def test_switch_says_plainly_what_is_effective_where_that_is_something_else(aictl, control):
    control.answers["model.switch"] = switched(
        model=None, provider=None, previous="b", effective="a", source="project file",
        source_file="/w/shop/.aictl.json", source_line=1,
    )
    assert aictl("switch", "-").stdout == (
        "shop: no choice of its own any more, was b\n"
        "  effective here: a, set in /w/shop/.aictl.json:1\n"
    )
    control.answers["model.switch"] = switched(scope="global", effective="c")
    assert aictl("switch", "-g", "b").stdout == (
        "all projects -> b via p, was a\n"
        "  effective here: c, chosen for this project with aictl switch\n"
    )
    control.answers["model.switch"] = switched()
    shown = aictl("switch", "b", AICTL_OVERRIDE="z").stdout
    assert "this shell stays with z: AICTL_OVERRIDE is set" in shown


def test_going_back_to_nothing_names_the_command(aictl, control):
    control.answers["model.switch"] = Refusal(5, "NOT_FOUND", "not found", "there is no way back")
    done = aictl("switch", "-")
    assert done.returncode == 1
    assert done.stderr == "aictl: there is no way back\n  try: aictl switch MODEL\n"


def test_every_command_speaks_json(aictl, control, tmp_path):
    control.answers.update({
        "status": status_of, "model.get": {"model": "m"}, "model.list": {"models": [{"id": "m"}]},
        "model.switch": switched(), "provider.list": {"providers": []},
        "provider.test": {"ok": True}, "token.get": {"token": "t"}, "token.list": {"tokens": []},
        "token.revoke": {"id": "i"}, "env.get": {"vars": [{"name": "A", "value": "v"}]},
        "config.check": {"ok": True}, "config.import": {"added": []}, "daemon.reload": {"ok": True},
        "key.set": {"provider": "p"},
    })
    (tmp_path / "c.json").write_text("{}")
    for args in (
        ["status"], ["status", "-r"], ["model"], ["model", "-e"], ["models"], ["switch", "m"],
        ["providers"], ["test"], ["token"], ["token", "--list"], ["token", "--revoke", "i"], ["env"],
        ["env", "-s", "bash"], ["config", "check"], ["config", "path"], ["import", "c.json"],
        ["daemon", "status"], ["daemon", "reload"], ["init", "bash"], ["completion", "zsh"],
        ["help"], ["help", "switch"], ["help", "--man"], ["version"],
        ["login", "p", "--url", "http://h", "-m", "m"],
    ):
        done = aictl("--json", *args, stdin="key-1\n")
        assert done.returncode == 0, (args, done.stderr)
        json.loads(done.stdout)


# ---- keys ----


@pytest.fixture
def providers(control):
    """What login asks before it asks for the key."""
    control.answers["status"] = status_of
    control.answers["provider.list"] = {
        "providers": [{"name": "p", "type": "openai"}, {"name": "demo", "type": "demo"}],
        "known": ["glm", "deepseek"],
    }
    return control


def test_login_reads_the_key_without_echo(env, control, providers, tmp_path):
    control.answers["key.set"] = {"provider": "p", "last4": "4e8x", "origins": ["https://p:443"]}
    with Terminal([str(AICTL), "login", "p"], env, tmp_path) as terminal:
        terminal.expect("Key of p")
        terminal.type(f"{canary('tty')}\n")
        assert terminal.wait() == 0
    assert ("key.set", {"provider": "p", "key": canary("tty")}) in control.calls
    assert canary("tty") not in terminal.shown
    assert "ending in 4e8x" in terminal.shown and "https://p:443" in terminal.shown


def test_ctrl_c_at_the_key_stores_nothing_and_gives_the_echo_back(
    env, control, providers, tmp_path
):
    with Terminal(["sh", "-c", f"{AICTL} login p; stty -a"], env, tmp_path) as terminal:
        terminal.expect("Key of p")
        terminal.type("\x03")
        terminal.wait()
    assert control.count("key.set") == 0
    assert re.search(r"\secho\s", terminal.shown) and "no key was entered" in terminal.shown


def test_login_reads_standard_input_and_sends_all_options(aictl, control, providers):
    control.answers["key.set"] = {"provider": "own", "origins": []}
    done = aictl("login", "own", "--url", "http://h/v1", "--type", "openai", "-m", "a", "-m", "b",
                 stdin=f"  {canary('stdin')}\n")
    assert done.returncode == 0, done.stderr
    assert ("key.set", {
        "provider": "own", "key": canary("stdin"), "url": "http://h/v1", "type": "openai",
        "models": ["a", "b"],
    }) in control.calls
    assert canary("stdin") not in done.stdout + done.stderr


def test_a_key_on_the_command_line_is_refused_before_anything_is_sent(aictl, control):
    done = aictl("login", "p", canary("argv"))
    assert done.returncode == 2 and control.calls == []
    assert "does not belong on the command line" in done.stderr
    assert canary("argv") not in done.stderr


def test_login_asks_for_no_key_that_could_not_be_stored(aictl, control, providers):
    for args, status, said in (
        (["gml"], 1, "aictl login glm"),
        (["nobody"], 1, "--url https://HOST/v1 --model MODEL"),
        (["demo"], 2, "takes no key"),
        (["own", "--url", "https://h/v1"], 2, "--model"),
        (["own", "--url", "h/v1", "-m", "m"], 2, "--url begins with https://"),
    ):
        done = aictl("login", *args, stdin="sk-x\n")
        assert done.returncode == status and said in done.stderr, args
    control.answers["status"] = lambda p: status_of(
        p, vault="locked", vault_reason="vault.aiv is torn", vault_error="VAULT_CORRUPT"
    )
    done = aictl("login", "glm", stdin="sk-x\n")
    assert done.returncode == 1 and "vault.aiv is torn" in done.stderr and ".bak" in done.stderr
    assert control.count("key.set") == 0


def test_login_says_what_comes_next(aictl, control, providers):
    control.answers["key.set"] = {"provider": "glm", "origins": [], "models": ["glm-5", "glm-4"]}
    assert "next: aictl test glm" in aictl("login", "glm", stdin="sk-x\n").stdout
    control.answers["status"] = lambda p: status_of(p, model=None)
    assert "next: aictl switch -g glm-5" in aictl("login", "glm", stdin="sk-x\n").stdout


def test_login_asks_for_no_key_while_the_daemon_is_down(aictl):
    assert aictl("login", "p", stdin="sk-x\n").returncode == 3


# ---- tools ----


def test_env_is_read_back_by_the_shell_it_is_for(aictl, control):
    value = "a'b$(touch pwned)`x`\"\\ c"
    control.answers["env.get"] = {"vars": [{"name": "A", "value": value},
                                           {"name": "B;touch pwned", "value": "x"}]}
    for shell in ("bash", "sh", "zsh"):
        text = aictl("env", "-s", shell).stdout
        done = subprocess.run([shell, "-c", text + 'printf %s "$A"'], capture_output=True, text=True)
        assert done.stdout == value, shell
    assert json.loads(aictl("env", "-s", "json").stdout)["A"] == value


def test_token_takes_times_and_names(aictl, control):
    control.answers["token.get"] = {"token": "sk-aictl-a-b"}
    assert aictl("token", "--client", "claude", "--expires", "8h").stdout == "sk-aictl-a-b\n"
    assert control.calls[-1][1]["expires_s"] == 28800 and control.calls[-1][1]["client"] == "claude"
    for wrong in ("0", "-1", "8x", "8hh", "", "99999999999d"):
        assert aictl("token", "--expires", wrong).returncode == 2, wrong


@pytest.mark.parametrize("kind, status", [("PROVIDER_AUTH", 4), ("NO_KEY", 4), ("NEWER", 1)])
def test_a_failed_test_says_why_and_ends_as_its_kind(aictl, control, kind, status):
    control.answers["provider.test"] = {
        "provider": "p", "model": "m", "ok": False, "status": 401, "kind": kind,
        "error": "the provider refused the key", "next": "aictl login p",
    }
    done = aictl("test", "p")
    assert done.returncode == status
    assert done.stderr == (
        "aictl: p failed the test: the provider refused the key\n  try: aictl login p\n"
    )
    assert aictl("test", "p", "--json").returncode == status


def test_config_check_points_at_the_place(aictl, control, tmp_path):
    control.answers["config.check"] = {
        "ok": False, "warnings": [],
        "errors": [{"line": 3, "column": 5, "path": "providers[0].type", "message": "unknown"}],
    }
    (tmp_path / "c.json").write_text("{}")
    done = aictl("config", "check", "c.json")
    assert done.returncode == 2
    assert done.stdout == "c.json:3:5: error: providers[0].type: unknown\n"
    assert control.calls[-1][1] == {"text": "{}", "file": "c.json"}


def test_a_file_that_cannot_be_sent_is_named(aictl, control, tmp_path):
    (tmp_path / "nul").write_bytes(b"{\0}")
    (tmp_path / "big").write_bytes(b" " * (1 << 20))
    for name, what in (("missing", "No such file"), ("nul", "NUL"), ("big", "more than"),
                       (".", "Is a directory")):
        done = aictl("import", name)
        assert done.returncode == 1 and name in done.stderr and what in done.stderr
    assert control.calls == []


def test_completion_asks_the_daemon_and_is_silent_without_one(aictl, control):
    control.answers["model.list"] = {"models": [{"id": "glm-4.6"}, {"id": "$(x)"}, {"id": "a b"}]}
    assert aictl("__complete", "models").stdout == "glm-4.6\n"
    control.answers["provider.list"] = {"providers": [{"name": "mine"}], "known": ["glm", "a b"]}
    assert aictl("__complete", "providers").stdout == "mine\n"
    assert aictl("__complete", "known").stdout == "mine\nglm\n"
    control.stop()
    done = aictl("__complete", "models")
    assert done.stdout == done.stderr == ""


def test_bash_completes_commands_options_and_models(env, control, aictl, tmp_path):
    control.answers["model.list"] = {"models": [{"id": "glm-4.6"}, {"id": "glm-5"}]}
    script = aictl("completion", "bash").stdout

    def complete(*words):
        line = " ".join(f"'{word}'" for word in words)
        done = subprocess.run(
            ["bash", "-c", f"{script}\nCOMP_WORDS=(aictl {line}) COMP_CWORD={len(words)}; _aictl;"
                           'printf "%s\\n" "${COMPREPLY[@]}"'],
            env={**env, "PATH": f"{AICTL.parent}:{env['PATH']}"}, cwd=tmp_path,
            capture_output=True, text=True, timeout=20,
        )
        return done.stdout.split()

    assert complete("sw") == ["switch"]
    assert complete("switch", "glm-") == ["glm-4.6", "glm-5"]
    assert complete("switch", "--g") == ["--global"]
    assert complete("env", "-s", "b") == ["bash"]
    assert complete("--json", "daemon", "st") == ["start", "stop", "status"]


def test_a_full_disk_is_not_silence(env, control, tmp_path):
    control.answers["model.get"] = {"model": "m"}
    with open("/dev/full", "w") as full:
        done = subprocess.run([AICTL, "model"], env=env, cwd=tmp_path, stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=20)
    assert done.returncode == 1 and "No space left" in done.stderr


# ---- the daemon ----


def test_without_a_daemon_every_command_says_so(aictl):
    for args in (["status"], ["model"], ["models"], ["providers"], ["switch", "x"], ["token"],
                 ["env"], ["test"], ["daemon", "status"], ["daemon", "reload"]):
        done = aictl(*args)
        assert (done.returncode, done.stdout) == (3, ""), args
        assert done.stderr == "aictl: aictld is not running\n  start it: aictl daemon start\n", args


def test_the_daemon_starts_shows_itself_and_stops(aictl, env, tmp_path):
    config = tmp_path / ".config/aictl/config.json"
    config.parent.mkdir(parents=True)
    config.write_text('{"listen": ["127.0.0.1:0"]}')
    try:
        started = aictl("daemon", "start")
        assert started.returncode == 0, started.stderr
        pid = int(re.search(r"pid (\d+)", started.stdout).group(1))
        assert os.getsid(pid) == pid, "it must not hang on the terminal that started it"
        assert os.readlink(f"/proc/{pid}/fd/1") == str(tmp_path / ".local/state/aictl/aictld.log")
        again = aictl("daemon", "start")
        assert again.returncode == 0 and "running already" in again.stdout
        shown = aictl("daemon", "status").stdout
        assert f"pid {pid}" in shown and str(tmp_path / "run/aictl/rpc.sock") in shown
        assert aictl("status").returncode == 0
        assert aictl("daemon", "reload").returncode == 0
    finally:
        stopped = aictl("daemon", "stop")
    assert stopped.returncode == 0 and "has stopped" in stopped.stdout
    assert not os.path.exists(f"/proc/{pid}") or "Z" in open(f"/proc/{pid}/stat").read()
    assert aictl("daemon", "status").returncode == 3
    assert "was not running" in aictl("daemon", "stop").stdout


def test_a_start_that_fails_shows_the_log_of_that_start(aictl, tmp_path):
    config = tmp_path / ".config/aictl/config.json"
    config.parent.mkdir(parents=True)
    config.write_text('{"listen": 7}')
    log = tmp_path / ".local/state/aictl/aictld.log"
    log.parent.mkdir(parents=True)
    log.write_text("a line of an earlier start\n")
    done = aictl("daemon", "start")
    assert done.returncode == 2, "a configuration that is not valid"
    assert "aictld did not start: the configuration is not valid" in done.stderr
    assert "  | " in done.stderr and "listen" in done.stderr
    assert "earlier start" not in done.stderr


def test_a_start_that_fails_otherwise_names_the_log(aictl, tmp_path):
    config = tmp_path / ".config/aictl/config.json"
    config.parent.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        config.write_text(json.dumps({"listen": [address]}))
        done = aictl("daemon", "start")
    assert done.returncode == 1
    assert "  | " in done.stderr and address in done.stderr
    assert "it ended while starting" in done.stderr and "aictld.log" in done.stderr


def test_model_is_as_fast_as_a_small_program(env, control, tmp_path):
    control.answers["model.get"] = {"model": "m"}

    def best(argv):
        times = []
        for _ in range(20):
            start = time.perf_counter()
            subprocess.run(argv, env=env, cwd=tmp_path, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - start)
        return min(times)

    assert best([AICTL, "model"]) < best(["/bin/true"]) + latency_limit(0.01)


def test_the_real_daemon_is_switched_and_asked(daemon, aictl, tmp_path):
    project = tmp_path / "shop"
    (project / ".git").mkdir(parents=True)

    def run(*args, **more):
        return aictl(*args, cwd=project, **{**daemon.env, **more})

    assert run("model").stdout == "m-one\n"
    switched = run("switch", "m-two")
    assert switched.returncode == 0 and switched.stdout.startswith("shop -> m-two via chatty")
    assert run("model").stdout == "m-two\n"
    assert "chosen for this project with aictl switch" in run("status").stdout
    run("switch", "m-one")
    assert run("switch", "-").stdout.startswith("shop -> m-two via chatty, was m-one")
    wrong = run("switch", "m-tow")
    assert wrong.returncode == 1 and "aictl models" in wrong.stderr
    assert "m-one" in run("models").stdout and "claudish" in run("providers").stdout
    token = run("token").stdout.strip()
    assert token.startswith("sk-aictl-") and token in run("env", "-s", "sh").stdout
    assert token not in run("status").stdout
    tested = run("test", "chatty")
    assert tested.returncode == 0 and tested.stdout.startswith("ok  chatty")
    assert run("status", "--recent").stdout.count("chatty") == 1


def test_a_login_reaches_the_vault(daemon, aictl):
    done = aictl("login", "chatty", stdin=canary("login") + "\n", **daemon.env)
    assert done.returncode == 0, done.stderr
    keys = {row["name"]: row["key"] for row in daemon.rpc("provider.list")["providers"]}
    assert keys["chatty"]["last4"] == canary("login")[-4:]
    wait_until(lambda: daemon.state.exists(), "the state directory")
