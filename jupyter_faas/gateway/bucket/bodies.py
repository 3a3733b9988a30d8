"""Large values of rows as objects of their own, named by what they are: equal ones are one."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from typing import NamedTuple

from jupyter_faas.core.errors import ProviderError
from jupyter_faas.gateway.bucket.segments import BODIES, SPARE_S
from jupyter_faas.gateway.objects import Objects
from jupyter_faas.gateway.store.bodies import Stored

LARGE_BYTES = 64 << 10
"""Smaller ones are in their rows, and so in the log."""


class Named(NamedTuple):
    """What a row holds of a value that is elsewhere: `{sha256}:{bytes}`."""

    digest: str
    size: int
    """The value may be the beginning of the object."""

    @classmethod
    def of(cls, text: str) -> Named:
        """Read it."""
        digest, _, size = text.partition(":")
        return cls(digest, int(size))

    def cut(self, size: int) -> Named:
        """Return what names its beginning."""
        return Named(self.digest, size)

    def __str__(self) -> str:
        return f"{self.digest}:{self.size}"


def size_of(stored: Stored) -> int:
    """Return how large a value is."""
    return len(stored) if isinstance(stored, bytes) else Named.of(stored).size


class ObjectBodies:
    """See `store.bodies.Bodies`.

    Args:
        objects: Where they are.
        wall_clock: Seconds since the epoch.
    """

    def __init__(self, objects: Objects, wall_clock: Callable[[], float]) -> None:
        self._objects = objects
        self._wall_clock = wall_clock
        self._fresh: set[str] = set()  # put since the tidying that is under way has begun
        self._putting: Counter[str] = Counter()  # how many put it just now
        self._deleting = asyncio.Lock()

    async def put(self, body: bytes) -> Stored:
        """Return what a row is to hold of a value."""
        return body if len(body) < LARGE_BYTES else await self.put_apart(body)

    async def put_apart(self, body: bytes) -> str:
        """Have a value be an object, however small; return what names it."""
        digest = (await asyncio.to_thread(hashlib.sha256, body)).hexdigest()
        self._fresh.add(digest)
        self._putting[digest] += 1
        try:
            async with self._deleting:
                pass  # what is being deleted may be this: it is written after that
            await self._objects.put(f"{BODIES}{digest}", body)  # also if there: it is new again
        finally:
            self._putting -= Counter([digest])
        return str(Named(digest, len(body)))

    async def get(self, stored: Stored) -> bytes:
        """Return the value of which a row holds this."""
        if isinstance(stored, bytes):
            return stored
        digest, size = Named.of(stored)
        body = await self._objects.get(f"{BODIES}{digest}")
        if body is None:
            raise ProviderError(f"{self._objects.url} has lost a part of what was kept there.")
        return body[:size]

    async def tidy(self, used: Callable[[], Awaitable[Collection[str]]]) -> None:
        """Delete the objects that no row has named for a while.

        Args:
            used: Returns the digests of those that rows name.
        """
        self._fresh = set(self._putting)  # the others are young when they are listed
        kept, before = await used(), self._wall_clock() - SPARE_S
        async for batch in self._objects.below(BODIES):
            old = {one.path.rpartition("/")[2] for one in batch if one.at < before}
            async with self._deleting:
                gone = old.difference(kept, self._fresh)
                await self._objects.delete([f"{BODIES}{digest}" for digest in sorted(gone)])
