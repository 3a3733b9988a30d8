"""What makes several gateways serve as one: the parts of it, tied to one gateway's own.

Made by `service.py` where there is a cohort. What belongs to another gateway is forwarded by the
door; when the members change, `Handover` gives away what is another's now and takes over what has
come here; `leave` does it for everything, before this gateway ends.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jupyter_faas.core.ownership import Moves, Target
from jupyter_faas.gateway.elsewhere import Elsewhere, Mirrored
from jupyter_faas.gateway.forward import Forwarder
from jupyter_faas.gateway.handover import Handover
from jupyter_faas.gateway.map_peers import MapPeers
from jupyter_faas.gateway.membership import Cohort
from jupyter_faas.gateway.peer_blobs import PeerBlobs
from jupyter_faas.gateway.peer_door import PeerDoor
from jupyter_faas.gateway.peer_link import PeerLinks
from jupyter_faas.gateway.peers import Owners, Peer, Peers

if TYPE_CHECKING:
    from jupyter_faas.gateway.entries import FunctionEntry, RevisionEntry
    from jupyter_faas.gateway.kept.calls import KeptCalls
    from jupyter_faas.gateway.maps import Maps
    from jupyter_faas.gateway.service import GatewayService


_MOST_QUIETS = 20
"""So many times the quiet time, who sends still is not waited for any longer."""


class Several:
    """One gateway's part in serving with others.

    Args:
        service: Its parts have been made, nothing has been started.
        cohort: Who it is, and how it learns of the others.
    """

    def __init__(self, service: GatewayService, cohort: Cohort) -> None:
        self._service = service
        self.peers = Peers(cohort, self._targets)
        self.elsewhere = Elsewhere(
            service.events, lambda _space, name: service.views.call_url(name)
        )
        self.elsewhere.forgets_replicas = not service.provider.is_shared
        self.links = PeerLinks(self.peers, self, cohort.token, service.clock)
        self.peers.links = self.links
        self.door = PeerDoor(
            self.peers,
            service.events,
            self._snapshot,
            service.blobs,
            prefix=service.ids.prefix,
            token=cohort.token,
        )
        self.blobs = PeerBlobs(self.peers, service.blobs, cohort.token)
        self.forwarder = Forwarder(
            self.peers,
            service.door.serve_here,
            self._is_idempotent,
            self._made_at,
            cohort.token,
            service.clock,
        )
        self.handover = Handover(service, self.peers, self.forwarder)
        self._wire(cohort.token)

    def _wire(self, token: str) -> None:
        service = self._service
        service.door.peer_token = token.encode()
        service.door.forwarder = self.forwarder
        service.door.peer_door = self.door
        service.views.elsewhere = self._mirrored
        service.announcer.owns = self.owns
        service.fleet.owns = self.owns
        service.autoscaler.owns = lambda entry: self.owns(entry.function)
        service.autoscaler.on_guest_gone = service.fleet.let_go
        service.maps.others = MapPeers(service.maps, self.peers, service.ids.prefix, token)
        service.map_news.elsewhere = self.elsewhere.maps
        self.peers.subscribe(lambda _owners, _moves: _look_at_maps(service.maps))
        service.events.on_wish = lambda: self.links.want_calls(service.events.wishes_calls)
        self.peers.subscribe(self._on_change)
        if service.kept is not None:
            self._share(service.kept)

    def _share(self, kept: KeptCalls) -> None:
        """Have kept calls go with their functions."""
        kept.taking.owns = lambda namespace, name: self.peers.owns((namespace, name))
        self.peers.subscribe(lambda _owners, _moves: kept.on_moves())
        self._service.door.place_of_kept = kept.place_of

    async def start(self) -> None:
        """Hear who is there and take over what is this gateway's; returns when that is known."""
        await self.peers.start()

    def open(self) -> None:
        """Let others know that this gateway is ready."""
        self.door.open()

    async def leave(self, quiet_s: float, grace_s: float) -> None:
        """Give everything to the others and see out what is still here.

        Args:
            quiet_s: What still comes is passed on until nothing has come for so long: those who
                send it (a Service's routes) may hear late that this gateway leaves.
            grace_s: After that, calls in flight may take so long.
        """
        self.peers.leave()
        self.door.say_leaving()
        if self.peers.owners is None:
            return  # Nobody is there to take it.
        self._service.door.is_leaving = True
        await self._quiet(quiet_s)
        self.forwarder.end_watching()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._service.maps.drained()  # its chunks are passed on by now
                await self._service.calls.drained()
                await self.forwarder.drained()

    async def _quiet(self, quiet_s: float) -> None:
        for _ in range(_MOST_QUIETS):
            before = self.forwarder.forwarded
            await asyncio.sleep(quiet_s)
            if self.forwarder.forwarded == before:
                return

    async def close(self) -> None:
        """Let go of the others."""
        self.links.close()
        await self.door.close()
        await self.peers.close()
        self.forwarder.close()

    def owns(self, entry: FunctionEntry) -> bool:
        """Return whether a function is this gateway's."""
        return self.peers.owners is None or self.peers.owns((entry.namespace, entry.name))

    def on_poke(self, entry: RevisionEntry) -> None:
        """Something of a revision queues here."""
        if not self.owns(entry.function):
            self.handover.on_queued(entry.function)

    # -- what peers say -------------------------------------------------------------------------

    def on_event(self, peer: Peer, kind: str, said: dict[str, Any]) -> None:
        """A peer says that something has happened there."""
        self.elsewhere.on_event(peer, kind, said)

    def on_gone(self, peer: Peer) -> None:
        """A peer is not there any more: nobody need wait for it."""
        self.elsewhere.on_gone(peer)
        self.forwarder.on_gone(peer)

    # -- inside ---------------------------------------------------------------------------------

    def _on_change(self, owners: Owners | None, moves: Moves) -> None:
        self._service.door.owners = owners
        self.handover.on_moves(moves)

    def _targets(self) -> list[Target]:
        return [(one.namespace, one.name) for one in self._service.registry.functions()]

    def _mirrored(self, entry: FunctionEntry) -> Mirrored | None:
        target = (entry.namespace, entry.name)
        peer = self.peers.owner_of(target)
        return None if peer is None else self.elsewhere.of(peer, target)

    def _is_idempotent(self, target: Target) -> bool:
        found = self._service.registry.find(*target)
        if found is None:
            return False
        serving = list(found.live()) or [found.latest]
        return all(one.revision.spec.idempotent is True for one in serving)

    def _made_at(self, target: Target) -> float | None:
        found = self._service.registry.find(*target)
        return None if found is None else found.function.created_at

    def _snapshot(self) -> dict[str, Any]:
        """Return what peers show of the functions that are owned here, and of maps."""
        views, fleet = self._service.views, self._service.fleet
        shown = []
        for entry in self._service.registry.functions():
            revisions = entry.revisions.values()
            has_worked = any(one.pool is not None or fleet.replicas(one) for one in revisions)
            if has_worked and self.owns(entry):
                view = views.function(entry)
                shown.append(
                    {
                        "namespace": entry.namespace,
                        "name": entry.name,
                        "counts": view["counts"],
                        "scaled": view["scaled"],
                        "replicas": views.replicas(entry),
                    }
                )
        return {"functions": shown, "maps": self._service.map_news.known()}


def _look_at_maps(maps: Maps) -> None:
    if maps.kept is not None:
        maps.kept.look_now()


__all__ = ["Cohort", "Several"]
