"""What a gateway that does not run has left in its store, as screens show it. Read, never written.

The command line calls it for whoever watches: nothing is started, nothing is migrated, and a
gateway that starts meanwhile is not in the way.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from jupyter_faas.gateway.entries import FunctionEntry, RevisionEntry
from jupyter_faas.gateway.past import NO_PAST
from jupyter_faas.gateway.snapshot import Moment, snapshot
from jupyter_faas.gateway.store.base import Contents
from jupyter_faas.gateway.store.failures import translated
from jupyter_faas.gateway.store.schema import check_version
from jupyter_faas.gateway.store.sqlite import BUSY_MS, contents_of
from jupyter_faas.gateway.views import Views


def stored_contents(path: Path) -> Contents:
    """Return what is in a store; a file that is not there has nothing in it.

    Raises:
        ProviderError: The file cannot be read.
        InternalError: It is damaged, or a newer version has written it.
    """
    if not path.exists():
        return Contents([], [])
    # Not `immutable`: a killed gateway leaves a log (WAL) that belongs to the content.
    with (
        translated(path),
        closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db,
    ):
        db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        version = check_version(db, path)
        return contents_of(db, version) if version else Contents([], [])


def stored_state(contents: Contents, moment: Moment) -> dict[str, Any]:
    """Return the state of `moment.namespace` as `/v1/state` would answer it, without replicas."""
    entries: dict[str, FunctionEntry] = {
        function.name: FunctionEntry(
            function, contents.pasts.get((function.namespace, function.name), NO_PAST)
        )
        for function in contents.functions
        if function.namespace == moment.namespace
    }
    for revision in sorted(contents.revisions, key=lambda one: one.number):
        owner = entries.get(revision.function)
        if owner is not None and revision.namespace == moment.namespace:
            owner.revisions[revision.number] = RevisionEntry(owner, revision)
    views = Views(lambda _entry: (), lambda _entry: None, lambda: moment.url)
    return snapshot(moment, list(entries.values()), views)
