"""Writes the status of Functions: what somebody waits for at once, the rest now and then.

A change of readiness, revision or replicas is written within 200 ms, numbers of calls at most
every 5 s per function. What is on the cluster is compared with what should be there, so a status
that somebody has edited or wiped is written anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from jupyter_faas.core.model import ReplicaState, ReplicaStatus, RevisionState
from jupyter_faas.gateway.cluster.controller import Controller
from jupyter_faas.gateway.cluster.status import conditions, is_urgent, selector
from jupyter_faas.gateway.counts import counts_of
from jupyter_faas.gateway.entries import FunctionEntry, RevisionEntry
from jupyter_faas.gateway.registry import Registry
from jupyter_faas.gateway.store import objects
from jupyter_faas.gateway.store.kubernetes import KubernetesStore
from jupyter_faas.gateway.store.sight import Key
from jupyter_faas.gateway.views import Shown
from jupyter_faas.providers.kubernetes.api import KubeError
from jupyter_faas.providers.kubernetes.objects import FunctionStatusObject

SOON_S = 0.02
"""Changes within this time are one write."""
CALM_S = 5.0
"""Between two writes of numbers."""
_AGAIN_S = 1.0
_SERVING = (ReplicaState.READY, ReplicaState.BUSY)
_log = logging.getLogger(__name__)


class StatusWriter:
    """Writes statuses.

    Args:
        store: Where to.
        registry: What is.
        controller: What could not be followed; set by `follow`.
        replicas: Returns the replicas of a revision.
        url: Returns where a function is called.
        owns: Whether a function is this gateway's.
        clock: Monotonic seconds.
        wall_clock: Seconds since the epoch.
    """

    def __init__(
        self,
        store: KubernetesStore,
        registry: Registry,
        *,
        replicas: Callable[[RevisionEntry], Sequence[Shown]],
        url: Callable[[Key], str],
        owns: Callable[[str, str], bool],
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._registry = registry
        self._replicas = replicas
        self._url = url
        self._owns = owns
        self._clock = clock
        self._wall_clock = wall_clock
        self._dirty: set[Key] = set()
        self._written_s: dict[Key, float] = {}
        self._writing: dict[Key, asyncio.Task[None]] = {}
        self._soon: asyncio.TimerHandle | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._is_closed = False
        self.controller: Controller | None = None

    def start(self) -> None:
        """Begin to look at numbers."""
        self._arm()

    async def close(self) -> None:
        """Stop, after what is being written."""
        self._is_closed = True
        for timer in (self._soon, self._tick):
            if timer is not None:
                timer.cancel()
        await asyncio.gather(*self._writing.values(), return_exceptions=True)

    def touch(self, key: Key) -> None:
        """Write a function's status soon if it is another one."""
        self._dirty.add(key)
        if self._soon is None and not self._is_closed:
            self._soon = asyncio.get_running_loop().call_later(SOON_S, self._flush)

    def status(self, key: Key) -> FunctionStatusObject | None:
        """Return what a Function's status should be; None: it has no object."""
        seen = self._store.sight.functions.get(key)
        if seen is None or seen.is_deleting or self.controller is None:
            return None
        entry = self._registry.find(*key)
        function = None if entry is None else entry.function
        revisions = {} if entry is None else {n: r.revision for n, r in entry.revisions.items()}
        shown = [] if entry is None else self._shown(entry)
        before = () if seen.status is None else seen.status.conditions
        generation = self.controller.observed(key)
        refused = self.controller.refused(key)
        return FunctionStatusObject(
            observed_generation=generation,
            latest_revision="" if function is None else f"{key[1]}-{function.latest}",
            replicas=sum(one.state in _SERVING for one in shown),
            selector=selector(key[1]),
            url=self._url(key),
            in_flight=0 if entry is None else _in_flight(entry),
            conditions=conditions(
                function,
                revisions,
                refused,
                _waiting(entry, shown),
                before,
                generation,
                self._wall_clock(),
            ),
            state=seen.state,
        )

    def _flush(self) -> None:
        self._soon = None
        dirty, self._dirty = self._dirty, set()
        for key in dirty:
            if key in self._writing:
                self._dirty.add(key)  # Looked at again when that is done.
            else:
                self._consider(key)

    def _consider(self, key: Key) -> None:
        new = self.status(key) if self._owns(*key) else None
        if new is None:
            self._written_s.pop(key, None)
            return
        old = self._store.sight.functions[key].status
        if old == new:
            return
        due_s = self._written_s.get(key, -CALM_S) + CALM_S
        if is_urgent(old, new) or self._clock() >= due_s:
            task = self._writing[key] = asyncio.create_task(self._write(key))
            task.add_done_callback(lambda _done: self._wrote(key))

    async def _write(self, key: Key) -> None:
        """Write what is, once the store has it: who sees `Ready` finds the revision ready too."""
        await self._registry.quiet(*key)
        status = self.status(key)
        if status is None:
            return
        self._written_s[key] = self._clock()
        patch = objects.plain(status)
        del patch["state"]  # The store's own.
        try:
            await self._store.patch_status(key, patch)
        except KubeError as error:
            if not error.is_missing:
                _log.warning("the status of %s/%s could not be written: %s", *key, error)
                asyncio.get_running_loop().call_later(_AGAIN_S, self.touch, key)

    def _wrote(self, key: Key) -> None:
        del self._writing[key]
        if key in self._dirty:
            self.touch(key)

    def _arm(self) -> None:
        self._tick = asyncio.get_running_loop().call_later(CALM_S, self._look)

    def _look(self) -> None:
        """Look at the numbers of functions that are in use."""
        self._arm()
        for entry in self._registry.functions():
            if any(one.pool is not None for one in entry.revisions.values()):
                self.touch((entry.namespace, entry.name))

    def _shown(self, entry: FunctionEntry) -> list[ReplicaStatus]:
        revisions = entry.revisions.values()
        return [replica.status() for one in revisions for replica in self._replicas(one)]


def _in_flight(entry: FunctionEntry) -> int:
    counts = counts_of(entry)
    return counts.in_flight + counts.queued


def _waiting(entry: FunctionEntry | None, shown: Sequence[ReplicaStatus]) -> str:
    """Return what replicas of the newest revision lack: to be ready, or what it asks for."""
    if entry is None:
        return ""
    is_pending = entry.latest.revision.state is RevisionState.PENDING
    reasons = (
        one.reason
        for one in shown
        if one.revision == entry.function.latest
        and one.reason
        and (is_pending or one.state in _SERVING)
    )
    return next(reasons, "").rstrip(".")
