"""The gateway of bench/proxy.py and watchers.py: the real one before a front that is there already.

`python -m bench.peers.gateway_stub STATE_DIR FRONT_SOCKET TOKEN [NAME…]`: deploys functions (`f`)
whose replicas are all the front given, prints the port, serves until killed.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import uvloop

from jupyter_faas.core.model import (
    Code,
    DeployRequest,
    FunctionSettings,
    Revision,
    RevisionSpec,
    Scaling,
)
from jupyter_faas.core.settings import Settings
from jupyter_faas.gateway.service import GatewayService
from jupyter_faas.gateway.store.sqlite import SqliteStore
from jupyter_faas.providers.base import (
    Inventory,
    ReplicaEvent,
    ReplicaFound,
    ReplicaGone,
    ReplicaStarted,
)

_DIGEST = "0" * 64


class OneFront:
    """A provider whose every replica is the same front."""

    name = "bench"
    reason_s = 0.05
    is_shared = False

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._events: asyncio.Queue[ReplicaEvent | None] = asyncio.Queue()

    async def open(self) -> None:
        """Nothing to get ready."""

    async def start(
        self, revision: Revision, replica_ids: Sequence[str], *, made_to_measure: bool = False
    ) -> None:
        """Every replica is the one front."""
        for replica in replica_ids:
            self._events.put_nowait(ReplicaStarted(replica=replica, address=f"unix:{self._socket}"))

    async def stop(self, replica_id: str, *, grace_s: float = 0.0) -> None:
        """It is gone; the front is not."""
        self._events.put_nowait(ReplicaGone(replica=replica_id, reason="stopped"))

    def check(self, spec: RevisionSpec) -> None:
        """Anything goes."""

    async def known(self, namespace: str, function: str) -> list[ReplicaFound]:
        """Nobody else makes replicas."""
        return []

    def adopted(self, revision: Revision, replica_id: str) -> None:
        """Never called."""

    async def secrets(self, namespace: str, names: Sequence[str]) -> dict[str, str]:
        """There are none."""
        return {}

    async def watch(self) -> AsyncIterator[ReplicaEvent]:
        """What happens."""
        while (event := await self._events.get()) is not None:
            yield event

    async def inventory(self, revision_python: str, interpreter: str | None) -> Inventory:
        """Whatever is asked."""
        return Inventory(python=revision_python)

    async def close(self) -> None:
        """End the events."""
        self._events.put_nowait(None)


async def _deploy(service: GatewayService, name: str) -> None:
    code = Code(digest=_DIGEST, size_bytes=1, entry=name, python="3.11")
    await service.registry.deploy(
        "default",
        name,
        DeployRequest(
            id=_DIGEST,
            revision=RevisionSpec(code=code, max_inputs=1000),
            settings=FunctionSettings(scaling=Scaling(max_containers=1)),
        ),
    )
    entry = service.registry.get("default", name).latest
    await service.registry.settled(entry, 10.0)


async def main(state_dir: str, socket: str, token: str, *names: str) -> None:
    """Serve until killed."""
    import time

    settings = Settings(state_dir=state_dir, gateway_token=token)
    store = SqliteStore(Path(state_dir) / "faas.db", time.time)
    service = GatewayService(settings, OneFront(socket), store)
    await service.start()
    for name in names or ("f",):
        await _deploy(service, name)
    print(service.listeners.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
