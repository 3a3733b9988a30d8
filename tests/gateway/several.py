"""Several gateways in one process, each with a listener of its own, over one store in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from jupyter_faas.core.model import Function, InvocationRecord, Revision
from jupyter_faas.core.ownership import Member
from jupyter_faas.core.settings import Settings
from jupyter_faas.gateway.membership import Cohort, FixedMembership
from jupyter_faas.gateway.service import GatewayService
from jupyter_faas.gateway.store.base import NO_PASTS, NO_TALLIES, Change, Contents, Pasts
from jupyter_faas.gateway.store.rows import InvocationRow, record_of
from jupyter_faas.gateway.tallies import Counted, Tallied
from jupyter_faas.providers.base import ReplicaFound
from tests.gateway.cluster import KEYS
from tests.gateway.conftest import TOKEN, Bench
from tests.gateway.fake_front import FakeFront, FakeProvider, kill_server
from tests.support import free_ports

PEER_TOKEN = "what gateways show one another"

Key = tuple[str, str]


class Shelf:
    """What all gateways' stores share; tells each of what the others write."""

    def __init__(self) -> None:
        self.functions: dict[Key, Function] = {}
        self.revisions: dict[Key, dict[int, Revision]] = {}
        self.stores: list[ShelfStore] = []
        self.tasks: set[asyncio.Task[None]] = set()

    def changed(self, key: Key, by: ShelfStore) -> None:
        for store in self.stores:
            if store is not by and store.service is not None:
                task = asyncio.get_running_loop().create_task(self._tell(store, key))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)

    async def _tell(self, store: ShelfStore, key: Key) -> None:
        registry = store.service.registry
        if key in self.functions:
            await registry.take(self.functions[key], list(self.revisions[key].values()))
        else:
            await registry.forget(*key)


class ShelfStore:
    """One gateway's door to the shelf."""

    kept = None

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.service: Any = None
        self.records: list[InvocationRecord] = []
        shelf.stores.append(self)

    async def open(self) -> None:
        pass

    async def load(self) -> Contents:
        revisions = [one for each in self.shelf.revisions.values() for one in each.values()]
        return Contents(list(self.shelf.functions.values()), revisions)

    async def save(self, change: Change) -> None:
        key = (change.namespace, change.name)
        if change.function is not None:
            self.shelf.functions[key] = change.function
        kept = self.shelf.revisions.setdefault(key, {})
        kept.update({one.number: one for one in change.revisions})
        for number in change.removed:
            kept.pop(number, None)
        self.shelf.changed(key, self)

    async def delete(self, namespace: str, name: str) -> None:
        self.shelf.functions.pop((namespace, name), None)
        self.shelf.revisions.pop((namespace, name), None)
        self.shelf.changed((namespace, name), self)

    async def tallies(self) -> dict[str, Counted]:
        return {}

    def add_invocations(
        self,
        rows: Sequence[InvocationRow],
        pasts: Pasts = NO_PASTS,
        tallied: Tallied = NO_TALLIES,
    ) -> None:
        self.records.extend(map(record_of, rows))

    async def invocation(self, invocation_id: str) -> InvocationRecord | None:
        return next((one for one in reversed(self.records) if one.id == invocation_id), None)

    async def invocations(
        self, namespace: str, name: str | None = None, limit: int = 100
    ) -> list[InvocationRecord]:
        found = [one for one in self.records if name in (None, one.function)]
        return found[::-1][:limit]

    async def get_meta(self, key: str) -> str | None:
        return None

    async def set_meta(self, key: str, value: str) -> None:
        pass

    async def close(self) -> None:
        pass


class World:
    """Replicas that no gateway owns: what a cluster is to its gateways."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.fronts: dict[str, FakeFront] = {}
        self.found: dict[str, ReplicaFound] = {}
        self.started = 0
        self.stopped: list[str] = []
        self.prepare: Callable[[FakeFront], None] = lambda front: None
        self.providers: list[WorldProvider] = []


class WorldProvider(FakeProvider):
    """One gateway's door to them."""

    is_shared = True

    def __init__(self, world: World) -> None:
        self.world = world
        self.held_back: list[ReplicaFound] = []
        super().__init__(world.directory)
        world.providers.append(self)
        self.fronts = world.fronts

    @property
    def prepare(self) -> Callable[[FakeFront], None]:
        return self.world.prepare

    @prepare.setter
    def prepare(self, _own: Callable[[FakeFront], None]) -> None:
        pass  # all gateways' replicas are prepared alike

    async def start(
        self, revision: Revision, replica_ids: Sequence[str], *, made_to_measure: bool = False
    ) -> None:
        self.world.started += len(replica_ids)
        await super().start(revision, replica_ids, made_to_measure=made_to_measure)
        found = [
            ReplicaFound(
                replica=id,
                namespace=revision.namespace,
                function=revision.function,
                revision_id=revision.id,
                address=f"unix:{self.fronts[id].socket}",
            )
            for id in replica_ids
        ]
        if self.is_held:
            self.held_back += found
        else:
            self._tell(found)

    async def release(self) -> None:
        await super().release()
        held, self.held_back = self.held_back, []
        self._tell(held)

    def _tell(self, found: list[ReplicaFound]) -> None:
        """Every other gateway sees what there is now."""
        for one in found:
            self.world.found[one.replica] = one
            for provider in self.world.providers:
                if provider is not self:
                    provider._events.put_nowait(one)

    async def stop(self, replica_id: str, *, grace_s: float = 0.0) -> None:
        self.world.stopped.append(replica_id)
        self.world.found.pop(replica_id, None)
        await super().stop(replica_id, grace_s=grace_s)

    async def known(self, namespace: str, function: str) -> list[ReplicaFound]:
        there = self.world.found.values()
        return [one for one in there if (one.namespace, one.function) == (namespace, function)]

    async def close(self) -> None:
        self._events.put_nowait(None)


