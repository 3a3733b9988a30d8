"""Several statements on a SQLite database, all or none."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def transaction(db: sqlite3.Connection, *, is_exclusive: bool = False) -> Iterator[None]:
    """Commit what is done inside, or roll all of it back if that raises.

    Inside of another transaction it is a part of that one.

    Args:
        db: In autocommit mode (`isolation_level=None`).
        is_exclusive: Nobody else may read meanwhile; otherwise nobody else may write.

    Raises:
        sqlite3.Error: The database is busy, or what is done cannot be kept.
    """
    if db.in_transaction:
        with _part(db):
            yield
        return
    db.execute("BEGIN EXCLUSIVE" if is_exclusive else "BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


@contextmanager
def _part(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("SAVEPOINT part")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK TO part")
        raise
    finally:
        db.execute("RELEASE part")
