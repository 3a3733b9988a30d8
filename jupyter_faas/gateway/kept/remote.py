"""Kept calls of a cluster: in the blobs service, for all gateways. This is a gateway's side.

Each request names the gateway process that asks and those it sees: of who holds a call and who is
there the service is the judge (`gateway/kept_service.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from jupyter_faas.gateway.store.kept_base import KeptAnswer, KeptCall, Known, Owns, Taken
from jupyter_faas.wire.kept import KeptLink


class RemoteKept:
    """See `KeptStore`.

    Args:
        link: To the service.
    """

    is_shared = True

    def __init__(self, link: KeptLink) -> None:
        self.link = link

    async def add(self, call: KeptCall, body: bytes) -> str:
        """Keep a call; return its id, or that of the one with the same key."""
        return await self.link.ask("add", str, call, body)

    async def note_started(self, id: str) -> bool:
        """Note that the code of a call may begin from now on; False: it is held elsewhere."""
        return await self.link.ask("note_started", bool, id)

    async def end(self, id: str, answer: KeptAnswer, *, is_told: bool) -> bool:
        """Keep how a call has ended; False: it is held elsewhere."""
        return await self.link.ask("end", bool, id, answer, is_told)

    async def note_told(self, id: str) -> None:
        """Note that who wanted to be called back has been."""
        await self.link.ask("note_told", type(None), id)

    async def find(self, id: str) -> Known | None:
        """Return a call."""
        return await self.link.find("find", Known, id)

    async def body(self, id: str) -> bytes | None:
        """Return the body of a call that has not ended."""
        return await self.link.find("body", bytes, id)

    async def answer(self, id: str) -> KeptAnswer | None:
        """Return how a call has ended."""
        return await self.link.find("answer", KeptAnswer, id)

    async def take(self, owns: Owns, *, again: bool = False) -> Taken:
        """Take over what has not ended, or is to be told of, and nobody holds who is there."""
        places = await self.link.ask("open_places", list[tuple[str, str]])
        wanted = [place for place in places if owns(*place)]
        # Once: what is taken and not heard is asked for by the caller, again.
        return await self.link.ask("take", Taken, wanted, again, tries=1)

    async def let_go(self, ids: Sequence[str]) -> None:
        """Hold these no longer."""
        await self.link.ask("let_go", type(None), list(ids))

    async def drop(self, ended_before: float) -> int:
        """Forget what has ended before a moment; return how many."""
        return await self.link.ask("drop", int, ended_before)
