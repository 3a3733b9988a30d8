"""All functions, revisions and traffic weights: in memory, written through a store first.

The data plane reads (`catalogue.py`), the control API changes. One change touches one function and
changes of one function come one after the other; a change is in the store before anybody sees it,
and is finished even if the request that asked for it goes away. What a deploy means is decided in
`core/rollout.py`; subscribers (autoscaler, activator, events) are told after.

Revisions are numbered 1, 2, 3 … as long as the function exists and no number is used twice; a
function that is deleted and deployed again is a new one and starts at 1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from jupyter_faas.core import rollout
from jupyter_faas.core.errors import RevisionNotFound
from jupyter_faas.core.model import (
    DeployAnswer,
    DeployRequest,
    Function,
    FunctionSettings,
    Revision,
    RevisionState,
    Scaling,
)
from jupyter_faas.core.retention import kept
from jupyter_faas.gateway.catalogue import Catalogue
from jupyter_faas.gateway.entries import FunctionEntry, RevisionEntry
from jupyter_faas.gateway.locks import KeyedLocks
from jupyter_faas.gateway.store.base import Change, Store
from jupyter_faas.wire.background import Background

T = TypeVar("T")


class Registry(Catalogue):
    """The catalogue with what changes it: one change of a function at a time, stored first.

    Args:
        store: Opened before `load` is called.
        wall_clock: Seconds since the epoch, for what people see.
        newest_kept: Revisions of a function that are kept in any case.
    """

    def __init__(
        self, store: Store, wall_clock: Callable[[], float], *, newest_kept: int = 10
    ) -> None:
        super().__init__(wall_clock)
        self._store = store
        self._newest_kept = newest_kept
        self._locks = KeyedLocks()
        self._background = Background()

    async def load(self) -> None:
        """Take everything from the store; called once, before the gateway listens."""
        self._fill(await self._store.load())

    async def deploy(
        self, namespace: str, name: str, request: DeployRequest, *, is_followed: bool = False
    ) -> DeployAnswer:
        """Make the code of `request` what answers to `name`.

        The same code as now: nothing changes but declared settings. Code of an earlier revision:
        that one is live again under its number. New code: a new pending revision, which gets all
        traffic when its first replica is ready. `is_followed`: see `Change`.

        Raises:
            NameTaken: Another notebook or session has deployed the name since the caller looked.
            InvalidSpec: The name, the strategy or the scaling cannot be.
        """

        async def change() -> DeployAnswer:
            entry = self.find(namespace, name)
            revisions = {} if entry is None else _values(entry)
            function = None if entry is None else entry.function
            now = self._wall_clock()
            plan = rollout.deploy(namespace, name, function, revisions, request, now)
            return await self._carry_out(plan, request, is_followed=is_followed)

        return await self._exclusively(namespace, name, change)

    async def rollback(self, namespace: str, name: str, to: int | None = None) -> Revision:
        """Give all traffic to the previous live revision, or to number `to`; return it.

        Raises:
            FunctionNotFound: No such function.
            RevisionNotFound: No such revision, or nothing to go back to.
            InvalidSpec: The revision is pending or failed; the text says why.
        """

        async def change() -> Revision:
            entry = self.get(namespace, name)
            function = rollout.rollback(entry.function, _values(entry), to)
            await self._save(entry, Change(namespace, name, function))
            self._tell("live", entry, entry.latest)
            return entry.latest.revision

        return await self._exclusively(namespace, name, change)

    async def set_traffic(
        self, namespace: str, name: str, weights: dict[int, int]
    ) -> dict[int, int]:
        """Divide traffic by `weights` (number → weight > 0); return the new weights.

        Raises:
            FunctionNotFound: No such function.
            RevisionNotFound: A number is unknown.
            InvalidSpec: A revision is pending or failed; the text says why.
        """

        async def change() -> dict[int, int]:
            entry = self.get(namespace, name)
            function = rollout.traffic(entry.function, _values(entry), weights)
            await self._save(entry, Change(namespace, name, function))
            self._tell("live", entry)
            return entry.function.traffic

        return await self._exclusively(namespace, name, change)

    async def set_scaling(self, namespace: str, name: str, changes: dict[str, Any]) -> Scaling:
        """Change some of the scaling settings (by field name), live; return all of them.

        Raises:
            FunctionNotFound: No such function.
            InvalidSpec: A value is out of range; the text names it.
        """

        async def change() -> Scaling:
            entry = self.get(namespace, name)
            function = rollout.scaling(entry.function, changes)
            await self._save(entry, Change(namespace, name, function))
            self._tell("scaling", entry)
            return entry.function.settings.scaling

        return await self._exclusively(namespace, name, change)

    async def set_settings(
        self, namespace: str, name: str, settings: FunctionSettings
    ) -> FunctionSettings:
        """Follow what the store has of everything that belongs to the function, live.

        Raises:
            FunctionNotFound: No such function.
            InvalidSpec: A value is out of range; the text names it.
        """

        async def change() -> FunctionSettings:
            entry = self.get(namespace, name)
            function = rollout.settings(entry.function, settings)
            await self._save(entry, Change(namespace, name, function, is_followed=True))
            self._tell("scaling", entry)
            return entry.function.settings

        return await self._exclusively(namespace, name, change)

    async def set_shares(self, namespace: str, name: str, shares: dict[int, int]) -> dict[int, int]:
        """Follow the shares that the store has (see `Function.shares`); return the weights.

        Raises:
            FunctionNotFound: No such function.
            RevisionNotFound: A number is unknown.
            InvalidSpec: A revision is pending or failed; the text says why.
        """

        async def change() -> dict[int, int]:
            entry = self.get(namespace, name)
            function = rollout.shares(entry.function, _values(entry), shares)
            await self._save(entry, Change(namespace, name, function, is_followed=True))
            self._tell("live", entry)
            return entry.function.traffic

        return await self._exclusively(namespace, name, change)

    async def forget(self, namespace: str, name: str) -> None:
        """Remove a function that is gone from the store already; nothing if it is not here."""

        async def change() -> None:
            entry = self.find(namespace, name)
            if entry is not None:
                self._remove(entry)

        await self._exclusively(namespace, name, change)

    async def drop(self, namespace: str, name: str, number: int) -> None:
        """Remove a revision that is gone from the store already and gets no traffic."""

        async def change() -> None:
            entry = self.find(namespace, name)
            if entry is None or number in entry.traffic or number == entry.function.latest:
                return
            dropped = entry.revisions.pop(number, None)
            if dropped is not None:
                self._tell("removed", entry, dropped)

        await self._exclusively(namespace, name, change)

    async def take(self, function: Function, revisions: Sequence[Revision]) -> None:
        """Make memory what somebody else has written to the store.

        Of a function that another gateway owns, and once when this one becomes its owner.

        Args:
            function: Its new value.
            revisions: All there are.
        """

        async def change() -> None:
            entry = self.find(function.namespace, function.name) or FunctionEntry(function)
            if entry.function == function and _values(entry) == {r.number: r for r in revisions}:
                return
            self._take(entry, function, revisions)

        await self._exclusively(function.namespace, function.name, change)

    async def quiet(self, namespace: str, name: str) -> None:
        """Return when no change of this function is under way: memory says what the store says."""
        async with self._locks.hold((namespace, name)):
            return

    async def delete(self, namespace: str, name: str) -> None:
        """Remove a function with its revisions; subscribers drain its replicas.

        Raises:
            FunctionNotFound: No such function.
        """

        async def change() -> None:
            entry = self.get(namespace, name)
            await self._store.delete(namespace, name)
            self._remove(entry)

        await self._exclusively(namespace, name, change)

    async def mark_ready(self, entry: RevisionEntry) -> None:
        """Note that a first replica is ready: the revision gets all traffic if it is the latest.

        Of a revision that is ready already or gone: nothing happens.

        Returns as soon as it is so in memory; the store follows, so that nobody who waits for the
        revision waits for that as well (two writes to an API server). A gateway that ends between
        the two leaves a pending revision with a ready replica: the next one says it again.
        """
        is_so = asyncio.get_running_loop().create_future()
        settling = self._begin(
            entry.function.namespace,
            entry.function.name,
            lambda: self._settle_ready(entry, lambda: is_so.set_result(None)),
        )
        await asyncio.wait((is_so, settling), return_when=asyncio.FIRST_COMPLETED)
        if settling.done():
            settling.result()

    async def mark_failed(self, entry: RevisionEntry, problem: dict[str, Any]) -> None:
        """Note that a pending revision cannot get ready; what served before keeps serving.

        Args:
            entry: The revision; one that is not pending is left alone.
            problem: RFC 9457 document of the reason.
        """

        async def change() -> None:
            if entry.is_removed or not entry.is_pending:
                return
            change, is_moved = self._settled(entry, RevisionState.FAILED, problem)
            await self._save(entry.function, change)
            self._waits.wake(entry)
            self._tell("failed", entry.function, entry)
            if is_moved:
                self._tell("live", entry.function, entry)

        await self._exclusively(entry.function.namespace, entry.function.name, change)

    async def settled(self, entry: RevisionEntry, timeout_s: float) -> Revision:
        """Wait until a revision is ready or failed, at most `timeout_s`; return it as it is then.

        Raises:
            RevisionNotFound: It was removed meanwhile.
        """
        await self._waits.wait(entry, timeout_s)
        if entry.is_removed:
            raise RevisionNotFound(
                f"Revision {entry.number} of `{entry.function.name}` has been removed."
            )
        return entry.revision

    async def written(self) -> None:
        """Wait for the changes that are being written now: whoever looks then sees them."""
        await self._background.ended()

    async def close(self) -> None:
        """Let changes that are being written end."""
        await self.written()

    async def _exclusively(
        self, namespace: str, name: str, change: Callable[[], Awaitable[T]]
    ) -> T:
        """Run a change alone for its function, to its end even if the caller is cancelled."""
        return await asyncio.shield(self._begin(namespace, name, change))

    def _begin(
        self, namespace: str, name: str, change: Callable[[], Awaitable[T]]
    ) -> asyncio.Task[T]:
        async def locked() -> T:
            async with self._locks.hold((namespace, name)):
                return await change()

        return self._background.run(locked())  # whoever asked may be gone when it fails

    async def _carry_out(
        self, plan: rollout.DeployPlan, request: DeployRequest, *, is_followed: bool
    ) -> DeployAnswer:
        function, revision = plan.function, plan.revision
        changed = (revision,) if plan.is_revision_changed else ()
        entry = self.find(function.namespace, function.name) or FunctionEntry(function)
        if plan.is_changed:
            change = Change(
                function.namespace, function.name, function, changed, is_followed=is_followed
            )
            await self._save(entry, change)
        current = entry.revisions[revision.number]
        if plan.news:
            self._tell(plan.news, entry, current, request.strategy)
        elif plan.is_changed:
            self._tell("scaling", entry, current if plan.is_revision_changed else None)
        return DeployAnswer(
            function=entry.function, revision=current.revision, created=plan.is_created
        )

    async def _settle_ready(self, entry: RevisionEntry, is_so: Callable[[], None]) -> None:
        if entry.is_removed or not entry.is_pending:
            return
        owner = entry.function
        change = self._with_dropped(owner, self._settled(entry, RevisionState.READY, None)[0])
        self._make_true(owner, change)
        self._waits.wake(entry)
        self._tell("live", owner, entry)
        is_so()
        await self._store.save(change)
        self._drop(owner, change.removed)

    def _settled(
        self, entry: RevisionEntry, state: RevisionState, problem: dict[str, Any] | None
    ) -> tuple[Change, bool]:
        """Return what it means that a revision is ready or failed, and whether traffic moves."""
        owner = entry.function
        function, revision = rollout.settled(
            owner.function, entry.revision, _values(owner), state, problem
        )
        is_moved = function.traffic != owner.function.traffic
        return Change(owner.namespace, owner.name, function, (revision,)), is_moved

    async def _save(self, entry: FunctionEntry, change: Change) -> None:
        """Write a change together with what retention drops, then make it true in memory."""
        change = self._with_dropped(entry, change)
        await self._store.save(change)
        self._make_true(entry, change)
        self._drop(entry, change.removed)

    def _with_dropped(self, entry: FunctionEntry, change: Change) -> Change:
        """Return a change with what retention drops."""
        states = {n: one.revision.state for n, one in entry.revisions.items()}
        states |= {revision.number: revision.state for revision in change.revisions}
        function = change.function or entry.function
        removed = sorted(set(states) - kept(function, states, self._newest_kept))
        return change._replace(removed=tuple(removed))


def _values(entry: FunctionEntry) -> dict[int, Revision]:
    return {number: one.revision for number, one in entry.revisions.items()}
