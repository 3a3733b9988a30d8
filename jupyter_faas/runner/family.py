"""Process families: who is whose child, and how to end all of them.

Zygote and workers are subreapers: what a worker's code leaves behind is reparented to the
worker, and when that has ended to the zygote. So "a child that I did not start" is all the zygote
needs to know to find an orphan, whatever session or group it has put itself into.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_MAX_ROUNDS = 50

_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Adopt orphaned descendants instead of letting them go to PID 1."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent() -> None:
    """Be killed when the (single-threaded) parent ends. For short-lived probes only."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def name_process(name: str) -> None:
    """Set what `ps` and `top` show for this process; at most 15 bytes."""
    _libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def children_of(pid: int) -> list[int]:
    """Return the direct children of a process, zombies included; none if it is gone."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError):
                text = Path(f"/proc/{pid}/task/{thread}/children").read_text()
                found.extend(int(word) for word in text.split())
    except OSError:
        return []
    return found


def is_process(number: int) -> bool:
    """Return whether a number found among children is a process.

    gVisor lists every thread of a child there, by its own number, and a signal to one ends them
    all: a child with a second thread looked like a stranger.
    """
    try:
        text = Path(f"/proc/{number}/status").read_text()
    except OSError:
        return False
    return re.search(rf"^Tgid:\s*{number}$", text, re.MULTILINE) is not None


def living_descendants_of(pid: int) -> list[int]:
    """Return every process below `pid` that is no zombie."""
    found: list[int] = []
    for child in children_of(pid):
        if not is_zombie(child):
            found.append(child)
        found.extend(living_descendants_of(child))
    return found


def is_zombie(pid: int) -> bool:
    """Return whether a process has ended and waits to be reaped (or is gone)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True
    return stat.rpartition(b")")[2].split()[0] in (b"Z", b"X")


def kill(pid: int, signum: int = signal.SIGKILL) -> None:
    """Send a signal; a process that is gone is none of our business."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signum)


def end_family(pid: int) -> None:
    """Kill a subreaper and everything below it, when nobody is left to reap it.

    The head is stopped first, so that it starts nothing new; what is killed below it is
    reparented to it, so that each round sees all of what the one before has orphaned.
    """
    kill(pid, signal.SIGSTOP)
    for _ in range(_MAX_ROUNDS):
        living = living_descendants_of(pid)
        if not living:
            break
        for member in living:
            kill(member)
    kill(pid)


def describe_status(status: int) -> str:
    """Return how a process ended, in words, from the status of `waitpid`."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name} ({signal.strsignal(-code)})"
    except ValueError:
        return f"was killed by signal {-code}"
