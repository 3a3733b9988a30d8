"""What a worker uses, told to those who watch, while it has something to do."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from jupyter_faas.runner.replica import FrontReplica

PERIOD_S = 1.0

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class UsageTimer:
    """Tells USAGE once per `PERIOD_S` if it has changed and anybody watches.

    Args:
        loop: The front's.
        replica: Whose worker is looked at.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, replica: FrontReplica) -> None:
        self._loop = loop
        self._replica = replica
        self._told = (0.0, 0.0)
        loop.call_later(PERIOD_S, self._tick)

    def _tick(self) -> None:
        self._loop.call_later(PERIOD_S, self._tick)
        pid = self._replica.worker_pid
        if pid is None or not self._replica.watchers.are_there:
            return
        with suppress(OSError, IndexError, ValueError):
            used = usage_of(pid)
            if used != self._told:
                self._told = used
                self._replica.watchers.usage(*used)


def usage_of(pid: int) -> tuple[float, float]:
    """Return resident memory in MiB and CPU seconds of a process."""
    resident = int(Path(f"/proc/{pid}/statm").read_bytes().split()[1])
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return resident * _PAGE_BYTES / (1 << 20), ticks / _TICKS_PER_S
