"""Runs the README's main job as its reader would: in a terminal, from the command line to the shell and back.

Asserts that a prompt comes soon after the build, that the shell answers, that `exit` ends it with status 0, and that no
process and no file is left.
"""

import ctypes
import errno
import os
import pathlib
import pty
import pwd
import re
import select
import signal
import sys
import tempfile
import time

from readme import command

BUILD_TIMEOUT = 30 * 60.0
PROMPT_TIMEOUT = 60.0
ANSWER_TIMEOUT = 10.0
# The promise of the README: from the end of the build to the prompt.
PROMPT_LIMIT = 2.0
# Time for the kernel to hand over and bury what has ended already.
REAP_TIMEOUT = 2.0
# linux/prctl.h
PR_SET_CHILD_SUBREAPER = 36

STARTED = re.compile(r"^ *Running `", re.MULTILINE)
PROMPT = re.compile(r"[#$%] ?\Z")
# Control sequences: CSI, OSC, and the two-byte escapes.
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_=>])")


class Terminal:
    """A program in a pseudo-terminal of its own, and what it has printed so far."""

    def __init__(self, line: str, environment: dict[str, str]):
        self.began = time.monotonic()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execvpe("sh", ["sh", "-c", f"exec {line}"], environment)
        self.raw = ""
        self.seen = 0

    def expect(self, pattern: re.Pattern[str], what: str, timeout: float) -> None:
        """Waits until what was printed since the last expectation has `pattern` in it."""
        deadline = time.monotonic() + timeout
        while not (found := pattern.search(self.text(), self.seen)):
            left = deadline - time.monotonic()
            if left <= 0 or not self.read(left):
                self.fail(f"no {what}")
        self.seen = found.end()

    def read(self, timeout: float) -> bool:
        """Takes what the program prints; False when it has closed the terminal or the time is up."""
        if not select.select([self.master], [], [], timeout)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return False
        sys.stdout.write(data.decode(errors="replace"))
        sys.stdout.flush()
        self.raw += data.decode(errors="replace")
        return bool(data)

    def text(self) -> str:
        """What was printed, without control sequences."""
        return ESCAPES.sub("", self.raw)

    def type(self, keys: str) -> None:
        """Presses keys."""
        os.write(self.master, keys.encode())

    def wait(self, timeout: float) -> int:
        """Reads to the end; returns the exit status."""
        deadline = time.monotonic() + timeout
        while self.read(max(0.0, deadline - time.monotonic())):
            pass
        while (ended := os.waitpid(self.pid, os.WNOHANG))[0] == 0:
            if time.monotonic() > deadline:
                self.fail("the program did not end")
            time.sleep(0.01)
        return os.waitstatus_to_exitcode(ended[1])

    def fail(self, what: str) -> None:
        """Ends the program and the check."""
        os.kill(self.pid, signal.SIGTERM)
        raise SystemExit(f"\nmain job: {what}")


def survivors() -> list[str]:
    """Descendants that outlived their parents: as their subreaper we inherit them all."""
    deadline = time.monotonic() + REAP_TIMEOUT
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.01)
        except ChildProcessError:
            return []
    children = pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [pathlib.Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in children]


def names(*directories: pathlib.Path) -> set[pathlib.Path]:
    """Every entry of the directories."""
    return {entry for directory in directories if directory.is_dir() for entry in directory.iterdir()}


def check(scratch: pathlib.Path) -> None:
    """The main job in an empty home and an empty directory for temporary files."""
    line = command("cargo run")
    watched = [scratch / "home", scratch / "tmp", pathlib.Path(pwd.getpwuid(os.getuid()).pw_dir)]
    home = pathlib.Path.home()
    environment = os.environ | {
        "HOME": str(watched[0]),
        "TMPDIR": str(watched[1]),
        "TERM": "xterm-256color",
        "CARGO_HOME": os.environ.get("CARGO_HOME", str(home / ".cargo")),
        "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(home / ".rustup")),
        "CARGO_TERM_PROGRESS_WHEN": "never",
    }
    for directory in watched[:2]:
        directory.mkdir()
    before = names(*watched)

    print(f"$ {line}")
    terminal = Terminal(line, environment)
    terminal.expect(STARTED, "end of the build", BUILD_TIMEOUT)
    built = time.monotonic()
    terminal.expect(PROMPT, "prompt", PROMPT_TIMEOUT)
    prompted = time.monotonic()
    terminal.type("echo answer=$((6 * 7))\r")
    terminal.expect(re.compile(r"answer=42"), "answer from the shell", ANSWER_TIMEOUT)
    terminal.expect(PROMPT, "second prompt", ANSWER_TIMEOUT)
    terminal.type("exit\r")
    status = terminal.wait(ANSWER_TIMEOUT)

    print(f"\nbuild {built - terminal.began:.1f} s, prompt {prompted - built:.3f} s later")
    faults = []
    if status != 0:
        faults.append(f"exit status {status}")
    if prompted - built > PROMPT_LIMIT:
        faults.append(f"the prompt took more than {PROMPT_LIMIT} s")
    faults += [f"left running: {process}" for process in survivors()]
    faults += [f"left behind: {path}" for path in sorted(names(*watched) - before)]
    if faults:
        raise SystemExit("main job: " + "; ".join(faults))


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryDirectory(prefix="main-job-") as name:
        check(pathlib.Path(name))
