"""Makes what Functions on the cluster ask for true, for those that this gateway owns.

Every change of an object, and every change of memory, has the function looked at: `reconcile` says
what is to be done, this does it, one function at a time each. What cannot be done is said in the
status and tried again. Functions of other gateways are only read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

import msgspec

from jupyter_faas.core.errors import FaasError, FunctionNotFound, InvalidSpec, ProviderError
from jupyter_faas.core.inline import inline_package, revision_id
from jupyter_faas.core.model import Code, DeployRequest, Kind, Origin, RevisionSpec
from jupyter_faas.core.package import Manifest, manifest_of
from jupyter_faas.core.requirements import IMAGE, check_packages
from jupyter_faas.gateway.blobs import Blobs
from jupyter_faas.gateway.catalogue import RegistryChange
from jupyter_faas.gateway.cluster.reconcile import (
    KUBERNETES,
    Action,
    Deploy,
    Divide,
    Drop,
    Forget,
    Memory,
    Recreate,
    Refuse,
    Relabel,
    RestoreRevision,
    RestoreState,
    Seen,
    Settle,
    Take,
    TryAgain,
    actions,
    after_a_move,
    is_settled,
    may_be_mended,
)
from jupyter_faas.gateway.cluster.status import failure_reason
from jupyter_faas.gateway.registry import Registry
from jupyter_faas.gateway.store import objects
from jupyter_faas.gateway.store.kubernetes import KubernetesStore
from jupyter_faas.gateway.store.sight import Key, SeenFunction
from jupyter_faas.gateway.store.translation import translated
from jupyter_faas.providers.base import Provider
from jupyter_faas.providers.kubernetes.objects import DIGEST_PREFIX, CodeObject

AGAIN_S = 2.0
"""After something could not be done: the first pause; it doubles up to `MOST_S`."""
MOST_S = 60.0
SETTLING_S = 5.0
"""After a function has become this gateway's: its owner before may still be writing."""
READS_AT_ONCE = 4
"""Of functions that were gained: three hundred at once opened a hundred connections."""
_ROUNDS = 4

_log = logging.getLogger(__name__)


