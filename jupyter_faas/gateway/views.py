"""What the control API and the event stream show of functions, revisions and replicas.

Plain JSON values, made when they are asked for from what is in memory. Nothing secret is in
them; everything shown is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from jupyter_faas.core.diff import changes
from jupyter_faas.core.model import ReplicaStatus, RevisionState
from jupyter_faas.gateway.counts import Counts, counts_of
from jupyter_faas.gateway.entries import FunctionEntry, RevisionEntry
from jupyter_faas.gateway.plain import plain

if TYPE_CHECKING:
    from jupyter_faas.gateway.autoscaler import Scaled
    from jupyter_faas.gateway.elsewhere import Mirrored

View = dict[str, Any]


class Shown(Protocol):
    """A replica that can say how it is."""

    def status(self) -> ReplicaStatus:
        """Return what people are shown."""


class Views:
    """Makes the views of one gateway.

    Args:
        replicas: Returns the replicas of a revision.
        last_scaled: Returns the last decision that changed a revision's count.
        url: Where plain HTTP calls go, without a trailing slash; asked each time.
        counts: Returns the numbers of a function.
    """

    def __init__(
        self,
        replicas: Callable[[RevisionEntry], Sequence[Shown]],
        last_scaled: Callable[[RevisionEntry], Scaled | None],
        url: Callable[[], str],
        counts: Callable[[FunctionEntry], Counts] = counts_of,
    ) -> None:
        self._replicas = replicas
        self._last_scaled = last_scaled
        self._url = url
        self.counts = counts
        self.elsewhere: Callable[[FunctionEntry], Mirrored | None] = lambda _entry: None
        """What another gateway says of a function that it owns; None: this one has it."""

    def function(self, entry: FunctionEntry) -> View:
        """Return a function with its state, replicas by state, load and last scaling."""
        state, reason = state_of(entry)
        mirrored = self.elsewhere(entry)
        counts: dict[str, int] = {}
        for status in self.replicas(entry):
            counts[status["state"]] = counts.get(status["state"], 0) + 1
        return {
            **plain(entry.function),
            "state": state,
            "reason": reason,
            "url": self._call_url(entry),
            "replicaCounts": counts,
            "counts": (mirrored and mirrored.counts) or self.counts(entry).plain(),
            "scaled": mirrored.scaled if mirrored else self._scaled(entry),
        }

    def encoded(self, entry: FunctionEntry) -> msgspec.Raw:
        """Return `function` as JSON: of a thousand, one at a time is made of Python objects."""
        return msgspec.Raw(msgspec.json.encode(self.function(entry)))

    def function_in_full(self, entry: FunctionEntry) -> View:
        """Return a function with its revisions and replicas."""
        view = self.function(entry)
        view["revisions"] = self.revisions(entry)
        view["replicas"] = self.replicas(entry)
        view["inFlight"] = view["counts"]["inFlight"]
        view["queued"] = view["counts"]["queued"]
        return view

    def revisions(self, entry: FunctionEntry) -> list[View]:
        """Return the revisions of a function, newest first."""
        return [self.revision(one) for one in reversed(entry.revisions.values())]

    def revision(self, entry: RevisionEntry) -> View:
        """Return a revision with its share of traffic and what changed since the one before."""
        return {
            **plain(entry.revision),
            "weight": entry.function.function.traffic.get(entry.number, 0),
            "isLive": entry.is_live,
            "changes": self._changes(entry),
        }

    def brief(self, entry: RevisionEntry) -> View:
        """Return what a list shows of a revision: how it is, and which cell it came from."""
        revision = entry.revision
        return {
            "function": revision.function,
            "namespace": revision.namespace,
            "number": revision.number,
            "id": revision.id,
            "state": "removed" if entry.is_removed else revision.state.value,
            "reason": revision.reason,
            "createdAt": revision.created_at,
            "origin": plain(revision.origin),
        }

    def replicas(self, entry: FunctionEntry) -> list[View]:
        """Return the replicas of a function, over its revisions."""
        mirrored = self.elsewhere(entry)
        if mirrored is not None:
            return list(mirrored.replicas.values())
        return [
            plain(replica.status())
            for revision in entry.revisions.values()
            for replica in self._replicas(revision)
        ]

    def call_url(self, name: str) -> str:
        """Return where a function is called over HTTP."""
        return f"{self._url()}/function/{name}"

    def scaled(self, scaled: Scaled) -> View:
        """Return a decision of the autoscaler."""
        return {
            "revision": scaled.entry.number,
            "before": scaled.before,
            "after": scaled.after,
            "reason": scaled.reason,
            "at": scaled.at,
        }

    def _scaled(self, entry: FunctionEntry) -> View | None:
        """Return the newest decision; what becomes of retired revisions matters less."""
        last = [found for one in entry.revisions.values() if (found := self._last_scaled(one))]
        newest = max(last, key=lambda one: (one.entry.is_live, one.at), default=None)
        return None if newest is None else self.scaled(newest)

    def _changes(self, entry: RevisionEntry) -> list[str]:
        earlier = [n for n in entry.function.revisions if n < entry.number]
        if not earlier:
            return []
        before = entry.function.revisions[max(earlier)]
        return changes(before.revision.spec, entry.revision.spec)

    def _call_url(self, entry: FunctionEntry) -> str:
        return self.call_url(entry.name)


def state_of(entry: FunctionEntry) -> tuple[str, str]:
    """Return whether a function can be called (also at zero replicas), and what to know of it.

    Returns:
        `ready`, `pending` or `failed`, and a sentence: why it failed, or that its newest
        revision did and an older one keeps serving. Empty: all is well.
    """
    latest = entry.latest.revision
    if not entry.traffic:
        return latest.state.value, latest.reason
    serving = ", ".join(map(str, entry.traffic.numbers))
    if latest.state is RevisionState.FAILED:
        return "ready", f"Revision {latest.number} failed, {serving} keeps serving: {latest.reason}"
    if latest.state is RevisionState.PENDING:
        return "ready", f"Revision {latest.number} is starting, {serving} serves meanwhile."
    return "ready", ""
