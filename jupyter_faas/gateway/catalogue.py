"""What functions there are, in memory: looked up by calls, changed by the registry, told to all.

Functions and revisions are values that many share (`interning.py`); an entry is what stays the
same while they change.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import NamedTuple

import msgspec

from jupyter_faas.core import rollout
from jupyter_faas.core.errors import FunctionNotFound, RevisionNotFound
from jupyter_faas.core.model import Function, Revision, RevisionState
from jupyter_faas.core.names import DEFAULT_NAMESPACE
from jupyter_faas.gateway.entries import FunctionEntry, RevisionEntry, table_of
from jupyter_faas.gateway.interning import Interner
from jupyter_faas.gateway.past import NO_PAST
from jupyter_faas.gateway.store.base import Change, Contents
from jupyter_faas.gateway.waits import RevisionWaits, Waits

_MOST_REMOVED = 1000
_log = logging.getLogger(__name__)


class RegistryChange(NamedTuple):
    """What subscribers are told, after the fact.

    `kind` is `deployed` (a revision wants its first replica), `live` (traffic has moved),
    `failed` (a revision will not get ready), `scaling` (settings), `removed` (a revision was
    dropped) or `deleted` (the function with all its revisions).
    """

    kind: str
    function: FunctionEntry
    revision: RevisionEntry | None = None
    strategy: str = "rolling"


Subscriber = Callable[[RegistryChange], None]


class Catalogue:
    """Functions and revisions of all namespaces.

    Args:
        wall_clock: Seconds since the epoch, for what people see.
    """

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._functions: dict[tuple[str, str], FunctionEntry] = {}
        self._removed: dict[tuple[str, str], float] = {}
        self._subscribers: list[Subscriber] = []
        self._interner = Interner()
        self._waits = RevisionWaits()
        self._arrivals = Waits()

    def find(self, namespace: str, name: str) -> FunctionEntry | None:
        """Return a function, or None. On the hot path: one dictionary look-up."""
        return self._functions.get((namespace, name))

    def has(self, namespace: str, name: str) -> bool:
        """Return whether there is a function of this name."""
        return (namespace, name) in self._functions

    def knows(self, namespace: str, name: str) -> bool:
        """Return whether a function is here, or was here and has been deleted since."""
        key = (namespace, name)
        return key in self._functions or key in self._removed

    def is_late(self, namespace: str, name: str, created_at: float) -> bool:
        """Return whether a function made at that time has not been heard of here.

        What is said of one that has been deleted here is news of yesterday, and not late.
        """
        key = (namespace, name)
        return key not in self._functions and self._removed.get(key) != created_at

    async def heard(self, namespace: str, name: str, timeout_s: float) -> None:
        """Return when a function is here, or after `timeout_s`."""
        if (namespace, name) not in self._functions:
            await self._arrivals.until_woken((namespace, name), timeout_s)

    def get(self, namespace: str, name: str) -> FunctionEntry:
        """Return a function.

        Raises:
            FunctionNotFound: None has this name; names a similar one.
        """
        entry = self._functions.get((namespace, name))
        if entry is None:
            raise FunctionNotFound(self._not_found(namespace, name))
        return entry

    def get_revision(self, entry: FunctionEntry, number: int) -> RevisionEntry:
        """Return a revision of a function.

        Raises:
            RevisionNotFound: It has none of this number (any more); names those there are.
        """
        found = entry.revisions.get(number)
        if found is None:
            there = ", ".join(map(str, entry.revisions))
            raise RevisionNotFound(f"`{entry.name}` has no revision {number}; it has {there}.")
        return found

    def check_seen(self, chosen: RevisionEntry, number: int) -> None:
        """See that the revision chosen for a call is no stranger's.

        Args:
            chosen: Where the call goes.
            number: The revision with the caller's own code.

        Raises:
            NameTaken: Another notebook or session has deployed `chosen`.
        """
        if self.is_strangers(chosen, number):
            raise rollout.name_taken(chosen.revision, self._wall_clock())

    def is_strangers(self, chosen: RevisionEntry, number: int) -> bool:
        """Return whether `chosen` is of another origin than revision `number`, if that is here."""
        own = chosen.function.revisions.get(number)
        if own is None or own is chosen:
            return False
        return not rollout.is_same_origin(own.revision.origin, chosen.revision.origin)

    def functions(self, namespace: str | None = None) -> Iterator[FunctionEntry]:
        """Yield the functions of one namespace, or all."""
        for entry in self._functions.values():
            if namespace is None or entry.namespace == namespace:
                yield entry

    def __len__(self) -> int:
        return len(self._functions)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` after each change, in the loop, in order. It must not block."""
        self._subscribers.append(subscriber)

    # -- changed by the registry, in the loop, after the store has it

    def _fill(self, contents: Contents) -> None:
        """Take everything that a store has."""
        for function in contents.functions:
            key = (function.namespace, function.name)
            past = contents.pasts.get(key, NO_PAST)
            self._functions[key] = FunctionEntry(self._shared(function), past)
        for revision in sorted(contents.revisions, key=lambda one: one.number):
            owner = self._functions.get((revision.namespace, revision.function))
            if owner is not None:
                self._put_revision(owner, revision)

    def _make_true(self, entry: FunctionEntry, change: Change) -> None:
        entry.function = self._shared(change.function or entry.function)
        entry.traffic = table_of(entry.function)
        for revision in change.revisions:
            self._put_revision(entry, revision)
        self._enter(entry)

    def _enter(self, entry: FunctionEntry) -> None:
        key = (entry.namespace, entry.name)
        self._functions[key] = entry
        self._removed.pop(key, None)
        self._arrivals.wake_all(key)

    def _drop(self, entry: FunctionEntry, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._tell("removed", entry, entry.revisions.pop(number))

    def _remove(self, entry: FunctionEntry) -> None:
        key = (entry.namespace, entry.name)
        del self._functions[key]
        self._removed[key] = entry.function.created_at
        if len(self._removed) > _MOST_REMOVED:
            del self._removed[next(iter(self._removed))]
        entry.is_deleted = True
        self._tell("deleted", entry)
        for revision in entry.revisions.values():
            self._waits.wake(revision)

    def _take(
        self, entry: FunctionEntry, function: Function, revisions: Sequence[Revision]
    ) -> None:
        numbers = {revision.number for revision in revisions}
        gone = [entry.revisions.pop(n) for n in tuple(entry.revisions) if n not in numbers]
        is_moved = function.traffic != entry.function.traffic or not entry.revisions
        entry.function = self._shared(function)
        entry.traffic = table_of(entry.function)
        for revision in sorted(revisions, key=lambda one: one.number):
            self._put_revision(entry, revision)
            if revision.state is not RevisionState.PENDING:
                self._waits.wake(entry.revisions[revision.number])
        self._enter(entry)
        for dropped in gone:
            self._tell("removed", entry, dropped)
            self._waits.wake(dropped)
        self._tell("live" if is_moved else "scaling", entry, entry.latest)

    def _put_revision(self, owner: FunctionEntry, revision: Revision) -> None:
        shared = self._interner.revision(revision)
        known = owner.revisions.get(revision.number)
        if known is None:
            owner.revisions[revision.number] = RevisionEntry(owner, shared)
        else:
            known.revision = shared

    def _shared(self, function: Function) -> Function:
        share = self._interner.share
        return msgspec.structs.replace(
            function, settings=share(function.settings), declared=share(function.declared)
        )

    def _tell(
        self,
        kind: str,
        function: FunctionEntry,
        revision: RevisionEntry | None = None,
        strategy: str = "rolling",
    ) -> None:
        change = RegistryChange(kind, function, revision, strategy)
        for subscriber in self._subscribers:
            try:
                subscriber(change)
            except Exception:
                # The change is durable; a defect in one subscriber must not undo the others.
                _log.exception("a subscriber failed on %s of %s", kind, function)

    def _not_found(self, namespace: str, name: str) -> str:
        names = [known for space, known in self._functions if space == namespace]
        near = get_close_matches(name, names, n=1)
        where = "" if namespace == DEFAULT_NAMESPACE else f" in namespace `{namespace}`"
        hint = f"; there is `{near[0]}`" if near else ""
        return f"No function `{name}` is deployed{where}{hint}."
