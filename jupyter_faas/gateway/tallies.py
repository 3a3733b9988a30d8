"""How many items of each kept map have been counted: each counts once, whoever is killed.

A driver tells of a kept map how many items have ended, by the outcomes that outlast it. What of
that is new is counted, and noted in the same transaction of the store: so after a kill of the
driver nothing is missing, and after one of the gateway nothing counts twice. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jupyter_faas.core.mapping import MapTally, MapUse

FORGET_S = 600.0
"""What no driver has told of for so long is gone; a driver tells of all that it has."""


class Counted(NamedTuple):
    """What has been counted of one kept map."""

    items: int
    failed: int
    is_over: bool = False
    """It had ended by then."""


Tallied = Mapping[str, Counted | None]
"""By key, see `MapTally`; None: forget it."""


class Tallies:
    """Of all kept maps that this gateway has, or had.

    Args:
        known: What the store has.
        now_s: Monotonic seconds.
    """

    def __init__(self, known: Mapping[str, Counted], now_s: float) -> None:
        self._counted = dict(known)
        self._told_s = dict.fromkeys(known, now_s)

    def is_over(self, key: str) -> bool:
        """Whether it is known what a map has come to in the end."""
        counted = self._counted.get(key)
        return counted is not None and counted.is_over

    def take(
        self, told: Sequence[MapTally], now_s: float
    ) -> tuple[Iterable[MapUse], dict[str, Counted | None]]:
        """Return what is to be counted now, and what is to be noted with it."""
        used: list[MapUse] = []
        noted: dict[str, Counted | None] = {}
        for one in told:
            self._told_s[one.key] = now_s
            before = self._counted.get(one.key)
            base = before or Counted(one.items_before, one.failed_before)
            # What a killed driver had told and not yet written to a service runs again.
            counted = Counted(max(base.items, one.items), max(base.failed, one.failed), one.is_over)
            if counted == before:
                continue
            self._counted[one.key] = noted[one.key] = counted
            items, failed = counted.items - base.items, counted.failed - base.failed
            if items or failed:
                used.append(
                    MapUse(
                        function=one.function, namespace=one.namespace, items=items, failed=failed
                    )
                )
        for key, told_s in list(self._told_s.items()):
            if now_s - told_s > FORGET_S:
                del self._told_s[key], self._counted[key]
                noted[key] = None
        return used, noted
