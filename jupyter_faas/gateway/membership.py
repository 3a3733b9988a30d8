"""Who tells a gateway which others there might be; see `peers.py` for who is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple, Protocol

from jupyter_faas.core.ownership import Member


class Membership(Protocol):
    """Tells which gateways might be there."""

    def watch(self) -> AsyncIterator[tuple[Member, ...]]:
        """Yield all of them, this one too or not, now and whenever that changes."""


class FixedMembership:
    """Members that somebody names: for tests, and for gateways without a cluster."""

    def __init__(self, members: Iterable[Member] = ()) -> None:
        self._members = tuple(members)
        self._changed = asyncio.Event()

    def become(self, members: Iterable[Member]) -> None:
        """Name others."""
        self._members = tuple(members)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def watch(self) -> AsyncIterator[tuple[Member, ...]]:
        """Yield the members, and again when others are named."""
        while True:
            changed = self._changed
            yield self._members
            await changed.wait()


class Cohort(NamedTuple):
    """What a gateway is told about being one of several."""

    own: Member
    membership: Membership
    token: str
    """What the gateways show one another; nobody else has it."""
