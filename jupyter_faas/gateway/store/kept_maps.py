"""Maps that outlast their callers, in SQLite: what the blobs service keeps of them.

A driver's files (fanout/kept.py) are append-only, and come here in pieces as they grow: inputs,
outcomes, and beside them the order, the number of inputs once all are here, and how it ended. A
gateway that takes a map over gives its driver the pieces, and goes on from there. Its turn is
counted: a driver that has missed that another one had the map in between writes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jupyter_faas.gateway.store.kept import Work
from jupyter_faas.gateway.store.transaction import transaction
from jupyter_faas.wire.kept import MapHead

READ_BYTES = 8 << 20
"""So much is read at once."""


class MapPlace(NamedTuple):
    """Where a map belongs."""

    id: str
    namespace: str
    function: str


class OpenMap(NamedTuple):
    """One that is to be run."""

    id: str
    namespace: str
    function: str
    is_ours: bool
    """Who asks holds it."""


class SqliteKeptMaps:
    """The maps of one database, for one who asks.

    Args:
        work: Runs a function on the open database.
        holder: Whose maps it begins, writes and takes over.
        is_held: Whether one who holds a map is there.
    """

    def __init__(self, work: Work, holder: str, is_held: Callable[[str], bool]) -> None:
        self._work = work
        self._holder = holder
        self._is_held = is_held

    async def begin(self, place: MapPlace, at: float, order: bytes) -> None:
        """Keep a new map, held here."""
        values = (*place, self._holder, at, order)
        await self._work(lambda db: db.execute(_BEGIN, values))

    async def write(self, id: str, turn: int, file: int, at: int, piece: bytes) -> bool:
        """Keep a piece of a file, durably; False: the map is, or was, held elsewhere."""
        values = (id, file, at, piece, id, self._holder, turn)
        return await self._work(lambda db: db.execute(_WRITE, values).rowcount > 0)

    async def mark(
        self, id: str, turn: int, total: int | None, ended: bytes | None, state: bytes, now: float
    ) -> bool:
        """Note how far it is; False: it is, or was, held elsewhere.

        Args:
            id: Of the map.
            turn: Whose word this is.
            total: Number of inputs, once all are here.
            ended: How it ended, once it has.
            state: How it goes (JSON of a `MapState`), for whoever lists maps.
            now: Seconds since the epoch.
        """
        values = (total, ended, None if ended is None else now, state, id, self._holder, turn)
        return await self._work(lambda db: db.execute(_MARK, values).rowcount > 0)

    async def take(self, id: str) -> bool:
        """Hold a map from now on; False: there is none, or it is held by one who is there."""

        def work(db: sqlite3.Connection) -> bool:
            row = db.execute("SELECT holder FROM kept_maps WHERE id = ?", (id,)).fetchone()
            if row is None:
                return False
            (holder,) = row
            if holder == self._holder:
                return True  # nothing changes, and nothing is to be written
            if holder and self._is_held(holder):
                return False
            db.execute(_TAKE, (self._holder, id))
            return True

        return await self._work(work)

    async def let_go(self, id: str) -> None:
        """Hold it no longer."""
        statement = "UPDATE kept_maps SET holder = '' WHERE id = ? AND holder = ?"
        await self._work(lambda db: db.execute(statement, (id, self._holder)))

    async def head(self, id: str) -> MapHead | None:
        """Return a map."""
        row = await self._work(lambda db: db.execute(_HEAD, (id,)).fetchone())
        return None if row is None else MapHead(*row)

    async def read(self, id: str, file: int, at: int) -> bytes:
        """Return the next bytes of a file; none at its end."""

        def work(db: sqlite3.Connection) -> bytes:
            parts: list[bytes] = []
            end = at
            for start, piece in db.execute(_READ, (id, file, at)):
                if start != end or end - at >= READ_BYTES:
                    break
                parts.append(piece)
                end += len(piece)
            return b"".join(parts)

        return await self._work(work)

    async def cut(self, id: str, file: int, size: int) -> None:
        """Drop what a file has beyond a size."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(_CUT, (id, file, size))
            db.execute(_TRIM, (size, id, file, size))

        await self._work(work)

    async def open_maps(self) -> list[OpenMap]:
        """Return those that have all their inputs and have not ended."""
        rows = await self._work(lambda db: db.execute(_OPEN).fetchall())
        return [OpenMap(id, space, name, who == self._holder) for id, space, name, who in rows]

    async def place(self, id: str) -> MapPlace | None:
        """Return where a map belongs; None: there is no such map."""
        statement = "SELECT id, namespace, function FROM kept_maps WHERE id = ?"
        row = await self._work(lambda db: db.execute(statement, (id,)).fetchone())
        return None if row is None else MapPlace(*row)

    async def states(self, namespace: str) -> list[bytes]:
        """Return how the maps of a namespace go, as was last said."""
        statement = "SELECT state FROM kept_maps WHERE namespace = ? AND state IS NOT NULL"
        rows = await self._work(lambda db: db.execute(statement, (namespace,)).fetchall())
        return [state for (state,) in rows]

    async def drop(self, ids: Sequence[str]) -> None:
        """Forget maps."""
        await self._work(lambda db: _drop(db, ids))

    async def sweep(self, ended_before: float, begun_before: float) -> int:
        """Forget what has ended long ago, and what never got all its inputs; return how many."""

        def work(db: sqlite3.Connection) -> int:
            rows = db.execute(_OLD, (ended_before, begun_before)).fetchall()
            _drop(db, [id for (id,) in rows])
            return len(rows)

        return await self._work(work)


def _drop(db: sqlite3.Connection, ids: Sequence[str]) -> None:
    with transaction(db):
        for id in ids:
            db.execute("DELETE FROM kept_pieces WHERE map = ?", (id,))
            db.execute("DELETE FROM kept_maps WHERE id = ?", (id,))


_BEGIN = (
    "INSERT INTO kept_maps (id, namespace, function, holder, at, map_order)"
    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_WRITE = (
    "INSERT OR REPLACE INTO kept_pieces (map, file, at, piece) SELECT ?, ?, ?, ?"
    " WHERE EXISTS (SELECT 1 FROM kept_maps WHERE id = ? AND holder = ? AND turn = ?)"
)
_MARK = (
    "UPDATE kept_maps SET total = ?, ended = ?, ended_at = ?, state = ?"
    " WHERE id = ? AND holder = ? AND turn = ?"
)
_TAKE = "UPDATE kept_maps SET turn = turn + 1, holder = ? WHERE id = ?"
_HEAD = "SELECT namespace, function, at, map_order, total, ended, turn FROM kept_maps WHERE id = ?"
_READ = "SELECT at, piece FROM kept_pieces WHERE map = ? AND file = ? AND at >= ? ORDER BY at"
_CUT = "DELETE FROM kept_pieces WHERE map = ? AND file = ? AND at >= ?"
_TRIM = (
    "UPDATE kept_pieces SET piece = substr(piece, 1, ? - at)"
    " WHERE map = ? AND file = ? AND at + length(piece) > ?"
)
_OPEN = (
    "SELECT id, namespace, function, holder FROM kept_maps"
    " WHERE total IS NOT NULL AND ended IS NULL ORDER BY rowid"
)
_OLD = "SELECT id FROM kept_maps WHERE ended_at < ? OR (total IS NULL AND at < ?)"
