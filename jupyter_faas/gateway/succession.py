"""A replica that has less than its revision asks for is succeeded by one made to measure.

It goes on serving until its successor is ready, and does not count meanwhile: the autoscaler sees
one replica, not two. If the successor cannot be had either, it stays, and says why.
"""

from __future__ import annotations

from collections.abc import Callable

from jupyter_faas.core.model import ReplicaState
from jupyter_faas.gateway.entries import RevisionEntry
from jupyter_faas.gateway.replica import Replica


class Succession:
    """Who follows whom, in one gateway.

    Args:
        start: Begins to start a replica that is made to measure; returns it.
        stop: Lets a replica drain and ends it.
        on_change: Told of each replica whose reason is another one.
    """

    def __init__(
        self,
        start: Callable[[RevisionEntry], Replica],
        stop: Callable[[Replica], None],
        on_change: Callable[[Replica], None],
    ) -> None:
        self._start = start
        self._stop = stop
        self._on_change = on_change
        self._followed: dict[str, Replica] = {}
        """By the successor's id: whose place it takes."""
        self._successors: dict[str, Replica] = {}

    def is_successor(self, replica: Replica) -> bool:
        """Return whether a replica is to take another one's place."""
        return replica.id in self._followed

    def on_misfit(self, replica: Replica, reason: str) -> None:
        """A replica has less than was asked for, and why; empty: it has it now."""
        successor = self._successors.get(replica.id)
        if not reason:
            replica.reason = ""
            self._on_change(replica)
            if successor is not None and successor.state is ReplicaState.STARTING:
                self._stop(successor)
            return
        replica.reason = reason
        self._on_change(replica)
        if successor is None and replica.state is ReplicaState.READY:
            successor = self._start(replica.entry)
            replica.is_outgrown = True
            self._followed[successor.id] = replica
            self._successors[replica.id] = successor

    def on_ready(self, successor: Replica) -> None:
        """A replica serves: the one whose place it takes may go."""
        replica = self._part(successor)
        if replica is not None:
            replica.is_outgrown = False
            self._stop(replica)

    def on_stop(self, replica: Replica) -> None:
        """A replica is not wanted any more: if it was to be a successor, nobody follows."""
        followed = self._part(replica)
        if followed is not None:
            followed.is_outgrown = False

    def on_lost(self, replica: Replica, detail: str = "") -> None:
        """A replica has ended. A successor that could not be started is no harm done."""
        followed = self._part(replica)
        if followed is not None:
            followed.is_outgrown = False
            if detail and followed.state is ReplicaState.READY:
                sentence = detail[:1].lower() + detail[1:].rstrip(".")
                followed.reason += f"; no pod of its own took over: {sentence}"
                self._on_change(followed)
        successor = self._successors.pop(replica.id, None)
        if successor is not None:
            self._followed.pop(successor.id, None)

    def _part(self, successor: Replica) -> Replica | None:
        replica = self._followed.pop(successor.id, None)
        if replica is not None:
            self._successors.pop(replica.id, None)
        return replica
