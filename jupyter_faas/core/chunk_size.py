"""How many items go to a worker at once, and how slots are shared between maps. Pure.

A chunk should be 50-100 ms of work: then what a chunk costs on its way does not count, and nobody
waits long for the end of one. Nothing is known at first, so the first chunks hold one item.
"""

from __future__ import annotations

from collections.abc import Sequence

TARGET_S = 0.1
"""Wanted work in one chunk, seconds."""
LEAST_S = 0.003
"""Work below which dividing further costs more on its way than it brings."""
BUDGET_S = 0.1
"""After so long a worker gives back what it has not started of a chunk."""
GROWTH = 16
"""A chunk is at most so many times larger than the largest one that is known to be good."""
MOST_ITEMS = 16_384
MOST_BYTES = 4 << 20
"""Payload of one chunk; a larger item goes alone."""
_WEIGHT = 0.4
"""Of the newest chunk in the mean."""
_REMEMBERED_S = 4.0
"""So much work of all workers together is looked at, older work counts half and less."""


class ChunkSize:
    """Chooses the size of the next chunk from how long items took so far.

    Args:
        fixed: Wanted by the caller; 0: adaptive.
    """

    def __init__(self, fixed: int = 0) -> None:
        self._fixed = fixed
        self._item_s = 0.0
        self._largest = 0
        self._tried = 0

    @property
    def item_s(self) -> float:
        """Mean seconds of one item; 0: not known yet."""
        return self._item_s

    def ran(self, items: int, busy_s: float) -> None:
        """Learn from a chunk: `items` of it ended after `busy_s` seconds of work."""
        if items <= 0:
            return
        item_s = max(busy_s, 1e-9) / items
        if not self._largest:
            self._item_s = item_s
        else:
            self._item_s += _WEIGHT * (item_s - self._item_s)
        self._largest = max(self._largest, items)

    def next(self, queued: int, slots: int, *, is_last: bool) -> int:
        """Return how many items the next chunk may have, at least 1.

        Args:
            queued: Items that could go into it.
            slots: Workers that take chunks of this map.
            is_last: No more inputs come: what is left is divided more finely, so that all
                workers end together, but not more finely than is worth a chunk.
        """
        if self._fixed:
            return self._fixed
        if not self._largest:
            return 1
        fair = -(-queued // (max(1, slots) * (2 if is_last else 1)))
        least = min(queued, int(LEAST_S / self._item_s))
        wanted = min(round(TARGET_S / self._item_s), max(fair, least), MOST_ITEMS)
        return max(1, min(wanted, self._largest * GROWTH))


class Crowd:
    """How many workers one machine should run for a map: more where they wait than compute.

    Args:
        cpus: Of the machine; 0: not known, or many machines: as many as may be.
    """

    def __init__(self, cpus: int) -> None:
        self._cpus = cpus
        self._busy_s = self._cpu_s = 0.0

    def saw(self, busy_s: float, cpu_s: float) -> None:
        """Learn from a worker: of `busy_s` seconds it computed `cpu_s`."""
        self._busy_s += busy_s
        self._cpu_s += min(cpu_s, busy_s)
        if self._busy_s > _REMEMBERED_S:
            self._busy_s, self._cpu_s = self._busy_s / 2, self._cpu_s / 2

    def allowed(self, most: int) -> int:
        """Return how many workers to use, at most `most`."""
        if not self._cpus:
            return most
        if not self._busy_s:
            return min(most, self._cpus)
        share = max(self._cpu_s / self._busy_s, 0.001)
        # Workers that crowd each other out compute a smaller share: less than what fits exactly.
        return max(min(most, self._cpus), min(most, int(0.9 * self._cpus / share)))


def fair_shares(capacity: int, wants: Sequence[int]) -> list[int]:
    """Divide slots between maps: nobody gets more than it wants, and less only if all do.

    Args:
        capacity: Slots there are.
        wants: Slots that each map could use now.

    Returns:
        A share for each, at most `capacity` together. Who wants something gets at least one
        while there is one.

    Source:
        Max-min fairness (progressive filling).
    """
    shares = [0] * len(wants)
    left = capacity
    open_ = [at for at, want in enumerate(wants) if want > 0]
    while left > 0 and open_:
        each = max(1, left // len(open_))
        for at in tuple(open_):
            given = min(each, wants[at] - shares[at], left)
            shares[at] += given
            left -= given
            if shares[at] == wants[at]:
                open_.remove(at)
    return shares
