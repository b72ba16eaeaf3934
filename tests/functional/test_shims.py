"""aictl-shim and the shell integration, in real interactive shells.

Most tests have a stand-in for the daemon, because it can answer with names no daemon should ever
send, and because it counts: a prompt that asks the daemon has forked.
"""

import os
import shutil
import subprocess

import pytest

from control import Control, Refusal, environment
from daemon import AICTL, BUILD
from terminal import Shell

SHIM = BUILD / "shims" / "aictl-shim"

HOSTILE = [
    "$(touch pwned)",
    "`touch pwned`",
    "';touch pwned;'",
    "\"; touch pwned; \"",
    "a\nb; touch pwned",
    "${IFS}|touch pwned",
    "x\\'; touch pwned #",
    "%n%{\x1b]0;title\x07%}%(!.a.b)",
    "!!; !$",
    "-n",
    "name with spaces",
    "\u6a21\u578b",
]


@pytest.fixture
def env(tmp_path):
    return environment(tmp_path)


@pytest.fixture
def work(tmp_path):
    """Two project directories; a shell starts in the first."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    return tmp_path


def by_directory(params):
    return {"model": "model-" + os.path.basename(params["dir"]), "provider": "p"}


@pytest.fixture
def control(env):
    with Control(env["XDG_RUNTIME_DIR"], model_get=by_directory) as control:
        yield control


@pytest.fixture(params=["bash", "zsh"])
def open_shell(request, env, work):
    """open_shell(before=...): a shell with the integration evaluated, after the line `before`."""
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")
    opened = []

    def start(before=":", options=""):
        shell = Shell(request.param, env, work / "one")
        opened.append(shell)
        shell.run(before)
        shell.run(f'eval "$({AICTL} init {shell.name} {options})"')
        return shell

    yield start
    for shell in opened:
        shell.__exit__()


def run_shim(env, cwd, *args):
    return subprocess.run([SHIM, *args], env=env, cwd=cwd, capture_output=True, text=True, timeout=20)


# ---- the prompt ----


def test_the_prompt_shows_the_model_and_follows_cd(open_shell, control, work):
    shell = open_shell()
    assert shell.prompt() == "(model-one) READY> "
    shell.run("cd ../two")
    assert shell.prompt() == "(model-two) READY> "
    shell.run(f"cd {work}/one")
    assert shell.value("AICTL_MODEL") == "model-one"


def test_a_switch_is_shown_at_the_next_prompt(open_shell, control):
    shell = open_shell()
    control.answers["model.get"] = {"model": "switched"}
    control.announce()
    assert shell.prompt() == "(switched) READY> "


def test_nothing_is_asked_while_nothing_changes(open_shell, control):
    shell = open_shell()
    shell.prompt()
    before = len(control.calls)
    for _ in range(5):
        shell.prompt()
    shell.run("cd .")
    assert len(control.calls) == before


def test_the_exit_status_is_kept(open_shell, control, work):
    shell = open_shell()
    shell.run("cd ../two; false")
    shell.run("fails() { return 42; }")
    # The second line sees the status that the first left, with a whole prompt between them.
    shell.run(":; fails")
    start = len(shell.shown)
    shell.type("fails\nprintf '[%s]' $?\n")
    assert shell.expect(r"\[(\d+)\]", start).group(1) == "42"
    start = len(shell.shown)
    shell.type("cd ../one && fails\nprintf '[%s]' $?\n")
    assert shell.expect(r"\[(\d+)\]", start).group(1) == "42"


def test_evaluating_twice_changes_nothing(open_shell, control):
    shell = open_shell()
    shell.run(f'eval "$({AICTL} init {shell.name})"')
    assert shell.prompt() == "(model-one) READY> "
    if shell.name == "bash":
        assert shell.value("PROMPT_COMMAND").count("__aictl_hook") == 1
    else:
        assert shell.run("print -n $precmd_functions").split().count("__aictl_hook") == 1


def test_no_prompt_leaves_the_prompt_alone(open_shell, control):
    shell = open_shell(options="--no-prompt")
    assert shell.prompt() == "READY> "
    assert shell.value("AICTL_MODEL") == "model-one"


def test_children_see_the_model(open_shell, control):
    shell = open_shell()
    assert shell.run("env | grep ^AICTL_MODEL=").strip() == "AICTL_MODEL=model-one"


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_becomes_code(open_shell, control, work, name):
    control.answers["model.get"] = {"model": name}
    shell = open_shell()
    shell.prompt()
    shown = "".join(c for c in name if c >= " " and c != "\x7f")
    assert shell.value("AICTL_MODEL") == shown
    assert f"({shown}) READY> " in shell.prompt()
    assert "\x1b]0;" not in shell.shown
    assert not list(work.rglob("pwned"))


def test_a_hostile_directory_name_is_only_a_name(open_shell, control, work):
    name = "$(touch pwned)'`touch pwned`"
    (work / name).mkdir()
    shell = open_shell()
    quoted = name.replace("'", "'\\''")
    shell.run(f"cd ../'{quoted}'")
    assert shell.value("AICTL_MODEL") == "model-" + name
    assert not list(work.rglob("pwned"))


def test_the_override_is_sent_and_the_shown_model_is_not(open_shell, control):
    control.answers["model.get"] = lambda p: {"model": p.get("override", "none")}
    shell = open_shell()
    assert shell.value("AICTL_MODEL") == "none"
    shell.run("export AICTL_OVERRIDE=mine")
    assert shell.value("AICTL_MODEL") == "mine"
    shell.run("unset AICTL_OVERRIDE")
    assert shell.value("AICTL_MODEL") == "none"


def test_without_a_daemon_the_prompt_is_whole_and_comes_back(open_shell, control):
    shell = open_shell()
    control.stop()
    shell.run("cd ../two")
    assert shell.prompt() == "READY> "
    assert shell.value("AICTL_MODEL") is None
    assert "aictl" not in shell.run("cd ../one").lower()
    with Control(control.dir.parent, model_get=by_directory):
        shell.run(":")
        assert shell.prompt() == "(model-one) READY> "


def test_a_daemon_that_hangs_holds_the_prompt_for_a_second_only(open_shell, env, control):
    control.answers["model.get"] = b""
    shell = open_shell()
    assert shell.prompt() == "READY> "


# ---- what was there before, in bash ----


@pytest.mark.parametrize(
    "before",
    [
        "PROMPT_COMMAND='seen=$?'",
        "PROMPT_COMMAND=('seen=$?' ':')",
        "unset PROMPT_COMMAND",
        "set -u; shopt -s extglob; set -o noclobber",
        "alias command=false eval=false read=false return=false",
    ],
)
def test_bash_keeps_what_the_user_had(env, work, control, before):
    with Shell("bash", env, work / "one") as shell:
        shell.run(before)
        shell.run(f'\\eval "$({AICTL} init bash)"')
        assert shell.prompt() == "(model-one) READY> "
        shell.run("cd ../two")
        assert shell.value("AICTL_MODEL") == "model-two"
        if "seen" in before:
            start = len(shell.shown)
            shell.type("(exit 7)\nprintf '[%s]' $seen\n")
            assert shell.expect(r"\[(\d+)\]", start).group(1) == "7"


@pytest.mark.parametrize("before", ["setopt ksh_arrays sh_word_split", "setopt nounset noclobber",
                                    "setopt rc_quotes", "precmd() { seen=$? }"])
def test_zsh_keeps_what_the_user_had(env, work, control, before):
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed")
    control.answers["model.get"] = {"model": "it's ''quoted''"}
    with Shell("zsh", env, work / "one") as shell:
        shell.run(before)
        shell.run(f'eval "$({AICTL} init zsh)"')
        assert shell.prompt() == "(it's ''quoted'') READY> "
        assert shell.value("AICTL_MODEL") == "it's ''quoted''"


# ---- aictl-shim by itself ----


def test_the_shim_is_static():
    program = SHIM.read_bytes()
    assert b"ld-linux" not in program and b"ld-musl" not in program and b"libc.so" not in program


def test_the_shim_says_what_the_daemon_refuses(env, work, control):
    control.answers["model.switch"] = Refusal(
        6, "MODEL_NOT_FOUND", "no configured provider has this model", "nope", "see: aictl models"
    )
    done = run_shim(env, work, "switch", "nope")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == (
        "aictl: no configured provider has this model: nope\n  see: aictl models\n"
    )


def test_the_shim_sends_what_aictl_sends(env, work, control):
    control.answers["model.switch"] = lambda p: {
        "model": p["model"], "provider": "p", "project": {"name": "one"}, "previous": None,
        "scope": "project",
    }
    control.answers["token.get"] = {"token": "sk-aictl-a-b", "id": "a"}
    for args in (["model"], ["switch", "-"], ["switch", "m"], ["token", "--client", "tool"]):
        ours = run_shim(env, work / "one", *args)
        theirs = subprocess.run(
            [AICTL, *args], env=env, cwd=work / "one", capture_output=True, text=True, timeout=20
        )
        assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout), args
        assert control.calls[-1] == control.calls[-2], args


def test_the_shim_reports_a_daemon_that_is_down(env, work):
    done = run_shim(env, work, "model")
    assert done.returncode == 3
    assert done.stderr == "aictl: aictld is not running\n  start it: aictl daemon start\n"
    hook = run_shim(env, work, "hook", "bash")
    assert (hook.returncode, hook.stdout, hook.stderr) == (3, "unset AICTL_MODEL\n", "")


NO_ANSWERS = {
    "reserved": b"\xc1",
    "short": b"\x94\x01\x01\xc0",
    "huge-map": b"\x94\x01\x01\xc0\xdf\xff\xff\xff\xff",
    "huge-string": b"\x94\x01\x01\xc0\xdb\xff\xff\xff\xff",
    "huge-array": b"\xdd\xff\xff\xff\xff",
    "deep": b"\x94" * 70000,
    "other-types": b"\x94\x01\x01\xc0\x81\xa5model\x93\x01\x02\x03",
    "code-is-a-float": b"\x94\x01\x01\x81\xa4code\xcb\x7f\xf0\0\0\0\0\0\0\xc0",
    "a-request": b"\x94\x00\x01\xa5model\x90",
}


@pytest.mark.parametrize("answer", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_the_shim_survives_bytes_that_are_no_answer(env, work, control, answer):
    control.answers["model.get"] = answer
    hook = subprocess.Popen(
        [SHIM, "hook", "bash"], env=env, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = hook.communicate(timeout=20)
    assert hook.returncode >= 0 and out == b"unset AICTL_MODEL\n" and err == b""


def test_the_shim_refuses_a_socket_of_another_user(env, work, control):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    other = dict(env)
    control.dir.parent.chmod(0o755)
    control.dir.chmod(0o755)
    control.path.chmod(0o777)
    work.chmod(0o755)
    done = subprocess.run(
        [SHIM, "model"], env=other, cwd="/", capture_output=True, text=True, timeout=20, user=4711
    )
    assert done.returncode == 3 and control.count("model.get") == 0
