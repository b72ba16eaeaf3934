"""A program on a terminal of its own, as a user would have it.

    Terminal   starts a program under a pseudo terminal, types and reads
    Shell      an interactive bash or zsh without the user's files; run() gives a command's output
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from waiting import DEADLINE, Late


class Terminal:
    """Use as a context manager. Everything it showed so far is in .shown."""

    def __init__(self, argv, env, cwd, columns=80):
        self.shown = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
                os.chdir(cwd)
                os.execvpe(argv[0], argv, env)
            finally:
                os._exit(127)
        self.status = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def _read(self, timeout):
        """Adds what arrives to .shown; False at the end."""
        if not select.select([self.fd], [], [], timeout)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.shown += data.decode(errors="replace")
        return bool(data)

    def type(self, text):
        os.write(self.fd, text.encode())

    def expect(self, pattern, start=0):
        """Waits until the pattern is shown behind position `start`; returns the match."""
        end = time.monotonic() + DEADLINE
        while True:
            match = re.compile(pattern, re.S).search(self.shown, start)
            if match:
                return match
            if time.monotonic() > end or not self._read(0.05):
                raise Late(f"{pattern!r} was not shown; there is:\n{self.shown[start:]}")

    def wait(self):
        """Reads until the program has ended; returns its exit status."""
        end = time.monotonic() + DEADLINE
        while self._read(0.05):
            if time.monotonic() > end:
                raise Late(f"the program has not ended; it showed:\n{self.shown}")
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status


class Shell(Terminal):
    """bash or zsh, interactive. Its first prompt is "READY> "."""

    COMMANDS = {
        "bash": ["bash", "--norc", "--noprofile", "--noediting", "-i"],
        "zsh": ["zsh", "-f", "-i", "-o", "no_zle", "-o", "no_prompt_sp", "-o", "no_prompt_cr"],
    }

    def __init__(self, name, env, cwd):
        super().__init__(self.COMMANDS[name], {**env, "PS1": "READY> ", "TERM": "dumb"}, cwd)
        self.name = name
        self.run("stty -echo; PS1='READY> '")

    def run(self, command):
        """Runs one line; returns what it wrote. The next prompt has been shown when this returns."""
        start = len(self.shown)
        # The marks are spelled with an escape, so that an echoed command line does not have them.
        self.type(f"printf '\\001'; {command}; printf '\\002'\n")
        return self.expect("\x01(.*)\x02.*READY> $", start).group(1).replace("\r\n", "\n")

    def prompt(self):
        """The prompt as it is shown now."""
        start = len(self.shown)
        self.type("\n")
        return self.expect(r"[^\r\n]*READY> $", start).group(0)

    def value(self, name):
        """A variable's value; None when it is not set."""
        text = self.run(f'printf "[%s]" "${{{name}-}}"; [ -n "${{{name}+x}}" ] || printf unset')
        return None if text.endswith("unset") else text[1:-1]
