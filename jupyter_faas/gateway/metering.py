"""One record per ended invocation, and the totals they add up to.

On the hot path a record is a row, a plain tuple, put in a list; every 50 ms the list goes to the
store as it is. Totals are counted from the same rows at the same moment, so they equal the
invocation log to the unit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jupyter_faas.core.mapping import MapUse
from jupyter_faas.core.model import Outcome
from jupyter_faas.gateway.store.rows import InvocationRow

FLUSH_S = 0.05
"""How long a record may wait for company."""

Sink = Callable[[Sequence[InvocationRow]], None]


class Totals:
    """Sums over the ended invocations of one function.

    Attributes:
        calls: Their number.
        queued_ms: Time they waited for a replica.
        run_ms: Time their code ran.
        memory_mib_ms: Memory times run time, what a bill would be made from.
        outcomes: Number by outcome.
        items: Items of maps that have ended; on replicas many of them are one call.
        failed_items: Those of them that failed.
    """

    __slots__ = (
        *("calls", "failed_items", "items", "memory_mib_ms"),
        *("outcomes", "queued_ms", "run_ms"),
    )

    def __init__(self) -> None:
        self.calls = self.items = self.failed_items = 0
        self.queued_ms = self.run_ms = self.memory_mib_ms = 0.0
        self.outcomes: dict[Outcome, int] = {}

    def count(self, outcome: Outcome, queued_ms: float, run_ms: float, memory_mib: int) -> None:
        """Add one invocation."""
        self.calls += 1
        self.queued_ms += queued_ms
        self.run_ms += run_ms
        self.memory_mib_ms += run_ms * memory_mib
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1


class Used(NamedTuple):
    """What a function has used so far, beside what its pools count."""

    memory_mib_s: float = 0.0
    items: int = 0


class Metering:
    """Collects records and hands them to the store in groups.

    Args:
        sinks: Each is given every group, e.g. `store.add_invocations`; must not block.
    """

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = list(sinks)
        self._rows: list[InvocationRow] = []
        self._timer: asyncio.TimerHandle | None = None
        self._totals: dict[tuple[str, str], Totals] = {}

    def subscribe(self, sink: Sink) -> None:
        """Give every further group to `sink` as well."""
        self._sinks.append(sink)

    def add(self, row: InvocationRow) -> None:
        """Take one record; it reaches the sinks within `FLUSH_S`."""
        self._rows.append(row)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self.flush)

    def totals(self) -> dict[tuple[str, str], Totals]:
        """Return the sums so far by (namespace, function)."""
        self.flush()
        return self._totals

    def add_items(self, use: MapUse) -> None:
        """Add what maps of a function have used since, as their driver tells."""
        totals = self._totals.setdefault((use.namespace, use.function), Totals())
        totals.items += use.items
        totals.failed_items += use.failed
        totals.memory_mib_ms += use.memory_mib_s * 1000

    def used(self, namespace: str, function: str) -> Used:
        """Return what one function has used so far: by ended calls, and by items on Ray."""
        totals = self.totals().get((namespace, function))
        if totals is None:
            return Used()
        return Used(round(totals.memory_mib_ms / 1000, 3), totals.items)

    def forget(self, namespace: str, function: str) -> None:
        """Drop the sums of a deleted function."""
        self.flush()
        self._totals.pop((namespace, function), None)

    def flush(self) -> None:
        """Hand over what is there now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        rows, self._rows = self._rows, []
        if not rows:
            return
        totals_of = self._totals
        for _, function, namespace, _, _, outcome, _, _, _, queued_ms, run_ms, mib, _ in rows:
            key = (namespace, function)
            totals = totals_of.get(key)
            if totals is None:
                totals = totals_of[key] = Totals()
            totals.count(outcome, queued_ms, run_ms, mib)
        for sink in self._sinks:
            sink(rows)
