"""summary.py believes what a run really did: counts of inner runners, skips, leaks, empty runs."""

import subprocess
import sys
from pathlib import Path

import pytest

SUMMARY = Path(__file__).parents[1] / "support" / "summary.py"

CRITERION = "[====] Synthesis: Tested: 5 | Passing: 5 | Failing: 0 | Crashing: 0"
PYTEST = "SKIPPED [1] test_a.py:3: needs root\n===== 7 passed, 1 skipped in 2.10s ====="


def case(name, status="run", output="", inner=""):
    return f'<testcase name="{name}" status="{status}">{inner}<system-out>{output}</system-out></testcase>'


SKIPPED = '<skipped message="SKIP_RETURN_CODE=77"/>'
FAILED = '<failure message="Failed"/>'


@pytest.fixture
def run(tmp_path):
    def run(*cases):
        path = tmp_path / "dev" / "results.xml"
        path.parent.mkdir()
        path.write_text(f'<testsuite>{"".join(cases)}</testsuite>')
        done = subprocess.run([sys.executable, SUMMARY, path], capture_output=True, text=True)
        return done.returncode, done.stdout
    return run


def test_tests_inside_an_entry_are_counted(run):
    status, said = run(case("unit_base", output=CRITERION), case("functional_a", output=PYTEST), case("plain"))
    assert said.endswith("\n13 passed, 0 failed, 1 skipped\n")
    assert "functional_a: 1 x test_a.py:3: needs root" in said
    assert status == 0


def test_a_skipped_entry_is_named_with_its_reason(run):
    status, said = run(case("ok"), case("lab", "notrun", "SKIP: needs root", SKIPPED))
    assert "skipped: dev: lab: 1 x SKIP: needs root" in said
    assert said.endswith("1 passed, 0 failed, 1 skipped\n")
    assert status == 0


def test_a_file_whose_tests_all_skip_counts_as_those(run):
    output = "SKIPPED [16] test_a.py:3: needs root\n===== 16 skipped in 0.03s ====="
    status, said = run(case("ok"), case("lab", "notrun", output, SKIPPED))
    assert "skipped: dev: lab: 16 x test_a.py:3: needs root" in said
    assert said.endswith("1 passed, 0 failed, 16 skipped\n")
    assert status == 0


def test_an_entry_that_leaks_fails_though_its_tests_passed(run):
    status, said = run(case("unit_base", "fail", CRITERION + " detected memory leaks", FAILED))
    assert "failed: dev: unit_base" in said
    assert said.endswith("5 passed, 1 failed, 0 skipped\n")
    assert status == 1


def test_failures_inside_count_even_if_the_entry_ended_well(run):
    bad = CRITERION.replace("Passing: 5 | Failing: 0", "Passing: 4 | Failing: 1")
    status, said = run(case("unit_base", output=bad))
    assert said.endswith("4 passed, 1 failed, 0 skipped\n")
    assert status == 1


def test_an_entry_that_could_not_run_is_a_failure(run):
    missing = '<skipped message="Unable to find executable"/>'
    status, said = run(case("gone", "notrun", inner=missing))
    assert said.endswith("0 passed, 1 failed, 0 skipped\n")
    assert status == 1


def test_a_run_of_nothing_fails(run):
    status, said = run()
    assert "no test ran" in said
    assert status == 1


def test_missing_results_fail(tmp_path):
    done = subprocess.run([sys.executable, SUMMARY, tmp_path / "dev/results.xml"], capture_output=True, text=True)
    assert "ctest left no results" in done.stdout
    assert done.returncode == 1
