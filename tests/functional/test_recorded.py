"""Recorded answers of real providers, replayed as a provider and asked for in both dialects, as a stream and whole.

The recordings are a folder beside the repository ($AICTL_FIXTURES, default ../shared/fixtures) and not part of it:
without them, or without node, the test says so and is skipped. They are replayed whole, as recorded, byte by
byte, in random pieces, and cut in the middle.
"""

import concurrent.futures
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from daemon import config_for
from waiting import wait_until

HERE = Path(__file__).parent
SOURCE = Path(os.environ.get("AICTL_SOURCE", HERE.parents[1]))
FIXTURES = Path(os.environ.get("AICTL_FIXTURES", SOURCE.parent / "shared/fixtures"))
MODES = ("rec", "one", "all", "rnd", "cut")
TYPES = {"openai-chat": "openai", "anthropic": "anthropic"}


def recorded_cases():
    """(provider/name, format) of every recorded answer of a format that is served here."""
    for meta in sorted(FIXTURES.glob("*/*/meta.json")):
        kind = json.loads(meta.read_text())["format"]
        if kind in TYPES:
            yield f"{meta.parent.parent.name}/{meta.parent.name}", kind


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def replay():
    """The address of the replaying provider."""
    port = free_port()
    process = subprocess.Popen(["node", FIXTURES / "replay.mjs", str(port), FIXTURES], stderr=subprocess.DEVNULL)

    def is_up():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(is_up, "the replaying provider")
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


def row(number, name, mode, kind, url):
    return {
        "name": f"recorded-{number}",
        "type": TYPES[kind],
        "baseURL": f"{url}/{mode}/{name}",
        "apiKey": "",
        "models": [f"{mode}/{name}"],
    }


def ask(daemon, task, folder, number):
    """Asks for one task's model and keeps the answer."""
    send = daemon.chat if task["format"] == "openai-chat" else daemon.messages
    fields = {"stream": True} if task["stream"] else {}
    if task["format"] == "openai-chat" and task["stream"]:
        fields["stream_options"] = {"include_usage": True}
    # What a provider of the same dialect says is passed on, with all its oddities.
    is_converted = task["format"] != task["native"]
    answer = send(model=f"{task['mode']}/{task['case']}", checks_stream=is_converted, **fields)
    task["status"] = answer.status
    task["file"] = str(folder / f"{number}.body")
    Path(task["file"]).write_bytes(answer.body)
    return task


def judge(tasks, folder):
    tasks_file = folder / "tasks.json"
    tasks_file.write_text(json.dumps(tasks))
    command = ["node", HERE / "judge_recorded.mjs", FIXTURES, tasks_file]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def describe(bad):
    lines = []
    for one in bad:
        task = one["task"]
        form = "stream" if task["stream"] else "whole"
        lines.append(f"{task['case']} {task['mode']} as {task['format']} {form}, status {task['status']}:")
        lines += [f"    {problem[:400]}" for problem in one["problems"]]
    return "\n".join(lines)


@pytest.mark.skipif(not any(FIXTURES.glob("*/*/meta.json")), reason="the recorded answers are not here")
@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
@pytest.mark.parametrize("mode", MODES)
def test_every_recorded_answer_says_the_same_in_every_dialect_and_form(mode, replay, start_daemon, tmp_path):
    cases = list(recorded_cases())
    rows = [row(number, name, mode, kind, replay) for number, (name, kind) in enumerate(cases)]
    daemon = start_daemon(config_for(*rows, default=rows[0]["models"][0]))
    tasks = [{"case": name, "mode": mode, "format": kind, "native": native, "stream": stream}
             for name, native in cases for kind in TYPES for stream in (True, False)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        tasks = list(pool.map(lambda pair: ask(daemon, pair[1], tmp_path, pair[0]), enumerate(tasks)))
    bad = judge(tasks, tmp_path)
    assert not bad, f"{len(bad)} of {len(tasks)} differ:\n{describe(bad)}"
