"""Functions change hands: what is given away, and what is taken over.

What goes: calls that wait are passed on to the new owner, those in flight end here, replicas are
let go of (not ended, where the other can adopt them). What comes: the replicas there are, then the
autoscaler looks at it as at the start.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from jupyter_faas.core.ownership import Moves, Target
from jupyter_faas.gateway.catalogue import RegistryChange
from jupyter_faas.gateway.kept.exchange import KeptExchange
from jupyter_faas.wire.background import Background

if TYPE_CHECKING:
    from jupyter_faas.gateway.entries import FunctionEntry
    from jupyter_faas.gateway.forward import Forwarder
    from jupyter_faas.gateway.invocation import Invocation
    from jupyter_faas.gateway.peers import Peers
    from jupyter_faas.gateway.service import GatewayService


class Handover:
    """Gives functions away and takes them over.

    Args:
        service: The gateway's parts.
        peers: Who owns what.
        forwarder: Gets the calls that wait.
    """

    def __init__(self, service: GatewayService, peers: Peers, forwarder: Forwarder) -> None:
        self._service = service
        self._peers = peers
        self._forwarder = forwarder
        self._due: dict[Target, asyncio.Handle] = {}
        self._background = Background("taking over a function")

    def on_moves(self, moves: Moves) -> None:
        """The members have changed; calls go to the new owners already."""
        registry = self._service.registry
        for target in moves.lost:
            entry = registry.find(*target)
            if entry is not None:
                self._lose(entry)
        for target in moves.gained:
            entry = registry.find(*target)
            if entry is not None:
                self._begin_to_gain(entry)

    def on_queued(self, entry: FunctionEntry) -> None:
        """A call of a function that is not this gateway's waits here.

        One that has come to its end here (`Faas-Forwarded`) is served: gateways may differ for a
        moment about who owns what. Others are passed on, before anybody starts a replica for them.
        """
        target = (entry.namespace, entry.name)
        if target not in self._due:
            loop = asyncio.get_running_loop()
            self._due[target] = loop.call_soon(self._pass_on_late, entry, target)

    def _pass_on_late(self, entry: FunctionEntry, target: Target) -> None:
        self._due.pop(target, None)
        if not self._peers.owns(target):
            self._pass_on(entry, guests=self._service.door.is_leaving)

    def _lose(self, entry: FunctionEntry) -> None:
        self._pass_on(entry, guests=True)
        for revision in entry.revisions.values():
            self._service.autoscaler.forget(revision)
            self._service.fleet.let_go(revision)

    def _pass_on(self, entry: FunctionEntry, *, guests: bool) -> None:
        target = (entry.namespace, entry.name)

        def take(invocation: Invocation) -> None:
            peer = self._peers.owner_of(target)
            exchange, body = invocation.exchange, invocation.body
            exchange.receiver = None
            if isinstance(exchange, KeptExchange):
                exchange.on_handed_over()  # the store has it for the new owner
                return
            assert peer is not None
            self._forwarder.take(exchange, peer, target, body=body, limit_s=invocation.limit_s)

        self._service.calls.hand_over(entry, take, guests=guests)

    def _begin_to_gain(self, entry: FunctionEntry) -> None:
        self._background.run(self._gain(entry))

    async def _gain(self, entry: FunctionEntry) -> None:
        await self._service.fleet.restore(entry)
        self._service.wake(entry)
        self._service.announcer.on_change(RegistryChange("moved", entry))
