"""What a test does to processes of a node that is this machine: only those of its own pods."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

Object = dict[str, Any]


def processes_of(pod: Object) -> list[int]:
    """Return the processes of a pod's containers; skips the test on other machines."""
    found = []
    ids = [
        one["containerID"].rpartition("/")[2]
        for one in pod["status"].get("containerStatuses") or ()
        if one.get("containerID")
    ]
    for path in Path("/proc").glob("[0-9]*/cgroup"):
        with suppress(OSError):
            if any(one in path.read_text() for one in ids):
                found.append(int(path.parent.name))
    if ids and not found:
        pytest.skip("the pods' processes are not on this machine")
    return found


def kill_all(pod: Object) -> None:
    """End all processes of a pod's containers at once, as running out of memory does."""
    for pid in processes_of(pod):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def halted(pods: Iterable[Object]) -> Iterator[None]:
    """Let the processes of pods stand still for the time."""
    halted = [pid for pod in pods for pid in processes_of(pod)]
    for pid in halted:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in halted:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
