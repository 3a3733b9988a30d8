"""Kept calls in SQLite: one row a call, in the database and the thread of the embedded store."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import msgspec

from jupyter_faas.core.errors import BadRequest
from jupyter_faas.gateway.store.kept_base import ENDED, STARTED, KeptAnswer, KeptCall, Known

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
    """

    def __init__(self, work: Work) -> None:
        self._work = work

    async def add(self, call: KeptCall, body: bytes) -> str:
        """Keep a call; return its id, or that of the one with the same key.

        Raises:
            BadRequest: Another call has this id.
        """
        key = call.key or None
        place = (call.namespace, call.function, key)
        values = (call.id, *place, call.accepted_at, _encode(call), body)

        def work(db: sqlite3.Connection) -> str:
            if not db.execute(_ADD, values).rowcount:
                row = db.execute(_BY_KEY, place).fetchone()
                if row is None:
                    raise BadRequest(f"A call with the id {call.id} is kept already.", status=409)
                return str(row[0])
            return call.id

        return await self._work(work)

    async def note_started(self, id: str) -> None:
        """Note that the code of a call may begin from now on."""
        await self._run("UPDATE kept_calls SET state = ? WHERE id = ?", STARTED, id)

    async def end(self, id: str, answer: KeptAnswer, *, is_told: bool) -> None:
        """Keep how a call has ended; `is_told`: nobody is to be called back about it."""
        await self._run(_END, ENDED, is_told, answer.ended_at, _encode(answer), id)

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
        return None if row is None else row[0]

    async def answer(self, id: str) -> KeptAnswer | None:
        """Return how a call has ended."""
        row = await self._row("SELECT answer FROM kept_calls WHERE id = ?", id)
        return None if row is None or row[0] is None else _decode_answer(row[0])

    async def unfinished(self) -> list[Known]:
        """Return the calls that have not ended or are to be told of, oldest first."""
        rows = await self._work(lambda db: db.execute(_UNFINISHED, (ENDED,)).fetchall())
        return [Known(_decode_call(call), state) for call, state in rows]

    async def drop(self, ended_before: float) -> int:
        """Forget what has ended before a moment; return how many."""
        return await self._run(_DROP, ENDED, ended_before)

    async def _run(self, statement: str, *values: Any) -> int:
        return await self._work(lambda db: db.execute(statement, values).rowcount)

    async def _row(self, statement: str, *values: Any) -> Any:
        return await self._work(lambda db: db.execute(statement, values).fetchone())


_ADD = (
    "INSERT INTO kept_calls (id, namespace, function, key, at, call, body)"
    " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_BY_KEY = "SELECT id FROM kept_calls WHERE namespace = ? AND function = ? AND key = ?"
_END = "UPDATE kept_calls SET state = ?, is_told = ?, at = ?, answer = ?, body = NULL WHERE id = ?"
_UNFINISHED = "SELECT call, state FROM kept_calls WHERE state < ? OR NOT is_told ORDER BY rowid"
_DROP = "DELETE FROM kept_calls WHERE state = ? AND is_told AND at < ?"
