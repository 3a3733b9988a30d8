"""One gateway, put together: parts, listeners, and the order in which they start and end.

Made by the composition roots (CLI, tests). What answers calls is up first; the control API, which
imports a web framework, is loaded right after the listeners are there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_faas.core.errors import FunctionNotFound, ProviderError, RevisionNotFound
from jupyter_faas.core.ids import InvocationIds, random_prefix
from jupyter_faas.core.mapping import MapPrint
from jupyter_faas.core.model import ReplicaState
from jupyter_faas.core.settings import Settings, StatePaths
from jupyter_faas.core.slots import WaitingRoom
from jupyter_faas.core.specialisation import CallEnd, Specialisation
from jupyter_faas.gateway.accounts import Accounts
from jupyter_faas.gateway.activator import Activator
from jupyter_faas.gateway.announce import Announcer
from jupyter_faas.gateway.auth import Authority, Judge
from jupyter_faas.gateway.autoscaler import Autoscaler, Scaled, Windows
from jupyter_faas.gateway.blobs import Blobs
from jupyter_faas.gateway.calls import Calls
from jupyter_faas.gateway.catalogue import RegistryChange
from jupyter_faas.gateway.counts import counts_of
from jupyter_faas.gateway.endings import failure_of
from jupyter_faas.gateway.entries import FunctionEntry, RevisionEntry
from jupyter_faas.gateway.events import EventLog
from jupyter_faas.gateway.fleet import Fleet
from jupyter_faas.gateway.fleet_ports import FleetSettings
from jupyter_faas.gateway.http import Door
from jupyter_faas.gateway.idle import Use
from jupyter_faas.gateway.kept.calls import KeptCalls
from jupyter_faas.gateway.listeners import Listeners
from jupyter_faas.gateway.logs import Logs
from jupyter_faas.gateway.map_news import MapNews
from jupyter_faas.gateway.maps import Maps
from jupyter_faas.gateway.metrics import Metrics
from jupyter_faas.gateway.pulse import Pulse
from jupyter_faas.gateway.registry import Registry
from jupyter_faas.gateway.replica import Replica
from jupyter_faas.gateway.retention import Housekeeper
from jupyter_faas.gateway.several import Cohort, Several
from jupyter_faas.gateway.specialise import Surroundings, told_of
from jupyter_faas.gateway.views import Views
from jupyter_faas.providers.base import Provider
from jupyter_faas.wire.kept import MOST_BYTES

if TYPE_CHECKING:
    from jupyter_faas.gateway.keys import Keys
    from jupyter_faas.gateway.store.base import Store
    from jupyter_faas.gateway.store.kept_base import KeptStore
    from jupyter_faas.wire.asgi import AsgiBridge

_SETTLE_S = 0.02
_log = logging.getLogger(__name__)


class Part(Protocol):
    """Something that only some gateways have: the controller on a cluster."""

    async def start(self) -> None:
        """Begin; everything is loaded and the gateway listens."""

    async def close(self) -> None:
        """Stop, while everything else is still there."""

    def on_replica(self, replica: Replica) -> None:
        """State or reason of a replica is another one."""

    def on_scaled(self, scaled: Scaled) -> None:
        """The autoscaler has decided something."""


class GatewayService:
    """A whole gateway in this process's event loop.

    Args:
        settings: `state_dir` and `gateway_token` are set.
        provider: Not opened yet.
        store: Not opened yet.
        clock: Monotonic seconds.
        wall_clock: Seconds since the epoch, for people.
        authority: Judges tokens; None: `gateway_token` opens everything.
        keys: Of a cluster's gateways; None: replicas are on this machine.
        blobs: Where packages are, if replicas cannot read the files of this machine.
        peers: How it serves with other gateways; None: it is alone.
    """

    def __init__(  # noqa: PLR0913 — what a composition root chooses
        self,
        settings: Settings,
        provider: Provider,
        store: Store,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        *,
        authority: Judge | None = None,
        keys: Keys | None = None,
        blobs: Blobs | None = None,
        peers: Cohort | None = None,
    ) -> None:
        self.settings = settings
        self.provider = provider
        self.store = store
        self.clock = clock
        self.wall_clock = wall_clock
        self.paths = StatePaths(settings.state_dir)
        self.authority: Judge = authority or Authority(settings.gateway_token)
        self.keys = keys
        self.blobs = blobs or Blobs(self.paths.blobs, settings.max_body_bytes)
        self._is_disk_shared = blobs is None
        self._make_data_plane()
        self._make_control_plane()
        self.several = None if peers is None else Several(self, peers)
        self.listeners = Listeners(
            self.door, settings.host, settings.port, settings.calls_port, self.paths.socket
        )
        self._tasks: list[asyncio.Task[Any]] = []
        self._control: AsgiBridge | None = None
        self._changes = 0
        self._parts: list[Part] = []
        self.started_at = wall_clock()

    def _make_data_plane(self) -> None:
        settings = self.settings
        self.registry = Registry(
            self.store, self.wall_clock, newest_kept=settings.revision_retention
        )
        room = WaitingRoom(settings.queue_limit, settings.queue_limit_per_function)
        self.activator = Activator(room, self.clock, self._poke)
        self.ids = InvocationIds(random_prefix())
        self.accounts = Accounts(self.store, self.registry, self.clock)
        self.metering = self.accounts.metering
        self.calls = Calls(
            self.registry,
            self.activator,
            self.authority,
            self.metering,
            self.ids,
            max_body_bytes=settings.max_body_bytes,
            clock=self.clock,
            wall_clock=self.wall_clock,
        )
        kept = self.store.kept
        self.kept = None if kept is None else self._kept_calls(kept)

    def _kept_calls(self, store: KeptStore) -> KeptCalls:
        most = self.settings.max_body_bytes
        most = min(most, MOST_BYTES) if store.is_shared else most
        return KeptCalls(
            store,
            self.calls,
            self.registry,
            kept_s=self.settings.kept_answer_s,
            max_body_bytes=most,
            max_answer_bytes=most,
            wall_clock=self.wall_clock,
        )

    def _make_control_plane(self) -> None:
        settings = self.settings
        self.events = EventLog(self.wall_clock, settings.event_retention)
        self.logs = Logs(self.wall_clock, settings.log_ring_bytes)
        self.fleet = Fleet(
            self.provider,
            self.activator,
            self.registry,
            _Observer(self),
            surroundings=Surroundings("", self.authority.call_token, settings.cancel_grace_s),
            settings=FleetSettings(
                self._package_path,
                self.blobs.view,
                settings.stop_grace_s,
                settings.drain_grace_s,
            ),
            clock=self.clock,
            wall_clock=self.wall_clock,
            keys=self.keys,
        )
        self.pulse = Pulse(self.fleet.suspect)
        self.autoscaler: Autoscaler[Replica] = Autoscaler(
            self.fleet,
            self.activator,
            max_replicas=settings.max_replicas,
            clock=self.clock,
            wall_clock=self.wall_clock,
            publish=self._publish_scaled,
            windows=Windows(settings.stable_window_s, settings.panic_window_s),
        )
        self.views = Views(
            self.fleet.replicas,
            self.autoscaler.last,
            lambda: settings.url or self.url,
            lambda entry: counts_of(entry, self.metering.used(entry.namespace, entry.name)),
        )
        self.announcer = Announcer(self.events, self.activator.pools, self.views)
        self.housekeeper = Housekeeper(self.blobs, self.registry, self.wall_clock)
        self.metrics = Metrics(
            self.activator,
            self.fleet,
            self.calls,
            self.metering,
            self.clock,
            lambda: None if self.several is None else self.several.forwarder,
        )
        self.maps = Maps(
            self.registry, settings.namespace, is_namespaced=self.authority.is_namespaced
        )
        self.door = Door(
            self.calls,
            self.authority,
            registry=self.registry,
            namespace=settings.namespace,
            domain=settings.domain,
            namespaces=settings.namespaces if self.provider.name == "kubernetes" else (),
            metrics=self.metrics.page,
        )
        self.door.maps = self.maps
        self.map_news = MapNews(self.maps, self.events, self.accounts.add_maps, self._hear_from_ray)

    def _hear_from_ray(self, piece: MapPrint) -> None:
        """An item of a map has printed where there is no replica of this gateway."""
        function = self.registry.find(piece.namespace, piece.function)
        entry = None if function is None else function.revisions.get(piece.revision)
        if entry is not None:
            self.logs.append("ray", entry, piece.stream, piece.map, piece.text)

    def attach(self, part: Part) -> None:
        """Add a part that starts and ends with this gateway and hears of replicas."""
        self._parts.append(part)

    @property
    def url(self) -> str:
        """Where plain HTTP goes, without a trailing slash."""
        return self.listeners.url

    @property
    def calls_url(self) -> str:
        """Where replicas send their calls."""
        return self.settings.calls_url or self.listeners.calls_url

    def _package_path(self, digest: str) -> str | None:
        return str(self.blobs.path(digest)) if self._is_disk_shared else None

    def told_elsewhere(self, entry: RevisionEntry) -> Specialisation:
        """Return what a replica is told that others than the fleet start on this machine."""
        path = str(self.blobs.path(entry.revision.spec.code.digest))
        return told_of(entry.revision, "", "", path, self.fleet.letters.surroundings)

    async def fetch_for_maps(self, entry: RevisionEntry) -> None:
        """Have the package of a revision where `told_elsewhere` says; unless nobody has it."""
        digest = entry.revision.spec.code.digest
        if self.blobs.size_bytes(digest) is None:
            with suppress(ProviderError):
                await self.blobs.fetch(digest)

    def owns(self, entry: FunctionEntry) -> bool:
        """Return whether a function belongs to this gateway, not to one of the others."""
        return self.several is None or self.several.owns(entry)

    def owns_name(self, namespace: str, name: str) -> bool:
        """Return whether a function of this name is, or would be, this gateway's."""
        return self.several is None or self.several.peers.owns((namespace, name))

    async def fetch_package(self, digest: str) -> None:
        """Have a package here that was uploaded to another gateway, if there is one."""
        if self.several is not None:
            await self.several.blobs.fetch(digest)

    def use(self) -> Use:
        """Return what is seen of this gateway's use now; see `idle.py`."""
        has_floor = any(
            entry.function.settings.scaling.min_containers for entry in self.registry.functions()
        )
        ledger = self.metrics.ledger()
        has_kept = self.kept is not None and self.kept.is_busy
        is_busy = bool(self.calls.active) or has_kept or has_floor or self.maps.is_busy
        return Use(is_busy, ledger["accepted"] + self._changes + self.maps.begun)

    async def start(self) -> None:
        """Bring back what the store knows, and listen.

        Raises:
            OSError: An address is taken.
            ProviderError: The store or the provider cannot be used.
        """
        await asyncio.gather(self._load(), self.provider.open())
        self._wire()
        await self.listeners.open()
        letters = self.fleet.letters
        letters.surroundings = letters.surroundings._replace(gateway_url=self.calls_url)
        if self.several is None:
            await asyncio.gather(*map(self.fleet.restore, self.registry.functions()))
        self._tasks.append(asyncio.create_task(self.fleet.follow()))
        self.calls.start()
        self.announcer.start()
        self.map_news.start()
        self.housekeeper.start()
        if self.several is None:
            self._wake_all()
        else:
            await self.several.start()
        for part in self._parts:
            await part.start()
        if self.kept is not None:
            await self.kept.start()
            self.door.kept = self.kept
        self.door.load_control = self._load_control
        self.door.is_ready = True
        if self.several is not None:
            self.several.open()
        asyncio.get_running_loop().call_later(_SETTLE_S, self._load_control)

    async def stop(self) -> None:
        """Take nothing new, let short calls end, and leave nothing behind."""
        self.door.is_ready = False
        await self._leave()
        self.listeners.close()
        for part in self._parts:
            await part.close()
        await self.map_news.close()
        await self.maps.close()
        self.autoscaler.close()
        await self._wait_for_calls()
        if self.kept is not None:
            await self.kept.close()
        self.calls.close()
        self.pulse.close()
        self.announcer.close()
        await self.housekeeper.close()
        if self._control is not None:
            await self._control.stop()
        if self.several is not None:
            await self.several.close()
        self.activator.close()
        await self.authority.close()
        await self.fleet.close()
        await self.provider.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.metering.flush()
        await self.registry.close()
        await self.store.close()
        self.listeners.retire()

    async def _load(self) -> None:
        await self.store.open()
        await self.registry.load()
        await self.accounts.load()

    def _wire(self) -> None:
        """Tell the parts of one another what they could not know when they were made."""
        self.calls.suspect = self.fleet.suspect
        self.calls.reason_s = self.provider.reason_s + 0.05
        self.calls.watch_over = self.pulse.watch_over
        self.calls.can_grow = lambda pool: self.autoscaler.can_grow(pool.entry)
        self.metering.subscribe(self.announcer.on_records)
        self.accounts.on_used = self.announcer.on_used
        self.registry.subscribe(self._on_change)
        self.registry.subscribe(self.announcer.on_change)
        self.registry.subscribe(self.autoscaler.on_change)

    async def _leave(self) -> None:
        """Where there are other gateways: give them everything before this one ends."""
        if self.several is None:
            return
        self.listeners.wind_down()
        await self.several.leave(self.settings.leave_quiet_s, self.settings.leave_grace_s)

    def _load_control(self) -> None:
        if self.door.control is None:
            # Starlette costs more than everything else here; calls must not wait for it.
            from jupyter_faas.gateway.control import control_app  # noqa: PLC0415
            from jupyter_faas.wire.asgi import AsgiBridge  # noqa: PLC0415 - as above

            self._control = AsgiBridge(control_app(self))
            self.door.control = self._control

    def _wake_all(self) -> None:
        """Have the autoscaler look at what should be up without being called."""
        for function in self.registry.functions():
            self.wake(function)

    def wake(self, function: FunctionEntry) -> None:
        """Have the autoscaler look at a function that this gateway has from now on."""
        has_floor = function.function.settings.scaling.min_containers > 0
        for entry in function.revisions.values():
            if has_floor or entry.is_pending:
                self.autoscaler.poke(entry)

    async def _wait_for_calls(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.stop_grace_s):
                await self.calls.drained()

    def _on_change(self, change: RegistryChange) -> None:
        """Whoever waits for what has been removed hears so."""
        self._changes += 1
        function = change.function
        if change.kind == "removed" and change.revision is not None:
            self._drop(change.revision, RevisionNotFound("The revision has been removed."))
        elif change.kind == "failed" and change.revision is not None:
            self.activator.fail(change.revision, failure_of(change.revision))
        elif change.kind == "deleted":
            for entry in tuple(function.revisions.values()):
                self._drop(entry, FunctionNotFound(f"`{function.name}` has been deleted."))
            self.metering.forget(function.namespace, function.name)
            self.logs.forget(function.namespace, function.name)

    def _poke(self, entry: RevisionEntry) -> None:
        if self.several is not None:
            self.several.on_poke(entry)
        self.autoscaler.poke(entry)

    def _publish_scaled(self, scaled: Scaled) -> None:
        self.announcer.on_scaled(scaled)
        for part in self._parts:
            part.on_scaled(scaled)

    def on_replica(self, replica: Replica) -> None:
        """State or reason of a replica is another one."""
        for part in self._parts:
            part.on_replica(replica)

    def _drop(self, entry: RevisionEntry, error: FunctionNotFound | RevisionNotFound) -> None:
        self.activator.fail(entry, error)
        self.activator.forget(entry)


class _Observer:
    """Passes on what the fleet sees."""

    def __init__(self, service: GatewayService) -> None:
        self._service = service

    def on_change(self, replica: Replica) -> None:
        """State or reason of a replica is another one."""
        if not replica.is_let_go:
            self._service.announcer.on_replica(replica.entry, replica)
            self._service.on_replica(replica)
        if replica.state is ReplicaState.LOST:
            self._service.logs.replica_gone(replica.id, replica.entry)

    def on_ready(self, entry: RevisionEntry) -> None:
        """A replica serves."""
        self._service.autoscaler.on_ready(entry)

    def on_gone(self, entry: RevisionEntry, *, has_been_ready: bool) -> None:
        """A replica has ended."""
        self._service.autoscaler.on_gone(entry, has_been_ready=has_been_ready)

    def on_log(self, replica: Replica, stream: int, invocation_id: str, text: bytes) -> None:
        """Output of the user's code."""
        self._service.logs.append(replica.id, replica.entry, stream, invocation_id, text)

    def on_ended(self, replica: Replica, end: CallEnd) -> None:
        """The code of a call has ended."""
        self._service.calls.on_ended(replica, end)
