"""The log of one installation in an object store: read at a start, then appended to by one writer.

That there is one is seen to by the store: a segment is created under the next number or not at
all. Whoever finds that number taken by somebody else has been replaced, and writes nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.gateway.bucket.segments import (
    BASES,
    LOG,
    SURE_S,
    Numbered,
    Seen,
    Segment,
    Statement,
    decode,
    encode,
    is_snapshot_due,
    not_needed,
    number_of,
    path_of,
)
from jupyter_faas.gateway.objects import Found, Objects

_AHEAD = 16
"""Segments that are read at once."""


class LogTaken(Exception):
    """Another process writes the log now."""


class LogMoved(Exception):
    """A part of the log has gone while it was read: it is to be read from a newer snapshot."""


class BucketLog:
    """See above.

    Args:
        objects: The store.
        writer: Name of this process, as no other one has.
        schema: Migrations that its database has had.
        wall_clock: Seconds since the epoch.
    """

    def __init__(
        self, objects: Objects, writer: str, schema: int, wall_clock: Callable[[], float]
    ) -> None:
        self._objects = objects
        self._writer = writer
        self._schema = schema
        self._wall_clock = wall_clock
        self._base = 0
        self._base_bytes = 0
        self._segments = self._log_bytes = 0  # since the newest snapshot
        self._last = 0  # number of the newest segment that counts
        self._next = 1
        self._sure_at = 0.0

    async def fetch_base(self, to: Path) -> None:
        """Write the newest snapshot to a file; leave that alone if there is none."""
        bases = [one async for batch in self._objects.below(BASES) for one in batch]
        newest = max(bases, key=lambda one: number_of(one.path), default=None)
        self._base, self._base_bytes = 0, 0
        self._segments = self._log_bytes = 0
        self._last, self._next = 0, 1
        if newest is None or not number_of(newest.path):
            return
        if not await self._objects.fetch(newest.path, to):
            raise LogMoved
        self._base, self._base_bytes = number_of(newest.path), newest.size
        self._last, self._next = self._base - 1, self._base

    async def read(self) -> AsyncIterator[Numbered]:
        """Yield the segments after the snapshot, also those that do not count.

        Raises:
            LogMoved: Somebody has made a newer snapshot meanwhile.
        """
        found = sorted(await self._found_from(self._next))
        for at in range(0, len(found), _AHEAD):
            some = found[at : at + _AHEAD]
            bodies = await asyncio.gather(*(self._objects.get(one.path) for one in some))
            for one, body in zip(some, bodies, strict=True):
                number = number_of(one.path)
                if body is None or number != self._next:
                    raise LogMoved
                self._took(len(body))
                yield Numbered(number, decode(body))

    async def begin(self) -> None:
        """Be the writer from now on: who was it finds this out when it next writes.

        Raises:
            LogMoved: Somebody has written more meanwhile.
            InvalidSpec: The store cannot tell that an object is there already.
        """
        path = path_of(LOG, self._next)
        body = self._encoded([])
        if not await self._objects.create(path, body) and await self._objects.get(path) != body:
            raise LogMoved
        if await self._objects.create(path, body):
            raise InvalidSpec(
                f"{self._objects.url} overwrites objects that it was asked to create only "
                "(`If-None-Match: *`): calls and maps cannot be kept there."
            )
        self._sure_at = self._wall_clock()
        self._took(len(body))

    async def append(self, statements: list[Statement]) -> None:
        """Write a segment; durable when it returns. If it fails, it does not count.

        Raises:
            LogTaken: There is another writer.
            ProviderError: The store fails.
        """
        began_at = self._wall_clock()
        while True:
            body = self._encoded(statements)
            path = path_of(LOG, self._next)
            if await self._objects.create(path, body):
                break
            there = await self._objects.get(path)
            if there == body:
                break  # it had arrived, and the answer got lost
            if there is None or decode(there).writer != self._writer:
                raise LogTaken
            self._next += 1  # one that was told to have failed has arrived: this takes it back
        if self._wall_clock() - self._sure_at > SURE_S and await self._is_passed():
            raise LogTaken
        self._sure_at = began_at
        self._took(len(body))

    @property
    def is_snapshot_due(self) -> bool:
        """Whether a snapshot should be written."""
        return is_snapshot_due(self._segments, self._log_bytes, self._base_bytes)

    async def write_base(self, number: int, file: Path) -> None:
        """Write a snapshot, of when the next segment was to get this number."""
        path = path_of(BASES, number)
        await self._objects.put(path, file)
        written = await self._objects.head(path)
        self._segments, self._log_bytes = self._next - number, 0
        self._base, self._base_bytes = number, written.size if written else 0

    def put_off_base(self) -> None:
        """A snapshot could not be written: wait until there is as much again."""
        self._segments = self._log_bytes = 0

    @property
    def next_number(self) -> int:
        """What the next segment is to be called."""
        return self._next

    async def tidy(self) -> None:
        """Delete what has not been needed for a while."""
        for folder in (LOG, BASES):
            async for batch in self._objects.below(folder):
                seen = [Seen(one.path, number_of(one.path), one.at) for one in batch]
                await self._objects.delete(not_needed(seen, self._base, self._wall_clock()))

    # -- inside ---------------------------------------------------------------------------------

    def _encoded(self, statements: list[Statement]) -> bytes:
        return encode(Segment(self._writer, self._last, self._schema, statements))

    def _took(self, size: int) -> None:
        self._last = self._next
        self._next += 1
        self._segments += 1
        self._log_bytes += size

    async def _found_from(self, number: int) -> list[Found]:
        after = path_of(LOG, number - 1)
        return [
            one
            async for batch in self._objects.below(LOG, after)
            for one in batch
            if number_of(one.path) >= number
        ]

    async def _is_passed(self) -> bool:
        """Whether somebody has written beyond what this process just has.

        Asked after a long silence: its number may have been free because it was deleted.
        """
        if await self._found_from(self._next + 1):
            return True
        bases = [one async for batch in self._objects.below(BASES) for one in batch]
        return any(number_of(one.path) > self._next for one in bases)