class Controller:
    """Follows the Functions of a cluster.

    Args:
        store: Opened and loaded.
        registry: What is.
        blobs: Where packages are.
        provider: Says what replicas can never have.
        owns: Whether a function is this gateway's, by namespace and name.
        on_look: Told of each function that was looked at.
    """

    def __init__(
        self,
        store: KubernetesStore,
        registry: Registry,
        blobs: Blobs,
        provider: Provider,
        *,
        owns: Callable[[str, str], bool],
        on_look: Callable[[Key], None],
    ) -> None:
        self._store = store
        self._registry = registry
        self._blobs = blobs
        self._provider = provider
        self._owns = owns
        self._on_look = on_look
        self._refused: dict[Key, Refuse] = {}
        self._observed: dict[Key, int] = {}
        self._gained_s: dict[Key, float] = {}
        self._unread: set[Key] = set()
        self._reading = asyncio.Semaphore(READS_AT_ONCE)
        self._dirty: set[Key] = set()
        self._looking: dict[Key, asyncio.Task[None]] = {}
        self._pauses: dict[Key, float] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._due: set[Key] = set()
        """Whose newest revision is tried again if it has failed for want of something."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look at everything, and from now on at whatever changes."""
        self._registry.subscribe(self._on_change)
        self._task = asyncio.create_task(self._follow())
        for key in self._store.sight.functions:
            self.look(key)

    async def close(self) -> None:
        """Stop, after what is being done."""
        for timer in self._timers.values():
            timer.cancel()
        if self._task is not None:
            self._task.cancel()
        waits = [self._task] if self._task else []
        await asyncio.gather(*waits, *self._looking.values(), return_exceptions=True)

    def refused(self, key: Key) -> Refuse | None:
        """Return why a Function's spec is not followed."""
        return self._refused.get(key)

    def observed(self, key: Key) -> int:
        """Return the generation of a Function's spec that was looked at last."""
        return self._observed.get(key, 0)

    def look(self, key: Key) -> None:
        """Look at a function soon; any number of times before that is once."""
        self._dirty.add(key)
        if key not in self._looking:
            task = self._looking[key] = asyncio.create_task(self._look(key))
            task.add_done_callback(lambda done: self._looked(key, done))

    def gained(self, key: Key) -> None:
        """A function has become this gateway's: read what its owner before has written last."""
        self._gained_s[key] = asyncio.get_running_loop().time()
        self._unread.add(key)
        self.look(key)

    async def _follow(self) -> None:
        async for event in self._store.watch():
            self.look((event.namespace, event.name))

    def _on_change(self, change: RegistryChange) -> None:
        key = (change.function.namespace, change.function.name)
        if change.kind == "deleted":
            self._refused.pop(key, None)
            self._observed.pop(key, None)
        elif change.kind in ("live", "failed", "scaling"):
            self.look(key)  # Its own writing may have moved the generation; a refusal may be over.

    def _looked(self, key: Key, done: asyncio.Task[None]) -> None:
        del self._looking[key]
        if not done.cancelled() and done.exception() is not None:
            _log.error("function %s/%s could not be looked at", *key, exc_info=done.exception())
        if key in self._dirty and not done.cancelled():
            self.look(key)

    async def _look(self, key: Key) -> None:
        for _ in range(_ROUNDS):
            self._dirty.discard(key)
            await self._registry.quiet(*key)
            if not self._owns(*key):
                self._gained_s.pop(key, None)
                self._unread.discard(key)
                await self._read(key)
                return
            if not await self._catch_up(key):
                self._try_again(key)
                break
            if not await self._bring_about(key):
                break
        else:
            self._try_again(key)
        self._on_look(key)

    async def _catch_up(self, key: Key) -> bool:
        """Read a function that was gained, once; False: it cannot be read now."""
        if key not in self._unread:
            return True
        try:
            async with self._reading:
                await self._store.refresh(key)
        except FaasError as error:
            _log.warning("%s/%s is not followed yet: %s", *key, error.detail)
            return False
        self._unread.discard(key)
        await self._read(key)
        return True

    async def _read(self, key: Key) -> None:
        """Make memory what another gateway has written."""
        event = self._store.sight.event(key)
        self._store.taken(key, event.function)
        if event.function is not None:
            await self._registry.take(event.function, event.revisions)
        else:
            await self._registry.forget(*key)

    async def _bring_about(self, key: Key) -> bool:
        """Do what is to be done about a function; False: there was nothing, or it cannot be."""
        seen = self._seen(key)
        digest, refused = "", None
        if seen is not None and seen.function.spec is not None:
            try:
                digest = digest_of(seen.function.spec.code)
            except InvalidSpec as error:
                refused = Refuse("InvalidSource", error.detail)
        todo = actions(seen, self._memory(key), digest)
        if self._is_settling(key):
            todo = after_a_move(todo)
        elif not todo and key in self._due and may_be_mended(self._memory(key)):
            todo = [TryAgain()]
        self._due.discard(key)
        is_done = False
        for action in todo:
            if refused is not None and isinstance(action, Deploy):
                action = refused  # noqa: PLW2901 — it stands for the deploy that cannot be
            if isinstance(action, Refuse):
                refused = action
                continue
            try:
                await self._do(key, seen, action)
                is_done = True
            except FaasError as error:
                refused = _refusal(error)
        if refused is not None or not todo:
            self._note(key, seen, refused)
        return is_done and refused is None

    def _is_settling(self, key: Key) -> bool:
        gained_s = self._gained_s.get(key)
        if gained_s is None:
            return False
        if asyncio.get_running_loop().time() < gained_s + SETTLING_S:
            return True
        del self._gained_s[key]
        return False

    def _note(self, key: Key, seen: Seen | None, refused: Refuse | None) -> None:
        """Remember how it went with what was seen: nothing is left to do, or nothing can be done.

        A spec that people have changed meanwhile is looked at on its own: it is not observed yet.
        """
        if seen is not None:
            self._observed[key] = seen.function.generation
        if refused is not None:
            self._refused[key] = refused
            self._try_again(key)
            return
        self._refused.pop(key, None)
        memory = self._memory(key)
        if may_be_mended(memory):
            if key not in self._timers:
                self._try_again(key)
            return
        if is_settled(memory):
            self._pauses.pop(key, None)
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    def _try_again(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        pause_s = self._pauses.get(key, AGAIN_S)
        self._pauses[key] = min(pause_s * 2, MOST_S)
        loop = asyncio.get_running_loop()
        self._timers[key] = loop.call_later(pause_s, self._again, key)

    def _again(self, key: Key) -> None:
        del self._timers[key]
        self._due.add(key)
        self.look(key)

    async def _do(self, key: Key, seen: Seen | None, action: Action) -> None:
        memory = self._memory(key)
        if isinstance(action, Forget):
            self._store.taken(key, None)
            await self._registry.forget(*key)
        elif isinstance(action, Take):
            await self._read(key)
        elif isinstance(action, Deploy | TryAgain):
            assert seen is not None
            await self._deploy(key, seen.function, memory)
        elif isinstance(action, Settle):
            await self._registry.set_settings(*key, action.settings)
        elif isinstance(action, Divide):
            await self._registry.set_shares(*key, action.shares)
        elif memory is not None:
            await self._repair(key, memory, action)

    async def _repair(self, key: Key, memory: Memory, action: Action) -> None:
        if isinstance(action, RestoreState):
            with translated(f"The status of `{key[1]}` could not be written"):
                await self._store.put_state(memory.function)
        elif isinstance(action, Drop):
            await self._registry.drop(*key, action.number)
        elif isinstance(action, Recreate | Relabel | RestoreRevision):
            revision = memory.revisions[action.number]
            if isinstance(action, Relabel):
                await self._store.label_revision(revision)
            else:
                await self._store.put_revision(revision)

    # -- deploying ------------------------------------------------------------------------------

    async def _deploy(self, key: Key, function: SeenFunction, memory: Memory | None) -> None:
        assert function.spec is not None
        wanted = objects.wanted_of(function.spec)
        code = await self._code(function.spec.code)
        runs = msgspec.structs.replace(wanted.runs, code=code)
        self._provider.check(runs)
        await self._check_packages(runs)
        id, runs = _known(runs, memory)
        request = DeployRequest(
            id=id,
            revision=runs,
            settings=wanted.settings,
            origin=Origin(owner=KUBERNETES, notebook=_writer(function.manager)),
            take_over=True,
            shares=wanted.shares,
        )
        await self._registry.deploy(*key, request, is_followed=True)

    async def _check_packages(self, runs: RevisionSpec) -> None:
        """Refuse requirements that runners do not meet; of an image of its own nobody knows.

        Raises:
            MissingPackages: Names what is missing.
            InvalidSpec: One is no requirement.
        """
        if runs.packages and runs.image is None:
            with suppress(ProviderError):  # no runner is up that could tell
                inventory = await self._provider.inventory(runs.code.python, None)
                check_packages(runs.packages, inventory.modules, IMAGE)

    async def _code(self, code: CodeObject) -> Code:
        """Return the code of a revision, its package stored.

        Raises:
            InvalidSpec: The source cannot be used.
            ProviderError: The package is not here.
        """
        if code.source is not None:
            package, found = inline_package(code.source, code.entry, code.python)
            await self._blobs.keep(found.digest, b"".join(package.parts()))
            return found
        digest = digest_of(code)
        blob = await self._blobs.fetch(digest)
        if blob is None:
            raise ProviderError(
                f"The package sha256:{digest[:12]}… is not here: upload it, or write `source`.",
                reason="PackageMissing",
            )
        manifest = manifest_of(blob) or Manifest(
            python=code.python, name="", kind=code.kind or Kind.FUNCTION
        )
        found = objects.code_of(code, len(blob), manifest.name, manifest.kind)
        methods = found.methods or manifest.methods
        return msgspec.structs.replace(found, methods=methods)

    def _seen(self, key: Key) -> Seen | None:
        function = self._store.sight.functions.get(key)
        return None if function is None else Seen(function, self._store.sight.revisions(key))

    def _memory(self, key: Key) -> Memory | None:
        entry = self._registry.find(*key)
        if entry is None:
            return None
        return Memory(entry.function, {n: one.revision for n, one in entry.revisions.items()})


def digest_of(code: CodeObject) -> str:
    """Return the digest of the package of a Function's code.

    Raises:
        InvalidSpec: The source cannot be used.
    """
    if code.source is not None:
        return _inline_digest(code.source, code.entry, code.python)
    return (code.digest or "").removeprefix(DIGEST_PREFIX)


@lru_cache(maxsize=256)
def _inline_digest(source: str, entry: str | None, python: str) -> str:
    return inline_package(source, entry, python)[1].digest


def _known(runs: RevisionSpec, memory: Memory | None) -> tuple[str, RevisionSpec]:
    """Return id and spec of the revision that runs the same, or new ones."""
    bare = msgspec.structs.replace(runs, code=objects.NO_CODE)
    for revision in () if memory is None else memory.revisions.values():
        if objects.is_same_code(bare, runs.code.python, runs.code.digest, revision.spec):
            return revision.id, revision.spec
    return revision_id(runs), runs


def _refusal(error: FaasError) -> Refuse:
    extra: dict[str, Any] = {"code": error.code, **error.extra}
    if isinstance(error, FunctionNotFound):
        return Refuse("Deleted", error.detail)
    return Refuse(failure_reason(extra), error.detail)


def _writer(manager: str) -> str:
    """Return who deployed, for people: `kubectl-client-side-apply` is kubectl."""
    return "kubectl" if manager.startswith("kubectl") or not manager else manager
