"""SQLite's errors in this platform's words: the one door they pass."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from jupyter_faas.core.errors import FaasError, InternalError, ProviderError

_MEDIUM = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_BUSY": "another program holds it",
    "SQLITE_LOCKED": "another program holds it",
    "SQLITE_READONLY": "it cannot be written to",
    "SQLITE_CANTOPEN": "it cannot be opened",
    "SQLITE_PERM": "it cannot be opened",
    "SQLITE_IOERR": "the disk reports an error",
}
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_SCHEMA")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise what goes wrong with the database at `path` as an error of this platform.

    Raises:
        ProviderError: The medium fails: full, busy, not writable. Nothing was changed.
        InternalError: The content is damaged or unreadable.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, path) from error
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise InternalError(
            f"The database {path} holds an entry that this version cannot read ({error}). "
            "A newer version may have written it."
        ) from error
    except OSError as error:
        raise ProviderError(f"The database {path} cannot be used: {error.strerror}.") from error


def explain(error: sqlite3.Error, path: Path) -> FaasError:
    """Return the platform's error for one of SQLite's."""
    name = getattr(error, "sqlite_errorname", "")
    for prefix, why in _MEDIUM.items():
        if name.startswith(prefix):
            return ProviderError(f"The database {path} cannot be used: {why}. Nothing was changed.")
    if name.startswith(_DAMAGED):
        return InternalError(
            f"The database {path} is damaged ({error}). Move it away and start again: "
            "functions are deployed anew by their notebooks."
        )
    return InternalError(f"The database {path} failed: {error}.")
