"""How many workers a Ray cluster should have. Pure: no clock, no I/O.

More at once when waiting chunks could use them; fewer only when no map has needed any for a while,
because whoever ends a worker (a Deployment) chooses which, and that might be one that runs items.
"""

from __future__ import annotations

import math
from typing import NamedTuple


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


class Scaling:
    """Decides, from one look to the next.

    Args:
        limits: What there may be.
    """

    def __init__(self, limits: Limits) -> None:
        self.workers: int | None = None
        """Asked for last; None: not yet, whatever there is stays until somebody needs more."""
        self._limits = limits
        self._idle_since_s: float | None = None

    def look(
        self, seats_wanted: int, seats_per_worker: int, there: int, now_s: float
    ) -> int | None:
        """Return how many workers there should be; None: as many as there are.

        Args:
            seats_wanted: Seats that all maps together could use now.
            seats_per_worker: CPUs of one worker, > 0.
            there: Workers that are there now, whoever has asked for them.
            now_s: Monotonic seconds.
        """
        least, most, idle_s = self._limits
        if seats_wanted > 0:
            self._idle_since_s = None
            needed = min(most, max(least, math.ceil(seats_wanted / seats_per_worker)))
            self.workers = max(needed, self.workers or 0, min(most, there))
        elif self._idle_since_s is None:
            self._idle_since_s = now_s
        elif now_s - self._idle_since_s >= idle_s:
            self.workers = least
        return self.workers
