"""Kept calls in SQLite: one row a call, in the database and the thread of a store.

The embedded gateway has it to itself. On a cluster the blobs service has it for all gateways
(`gateway/kept_service.py`), and is the judge of who holds what.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from jupyter_faas.core.errors import BadRequest
from jupyter_faas.gateway.store.bodies import IN_ROW, Bodies
from jupyter_faas.gateway.store.kept_base import (
    ENDED,
    STARTED,
    KeptAnswer,
    KeptCall,
    Known,
    Owns,
    Taken,
)
from jupyter_faas.gateway.store.transaction import transaction

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode
_decode_call = msgspec.msgpack.Decoder(KeptCall).decode
_decode_answer = msgspec.msgpack.Decoder(KeptAnswer).decode


class Work(Protocol):
    """Runs something in the store's thread."""

    def __call__(self, work: Callable[[sqlite3.Connection], T], /) -> Awaitable[T]:
        """Return what it returns."""


class SqliteKept:
    """See `KeptStore`.

    Args:
        work: Runs a function on the open database.
        holder: Whose calls it adds, begins and ends.
        is_held: Whether one who holds a call in a state is there to run it.
        bodies: Where large bodies and answers are.
    """

    is_shared = False

    def __init__(
        self,
        work: Work,
        holder: str = "",
        is_held: Callable[[str, int], bool] = lambda _holder, _state: False,
        bodies: Bodies = IN_ROW,
    ) -> None:
        self._work = work
        self._holder = holder
        self._is_held = is_held
        self._bodies = bodies

    async def add(self, call: KeptCall, body: bytes) -> str:
        """Keep a call; return its id, or that of the one with the same key.

        Raises:
            BadRequest: Another call has this id.
        """
        key = call.key or None
        place = (call.namespace, call.function, key)
        encoded = _encode(call)
        stored = await self._bodies.put(body)
        values = (call.id, *place, call.accepted_at, encoded, stored, self._holder)

        def work(db: sqlite3.Connection) -> str:
            if db.execute(_ADD, values).rowcount:
                return call.id
            row = db.execute(_BY_KEY, place).fetchone()
            if row is not None:
                return str(row[0])
            (there,) = db.execute("SELECT call FROM kept_calls WHERE id = ?", (call.id,)).fetchone()
            if there != encoded:
                raise BadRequest(f"A call with the id {call.id} is kept already.", status=409)
            return call.id  # it was asked for twice: the first answer was lost

        return await self._work(work)

    async def note_started(self, id: str) -> bool:
        """Note that the code of a call may begin from now on; False: it is held elsewhere."""
        return await self._run(_START, STARTED, id, self._holder) > 0

    async def end(self, id: str, answer: KeptAnswer, *, is_told: bool) -> bool:
        """Keep how a call has ended; `is_told`: nobody is to be called back about it."""
        stored = await self._bodies.put(_encode(answer))
        values = (ENDED, is_told, answer.ended_at, stored, id, self._holder, ENDED, stored)
        return await self._run(_END, *values) > 0

    async def note_told(self, id: str) -> None:
        """Note that who wanted to be called back has been."""
        await self._run("UPDATE kept_calls SET is_told = 1 WHERE id = ?", id)

    async def find(self, id: str) -> Known | None:
        """Return a call."""
        row = await self._row("SELECT call, state FROM kept_calls WHERE id = ?", id)
        return None if row is None else Known(_decode_call(row[0]), row[1])

    async def body(self, id: str) -> bytes | None:
        """Return the body of a call that has not ended."""
        row = await self._row("SELECT body FROM kept_calls WHERE id = ?", id)
        return None if row is None or row[0] is None else await self._bodies.get(row[0])

    async def answer(self, id: str) -> KeptAnswer | None:
        """Return how a call has ended."""
        row = await self._row("SELECT answer FROM kept_calls WHERE id = ?", id)
        if row is None or row[0] is None:
            return None
        return _decode_answer(await self._bodies.get(row[0]))

    async def take(self, owns: Owns, *, again: bool = False) -> Taken:
        """Take over what has not ended or is to be told of, oldest first; see `KeptStore`."""
        return await self._work(lambda db: self._take(db, owns, again))

    def _take(self, db: sqlite3.Connection, owns: Owns, again: bool) -> Taken:
        taken: list[Known] = []
        ours: list[tuple[str, str]] = []
        is_more = False
        for id, namespace, function, state, holder, call in db.execute(_OPEN, (ENDED,)).fetchall():
            if not owns(namespace, function):
                continue
            if holder and holder == self._holder:
                if again:
                    taken.append(Known(_decode_call(call), state))
            elif holder and self._is_held(holder, state):
                is_more = True
            else:
                taken.append(Known(_decode_call(call), state))
                ours.append((self._holder, id))
        if self._holder and ours:
            _change_all(db, "UPDATE kept_calls SET holder = ? WHERE id = ?", ours)
        return Taken(taken, is_more)

    async def open_places(self) -> list[tuple[str, str]]:
        """Return namespaces and names of the functions of which `take` might give something."""
        return await self._work(lambda db: db.execute(_PLACES, (ENDED,)).fetchall())

    async def let_go(self, ids: Sequence[str]) -> None:
        """Hold these no longer."""
        values = [(id, self._holder) for id in ids]
        await self._work(lambda db: _change_all(db, _LET_GO, values))

    async def drop(self, ended_before: float) -> int:
        """Forget what has ended before a moment; return how many."""
        return await self._run(_DROP, ENDED, ended_before)

    async def _run(self, statement: str, *values: Any) -> int:
        return await self._work(lambda db: db.execute(statement, values).rowcount)

    async def _row(self, statement: str, *values: Any) -> Any:
        return await self._work(lambda db: db.execute(statement, values).fetchone())


def _change_all(db: sqlite3.Connection, statement: str, values: Sequence[tuple[Any, ...]]) -> None:
    """Do one thing to many rows, all or none, with one wait for the disk."""
    with transaction(db):
        db.executemany(statement, values)


_ADD = (
    "INSERT INTO kept_calls (id, namespace, function, key, at, call, body, holder)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_BY_KEY = "SELECT id FROM kept_calls WHERE namespace = ? AND function = ? AND key = ?"
_START = "UPDATE kept_calls SET state = ? WHERE id = ? AND holder = ?"
_END = (
    "UPDATE kept_calls SET state = ?, is_told = ?, at = ?, answer = ?, body = NULL"
    " WHERE id = ? AND holder = ? AND (state < ? OR answer = ?)"
)
_OPEN = (
    "SELECT id, namespace, function, state, holder, call FROM kept_calls"
    " WHERE state < ? OR NOT is_told ORDER BY rowid"
)
_PLACES = "SELECT DISTINCT namespace, function FROM kept_calls WHERE state < ? OR NOT is_told"
_LET_GO = "UPDATE kept_calls SET holder = '' WHERE id = ? AND holder = ?"
_DROP = "DELETE FROM kept_calls WHERE state = ? AND is_told AND at < ?"
