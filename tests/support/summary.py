"""summary.py RESULTS.xml...: one line over ctest's JUnit files, `N passed, N failed, N skipped`.

A ctest entry that runs many tests of its own (a Criterion binary, a pytest file) counts as those.
Names what was skipped and what failed. Exit status 1 when something failed or nothing ran.
"""

import os
import re
import sys
import xml.etree.ElementTree as xml

CRITERION = re.compile(r"Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+) \| Crashing: (\d+)")
PYTEST = re.compile(r"^=+ .*\bin [\d.]+s.* =+$", re.MULTILINE)
PYTEST_SKIP = re.compile(r"^SKIPPED \[(\d+)\] (.*)$", re.MULTILINE)


class Count:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def inner_count(output):
    """What a test runner inside an entry says it ran, or None."""
    found = CRITERION.findall(output)
    if found:
        _, passed, failing, crashing = map(int, found[-1])
        return Count(passed, failing + crashing)
    found = PYTEST.findall(output)
    if found:
        words = {word: int(n) for n, word in re.findall(r"(\d+) (\w+)", found[-1])}
        failed = words.get("failed", 0) + words.get("error", 0) + words.get("errors", 0)
        return Count(words.get("passed", 0), failed, words.get("skipped", 0))
    return None


def last_line(output):
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


def has_skipped(case):
    """It said so itself. A program that does not exist is written down as `skipped` as well."""
    skipped = case.find("skipped")
    return skipped is not None and skipped.get("message", "").startswith("SKIP_")


def say_skips(name, output, say):
    reasons = PYTEST_SKIP.findall(output) or [("1", last_line(output))]
    for number, reason in reasons:
        say("skipped", f"{name}: {number} x {reason}")


def count_case(case, say):
    """Counts one ctest entry; say(kind, text) names what did not pass."""
    name = case.get("name")
    output = case.findtext("system-out") or ""
    if case.get("status") == "run":
        count = inner_count(output) or Count(passed=1)
        if count.failed:  # its exit status said success: do not believe it
            say("failed", name + ": reports failures but ended well")
        if count.skipped:
            say_skips(name, output, say)
        return count
    if has_skipped(case):
        say_skips(name, output, say)
        return inner_count(output) or Count(skipped=1)
    if case.get("status") == "disabled":
        say("skipped", name + ": disabled")
        return Count(skipped=1)
    count = inner_count(output) or Count()
    count.failed = max(count.failed, 1)  # a leak fails an entry whose tests all passed
    say("failed", name)
    return count


def main():
    total = Count()
    said = {"skipped": [], "failed": []}
    for path in sys.argv[1:]:
        build = os.path.basename(os.path.dirname(path))
        if not os.path.exists(path):
            said["failed"].append(f"{build}: ctest left no results")
            total.add(Count(failed=1))
            continue
        for case in xml.parse(path).getroot().iter("testcase"):
            total.add(count_case(case, lambda kind, text: said[kind].append(f"{build}: {text}")))
    for kind, lines in said.items():
        for line in lines:
            print(f"{kind}: {line}")
    if total.passed + total.failed == 0:
        print("no test ran")
        total.failed = 1
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped")
    return 1 if total.failed else 0


sys.exit(main())
