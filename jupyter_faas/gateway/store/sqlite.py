"""The embedded store: one SQLite file (WAL), in a thread of its own.

Control changes are committed with `synchronous=FULL`: durable when `save` returns. Invocation
records come in groups (metering makes one every 50 ms) and are committed with
`synchronous=NORMAL`: a power cut may lose the newest groups, a kill does not. A group is one row
that holds all its records, because a row and an index entry per call would cost more than the
call. Looking one up reads groups from the newest on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from jupyter_faas.core.errors import FaasError
from jupyter_faas.core.model import Function, InvocationRecord, Revision
from jupyter_faas.gateway.past import Past
from jupyter_faas.gateway.store.base import (
    NO_PASTS,
    NO_TALLIES,
    Change,
    Contents,
    Pasts,
    StoreEvent,
)
from jupyter_faas.gateway.store.failures import translated
from jupyter_faas.gateway.store.kept import SqliteKept
from jupyter_faas.gateway.store.rows import (
    InvocationRow,
    decode_rows,
    encode_rows,
    is_of,
    record_of,
)
from jupyter_faas.gateway.store.schema import MIGRATIONS, PAST_SINCE, migrate
from jupyter_faas.gateway.store.thread import JobThread
from jupyter_faas.gateway.store.transaction import transaction
from jupyter_faas.gateway.tallies import Counted, Tallied

T = TypeVar("T")
_log = logging.getLogger(__name__)

BUSY_MS = 3_000
"""How long another program's lock on the file is waited for."""
KEPT_RECORDS = 100_000
KEPT_S = 7 * 86_400.0
_PRUNE_EVERY = 200
"""Groups between two looks at what is too old."""

_encode = msgspec.msgpack.Encoder().encode
_decode_function = msgspec.msgpack.Decoder(Function).decode
_decode_revision = msgspec.msgpack.Decoder(Revision).decode
_decode_past = msgspec.msgpack.Decoder(Past).decode


