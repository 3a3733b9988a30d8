"""A SQLite connection that notes what changes something, to be done again elsewhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from jupyter_faas.gateway.bucket.segments import Statement

Job = Callable[[sqlite3.Connection], Any]
Outcome = tuple[Any, BaseException | None]


class Noting(sqlite3.Connection):
    """See above. What is done must depend on nothing but the database and the values."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.noted: list[Statement] = []
        """What has changed something since this was emptied, in order."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Do one thing."""
        cursor = super().execute(sql, parameters)
        if cursor.rowcount > 0:  # -1: it changes nothing, or only what others see
            self.noted.append((sql, [list(parameters)]))
        return cursor

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> sqlite3.Cursor:  # type: ignore[override]  # also a mapping could be given
        """Do one thing with many values."""
        rows = [list(row) for row in parameters]
        cursor = super().executemany(sql, rows)
        if cursor.rowcount > 0:
            self.noted.append((sql, rows))
        return cursor

    def run(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Begin a transaction and do jobs in it, each as a whole or not at all."""
        self.noted.clear()
        self.execute("BEGIN IMMEDIATE")
        return [self._run(job) for job in jobs]

    def _run(self, job: Job) -> Outcome:
        mark = len(self.noted)
        self.execute("SAVEPOINT job")
        try:
            return job(self), None
        except Exception as error:
            self.execute("ROLLBACK TO job")
            del self.noted[mark:]
            return None, error
        finally:
            self.execute("RELEASE job")

    def redo(self, statements: Iterable[Statement]) -> None:
        """Do what was noted, all of it or nothing."""
        self.execute("BEGIN IMMEDIATE")
        try:
            for sql, rows in statements:
                super().executemany(sql, rows)
        except BaseException:
            self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")
