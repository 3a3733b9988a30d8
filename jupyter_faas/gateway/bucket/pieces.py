"""The files of kept maps where large values are objects: small pieces gather until they are one.

What items give comes a few at a time. As long as the end of a file is small it lies in rows, and
so in the log; then it becomes one object, and one row that names it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from jupyter_faas.core.errors import BadRequest
from jupyter_faas.gateway.bucket.bodies import Named, ObjectBodies, size_of
from jupyter_faas.gateway.store.bodies import Stored
from jupyter_faas.gateway.store.kept import Work
from jupyter_faas.gateway.store.kept_maps import READ_BYTES, SqliteKeptMaps

GATHERED_BYTES = 256 << 10


class End(NamedTuple):
    """The end of a file, as far as it lies in rows."""

    at: int
    """Where it begins."""
    content: bytes

    @property
    def file_bytes(self) -> int:
        """Size of the whole file."""
        return self.at + len(self.content)


class ObjectKeptMaps(SqliteKeptMaps):
    """See `SqliteKeptMaps`.

    Args:
        work: Runs a function on the open database.
        holder: Whose maps it begins, writes and takes over.
        is_held: Whether one who holds a map is there.
        bodies: Large values.
    """

    def __init__(
        self, work: Work, holder: str, is_held: Callable[[str], bool], bodies: ObjectBodies
    ) -> None:
        super().__init__(work, holder, is_held)
        self._bodies = bodies

    async def write(self, id: str, turn: int, file: int, at: int, piece: bytes) -> bool:
        """Keep a piece of a file, durably; False: the map is, or was, held elsewhere."""
        who = (id, self._holder, turn)
        while True:
            end = await self._work(lambda db: _end_of(db, who, file))
            if end is None:
                return False
            if at > end.file_bytes:
                raise BadRequest(f"The file has {end.file_bytes} bytes: none can be put at {at}.")
            rest = piece[end.file_bytes - at :]  # what it was asked for twice, it has
            if not rest:
                return True
            whole = end.content + rest
            if len(whole) < GATHERED_BYTES:
                added = end.file_bytes, rest
                is_done = await self._work(partial(_add, who=who, file=file, end=end, row=added))
            else:
                row = end.at, await self._bodies.put_apart(whole)
                is_done = await self._work(partial(_add, who=who, file=file, end=end, row=row))
            if is_done:
                return True  # else: somebody asked twice at once, or it was lost meanwhile

    async def read(self, id: str, file: int, at: int) -> bytes:
        """Return the next bytes of a file; none at its end."""
        rows = await self._work(lambda db: _rows_from(db, id, file, at))
        content = b"".join([await self._bodies.get(stored) for _, stored in rows])
        return content[at - rows[0][0] :] if rows else b""

    async def cut(self, id: str, file: int, size: int) -> None:
        """Drop what a file has beyond a size."""
        await self._work(lambda db: _cut(db, id, file, size))


def used_bodies(db: sqlite3.Connection) -> set[str]:
    """Return the digests of the objects that rows name."""
    return {Named.of(text).digest for (text,) in db.execute(_USED)}


def _end_of(db: sqlite3.Connection, who: tuple[str, str, int], file: int) -> End | None:
    """Return the end of a file; None: the map is not held by who wants to write."""
    if db.execute(_IS_OURS, who).fetchone() is None:
        return None
    parts: list[bytes] = []
    begin = 0
    for at, stored in db.execute(_LAST, (who[0], file)):
        if isinstance(stored, str):
            begin = begin if parts else at + size_of(stored)
            break
        parts.append(stored)
        begin = at
    return End(begin, b"".join(reversed(parts)))


def _add(
    db: sqlite3.Connection,
    *,
    who: tuple[str, str, int],
    file: int,
    end: End,
    row: tuple[int, Stored],
) -> bool:
    """Have a row take the place of what begins where it does; False: the end is another by now."""
    if _end_of(db, who, file) != end:
        return False
    at, stored = row
    db.execute(_DROP_FROM, (who[0], file, at))
    db.execute(_INSERT, (who[0], file, at, stored))
    return True


def _rows_from(db: sqlite3.Connection, id: str, file: int, at: int) -> list[tuple[int, Stored]]:
    """Return the rows that have what a file has from somewhere on, up to a bound."""
    rows: list[tuple[int, Stored]] = []
    size = 0
    for start, stored in db.execute(_FROM, (id, file, id, file, at)):
        if start + size_of(stored) <= at or size >= READ_BYTES:
            break
        rows.append((start, stored))
        size += size_of(stored)
    return rows


def _cut(db: sqlite3.Connection, id: str, file: int, size: int) -> None:
    db.execute(_DROP_FROM, (id, file, size))
    row = db.execute(_LAST, (id, file)).fetchone()
    if row is None or row[0] + size_of(row[1]) <= size:
        return
    at, stored = row
    left = size - at
    shorter = stored[:left] if isinstance(stored, bytes) else str(Named.of(stored).cut(left))
    db.execute(_SET, (shorter, id, file, at))


_IS_OURS = "SELECT 1 FROM kept_maps WHERE id = ? AND holder = ? AND turn = ?"
_LAST = "SELECT at, piece FROM kept_pieces WHERE map = ? AND file = ? ORDER BY at DESC"
_FROM = (
    "SELECT at, piece FROM kept_pieces WHERE map = ? AND file = ? AND at >= coalesce("
    "(SELECT max(at) FROM kept_pieces WHERE map = ? AND file = ? AND at <= ?), 0) ORDER BY at"
)
_DROP_FROM = "DELETE FROM kept_pieces WHERE map = ? AND file = ? AND at >= ?"
_INSERT = "INSERT INTO kept_pieces (map, file, at, piece) VALUES (?, ?, ?, ?)"
_SET = "UPDATE kept_pieces SET piece = ? WHERE map = ? AND file = ? AND at = ?"
_USED = (
    "SELECT piece FROM kept_pieces WHERE typeof(piece) = 'text'"
    " UNION SELECT body FROM kept_calls WHERE typeof(body) = 'text'"
    " UNION SELECT answer FROM kept_calls WHERE typeof(answer) = 'text'"
)
