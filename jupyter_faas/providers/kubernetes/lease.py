"""The Lease that makes one gateway the leader, for chores of the whole cluster.

`core/leadership.py` decides, this reads and writes. Functions need no leader: each has its owner.
With the API server away nobody leads, and nothing is done that only a leader does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from jupyter_faas.core.leadership import (
    DURATION_S,
    RENEW_S,
    Record,
    Sight,
    Step,
    leads,
    look,
    step,
    written,
)
from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, Object, path_of
from jupyter_faas.providers.kubernetes.names import LEADER_LEASE

_GROUP = "coordination.k8s.io/v1"
_log = logging.getLogger(__name__)


class Leader:
    """One gateway's wish to lead.

    Args:
        api: Of the cluster.
        namespace: Where the Lease is.
        own: Who this is, e.g. the pod's name with something of its own start.
        clock: Monotonic seconds.
        wall_clock: Seconds since the epoch, for people who read the Lease.
        name: Of the Lease.
    """

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        own: str,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        name: str = LEADER_LEASE,
    ) -> None:
        self._api = api
        self._own = own
        self._clock = clock
        self._wall_clock = wall_clock
        self._namespace = namespace
        self._name = name
        self._collection = path_of("leases", namespace, group=_GROUP)
        self._path = f"{self._collection}/{name}"
        self._sight: Sight | None = None
        self._object: Object | None = None
        self._renewed_s: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._was_leader = False

    @property
    def is_leader(self) -> bool:
        """Whether this gateway leads now."""
        return leads(self._renewed_s, self._clock())

    def start(self) -> None:
        """Begin to ask for it."""
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def close(self) -> None:
        """Ask no more; a lease that is held is released, so that the next one has it at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.is_leader:
            self._renewed_s = None
            with suppress(KubeError):
                await self._release()

    async def look_once(self) -> Step:
        """Read the lease and do what is to be done about it now; return what that was.

        Who holds it writes it without reading: its version is checked.

        Raises:
            KubeError: The API server refuses or is away.
        """
        if not self.is_leader:
            self._object = await self._api.find(self._path)
        now_s = self._clock()
        if self._object is None:
            self._sight = None
        else:
            self._sight = look(self._sight, _record_of(self._object), now_s)
        chosen = step(self._own, self._sight, now_s)
        if chosen is Step.WAIT:
            self._renewed_s = None
            return chosen
        before = None if self._sight is None else self._sight.record
        record = written(self._own, before, _time_text(self._wall_clock()))
        try:
            await self._write(record)
        except KubeError as error:
            if not (error.is_conflict or error.is_missing):
                raise
            self._renewed_s = None  # somebody was faster, or has deleted it
            return Step.WAIT
        # From before the write: whoever sees it, sees it later.
        self._renewed_s = now_s
        return chosen

    async def _follow(self) -> None:
        while True:
            try:
                async with asyncio.timeout(RENEW_S * 2):
                    await self.look_once()
            except (KubeError, TimeoutError) as error:
                _log.warning("the leader's lease cannot be looked at: %s", error)
            except Exception:
                # What somebody else has written there must not end the looking.
                _log.exception("the leader's lease cannot be understood")
            if self.is_leader != self._was_leader:
                self._was_leader = self.is_leader
                _log.info("this gateway %s", "leads" if self._was_leader else "does not lead")
            await asyncio.sleep(RENEW_S)

    async def _write(self, record: Record) -> None:
        spec: dict[str, Any] = {
            "holderIdentity": record.holder,
            "leaseDurationSeconds": int(record.duration_s),
            "leaseTransitions": record.transitions,
            "renewTime": record.renewed,
        }
        metadata: dict[str, Any] = {"name": self._name, "namespace": self._namespace}
        if self._object is None:
            body = _lease(metadata, {**spec, "acquireTime": record.renewed})
            stored = await self._api.create(self._collection, body)
        else:
            # Replaced with its version checked: of two that take it at once one has a conflict.
            metadata["resourceVersion"] = self._object["metadata"]["resourceVersion"]
            old = self._object.get("spec") or {}
            is_same = old.get("holderIdentity") == record.holder
            spec["acquireTime"] = old.get("acquireTime") if is_same else record.renewed
            stored = await self._api.replace(self._path, _lease(metadata, spec))
        self._object = stored
        self._sight = look(self._sight, _record_of(stored), self._clock())

    async def _release(self) -> None:
        async with asyncio.timeout(RENEW_S * 2):
            held = self._sight.record if self._sight is not None else Record()
            await self._write(held._replace(holder="", duration_s=1.0))


def _lease(metadata: Object, spec: Object) -> Object:
    return {"apiVersion": _GROUP, "kind": "Lease", "metadata": metadata, "spec": spec}


def _record_of(lease: Object) -> Record:
    spec = lease.get("spec") or {}
    return Record(
        holder=str(spec.get("holderIdentity") or ""),
        renewed=str(spec.get("renewTime") or ""),
        duration_s=float(spec.get("leaseDurationSeconds") or DURATION_S),
        transitions=int(spec.get("leaseTransitions") or 0),
    )


def _time_text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
