from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from jupyter_faas.core.errors import InternalError, ProviderError
from jupyter_faas.core.model import Function
from jupyter_faas.gateway.store import sqlite as module
from jupyter_faas.gateway.store.base import Change, Store
from jupyter_faas.gateway.store.failures import explain
from jupyter_faas.gateway.store.schema import MIGRATIONS, migrate
from jupyter_faas.gateway.store.sqlite import SqliteStore
from jupyter_faas.gateway.store.thread import JobThread
from tests.gateway.store_contract import StoreContract, function, record, revision, rows


class TestSqlite(StoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[Store]:
        self.opened: list[Store] = []
        self.path = tmp_path / "faas.db"
        yield await self._open()
        for one in self.opened:
            await one.close()

    async def reopen(self, store: Store) -> Store:
        await store.close()
        return await self._open()

    async def _open(self) -> Store:
        store = SqliteStore(self.path, time.time)
        await store.open()
        self.opened.append(store)
        return store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "faas.db"


@contextlib.asynccontextmanager
async def opened(
    path: Path, wall_clock: Callable[[], float] = time.time, kept_records: int = 100_000
) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, wall_clock, kept_records=kept_records)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def test_nobody_else_may_read_the_file(path: Path) -> None:
    async with opened(path):
        assert os.stat(path).st_mode & 0o777 == 0o600


async def test_old_records_leave_and_the_newest_stay(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PRUNE_EVERY", 5)
    async with opened(path, kept_records=10) as store:
        for n in range(40):
            store.add_invocations(rows(*(record(f"{n}-{k}") for k in range(4))))
        kept = await store.invocations("default", limit=1000)
        assert kept[0].id == "39-3"
        assert 10 <= len(kept) <= 10 + 6 * 4


async def test_records_leave_after_a_week(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PRUNE_EVERY", 1)
    now = [1000.0]
    async with opened(path, lambda: now[0]) as store:
        store.add_invocations(rows(record("old")))
        assert await store.invocation("old")
        now[0] += 8 * 86_400
        store.add_invocations(rows(record("new")))
        assert await store.invocation("old") is None
        assert await store.invocation("new")


async def test_a_file_that_is_no_database_is_said_to_be_damaged(path: Path) -> None:
    _write(path, b"not a database at all" * 400)
    with pytest.raises(InternalError, match="damaged") as caught:
        async with opened(path):
            pass
    assert str(path) in caught.value.detail


async def test_an_entry_that_cannot_be_read_is_said(path: Path) -> None:
    async with opened(path) as store:
        await store.save(Change("default", "f", function()))
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE functions SET value = x'ff'")
        db.commit()
    async with opened(path) as store:
        with pytest.raises(InternalError, match="cannot read"):
            await store.load()


async def test_a_database_of_a_newer_version_is_left_alone(path: Path) -> None:
    async with opened(path):
        pass
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(InternalError, match="newer"):
        async with opened(path):
            pass


async def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProviderError, match="cannot be used"):
        async with opened(tmp_path / "file" / "faas.db"):
            pass


async def test_a_file_that_another_program_holds_is_said_and_nothing_changes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_MS", 20)
    async with opened(path) as store:
        await store.save(Change("default", "f", function()))
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(ProviderError, match="another program holds it"):
                await store.save(Change("default", "g", function("g")))
            store.add_invocations(rows(record("lost")))
            assert await store.invocation("lost") is None
            other.execute("ROLLBACK")
        assert store.lost_records == 1
        assert [one.name for one in (await store.load()).functions] == ["f"]
        await store.save(Change("default", "g", function("g")))


async def test_a_full_disk_is_said_and_the_store_goes_on(path: Path) -> None:
    async with opened(path) as store:
        await store.save(Change("default", "f", function()))
        await store._do(lambda: store._db.execute("PRAGMA max_page_count = 12").fetchone())
        with pytest.raises(ProviderError, match="the disk is full"):
            await _fill(store)
        await store._do(lambda: store._db.execute("PRAGMA max_page_count = 10000").fetchone())
        await store.save(Change("default", "after", function("after")))
        names = {one.name for one in (await store.load()).functions}
        assert {"f", "after"} <= names


async def _fill(store: SqliteStore) -> None:
    for n in range(1000):
        await store.save(Change("default", f"f{n}", function(f"f{n}"), (revision(),)))


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def test_every_sqlite_error_has_its_sentence(path: Path) -> None:
    error = sqlite3.OperationalError("odd")
    assert isinstance(explain(error, path), InternalError)
    error.sqlite_errorname = "SQLITE_IOERR_WRITE"
    assert "the disk reports an error" in explain(error, path).detail


def test_migrations_are_applied_once_and_whole(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        migrate(db, path)
        migrate(db, path)
        bad = (*MIGRATIONS, ("CREATE TABLE extra (x)", "NO SQL"))
        with pytest.raises(sqlite3.OperationalError):
            migrate(db, path, bad)
        good = (*MIGRATIONS, ("CREATE TABLE extra (x)",))
        migrate(db, path, good)
        assert db.execute("PRAGMA user_version").fetchone() == (len(good),)


async def test_two_that_make_the_database_at_once_both_have_it(tmp_path: Path) -> None:
    for n in range(10):
        with contextlib.closing(sqlite3.connect(tmp_path / f"{n}.db")) as db:
            db.execute("PRAGMA journal_mode = WAL")
        stores = [SqliteStore(tmp_path / f"{n}.db", time.time) for _ in range(3)]
        await asyncio.gather(*(one.open() for one in stores))
        for one in stores:
            await one.close()


KILLED = """
    import asyncio, sys, time
    from pathlib import Path
    from jupyter_faas.gateway.store.base import Change
    from jupyter_faas.gateway.store.sqlite import SqliteStore
    from tests.gateway.store_contract import function, record, revision, rows

    async def main():
        store = SqliteStore(Path(sys.argv[1]), time.time)
        await store.open()
        for n in range(1, 100000):
            await store.save(Change("default", "f", function(latest=n), (revision(n),)))
            store.add_invocations(rows(record(f"i{n}")))
            print(n, flush=True)

    asyncio.run(main())
"""


@pytest.mark.parametrize("saved", [1, 40, 200])
def test_what_was_saved_survives_kill_9(path: Path, saved: int) -> None:
    last = _killed_after(path, saved)
    found, revisions = asyncio.run(_content(path))
    assert found.latest >= last
    assert revisions == list(range(1, found.latest + 1))


def _killed_after(path: Path, saved: int) -> int:
    """Return the number of saves that a writer had said were done when it was killed."""
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert writer.stdout is not None
    last = 0
    for line in writer.stdout:
        last = int(line)
        if last >= saved:
            os.kill(writer.pid, signal.SIGKILL)
            break
    last = max([last, *(int(line) for line in writer.stdout)])
    writer.wait()
    writer.stdout.close()
    return last


async def _content(path: Path) -> tuple[Function, list[int]]:
    async with opened(path) as store:
        contents = await store.load()
        (found,) = contents.functions
        return found, sorted(one.number for one in contents.revisions)


async def test_who_asks_a_stopped_thread_is_told() -> None:
    thread = JobThread("faas-test")
    thread.start()
    assert await thread.submit(lambda: 1) == 1
    await thread.stop()
    with pytest.raises(ProviderError, match="closed"):
        await thread.submit(lambda: 2)
