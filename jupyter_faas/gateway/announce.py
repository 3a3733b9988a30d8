"""Turns what happens in the gateway into events that people and widgets can read.

Subscribed to the registry, the autoscaler, the fleet and metering by the composition root. What
every call changes (which replicas are busy, counts) is not told but looked at, and only while
somebody reads. Thousands of events are kept, so they hold what a view is made from, and the view
is made when one is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from jupyter_faas.gateway.autoscaler import Scaled
from jupyter_faas.gateway.catalogue import RegistryChange
from jupyter_faas.gateway.entries import FunctionEntry, RevisionEntry
from jupyter_faas.gateway.events import EventLog
from jupyter_faas.gateway.pool import Pool
from jupyter_faas.gateway.replica import Replica
from jupyter_faas.gateway.store.rows import InvocationRow, record_of
from jupyter_faas.gateway.views import Shown, Views

LOOK_S = 0.05
"""So late, at most, is it told that a replica has become busy or idle."""
COUNTS_EVERY = 5
"""Counts are looked at every so many looks."""

Mark = tuple[str, int, int, int, int, float]


class Announcer:
    """Publishes events of one gateway.

    Args:
        events: Where to.
        pools: Returns those that are looked at: of every revision that was ever called.
        views: How things are shown.
    """

    def __init__(self, events: EventLog, pools: Callable[[], Iterable[Pool]], views: Views) -> None:
        self._events = events
        self._pools = pools
        self._views = views
        self._marks: dict[FunctionEntry, list[Mark]] = {}
        self._in_flight: dict[str, int] = {}
        self._looks = 0
        self._timer: asyncio.TimerHandle | None = None
        self.owns: Callable[[FunctionEntry], bool] = lambda _entry: True
        """Whether this gateway tells of a function; of the rest their owners do."""

    def start(self) -> None:
        """Begin to look."""
        self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._tick)

    def close(self) -> None:
        """Stop that."""
        if self._timer is not None:
            self._timer.cancel()

    def on_change(self, change: RegistryChange) -> None:
        """Publish a change of the registry; its subscriber."""
        entry = change.function
        if not self.owns(entry):
            return
        if change.kind == "deleted":
            self._publish("deleted", entry)
            return
        if change.revision is not None:
            self._revision(change.revision)
        self._publish("function", entry, value=partial(self._views.function, entry))

    def on_scaled(self, scaled: Scaled) -> None:
        """Publish a decision of the autoscaler."""
        value = partial(self._views.scaled, scaled)
        self._publish("scaling", scaled.entry.function, str(scaled.entry.number), value)

    def on_replica(self, entry: RevisionEntry, replica: Shown) -> None:
        """Publish the state of a replica; the fleet calls this whenever it changes."""
        status = replica.status()
        self._in_flight[status.id] = status.in_flight
        self._publish("replica", entry.function, status.id, status)

    def on_used(self, entry: FunctionEntry) -> None:
        """Publish the counts of a function that has used something apart from calls."""
        if self._events.has_readers and self.owns(entry):
            self._publish("counts", entry, value=self._views.counts(entry).plain())

    def on_records(self, rows: Sequence[InvocationRow]) -> None:
        """Publish single calls if anybody wants them; a sink of metering."""
        if not self._events.wants_calls:
            return
        for record in map(record_of, rows):
            self._events.publish(
                "call",
                namespace=record.namespace,
                function=record.function,
                id=record.id,
                value=record,
            )

    def _revision(self, entry: RevisionEntry) -> None:
        value = partial(self._views.brief, entry)
        self._publish("revision", entry.function, str(entry.number), value)

    def _publish(self, kind: str, entry: FunctionEntry, id: str = "", value: Any = None) -> None:
        self._events.publish(
            kind, namespace=entry.namespace, function=entry.name, id=id, value=value or {}
        )

    def _tick(self) -> None:
        self.start()
        if self._events.has_readers:
            self.look()

    def look(self) -> None:
        """Tell what calls have changed since the last look."""
        pools = [pool for pool in self._pools() if self.owns(pool.entry.function)]
        self._look_at_replicas(pools)
        if self._looks % COUNTS_EVERY == 0:
            self._look_at_counts(pools)
        self._looks += 1

    def _look_at_replicas(self, pools: Sequence[Pool]) -> None:
        before, self._in_flight = self._in_flight, {}
        for pool in pools:
            for id, replica in pool.replicas.items():
                now = self._in_flight[id] = len(replica.leases)
                if now != before.get(id, 0) and isinstance(replica, Replica):
                    self.on_replica(pool.entry, replica)

    def _look_at_counts(self, pools: Sequence[Pool]) -> None:
        before, self._marks = self._marks, {}
        for pool in pools:
            self._marks.setdefault(pool.entry.function, []).append(_mark(pool))
        for entry in {**before, **self._marks}:
            is_changed = before.get(entry) != self._marks.get(entry)
            if is_changed and not entry.is_deleted and self.owns(entry):
                self._publish("counts", entry, value=self._views.counts(entry).plain())


def _mark(pool: Pool) -> Mark:
    """Return what is another after any call has begun, waited or ended."""
    return pool.key, pool.accepted, pool.rejected, pool.running, pool.queued, pool.latency_sum_s
