"""How many workers a Ray cluster should have. Pure: no clock, no I/O.

More at once when waiting chunks could use them; fewer when the most that were needed at any time of
the window are fewer. Whoever ends workers chooses which: a StatefulSet those with the highest
numbers, so what is busy keeps itself and all below; of others nothing is known, so one that is busy
keeps all.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

_NUMBER = re.compile(r"-(\d+)$")


class Limits(NamedTuple):
    """What there may be.

    Attributes:
        least: Workers that are kept, however idle.
        most: Workers that are never exceeded; at least `least`.
        idle_s: Unneeded for so long, they go.
    """

    least: int = 0
    most: int = 4
    idle_s: float = 60.0


class Worker(NamedTuple):
    """One that is there.

    Attributes:
        id: Of its node.
        name: Of its pod.
        seats: How many it has.
        is_busy: At least one of them has chunks of a map.
    """

    id: str
    name: str
    seats: int
    is_busy: bool


def number_of(name: str) -> int | None:
    """Return the number at the end of a pod's name; None: it has none."""
    found = _NUMBER.search(name)
    return int(found[1]) if found else None


def needed_by_busy(workers: Sequence[Worker], *, takes_highest: bool) -> int:
    """Return how many workers there must be so that no busy one is ended."""
    busy = [number_of(worker.name) for worker in workers if worker.is_busy]
    if not busy:
        return 0
    numbers = [number for number in busy if number is not None]
    if not takes_highest or len(numbers) < len(busy):
        return len(workers)
    return 1 + max(numbers)


def sent_away(workers: Sequence[Worker], count: int, *, takes_highest: bool) -> list[Worker]:
    """Return those that go when there are to be `count`, where that is known."""
    if not takes_highest:
        return []
    return [worker for worker in workers if (number_of(worker.name) or 0) >= count]


class Scaling:
    """Decides, from one look to the next.

    Args:
        limits: What there may be.
    """

    def __init__(self, limits: Limits) -> None:
        self.workers: int | None = None
        """Asked for last; None: not yet, whatever there is stays until somebody needs more."""
        self._limits = limits
        self._there = 0
        self._needs: deque[tuple[float, int]] = deque()
        """When so many were needed last; of those since then, the most comes first."""

    def look(
        self, seats_wanted: int, busy: int, seats_per_worker: int, there: int, now_s: float
    ) -> int | None:
        """Return how many workers there should be; None: as many as there are.

        Args:
            seats_wanted: Seats that all maps together could use now.
            busy: Workers that must be there for what runs.
            seats_per_worker: CPUs of one worker, > 0.
            there: Workers that are there now, whoever has asked for them.
            now_s: Monotonic seconds.
        """
        least, most, idle_s = self._limits
        if there > self._there or not self._needs:
            self._need(now_s, min(most, there))  # whoever has started them: not ended at once
        self._there = there
        self._need(now_s, min(most, max(least, busy, math.ceil(seats_wanted / seats_per_worker))))
        while now_s - self._needs[0][0] >= idle_s and len(self._needs) > 1:
            self._needs.popleft()
        workers = self._needs[0][1]
        if self.workers is None and not seats_wanted and workers >= min(most, there):
            return None
        self.workers = workers
        return workers

    def _need(self, now_s: float, workers: int) -> None:
        while self._needs and self._needs[-1][1] <= workers:
            self._needs.pop()
        self._needs.append((now_s, workers))
