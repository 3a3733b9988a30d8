"""Ends what an earlier gateway of the same state directory left behind.

A zygote ends by itself when its gateway's end of the control socket closes; this is for the one
that could not (stopped, hung, killed alone). Whatever a zygote has started carries a mark in the
environment it was executed with, which /proc shows and a reused pid cannot have; what those have
started in turn are their descendants.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import NamedTuple

from jupyter_faas.providers.local.process import MARK

PROC = Path("/proc")


class Found(NamedTuple):
    """A process of a gateway of this state directory."""

    pid: int
    owner: int
    """Pid of the gateway that started it, or its ancestor."""


def marked_processes(run_dir: Path, proc: Path = PROC) -> list[Found]:
    """Return the processes marked with `run_dir` and their descendants, oldest pid first."""
    pids = [int(entry) for entry in os.listdir(proc) if entry.isdecimal()]
    owners = {pid: owner for pid in pids if (owner := _owner(proc, pid, run_dir))}
    if not owners:
        return []
    parents = {pid: _parent(proc, pid) for pid in pids}
    for pid in pids:
        line = [pid]
        while line[-1] not in owners and parents.get(line[-1], 0) > 1:
            line.append(parents[line[-1]])
        if line[-1] in owners:
            owners[pid] = owners[line[-1]]
    return [Found(pid, owner) for pid, owner in sorted(owners.items())]


def end_leftovers(run_dir: Path, keep: int = 0, proc: Path = PROC) -> list[int]:
    """Kill what other gateways of this directory have started.

    The caller holds the gateway's lock: nobody else owns this directory.

    Args:
        run_dir: Directory of the sockets.
        keep: Pid of the gateway whose processes stay; 0 ends all.
        proc: Where the process file system is.

    Returns:
        Pids that were killed.
    """
    doomed = [found.pid for found in marked_processes(run_dir, proc) if found.owner != keep]
    for pid in doomed:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return doomed


def remove_sockets(run_dir: Path) -> None:
    """Remove the sockets of replicas that are gone."""
    for path in run_dir.glob("*.sock"):
        path.unlink(missing_ok=True)


def _owner(proc: Path, pid: int, run_dir: Path) -> int:
    prefix = f"{MARK}={run_dir}:".encode()
    try:
        environ = (proc / str(pid) / "environ").read_bytes()
    except OSError:
        return 0  # another user's, or just ended
    for pair in environ.split(b"\0"):
        if pair.startswith(prefix):
            return int(pair[len(prefix) :])
    return 0


def _parent(proc: Path, pid: int) -> int:
    try:
        # The command's name in parentheses may itself hold spaces and parentheses.
        return int((proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0
