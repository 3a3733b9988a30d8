"""The store of gateways on a cluster: Functions and FunctionRevisions are the truth.

A change is written revision objects first, then the Function's spec, then its status, so that a
gateway that is killed in between leaves nothing that the next one misreads: a revision that no
status names yet serves nobody. Owner references do the deleting. What others change (kubectl, an
HPA, another gateway) comes in by two watches per namespace and is told by `watch`.

Records of invocations are kept in memory only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from jupyter_faas.core.errors import FunctionNotFound, InvalidSpec, ProviderError
from jupyter_faas.core.model import Function, InvocationRecord, Revision
from jupyter_faas.core.package import inline_source
from jupyter_faas.gateway.store import objects
from jupyter_faas.gateway.store.base import (
    NO_PASTS,
    NO_TALLIES,
    Change,
    Contents,
    Pasts,
    StoreEvent,
)
from jupyter_faas.gateway.store.following import Following
from jupyter_faas.gateway.store.kept_base import KeptStore
from jupyter_faas.gateway.store.packing import packed, unpacked
from jupyter_faas.gateway.store.records import RecordRing
from jupyter_faas.gateway.store.revision_objects import (
    function_body,
    labels_patch,
    owner_reference,
    revision_body,
    revision_name,
)
from jupyter_faas.gateway.store.rows import InvocationRow
from jupyter_faas.gateway.store.sight import Key, Sight
from jupyter_faas.gateway.store.translation import translated
from jupyter_faas.gateway.tallies import Counted, Tallied
from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, Object, path_of
from jupyter_faas.providers.kubernetes.names import (
    API_VERSION,
    FUNCTION_LABEL,
    FUNCTIONS,
    REVISIONS,
)
from jupyter_faas.providers.kubernetes.objects import CodeObject, FunctionSpecObject
from jupyter_faas.wire.background import Background

T = TypeVar("T")
_log = logging.getLogger(__name__)

META_CONFIG = "jupyter-faas-meta"
KEPT_RECORDS = 10_000
_TRIES = 5

ReadPackage = Callable[[str], Awaitable[bytes | None]]
DigestOf = Callable[[CodeObject], str]


class KubernetesStore:
    """See `Store`. Calls are kept elsewhere, if anywhere: whoever makes it says so.

    Args:
        api: Connected; closed by whoever made it.
        namespaces: Where functions are.
        system_namespace: Where small texts are kept.
        read_package: Returns a package by digest, or None.
        digest_of: Returns the digest of the package of a Function's code.
        kept_records: The newest so many invocation records are kept, in memory.
    """

    def __init__(
        self,
        api: KubeApi,
        namespaces: Sequence[str],
        system_namespace: str,
        *,
        read_package: ReadPackage,
        digest_of: DigestOf,
        kept_records: int = KEPT_RECORDS,
    ) -> None:
        self.kept: KeptStore | None = None
        """Where calls are kept; None: what cannot be durable is not accepted."""
        self._api = api
        self._namespaces = tuple(namespaces)
        self._system_namespace = system_namespace
        self._read_package = read_package
        self._digest_of = digest_of
        self._records = RecordRing(kept_records)
        self.sight = Sight()
        self._following = Following(api, self._namespaces, self.sight)
        self._written: dict[Key, Function] = {}
        self._writing = Background()

    # -- life -----------------------------------------------------------------------------------

    async def open(self) -> None:
        """Read everything there is, and begin to watch."""
        await self._following.start()

    async def load(self) -> Contents:
        """Return all functions and revisions."""
        await self._writing.ended()
        functions: list[Function] = []
        revisions: list[Revision] = []
        for key in tuple(self.sight.functions):
            _, _, function, found = self.sight.event(key)
            if function is not None:
                functions.append(function)
                revisions += found
                self._written[key] = function
        return Contents(functions, revisions)

    async def close(self) -> None:
        """Finish what is being written and stop to watch."""
        await self._following.close()
        await self._writing.ended()

    # -- writing --------------------------------------------------------------------------------

    async def save(self, change: Change) -> None:
        """Write one function's change; durable when it returns."""
        await self._to_its_end(self._save(change))

    async def delete(self, namespace: str, name: str) -> None:
        """Remove a function; its revisions and pods follow by their owner references."""
        await self._to_its_end(self._delete((namespace, name)))

    async def _to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.shield(self._writing.run(work))

    async def _save(self, change: Change) -> None:
        key = (change.namespace, change.name)
        with translated(f"`{change.name}` could not be written"):
            function = change.function or self._written.get(key) or self.sight.function(key)
            is_gone = key not in self.sight.functions or self.sight.functions[key].is_deleting
            if function is None or (is_gone and key in self._written):
                raise FunctionNotFound(f"`{change.name}` has been deleted on the cluster.")
            revisions = self.sight.values(key) | {one.number: one for one in change.revisions}
            for number in change.removed:
                revisions.pop(number, None)
            if is_gone:
                await self._create(key, function, revisions)
            for revision in change.revisions:
                await self._put_revision(key, revision)
            # What a kill between these leaves behind the controller sets right.
            writes = [self.put_revision_status(one) for one in change.revisions]
            if not change.is_followed:
                writes.append(self._put_spec(key, function, revisions))
            await asyncio.gather(self.put_state(function), *writes)
            for number in change.removed:
                await self._delete_revision(key, number)
            self._written[key] = function

    async def _create(
        self, key: Key, function: Function, revisions: Mapping[int, Revision]
    ) -> None:
        code = await self._code_object(revisions[function.latest])
        spec = objects.updated_spec(None, None, function, revisions, code)
        path = path_of(FUNCTIONS, key[0], group=API_VERSION)
        self._following.saw(await self._api.create(path, function_body(*key, spec)))

    async def _put_spec(
        self, key: Key, function: Function, revisions: Mapping[int, Revision]
    ) -> None:
        """Write what changes about a Function's spec; people's changes elsewhere stay."""
        first = self.sight.functions[key].spec
        before = self._written.get(key)
        for _ in range(_TRIES):
            seen = self.sight.functions[key]
            code = await self._code_for(seen.spec, before, function, revisions)
            new = objects.updated_spec(seen.spec, before, function, revisions, code)
            if new == seen.spec:
                return
            old = {} if seen.spec is None else objects.plain(seen.spec)
            patch = objects.merge_patch(old, objects.plain(new))
            if not patch:
                return
            body: Object = {"spec": patch, "metadata": {"resourceVersion": str(seen.version)}}
            try:
                found = await self._api.patch(self._path(FUNCTIONS, key), body)
            except KubeError as error:
                if not error.is_conflict:
                    raise
                found = await self._api.get(self._path(FUNCTIONS, key))
                self._following.saw(found)
                if code is not None and _runs(self.sight.functions[key].spec) != _runs(first):
                    break
                continue
            self._following.saw(found)
            return
        raise ProviderError(
            f"`{function.name}` was changed on the cluster at the same time: try again."
        )

    async def _code_for(
        self,
        spec: FunctionSpecObject | None,
        before: Function | None,
        function: Function,
        revisions: Mapping[int, Revision],
    ) -> CodeObject | None:
        """Return the code to write into a spec, or None if it says what is wanted."""
        latest = revisions[function.latest]
        is_new = before is None or before.latest != function.latest
        if spec is None or not is_new:
            return None
        try:
            digest = self._digest_of(spec.code)
        except InvalidSpec:
            digest = ""
        runs = objects.wanted_of(spec).runs
        if objects.is_same_code(runs, spec.code.python, digest, latest.spec):
            return None
        return await self._code_object(latest)

    async def _code_object(self, revision: Revision) -> CodeObject:
        code = revision.spec.code
        blob = await self._read_package(code.digest)
        return objects.code_object(code, None if blob is None else inline_source(blob))

    async def put_state(self, function: Function) -> None:
        """Write what only the gateway knows of a function, if the object says otherwise."""
        key = (function.namespace, function.name)
        seen = self.sight.functions[key]
        state = objects.state_object(function)
        if seen.state == state:
            return
        old = {} if seen.state is None else objects.plain(seen.state)
        await self.patch_status(key, {"state": objects.merge_patch(old, objects.plain(state))})

    async def patch_status(self, key: Key, patch: Object) -> None:
        """Write a part of a Function's status.

        Raises:
            KubeError: The API has refused it or is away.
        """
        path = self._path(FUNCTIONS, key, "status")
        self._following.saw(await self._api.patch(path, {"status": patch}))

    async def put_revision_status(self, revision: Revision) -> None:
        """Write how a revision fares, if its object says otherwise."""
        key = (revision.namespace, revision.function)
        seen = self.sight.any_revision(key, revision.number)
        new = objects.revision_status(revision)
        if seen is None or objects.revision_status(seen.revision) == new:
            return
        path = self._path(REVISIONS, (key[0], revision_name(revision)), "status")
        self._following.saw_revision(await self._api.patch(path, {"status": objects.plain(new)}))

    async def put_revision(self, revision: Revision) -> None:
        """Write a revision with its status anew: somebody has deleted or edited its object."""
        with translated(f"Revision {revision.number} could not be written"):
            await self._put_revision((revision.namespace, revision.function), revision)
            await self.put_revision_status(revision)

    async def label_revision(self, revision: Revision) -> None:
        """Write the labels and the owner of a revision's object anew."""
        key = (revision.namespace, revision.function)
        body = labels_patch(revision, self.sight.functions[key].uid)
        path = self._path(REVISIONS, (key[0], revision_name(revision)))
        with translated(f"Revision {revision.number} could not be written"):
            self._following.saw_revision(await self._api.patch(path, body))

    async def _put_revision(self, key: Key, revision: Revision) -> None:
        """Create the object of a revision unless it is there."""
        uid = self.sight.functions[key].uid
        for _ in range(_TRIES):
            seen = self.sight.any_revision(key, revision.number)
            if seen is not None:
                if seen.revision.id == revision.id and seen.owner_uid in (uid, ""):
                    return
                # Left by a function of this name before, or by a deploy that was cut off.
                await self._delete_revision(key, revision.number)
            blob = await self._read_package(revision.spec.code.digest)
            body = revision_body(revision, uid, None if blob is None else packed(blob))
            try:
                found = await self._api.create(path_of(REVISIONS, key[0], group=API_VERSION), body)
            except KubeError as error:
                if error.reason != "AlreadyExists":
                    raise
                name = (key[0], revision_name(revision))
                found = await self._api.find(self._path(REVISIONS, name)) or {}
            if found:
                self._following.saw_revision(found)
        raise ProviderError(f"Revision {revision.number} of `{key[1]}` is another gateway's.")

    async def _delete_revision(self, key: Key, number: int) -> None:
        state = self.sight.functions[key].state
        if state is not None and (number == state.latest or number in state.traffic):
            raise ProviderError(f"Revision {number} of `{key[1]}` is in use by another gateway.")
        await self._api.delete(self._path(REVISIONS, (key[0], f"{key[1]}-{number}")))
        self.sight.lose_revision(key, number)

    async def _delete(self, key: Key) -> None:
        with translated(f"`{key[1]}` could not be deleted"):
            await self._api.delete(self._path(FUNCTIONS, key), propagationPolicy="Background")
        self.sight.lose_function(key)
        self._written.pop(key, None)

    # -- what others change ---------------------------------------------------------------------

    def watch(self) -> AsyncIterator[StoreEvent]:
        """Yield what others change. One reader."""
        return self._following.events()

    async def refresh(self, key: Key) -> None:
        """Read a function and its revisions now, not when a watch tells.

        Raises:
            ProviderError: The API is away.
        """
        path = path_of(REVISIONS, key[0], group=API_VERSION)
        with translated(f"`{key[1]}` could not be read"):
            found = await self._api.find(self._path(FUNCTIONS, key))
            listed = await self._api.get(path, labelSelector=f"{FUNCTION_LABEL}={key[1]}")
        for one in listed.get("items") or ():
            self._following.saw_revision(one)
        if found is not None:
            self._following.saw(found)

    def taken(self, key: Key, function: Function | None) -> None:
        """Note what the registry now has of a function: later changes are told apart from it."""
        if function is None:
            self._written.pop(key, None)
        else:
            self._written[key] = function

    # -- records, small texts, packages ---------------------------------------------------------

    async def tallies(self) -> dict[str, Counted]:
        """Return nothing: counts begin with this gateway."""
        return {}

    def add_invocations(
        self,
        rows: Sequence[InvocationRow],
        pasts: Pasts = NO_PASTS,
        tallied: Tallied = NO_TALLIES,
    ) -> None:
        """Take a group of records of ended invocations; what they add up to is not kept."""
        self._records.add(rows)

    async def invocation(self, invocation_id: str) -> InvocationRecord | None:
        """Return the newest record with this id."""
        return self._records.find(invocation_id)

    async def invocations(
        self, namespace: str, name: str | None = None, limit: int = 100
    ) -> list[InvocationRecord]:
        """Return the newest records of a namespace or one function, newest first."""
        return self._records.newest(namespace, name, limit)

    async def get_meta(self, key: str) -> str | None:
        """Return a small text kept under `key`."""
        with translated("A small text could not be read"):
            found = await self._api.find(self._meta_path)
        value = ((found or {}).get("data") or {}).get(key)
        return None if value is None else str(value)

    async def set_meta(self, key: str, value: str) -> None:
        """Keep a small text under `key`, durably."""
        body: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": META_CONFIG, "namespace": self._system_namespace},
            "data": {key: value},
        }
        with translated("A small text could not be kept"):
            try:
                await self._api.patch(self._meta_path, {"data": body["data"]})
            except KubeError as error:
                if not error.is_missing:
                    raise
                await self._api.create(path_of("configmaps", self._system_namespace), body)

    async def package(self, digest: str) -> bytes | None:
        """Return a package that lies in a revision object, or None.

        Raises:
            ProviderError: The API is away.
        """
        for found, key, number in self.sight.digests():
            if found != digest:
                continue
            with translated("A package could not be read"):
                one = await self._api.find(self._path(REVISIONS, (key[0], f"{key[1]}-{number}")))
            blob = unpacked(str(((one or {}).get("spec") or {}).get("package") or ""), digest)
            if blob is not None:
                return blob
        return None

    def owner_reference(self, namespace: str, name: str, number: int) -> Object:
        """Return what the metadata of a replica's pod says about its revision.

        Raises:
            ProviderError: The revision has no object (any more).
        """
        seen = self.sight.any_revision((namespace, name), number)
        if seen is None:
            raise ProviderError(f"Revision {number} of `{name}` is not on the cluster.")
        return owner_reference(f"{name}-{number}", seen.uid)

    @property
    def _meta_path(self) -> str:
        return path_of("configmaps", self._system_namespace, META_CONFIG)

    def _path(self, plural: str, key: Key, part: str = "") -> str:
        return path_of(plural, *key, group=API_VERSION, part=part)


def _runs(spec: FunctionSpecObject | None) -> Any:
    if spec is None:
        return None
    wanted = objects.wanted_of(spec)
    return wanted.code, wanted.runs
