"""Kubernetes Events of Functions: what `kubectl describe fn` tells of their past.

The same thing said again within some minutes is one Event with a count, as Kubernetes' own parts
do it. An Event that cannot be written is lost: nothing depends on one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from jupyter_faas.core.ids import random_id
from jupyter_faas.core.model import ReplicaState, RevisionState
from jupyter_faas.gateway.autoscaler import Scaled
from jupyter_faas.gateway.catalogue import RegistryChange
from jupyter_faas.gateway.cluster.status import failure_reason, shown, timestamp
from jupyter_faas.gateway.entries import FunctionEntry
from jupyter_faas.gateway.replica import Replica
from jupyter_faas.gateway.store.sight import Key, Sight
from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, Object, path_of
from jupyter_faas.providers.kubernetes.names import API_VERSION, MANAGER

AGGREGATED_S = 600.0
"""The same reason and type within this time is the same Event."""
PACE_S = 1.0
"""Between two writes of one Event; what is said meanwhile is counted."""
LATER_S = 0.3
"""Before the first write: what an Event tells of is at work now, and the API server with it (an
Event written while a pod was claimed made the claim 5 to 10 ms longer)."""
_MOST_SERIES = 4096
_log = logging.getLogger(__name__)

Series = tuple[Key, str, str]


class _Said:
    """One Event object as it is on the cluster, or will be."""

    __slots__ = ("count", "first", "is_there", "message", "name", "written_s")

    def __init__(self, name: str, first: float) -> None:
        self.name = name
        self.first = first
        self.count = 0
        self.message = ""
        self.is_there = False
        self.written_s = float("-inf")


class KubernetesEvents:
    """Tells what happens to Functions.

    Args:
        api: Where to.
        sight: Knows the objects' uids.
        owns: Whether a function is this gateway's.
        clock: Monotonic seconds.
        wall_clock: Seconds since the epoch.
    """

    def __init__(
        self,
        api: KubeApi,
        sight: Sight,
        owns: Callable[[str, str], bool],
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._api = api
        self._sight = sight
        self._owns = owns
        self._clock = clock
        self._wall_clock = wall_clock
        self._series: dict[Series, _Said] = {}
        self._writing: dict[Series, asyncio.Task[None]] = {}
        self._live: dict[Key, int] = {}
        self._lacking: dict[str, str] = {}
        """By replica: what was last told of it."""
        self._is_closed = False

    async def close(self) -> None:
        """Say nothing more."""
        self._is_closed = True
        for task in self._writing.values():
            task.cancel()
        await asyncio.gather(*self._writing.values(), return_exceptions=True)

    def on_change(self, change: RegistryChange) -> None:
        """Tell of a change of the registry; its subscriber."""
        entry, revision = change.function, change.revision
        key = (entry.namespace, entry.name)
        if change.kind == "deployed" and revision is not None:
            self.say(key, "Normal", "Deployed", f"Revision {revision.number} is starting.")
        elif change.kind == "failed" and revision is not None:
            failed = revision.revision
            text = f"Revision {failed.number} failed: {failed.reason}"
            self.say(key, "Warning", failure_reason(failed.problem), text)
        elif change.kind == "live":
            self._on_live(key, entry)
        elif change.kind == "deleted":
            self._live.pop(key, None)
            for series in [one for one in self._series if one[0] == key]:
                del self._series[series]

    def on_scaled(self, scaled: Scaled) -> None:
        """Tell of a decision of the autoscaler, in its own sentence."""
        entry = scaled.entry.function
        text = f"Revision {scaled.entry.number}: {scaled.reason}"
        self.say((entry.namespace, entry.name), "Normal", "Scaled", text)

    def on_replica(self, replica: Replica) -> None:
        """Tell of a replica that serves with less than was asked for."""
        if replica.state is ReplicaState.READY and replica.reason:
            if self._lacking.get(replica.id) != replica.reason:
                self._lacking[replica.id] = replica.reason
                entry = replica.entry.function
                text = f"Replica {replica.id}: {replica.reason}"
                self.say((entry.namespace, entry.name), "Warning", "ResizeRefused", text)
        else:
            self._lacking.pop(replica.id, None)

    def say(self, key: Key, type: str, reason: str, message: str) -> None:
        """Tell something of a function; if it was told before, count it."""
        if self._is_closed or key not in self._sight.functions or not self._owns(*key):
            return
        series = (key, type, reason)
        now = self._wall_clock()
        said = self._series.get(series)
        if said is None or now - said.first > AGGREGATED_S:
            said = self._series[series] = _Said(f"{key[1]}.{random_id('e')}", now)
            while len(self._series) > _MOST_SERIES:
                del self._series[next(iter(self._series))]
        said.count += 1
        said.message = shown(message)
        if series not in self._writing:
            task = self._writing[series] = asyncio.create_task(self._write(series, said))
            task.add_done_callback(lambda _done: self._writing.pop(series, None))

    def _on_live(self, key: Key, entry: FunctionEntry) -> None:
        latest = entry.function.latest
        before, self._live[key] = self._live.get(key), latest
        if entry.latest.revision.state is not RevisionState.READY or before == latest:
            return
        if before is not None and latest < before:
            self.say(key, "Normal", "RolledBack", f"Revision {before} → {latest}.")
        else:
            self.say(key, "Normal", "Ready", f"Revision {latest} is ready.")

    async def _write(self, series: Series, said: _Said) -> None:
        """Write an Event until it says what is to be said, at its pace."""
        written = 0
        while written != said.count:
            await asyncio.sleep(max(LATER_S, said.written_s + PACE_S - self._clock()))
            written = said.count
            said.written_s = self._clock()
            try:
                await self._put(series, said)
            except KubeError as error:
                _log.warning("an Event of %s/%s is lost: %s", *series[0], error)
                said.is_there = False
                return

    async def _put(self, series: Series, said: _Said) -> None:
        key, type, reason = series
        now = timestamp(self._wall_clock())
        changing: Object = {"count": said.count, "lastTimestamp": now, "message": said.message}
        if said.is_there:
            await self._api.patch(path_of("events", key[0], said.name), changing)
            return
        seen = self._sight.functions.get(key)
        if seen is None:
            return
        body = _body(key, seen.uid, type, reason, said) | changing
        await self._api.create(path_of("events", key[0]), body)
        said.is_there = True


def _body(key: Key, uid: str, type: str, reason: str, said: _Said) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": said.name, "namespace": key[0]},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": "Function",
            "name": key[1],
            "namespace": key[0],
            "uid": uid,
        },
        "type": type,
        "reason": reason,
        "firstTimestamp": timestamp(said.first),
        "source": {"component": MANAGER},
        "reportingComponent": MANAGER,
        "reportingInstance": MANAGER,
    }
