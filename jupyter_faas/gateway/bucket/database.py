"""A database whose truth is a log in an object store; the file is a copy, made anew at a start.

    jobs that have come ─▶ one transaction ─▶ one segment ─▶ commit ─▶ their answers
                                                 └ failed ─▶ roll back ─▶ their errors

What comes while a segment is on its way goes into the next one: a hundred small changes cost one
request. Nobody hears of anything that is not in the store.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from jupyter_faas.core.errors import FaasError, InternalError, ProviderError
from jupyter_faas.gateway.bucket.log import BucketLog, LogMoved, LogTaken
from jupyter_faas.gateway.bucket.noting import Job, Noting, Outcome
from jupyter_faas.gateway.bucket.segments import Numbered, Statement, counts
from jupyter_faas.gateway.store.failures import translated
from jupyter_faas.gateway.store.schema import MIGRATIONS, check_version, migrate
from jupyter_faas.gateway.store.thread import JobThread

T = TypeVar("T")
_TOGETHER = 64
"""Jobs of one transaction; each adds a quarter of a megabyte at most."""
_STARTS = 20
"""So often the log is read anew that somebody else writes."""
_TAKEN = "Another process keeps the calls and maps of this installation now."
_NOTHING: Statement = ("DELETE FROM meta WHERE key = ?", [])
_log = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    job: Job
    result: asyncio.Future[Any]


class BucketDatabase:
    """See above.

    Args:
        log: The log.
        path: Of the copy.
    """

    def __init__(self, log: BucketLog, path: Path) -> None:
        self._log = log
        self._path = path
        self._thread = JobThread("faas-bucket")
        self._connection: Noting | None = None
        self._waiting: list[_Waiting] = []
        self._is_wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._snapshot: asyncio.Task[None] | None = None
        self.is_lost = asyncio.Event()
        """This process is of no use any more: another one writes the log, or the copy is broken."""
        self.is_taken = False
        """It is the former."""

    async def open(self) -> None:
        """Bring the copy up to date, and be the one that writes.

        Raises:
            ProviderError: The store cannot be read.
            InvalidSpec: It cannot be used for this.
        """
        self._thread.start()
        for _ in range(_STARTS):
            try:
                await self._restore()
                await self._log.begin()
                break
            except LogMoved:
                continue
        else:
            raise ProviderError("The log of kept calls and maps changes all the time.")
        self._task = asyncio.get_running_loop().create_task(self._work_on())

    async def close(self) -> None:
        """End; what has no answer has not happened."""
        for task in (self._task, self._snapshot):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._refuse("The service that keeps calls and maps ends.")
        await self._do(self._close)
        await self._thread.stop()

    def work(self, job: Callable[[sqlite3.Connection], T]) -> Awaitable[T]:
        """Run something on the database; durable when the result is there."""
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def guarded(db: sqlite3.Connection) -> T:
            with translated(self._path):
                return job(db)

        if self.is_lost.is_set():
            result.set_exception(ProviderError("This process keeps no calls and maps any more."))
        else:
            self._waiting.append(_Waiting(guarded, result))
            self._is_wanted.set()
        return result

    async def be_sure(self) -> None:
        """Find out that nobody else writes the log.

        Raises:
            ProviderError: Somebody does, or the store fails.
        """
        await self.work(_note_nothing)

    # -- batches --------------------------------------------------------------------------------

    async def _work_on(self) -> None:
        while not self.is_lost.is_set():
            await self._is_wanted.wait()
            batch, self._waiting = self._waiting[:_TOGETHER], self._waiting[_TOGETHER:]
            if not self._waiting:
                self._is_wanted.clear()
            try:
                outcomes = await self._batch([one.job for one in batch])
            except FaasError as error:
                outcomes = [(None, error)] * len(batch)
            except LogTaken:
                self.is_taken = True
                outcomes = [(None, ProviderError(_TAKEN))] * len(batch)
                self._lose(_TAKEN)
            except Exception as error:
                _log.exception("what is kept cannot be written")
                why = f"What is kept cannot be written: {error}."
                outcomes = [(None, InternalError(why))] * len(batch)
                self._lose(why)
            _settle(batch, outcomes)
            if self._log.is_snapshot_due and (self._snapshot is None or self._snapshot.done()):
                await self._take_snapshot()

    async def _batch(self, jobs: list[Job]) -> list[Outcome]:
        db = self._db
        try:
            outcomes = await self._do(lambda: db.run(jobs))
            if db.noted:
                await self._log.append(db.noted)
        except BaseException:
            await self._do(partial(_undo, db))
            raise
        try:
            await self._do(lambda: db.execute("COMMIT"))
        except FaasError as error:  # the store has it: only a copy made anew has it too
            self._lose(error.detail)
        return outcomes

    def _lose(self, why: str) -> None:
        _log.error("%s", why)
        self.is_lost.set()
        self._refuse(why)

    def _refuse(self, why: str) -> None:
        waiting, self._waiting = self._waiting, []
        _settle(waiting, [(None, ProviderError(why))] * len(waiting))

    # -- start and snapshots --------------------------------------------------------------------

    async def _restore(self) -> None:
        await self._do(self._close)
        await self._do(self._remove)
        await self._log.fetch_base(self._path)
        await self._do(self._open)
        held: Numbered | None = None
        async for one in self._log.read():
            if held is not None and counts(held, one):
                await self._do(partial(self._redo, held))
            held = one
        if held is not None:
            await self._do(partial(self._redo, held))
        await self._do(partial(self._migrate, len(MIGRATIONS)))

    async def _take_snapshot(self) -> None:
        """Copy the file while nothing is under way; it is uploaded while others go on."""
        copy = self._path.with_suffix(".base")
        number = self._log.next_number
        try:
            await self._do(lambda: copy.unlink(missing_ok=True))
            await self._do(lambda: self._db.execute("VACUUM INTO ?", (str(copy),)))
        except FaasError as error:
            self._log.put_off_base()
            _log.warning("no snapshot of what is kept: %s", error.detail)
            return
        upload = self._upload(number, copy)
        self._snapshot = asyncio.get_running_loop().create_task(upload)

    async def _upload(self, number: int, copy: Path) -> None:
        try:
            await self._log.write_base(number, copy)
        except FaasError as error:
            self._log.put_off_base()
            _log.warning("no snapshot of what is kept: %s", error.detail)
        finally:
            await self._do(lambda: copy.unlink(missing_ok=True))

    # -- in the thread --------------------------------------------------------------------------

    def _do(self, work: Callable[[], T]) -> Awaitable[T]:
        def guarded() -> T:
            with translated(self._path):
                return work()

        return self._thread.submit(guarded)

    def _remove(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)

    def _open(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None, factory=Noting)
        connection.execute("PRAGMA journal_mode = MEMORY")  # the file is of no use to anybody else
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -4096")
        self._connection = connection

    def _redo(self, one: Numbered) -> None:
        self._migrate(one.segment.schema)
        self._db.redo(one.segment.statements)

    def _migrate(self, version: int) -> None:
        if version > len(MIGRATIONS):
            raise InternalError("A newer jupyter_faas has kept these calls and maps: upgrade.")
        if check_version(self._db, self._path) < version:
            migrate(self._db, self._path, MIGRATIONS[:version])

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def _db(self) -> Noting:
        assert self._connection is not None, "the database is not open"
        return self._connection


def _undo(db: Noting) -> None:
    if db.in_transaction:
        db.execute("ROLLBACK")


def _note_nothing(db: sqlite3.Connection) -> None:
    assert isinstance(db, Noting)
    db.noted.append(_NOTHING)


def _settle(batch: list[_Waiting], outcomes: list[Outcome]) -> None:
    for one, (value, error) in zip(batch, outcomes, strict=True):
        if one.result.done():
            continue  # whoever asked has left
        if error is None:
            one.result.set_result(value)
        else:
            one.result.set_exception(error)