class Group:
    """Gateways that know one another; with a `world` their replicas outlive them."""

    def __init__(self, directory: Path, settings: Settings, world: World | None = None) -> None:
        self.world = world
        self.directory = directory
        self.settings = settings
        self.shelf = Shelf()
        self.membership = FixedMembership()
        self.benches: dict[str, Bench] = {}

    async def add(self, id: str) -> Bench:
        """Start one more gateway."""
        place = self.directory / id
        place.mkdir()
        settings = msgspec.structs.replace(self.settings, state_dir=str(place))
        provider = FakeProvider(place) if self.world is None else WorldProvider(self.world)
        store = ShelfStore(self.shelf)
        (port,) = free_ports(1)
        member = Member(id, f"127.0.0.1:{port}")
        settings = msgspec.structs.replace(settings, port=port)
        cohort = Cohort(member, self.membership, PEER_TOKEN)
        service = store.service = GatewayService(
            settings, provider, store, peers=cohort, keys=KEYS if self.world else None
        )
        self.membership.become((*self.members, member))
        self.members = (*self.members, member)
        await service.start()
        self.benches[id] = Bench(service, provider)
        return self.benches[id]

    members: tuple[Member, ...] = ()

    def peers(self, id: str) -> Any:
        return self.benches[id].service.several.peers

    async def settled(self, *ids: str) -> None:
        """Wait until all of these see exactly one another."""
        wanted = set(ids or self.benches)
        for _ in range(10_000):
            seen = [
                {id, *(peer.id for peer in self.peers(id)._peers.values() if peer.serves)}
                for id in wanted
            ]
            if all(one == wanted for one in seen):
                return
            await asyncio.sleep(0.002)
        raise AssertionError(f"{seen}, not {wanted}")

    def name_of(self, id: str, first: int = 0) -> str:
        """Return a function's name that belongs to a gateway."""
        owners = self.peers(next(iter(self.benches))).owners
        return next(
            f"f{n}"
            for n in range(first, 1000)
            if (owners.members.owner(("default", f"f{n}"))) == id
        )

    async def kill(self, id: str) -> None:
        """End a gateway as kill -9 does: its sockets are closed by the kernel, it says nothing."""
        bench = self.benches.pop(id)
        service = bench.service
        service.several.peers.leave = lambda: None
        for server in service.listeners.servers:
            kill_server(server, service.listeners.connections)
        service.autoscaler.close()
        await service.several.close()
        bench.upstream.close()
        service.calls.close()
        service.announcer.close()
        service.activator.close()
        await service.fleet.close()
        for task in service._tasks:
            task.cancel()
        await asyncio.gather(*service._tasks, return_exceptions=True)
        await service.housekeeper.close()
        if self.world is None:
            for front in list(bench.provider.fronts.values()):
                front.die()

    async def stop(self, id: str) -> None:
        bench = self.benches.pop(id)
        await bench.service.stop()
        bench.upstream.close()


@asynccontextmanager
async def group(*ids: str, is_shared: bool = False, **changes: Any) -> AsyncIterator[Group]:
    settings = Settings(
        gateway_token=TOKEN,
        max_body_bytes=256 << 20,
        stop_grace_s=0.2,
        leave_quiet_s=0.0,
        leave_grace_s=5.0,
    )
    settings = msgspec.structs.replace(settings, **changes)
    with TemporaryDirectory(prefix="faas-", dir="/tmp") as directory:
        world = World(Path(directory)) if is_shared else None
        made = Group(Path(directory), settings, world)
        try:
            for id in ids:
                await made.add(id)
            await made.settled()
            yield made
        finally:
            for id in list(made.benches):
                await made.stop(id)
            for front in () if world is None else world.fronts.values():
                front.die()
