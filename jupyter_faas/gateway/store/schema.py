"""The tables of the SQLite store, as a chain of migrations.

`PRAGMA user_version` says how many were applied. A migration that has been released is never
edited: a new one is added. Values are msgpack of the model types, whose new fields have defaults.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from jupyter_faas.core.errors import InternalError
from jupyter_faas.gateway.store.transaction import transaction

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE functions (namespace TEXT NOT NULL, name TEXT NOT NULL,"
        " value BLOB NOT NULL, PRIMARY KEY (namespace, name)) WITHOUT ROWID",
        "CREATE TABLE revisions (namespace TEXT NOT NULL, name TEXT NOT NULL,"
        " number INTEGER NOT NULL, value BLOB NOT NULL,"
        " PRIMARY KEY (namespace, name, number))",
        "CREATE TABLE invocation_groups (seq INTEGER PRIMARY KEY AUTOINCREMENT,"
        " ended_at REAL NOT NULL, count INTEGER NOT NULL, records BLOB NOT NULL)",
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    ),
    (
        "CREATE TABLE kept_calls (id TEXT PRIMARY KEY, namespace TEXT NOT NULL,"
        " function TEXT NOT NULL, key TEXT, state INTEGER NOT NULL DEFAULT 0,"
        " is_told INTEGER NOT NULL DEFAULT 0, at REAL NOT NULL, call BLOB NOT NULL,"
        " body BLOB, answer BLOB)",
        "CREATE UNIQUE INDEX kept_keys ON kept_calls (namespace, function, key)"
        " WHERE key IS NOT NULL",
        "CREATE INDEX kept_open ON kept_calls (state)",
    ),
    (
        "ALTER TABLE kept_calls ADD COLUMN holder TEXT NOT NULL DEFAULT ''",
        "CREATE TABLE kept_maps (id TEXT PRIMARY KEY, namespace TEXT NOT NULL,"
        " function TEXT NOT NULL, holder TEXT NOT NULL, at REAL NOT NULL, map_order BLOB NOT NULL,"
        " turn INTEGER NOT NULL DEFAULT 0, total INTEGER, ended BLOB, ended_at REAL, state BLOB)",
        "CREATE TABLE kept_pieces (map TEXT NOT NULL, file INTEGER NOT NULL, at INTEGER NOT NULL,"
        " piece BLOB NOT NULL)",
        "CREATE UNIQUE INDEX kept_piece ON kept_pieces (map, file, at)",
    ),
    ("ALTER TABLE functions ADD COLUMN past BLOB",),
    (
        "CREATE TABLE tallies (map TEXT PRIMARY KEY, items INTEGER NOT NULL,"
        " failed INTEGER NOT NULL, is_over INTEGER NOT NULL) WITHOUT ROWID",
    ),
)
PAST_SINCE = 4
"""The version from which on functions have a past."""


def check_version(db: sqlite3.Connection, path: Path, known: int = len(MIGRATIONS)) -> int:
    """Return how many migrations a file has had.

    Raises:
        InternalError: More than the `known` ones: a newer version of this program has written it.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > known:
        raise InternalError(
            f"The database {path} has schema {version}, this version knows {known}: "
            "a newer jupyter_faas has written it. Upgrade, or set another FAAS_STATE_DIR."
        )
    return version


def migrate(
    db: sqlite3.Connection, path: Path, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS
) -> None:
    """Apply the migrations that `db` lacks, each as a whole or not at all, whoever else does.

    Raises:
        InternalError: A newer version of this program has written the file.
    """
    version = check_version(db, path, len(migrations))
    for number, statements in enumerate(migrations[version:], start=version + 1):
        with transaction(db, is_exclusive=True):
            if check_version(db, path, len(migrations)) < number:
                for statement in statements:
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {number}")