class SqliteStore:
    """See `Store`.

    Args:
        path: The file; made with mode 0600 if missing.
        wall_clock: Seconds since the epoch, for the age of records.
        kept_records: The newest so many invocation records are kept.
    """

    def __init__(
        self,
        path: Path,
        wall_clock: Callable[[], float],
        *,
        kept_records: int = KEPT_RECORDS,
    ) -> None:
        self._path = path
        self._wall_clock = wall_clock
        self._kept_records = kept_records
        self._thread = JobThread("faas-store")
        self._connection: sqlite3.Connection | None = None
        self._writes: set[asyncio.Future[None]] = set()
        self._groups_since_prune = 0
        self._tallied: dict[str, Counted | None] = {}  # not written yet; the thread's
        self.kept = SqliteKept(self.work)
        """Calls that are kept until they have run, and their answers for a while."""
        self.lost_records = 0
        """Invocation records that could not be written since the start."""

    def work(self, work: Callable[[sqlite3.Connection], T]) -> Awaitable[T]:
        """Run something on the open database, in the store's thread."""
        return self._do(lambda: work(self._db))

    async def open(self) -> None:
        """Open the file and bring its schema up to date."""
        self._thread.start()
        await self._do(self._open)

    async def load(self) -> Contents:
        """Return all functions and revisions."""
        return await self._do(lambda: contents_of(self._db))

    async def save(self, change: Change) -> None:
        """Write one function's change; durable when it returns."""
        await self._do(lambda: self._save(change))

    async def delete(self, namespace: str, name: str) -> None:
        """Remove a function and its revisions."""
        await self._do(lambda: self._delete(namespace, name))

    async def tallies(self) -> dict[str, Counted]:
        """Return what has been counted of kept maps."""
        rows = await self._do(lambda: self._db.execute("SELECT * FROM tallies").fetchall())
        return {key: Counted(items, failed, bool(is_over)) for key, items, failed, is_over in rows}

    def add_invocations(
        self,
        rows: Sequence[InvocationRow],
        pasts: Pasts = NO_PASTS,
        tallied: Tallied = NO_TALLIES,
    ) -> None:
        """Take a group of records of ended invocations; they are durable a moment later."""
        write = asyncio.ensure_future(self._do(lambda: self._add_group(rows, pasts, tallied)))
        self._writes.add(write)
        write.add_done_callback(lambda done: self._written(done, len(rows)))

    async def invocation(self, invocation_id: str) -> InvocationRecord | None:
        """Return the newest record with this id."""
        row = await self._do(lambda: self._find_row(invocation_id))
        return None if row is None else record_of(row)

    async def invocations(
        self, namespace: str, name: str | None = None, limit: int = 100
    ) -> list[InvocationRecord]:
        """Return the newest records of a namespace or one function, newest first."""
        rows = await self._do(lambda: self._newest(namespace, name, limit))
        return [record_of(row) for row in rows]

    async def get_meta(self, key: str) -> str | None:
        """Return a small text kept under `key`."""
        return await self._do(lambda: self._get_meta(key))

    async def set_meta(self, key: str, value: str) -> None:
        """Keep a small text under `key`, durably."""
        statement = (
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
        )
        await self._do(lambda: self._in_transaction([(statement, (key, value))]))

    async def watch(self) -> AsyncIterator[StoreEvent]:
        """Never yield: one gateway has the file."""
        await asyncio.Event().wait()
        yield StoreEvent("", "", None)

    async def close(self) -> None:
        """Write what is left and close the file."""
        if self._connection is None:
            return
        await asyncio.gather(*self._writes, return_exceptions=True)
        await self._do(self._close)
        await self._thread.stop()

    def _do(self, work: Callable[[], T]) -> Awaitable[T]:
        def guarded() -> T:
            with translated(self._path):
                return work()

        return self._thread.submit(guarded)

    def _written(self, write: asyncio.Future[None], count: int) -> None:
        self._writes.discard(write)
        error = None if write.cancelled() else write.exception()
        if error is not None:
            self.lost_records += count
            shown = error.detail if isinstance(error, FaasError) else error
            _log.error("%d invocation records are lost: %s", count, shown)

    # From here on: in the store's thread.

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(self._path, isolation_level=None)
        try:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_size_limit = 8388608")
            connection.execute("PRAGMA cache_size = -1024")
            migrate(connection, self._path)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    @property
    def _db(self) -> sqlite3.Connection:
        assert self._connection is not None, "the store is not open"
        return self._connection

    def _save(self, change: Change) -> None:
        key = (change.namespace, change.name)
        steps: list[tuple[str, tuple[object, ...]]] = []
        if change.function is not None:
            steps.append((_PUT_FUNCTION, (*key, _encode(change.function))))
        for revision in change.revisions:
            steps.append((_PUT_REVISION, (*key, revision.number, _encode(revision))))
        for number in change.removed:
            steps.append((_DROP_REVISION, (*key, number)))
        self._in_transaction(steps)

    def _delete(self, namespace: str, name: str) -> None:
        tables = ("functions", "revisions")
        where = "WHERE namespace = ? AND name = ?"
        self._in_transaction([(f"DELETE FROM {t} {where}", (namespace, name)) for t in tables])  # noqa: S608 — constants

    def _in_transaction(self, steps: Sequence[tuple[str, tuple[object, ...]]]) -> None:
        db = self._db
        with transaction(db):
            for statement, values in steps:
                db.execute(statement, values)

    def _add_group(
        self, rows: Sequence[InvocationRow], pasts: Pasts, tallied: Tallied = NO_TALLIES
    ) -> None:
        # Kept if this fails: what is written next holds what they say.
        self._tallied.update(tallied)
        steps: list[tuple[str, tuple[object, ...]]] = []
        if rows:
            steps.append((_ADD_GROUP, (self._wall_clock(), len(rows), encode_rows(rows))))
        steps += [(_SET_PAST, (_encode(past), *key)) for key, past in pasts.items()]
        steps += [
            (_DROP_TALLY, (key,)) if counted is None else (_SET_TALLY, (key, *counted))
            for key, counted in self._tallied.items()
        ]
        self._db.execute("PRAGMA synchronous = NORMAL")
        try:
            self._in_transaction(steps)
            self._tallied.clear()
            self._groups_since_prune += 1
            if self._groups_since_prune >= _PRUNE_EVERY:
                self._groups_since_prune = 0
                self._prune()
        finally:
            self._db.execute("PRAGMA synchronous = FULL")

    def _prune(self) -> None:
        """Drop groups beyond the newest `kept_records` records or older than `KEPT_S`."""
        kept, last = 0, None
        for seq, count in self._db.execute(_GROUP_SIZES):
            kept += count
            last = seq
            if kept >= self._kept_records:
                break
        oldest = self._wall_clock() - KEPT_S
        self._in_transaction([(_DROP_GROUPS, (last if kept >= self._kept_records else 0, oldest))])

    def _groups(self) -> Iterator[bytes]:
        for (records,) in self._db.execute(_GROUPS):
            yield records

    def _find_row(self, invocation_id: str) -> InvocationRow | None:
        wanted = invocation_id.encode()
        for group in self._groups():
            if wanted in group:
                for row in reversed(decode_rows(group)):
                    if row[0] == invocation_id:
                        return row
        return None

    def _newest(self, namespace: str, name: str | None, limit: int) -> list[InvocationRow]:
        wanted = (name or namespace).encode()
        found: list[InvocationRow] = []
        for group in self._groups():
            if wanted in group:
                found += [
                    row for row in reversed(decode_rows(group)) if is_of(row, namespace, name)
                ]
            if len(found) >= limit:
                break
        return found[:limit]

    def _get_meta(self, key: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def contents_of(db: sqlite3.Connection, version: int = len(MIGRATIONS)) -> Contents:
    """Return all functions and revisions of an open file, whose schema may be an older one."""
    functions = db.execute("SELECT value FROM functions").fetchall()
    revisions = db.execute("SELECT value FROM revisions").fetchall()
    pasts = db.execute(_PASTS).fetchall() if version >= PAST_SINCE else []
    return Contents(
        [_decode_function(value) for (value,) in functions],
        [_decode_revision(value) for (value,) in revisions],
        {(namespace, name): _decode_past(past) for namespace, name, past in pasts},
    )


_PUT_FUNCTION = (
    "INSERT INTO functions (namespace, name, value) VALUES (?, ?, ?)"
    " ON CONFLICT DO UPDATE SET value = excluded.value"
)
_PUT_REVISION = (
    "INSERT INTO revisions VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
)
_DROP_REVISION = "DELETE FROM revisions WHERE namespace = ? AND name = ? AND number = ?"
_PUT_META = "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
_ADD_GROUP = "INSERT INTO invocation_groups (ended_at, count, records) VALUES (?, ?, ?)"
_SET_PAST = "UPDATE functions SET past = ? WHERE namespace = ? AND name = ?"
_SET_TALLY = "INSERT OR REPLACE INTO tallies (map, items, failed, is_over) VALUES (?, ?, ?, ?)"
_DROP_TALLY = "DELETE FROM tallies WHERE map = ?"
_PASTS = "SELECT namespace, name, past FROM functions WHERE past IS NOT NULL"
_GROUP_SIZES = "SELECT seq, count FROM invocation_groups ORDER BY seq DESC"
_GROUPS = "SELECT records FROM invocation_groups ORDER BY seq DESC"
_DROP_GROUPS = "DELETE FROM invocation_groups WHERE seq < ? OR ended_at < ?"
