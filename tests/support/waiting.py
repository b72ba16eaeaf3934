"""Waiting: for a condition, with a deadline, never for a time that is hoped to be enough."""

import os
import time

# A sanitizer build is slower; only measured latencies are allowed to know it (see latency_limit).
IS_SANITIZED = bool(os.environ.get("AICTL_SANITIZE"))

DEADLINE = 30.0 if IS_SANITIZED else 15.0
"""Seconds after which something that must happen is taken not to happen."""


class Late(AssertionError):
    """What a test waited for did not happen in time."""


def wait_until(condition, what, timeout=DEADLINE):
    """Polls until condition() is true and returns its value; `what` completes 'no ... in time'."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise Late(f"no {what} within {timeout} s")
        time.sleep(0.005)


def stays(condition, what, seconds=0.3):
    """Fails as soon as condition() is false within `seconds`: for what must not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not condition():
            raise AssertionError(f"{what}: did not last {seconds} s")
        time.sleep(0.005)


def latency_limit(seconds):
    """A promised latency, with slack for sanitizer builds only."""
    return seconds * 5 if IS_SANITIZED else seconds
