"""What a gateway has seen of the Functions of a cluster: typed, small, without packages.

Fed by the store with watch events and with the answers to its own writes, whichever comes first:
an older version of an object never replaces a newer one. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from jupyter_faas.core.model import Function, Revision
from jupyter_faas.gateway.interning import Interner
from jupyter_faas.gateway.store import objects
from jupyter_faas.gateway.store.base import StoreEvent
from jupyter_faas.providers.kubernetes.names import FUNCTION_LABEL, REVISION_LABEL
from jupyter_faas.providers.kubernetes.objects import (
    FunctionSpecObject,
    FunctionStateObject,
    FunctionStatusObject,
    RevisionSpecObject,
    RevisionStatusObject,
)

Object = dict[str, Any]
Key = tuple[str, str]


class SeenFunction(NamedTuple):
    """A Function object.

    `spec` is None where it cannot be read; `problem` says why.
    """

    uid: str
    version: int
    generation: int
    is_deleting: bool
    created_at: float
    manager: str
    """Who has written the code last, e.g. `kubectl-client-side-apply`."""
    spec: FunctionSpecObject | None
    status: FunctionStatusObject | None
    problem: str = ""

    @property
    def state(self) -> FunctionStateObject | None:
        """The gateway's own bookkeeping."""
        return None if self.status is None else self.status.state


class SeenRevision(NamedTuple):
    """A FunctionRevision object."""

    uid: str
    version: int
    owner_uid: str
    is_labelled: bool
    has_status: bool
    has_package: bool
    revision: Revision


class Sight:
    """Functions and revisions by namespace and name."""

    def __init__(self) -> None:
        self.functions: dict[Key, SeenFunction] = {}
        self._revisions: dict[Key, dict[int, SeenRevision]] = {}
        self._interner = Interner()
        self._gone: dict[str, None] = {}
        """Uids of deleted objects: what is still told of them is old."""

    def revisions(self, key: Key) -> dict[int, SeenRevision]:
        """Return the revisions of a function that are not another one's of the same name."""
        function = self.functions.get(key)
        uid = function.uid if function else ""
        found = self._revisions.get(key, {})
        return {n: one for n, one in sorted(found.items()) if one.owner_uid in (uid, "")}

    def any_revision(self, key: Key, number: int) -> SeenRevision | None:
        """Return a revision object whoever owns it."""
        return self._revisions.get(key, {}).get(number)

    def values(self, key: Key) -> dict[int, Revision]:
        """Return the model's revisions."""
        return {number: one.revision for number, one in self.revisions(key).items()}

    def function(self, key: Key) -> Function | None:
        """Return the model's function, or None."""
        seen = self.functions.get(key)
        if seen is None or seen.spec is None or seen.is_deleting:
            return None
        return objects.function_of(*key, seen.spec, seen.state, self.values(key), seen.created_at)

    def event(self, key: Key) -> StoreEvent:
        """Return what there is of a function."""
        function = self.function(key)
        revisions = self.values(key).values() if function is not None else ()
        return StoreEvent(*key, function, tuple(revisions))

    def digests(self) -> Iterator[tuple[str, Key, int]]:
        """Yield the packages that lie in revision objects: digest and where."""
        for key, revisions in self._revisions.items():
            for number, one in revisions.items():
                if one.has_package:
                    yield one.revision.spec.code.digest, key, number

    def see_function(self, found: Object) -> bool:
        """Take a Function object; False: nothing new."""
        meta = found["metadata"]
        key = (meta["namespace"], meta["name"])
        known = self.functions.get(key)
        new = _function(found)
        if new.uid in self._gone or (known is not None and new.version <= known.version):
            return False
        self.functions[key] = self._shared(new)
        return known is None or known._replace(version=0) != new._replace(version=0)

    def _shared(self, seen: SeenFunction) -> SeenFunction:
        """Return a function whose parts that tend to repeat are kept once for all."""
        share, spec, status = self._interner.share, seen.spec, seen.status
        if spec is not None:
            repeated = ("scaling", "resources", "retries", "env", "volumes", "node_selector")
            parts = {name: share(getattr(spec, name)) for name in repeated}
            spec = msgspec.structs.replace(spec, **parts)
        if status is not None and status.state is not None:
            declared = share(status.state.declared)
            state = msgspec.structs.replace(status.state, declared=declared)
            status = msgspec.structs.replace(status, state=state)
        return seen._replace(spec=spec, status=status)

    def see_revision(self, found: Object) -> Key | None:
        """Take a FunctionRevision object; return whose it is if that is news."""
        new = _revision(found)
        if new is None or new.uid in self._gone:
            return None
        new = new._replace(revision=self._interner.revision(new.revision))
        key = (new.revision.namespace, new.revision.function)
        family = self._revisions.setdefault(key, {})
        known = family.get(new.revision.number)
        if known is not None and new.version <= known.version:
            return None
        family[new.revision.number] = new
        is_news = known is None or known._replace(version=0) != new._replace(version=0)
        return key if is_news else None

    def lose_function(self, key: Key, uid: str = "") -> bool:
        """Note that a Function object is gone; with `uid` only if it is that one."""
        known = self.functions.get(key)
        if known is None or (uid and known.uid != uid):
            return False
        del self.functions[key]
        self._bury(known.uid)
        return True

    def lose_revision(self, key: Key, number: int, uid: str = "") -> bool:
        """Note that a FunctionRevision object is gone."""
        family = self._revisions.get(key, {})
        known = family.get(number)
        if known is None or (uid and known.uid != uid):
            return False
        del family[number]
        if not family:
            del self._revisions[key]
        self._bury(known.uid)
        return True

    def lose_object(self, found: Object) -> Key | None:
        """Note that an object is gone, of whichever kind; return whose it was."""
        meta = found["metadata"]
        if found.get("kind") == "Function":
            key = (meta["namespace"], meta["name"])
            return key if self.lose_function(key, meta["uid"]) else None
        spec = found.get("spec") or {}
        key = (meta["namespace"], str(spec.get("function")))
        return key if self.lose_revision(key, int(spec.get("number") or 0), meta["uid"]) else None

    def lose_others(
        self, namespace: str, uids: set[str], version: int, *, is_function: bool
    ) -> set[Key]:
        """Note that what is not in a list is gone; return whose that was.

        Args:
            namespace: That was listed.
            uids: What is in the list.
            version: Of the list; what is newer is not judged by it.
            is_function: Which kind was listed.
        """
        lost: set[Key] = set()
        if is_function:
            for key, one in tuple(self.functions.items()):
                if key[0] == namespace and one.uid not in uids and one.version <= version:
                    self.lose_function(key)
                    lost.add(key)
            return lost
        for key, family in tuple(self._revisions.items()):
            for number, revision in tuple(family.items()):
                is_old = revision.version <= version
                if key[0] == namespace and revision.uid not in uids and is_old:
                    self.lose_revision(key, number)
                    lost.add(key)
        return lost

    def _bury(self, uid: str) -> None:
        self._gone[uid] = None
        while len(self._gone) > 1024:
            del self._gone[next(iter(self._gone))]


