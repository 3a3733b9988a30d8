"""The driver: all maps of one gateway, in a process of its own. Nothing here unpickles."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable

from jupyter_faas.core.chunk_size import fair_shares
from jupyter_faas.core.errors import InvalidSpec, InvocationNotFound
from jupyter_faas.core.mapping import MapOrder
from jupyter_faas.fanout.base import Backend, Caller
from jupyter_faas.fanout.run import Run

KEPT_ENDED = 32
"""So many ended maps are still listed."""


class Driver:
    """Begins maps, shares slots between them, and remembers the last ones.

    Args:
        replicas: Where chunks go.
        cpus: Of the machine that all replicas share; 0: they do not.
        wall_clock: Seconds since the epoch, for people.
    """

    def __init__(
        self, replicas: Backend, cpus: int, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self.runs: dict[str, Run] = {}
        self.used_s = 0.0
        self._replicas = replicas
        self._cpus = cpus
        self._wall_clock = wall_clock
        self._loop = asyncio.get_running_loop()

    def now_s(self) -> float:
        """Return the loop's time."""
        return self._loop.time()

    @property
    def is_busy(self) -> bool:
        """Whether a map runs."""
        return any(not run.is_over for run in self.runs.values())

    def find(self, id: str) -> Run:
        """Return a map.

        Raises:
            InvocationNotFound: There is none of this id (any more).
        """
        run = self.runs.get(id)
        if run is None:
            raise InvocationNotFound(f"No map {id} is known here (any more).")
        return run

    def begin(self, order: MapOrder, caller: Caller) -> Run:
        """Begin a map.

        Raises:
            InvalidSpec: The order is not complete.
        """
        if order.of is None or order.revision is None:
            raise InvalidSpec("An order of a map names its revision and what that is.")
        run = Run(
            f"map-{secrets.token_hex(6)}",
            order,
            caller,
            self._replicas,
            allowed=self._allowed,
            on_over=self._on_over,
            cpus=self._cpus,
            wall_s=self._wall_clock(),
        )
        self.runs[run.id] = run
        self.used_s = self.now_s()
        self._pump_others(run)
        return run

    def _allowed(self, run: Run, slots: int) -> int:
        """Return how many slots a map may use of those that its function has."""
        rivals = self._rivals(run)
        if not rivals:
            return slots
        everybody = [run, *rivals]
        return fair_shares(slots, [one.chunks.wanted for one in everybody])[0]

    def _rivals(self, run: Run) -> list[Run]:
        key = (run.order.namespace, run.order.function)
        return [
            other
            for other in self.runs.values()
            if other is not run
            and not other.is_over
            and (other.order.namespace, other.order.function) == key
        ]

    def _pump_others(self, run: Run) -> None:
        for other in self._rivals(run):
            other.pump()

    def _on_over(self, run: Run) -> None:
        self.used_s = self.now_s()
        ended = [id for id, one in self.runs.items() if one.is_over]
        for id in ended[:-KEPT_ENDED]:
            del self.runs[id]
        self._pump_others(run)


def cpus_here() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0))
