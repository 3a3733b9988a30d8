"""Which gateways there are, and which of them a function belongs to.

Who might be there says a `Membership` (the cluster); who is there says a link that each gateway
holds to each other one (`peer_link.py`): a process that ends cuts it at once. From both comes the
set of members that share the functions (`core/ownership.py`); every change of it is told, with
the functions gained and lost. Alone, a gateway owns everything and nothing here costs a call.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

from jupyter_faas.core.ownership import Member, Members, Moves, Target
from jupyter_faas.gateway.membership import Cohort
from jupyter_faas.gateway.peer_connection import PeerUpstream

FIRST_S = 1.5
"""How long a gateway that starts waits to hear who else is there."""

_AGAIN_S = 1.0
_MOST_TARGETS = 100_000
_log = logging.getLogger(__name__)


class Peer:
    """Another gateway.

    Attributes:
        id: As the membership calls it.
        address: Where it is reached.
        upstream: Connections for what is forwarded to it.
        prefix: Of the invocation ids it makes; empty until it was heard.
        is_expected: The membership names it, or it has opened a link to us.
        is_named: The membership names it.
        is_up: Our link to it is open.
        is_leaving: It takes nothing new any more.
    """

    __slots__ = (
        "address",
        "id",
        "is_expected",
        "is_leaving",
        "is_named",
        "is_up",
        "nudge",
        "prefix",
        "task",
        "upstream",
    )

    def __init__(self, member: Member) -> None:
        self.id, self.address = member
        self.upstream = PeerUpstream(member.address)
        self.prefix = ""
        self.is_expected = True
        self.is_named = False
        self.is_up = self.is_leaving = False
        self.nudge = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    @property
    def serves(self) -> bool:
        """Whether functions may belong to it."""
        return self.is_up and self.is_expected and not self.is_leaving

    def __repr__(self) -> str:
        return f"Peer({self.id}, {self.address})"


class Owners(dict[Target, "Peer | None"]):
    """The gateway of each function, remembered; None: this one.

    Args:
        members: Who shares the functions.
        peers: The others by id.
    """

    __slots__ = ("_peers", "members")

    def __init__(self, members: Members, peers: dict[str, Peer]) -> None:
        super().__init__()
        self.members = members
        self._peers = peers

    def __missing__(self, target: Target) -> Peer | None:
        peer = self._peers.get(self.members.owner(target) or "")
        if len(self) < _MOST_TARGETS:
            self[target] = peer
        return peer


class Links(Protocol):
    """Holds a link to a peer for as long as it lasts; see `peer_link.py`."""

    async def follow(self, peer: Peer) -> None:
        """Connect, tell `Peers.on_open` and what comes, and return when the link has ended."""

    def on_gone(self, peer: Peer) -> None:
        """A peer is not up any more."""


Subscriber = Callable[["Owners | None", Moves], None]


class Peers:
    """The other gateways, as one gateway sees them.

    Args:
        cohort: Who this one is, and who tells of others.
        targets: Returns all functions there are.
    """

    def __init__(self, cohort: Cohort, targets: Callable[[], Iterable[Target]]) -> None:
        self.own = cohort.own
        self.owners: Owners | None = None
        """Who owns what; None: this gateway everything."""
        self.is_leaving = False
        self.links: Links | None = None
        self._cohort = cohort
        self._targets = targets
        self._peers: dict[str, Peer] = {}
        self._members = Members(())
        self._subscribers: list[Subscriber] = []
        self._task: asyncio.Task[None] | None = None
        self._heard = asyncio.Event()
        self._has_members = False
        self._was_named = False
        self._is_out = False  # the membership named this gateway, and does not any more
        self._due: asyncio.Handle | None = None
        self._tried: set[str] = set()
        self._is_started = False

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with owners and moves whenever the members have changed."""
        self._subscribers.append(subscriber)

    async def start(self) -> None:
        """Hear who is there; subscribers are told once before this returns."""
        self._task = asyncio.get_running_loop().create_task(self._follow_members())
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_S):
                await self._heard.wait()
        self._is_started = True
        self._settle()

    def leave(self) -> None:
        """Own nothing any more, if anybody else is there to own it."""
        self.is_leaving = True
        self._settle()

    async def close(self) -> None:
        """Let go of all links and connections."""
        peers = list(self._peers.values())
        tasks = [task for task in (self._task, *(peer.task for peer in peers)) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for peer in peers:
            peer.upstream.close()
        if self._due is not None:
            self._due.cancel()

    # -- questions ------------------------------------------------------------------------------

    def all(self) -> list[Peer]:
        """Return the peers whose link is open."""
        return [peer for peer in self._peers.values() if peer.is_up]

    def owns(self, target: Target) -> bool:
        """Return whether a function belongs to this gateway."""
        return self.owners is None or self.owners[target] is None

    def owner_of(self, target: Target) -> Peer | None:
        """Return the peer that a function belongs to; None: it is this gateway's."""
        return None if self.owners is None else self.owners[target]

    def next_owner(self, target: Target) -> Peer | None:
        """Return whose a function would be without this gateway, and was before it came."""
        ranked = (id for id in self._members.ranked(target) if id != self.own.id)
        return self._peers.get(next(ranked, ""))

    def maker_of(self, prefix: str) -> Peer | None:
        """Return the peer whose invocation ids begin with `prefix`."""
        return next((peer for peer in self.all() if peer.prefix == prefix), None)

    # -- what is seen ---------------------------------------------------------------------------

    def suspect(self, peer: Peer) -> None:
        """Take a peer as gone that refuses connections; it is back when its link is."""
        if peer.is_up:
            _log.warning("gateway %s is taken as gone: it refuses connections", peer.id)
            if peer.task is not None:
                peer.task.cancel()  # Its link may still be open: it must prove itself anew.
            self.on_down(peer)
            peer.task = asyncio.get_running_loop().create_task(self._keep(peer))

    def heard_of(self, member: Member) -> None:
        """A gateway has opened its link to us: look at it at once."""
        if member.id == self.own.id or not member.address:
            return
        peer = self._peers.get(member.id)
        if peer is None or peer.address != member.address:
            peer = self._add(member)
        peer.is_expected = True
        peer.nudge.set()

    def on_starting(self, peer: Peer) -> None:
        """A peer will say on its link when it is ready: nobody need wait for that."""
        self._note_tried(peer)

    def on_open(self, peer: Peer, prefix: str, *, is_leaving: bool) -> None:
        """The link to a peer is open."""
        peer.prefix, peer.is_up, peer.is_leaving = prefix, True, is_leaving
        self._note_tried(peer)
        self._settle_soon()

    def on_leaving(self, peer: Peer) -> None:
        """A peer says that it takes nothing new."""
        if not peer.is_leaving:
            peer.is_leaving = True
            self._settle()

    def on_down(self, peer: Peer) -> None:
        """The link to a peer has ended, or could not be made."""
        self._note_tried(peer)
        if not peer.is_up:
            return
        peer.is_up = peer.is_leaving = False
        self._settle()
        if self.links is not None:
            self.links.on_gone(peer)

    # -- inside ---------------------------------------------------------------------------------

    async def _follow_members(self) -> None:
        while True:
            try:
                async for members in self._cohort.membership.watch():
                    self._has_members = True
                    self._expect({member.id: member for member in members})
            except Exception:
                # Whoever is known stays; links tell of those that end.
                _log.exception("it cannot be heard which gateways there are")
            await asyncio.sleep(_AGAIN_S)

    def _expect(self, members: dict[str, Member]) -> None:
        is_named = members.pop(self.own.id, None) is not None
        self._is_out = self._was_named and not is_named
        self._was_named = self._was_named or is_named
        for peer in self._peers.values():
            peer.is_expected = peer.is_named = peer.id in members
        for member in members.values():
            known = self._peers.get(member.id)
            if known is None or known.address != member.address:
                known = self._add(member)
            known.is_named = True
        self._look_whether_heard()
        self._settle_soon()

    def _note_tried(self, peer: Peer) -> None:
        self._tried.add(peer.id)
        self._look_whether_heard()

    def _look_whether_heard(self) -> None:
        if self._has_members and self._peers.keys() <= self._tried:
            self._heard.set()

    def _add(self, member: Member) -> Peer:
        old = self._peers.pop(member.id, None)
        if old is not None:
            self._drop(old)
        peer = self._peers[member.id] = Peer(member)
        peer.task = asyncio.get_running_loop().create_task(self._keep(peer))
        return peer

    def _drop(self, peer: Peer) -> None:
        if peer.task is not None:
            peer.task.cancel()
        peer.upstream.close()
        self.on_down(peer)

    async def _keep(self, peer: Peer) -> None:
        """Hold the link to a peer; one that is not expected any more is forgotten at its end."""
        assert self.links is not None
        pause_s = 0.1
        while True:
            await self.links.follow(peer)
            pause_s = 0.1 if peer.is_up else min(1.0, pause_s * 1.5)
            self.on_down(peer)
            peer.is_expected = peer.is_named
            if not peer.is_expected:
                break
            peer.nudge.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await peer.nudge.wait()
        if self._peers.get(peer.id) is peer:
            del self._peers[peer.id]
        peer.upstream.close()

    def _settle_soon(self) -> None:
        if self._due is None and self._is_started:
            self._due = asyncio.get_running_loop().call_soon(self._settle)

    def _settle(self) -> None:
        """Make of what is seen who owns what, and tell what has changed."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if not self._is_started:
            return
        ids = {peer.id for peer in self._peers.values() if peer.serves}
        if not (self.is_leaving or self._is_out) or not ids:
            ids.add(self.own.id)
        before, after = self._members, Members(ids)
        if before == after:
            return
        moves = before.moves(after, self.own.id, self._targets())
        self._members = after
        is_alone = after.ids == {self.own.id}
        self.owners = None if is_alone else Owners(after, dict(self._peers))
        _log.info(
            "gateways: %s; %d functions come here, %d go",
            ", ".join(sorted(ids)),
            len(moves.gained),
            len(moves.lost),
        )
        for subscriber in self._subscribers:
            try:
                subscriber(self.owners, moves)
            except Exception:
                _log.exception("a change of gateways could not be followed")