def _function(found: Object) -> SeenFunction:
    meta = found["metadata"]
    spec, status, problem = None, None, ""
    try:
        spec = objects.read(found.get("spec"), FunctionSpecObject)
    except msgspec.ValidationError as error:
        problem = str(error)
    try:
        if told := found.get("status"):
            status = objects.read(told, FunctionStatusObject)
    except msgspec.ValidationError:
        pass  # as if it were wiped: it is written anew
    return SeenFunction(
        uid=meta["uid"],
        version=int(meta["resourceVersion"]),
        generation=meta.get("generation", 0),
        is_deleting="deletionTimestamp" in meta,
        created_at=datetime.fromisoformat(meta["creationTimestamp"]).timestamp(),
        manager=_manager(meta),
        spec=spec,
        status=status,
        problem=problem,
    )


def _manager(meta: Object) -> str:
    """Return who has written `spec.code` last, as the API server notes it."""
    writers = [
        (one.get("time", ""), one.get("manager", ""))
        for one in meta.get("managedFields") or ()
        if "f:code" in (one.get("fieldsV1") or {}).get("f:spec", {})
    ]
    return max(writers, default=("", ""))[1]


def _revision(found: Object) -> SeenRevision | None:
    """Return a FunctionRevision object; None: it is not one that a gateway wrote."""
    meta = found["metadata"]
    status: Any = found.get("status") or None
    try:
        spec = objects.read(found.get("spec"), RevisionSpecObject)
        read = objects.read(status, RevisionStatusObject) if status else None
    except msgspec.ValidationError:
        return None
    owners = [o for o in meta.get("ownerReferences") or () if o.get("kind") == "Function"]
    labels = meta.get("labels") or {}
    wanted = {FUNCTION_LABEL: spec.function, REVISION_LABEL: str(spec.number)}
    return SeenRevision(
        uid=meta["uid"],
        version=int(meta["resourceVersion"]),
        owner_uid=owners[0]["uid"] if owners else "",
        is_labelled=all(labels.get(name) == value for name, value in wanted.items()),
        has_status=status is not None,
        has_package=spec.package is not None,
        revision=objects.revision_of(meta["namespace"], spec, read),
    )
