"""Turns what happens in the gateway into events that people and widgets can read.

Subscribed to the registry, the autoscaler, the fleet and metering by the composition root. Counts
are looked at every 250 ms, and only while somebody reads. Thousands of events are kept, so they
hold what a view is made from, and the view is made when one is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from jupyter_faas.gateway.autoscaler import Scaled
from jupyter_faas.gateway.counts import Counts, counts_of
from jupyter_faas.gateway.entries import FunctionEntry, RevisionEntry
from jupyter_faas.gateway.events import EventLog
from jupyter_faas.gateway.registry import Registry, RegistryChange
from jupyter_faas.gateway.store.rows import InvocationRow, record_of
from jupyter_faas.gateway.views import Shown, Views

COUNTS_S = 0.25


class Announcer:
    """Publishes events of one gateway.

    Args:
        events: Where to.
        registry: Functions whose counts are looked at.
        views: How things are shown.
    """

    def __init__(self, events: EventLog, registry: Registry, views: Views) -> None:
        self._events = events
        self._registry = registry
        self._views = views
        self._shown: dict[FunctionEntry, Counts] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.owns: Callable[[FunctionEntry], bool] = lambda _entry: True
        """Whether this gateway tells of a function; of the rest their owners do."""

    def start(self) -> None:
        """Begin to look at counts."""
        self._timer = asyncio.get_running_loop().call_later(COUNTS_S, self._tick)

    def close(self) -> None:
        """Stop that."""
        if self._timer is not None:
            self._timer.cancel()

    def on_change(self, change: RegistryChange) -> None:
        """Publish a change of the registry; its subscriber."""
        entry = change.function
        if not self.owns(entry):
            self._shown.pop(entry, None)
            return
        if change.kind == "deleted":
            self._shown.pop(entry, None)
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
        self._publish("replica", entry.function, status.id, status)

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
        value = {
            "number": entry.number,
            "state": "removed" if entry.is_removed else entry.revision.state.value,
            "reason": entry.revision.reason,
        }
        self._publish("revision", entry.function, str(entry.number), value)

    def _publish(self, kind: str, entry: FunctionEntry, id: str = "", value: Any = None) -> None:
        self._events.publish(
            kind, namespace=entry.namespace, function=entry.name, id=id, value=value or {}
        )

    def _tick(self) -> None:
        self.start()
        if not self._events.has_readers:
            return
        for entry in self._registry.functions():
            if not self.owns(entry):
                continue
            counts = counts_of(entry)
            if counts != self._shown.get(entry, Counts()):
                self._shown[entry] = counts
                self._publish("counts", entry, value=counts.plain())
