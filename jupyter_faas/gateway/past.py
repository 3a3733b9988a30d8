"""What has been counted of a function before: by gateways before this one, and by pools now gone.

The store keeps one of each function and writes it with the records of the invocations it counts,
so that both tell the same after a restart. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest

import msgspec

from jupyter_faas.core.model import Outcome


class Past(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Sums over the ended invocations of one function.

    Attributes:
        outcomes: Their number by outcome.
        latency: The same by the bit length of their microseconds, see `pool.py`.
        cold_starts: Those that waited for a replica to start.
        rejected: Calls that found no place to wait; they leave no record.
        memory_mib_s: Memory limit times run time, mebibyte-seconds.
        items: Items of maps that have ended.
    """

    outcomes: dict[Outcome, int] = {}
    latency: list[int] = []
    cold_starts: int = 0
    rejected: int = 0
    memory_mib_s: float = 0.0
    items: int = 0

    @property
    def ended(self) -> int:
        """How many invocations have ended."""
        return sum(self.outcomes.values())

    def of(self, *outcomes: Outcome) -> int:
        """Return how many ended so."""
        return sum(self.outcomes.get(outcome, 0) for outcome in outcomes)

    def with_calls(
        self,
        outcomes: Mapping[Outcome, int],
        latency: Sequence[int],
        *,
        cold_starts: int,
        rejected: int,
    ) -> Past:
        """Return it with what a pool has counted."""
        both = {**dict.fromkeys(outcomes, 0), **self.outcomes}
        return msgspec.structs.replace(
            self,
            outcomes={one: n for one in both if (n := both[one] + outcomes.get(one, 0))},
            latency=[a + b for a, b in zip_longest(self.latency, latency, fillvalue=0)],
            cold_starts=self.cold_starts + cold_starts,
            rejected=self.rejected + rejected,
        )

    def with_use(self, memory_mib_s: float, items: int) -> Past:
        """Return it with what has been used since."""
        return msgspec.structs.replace(
            self,
            memory_mib_s=round(self.memory_mib_s + memory_mib_s, 3),
            items=self.items + items,
        )


NO_PAST = Past()
