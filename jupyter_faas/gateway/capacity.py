"""How many replicas there may be of all functions together, and who makes room when it is tight.

Looks at what the fleet has; the autoscaler does what follows from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from jupyter_faas.core.model import ReplicaState
from jupyter_faas.gateway.entries import RevisionEntry

_NO_ROOM = "no room for"

_COUNTED = frozenset({ReplicaState.STARTING, ReplicaState.READY, ReplicaState.BUSY})


class FleetReplica(Protocol):
    """What the autoscaler reads of a replica."""

    @property
    def id(self) -> str:
        """Unique name."""

    @property
    def state(self) -> ReplicaState:
        """What it is doing."""

    @property
    def is_outgrown(self) -> bool:
        """Whether another replica that is starting takes its place."""

    @property
    def in_flight(self) -> int:
        """Invocations that hold a lease of it."""

    @property
    def last_used_s(self) -> float:
        """Monotonic seconds of its last lease, or of its start."""


R = TypeVar("R", bound=FleetReplica)


class Fleet(Protocol[R]):
    """Starts and ends replicas for the autoscaler."""

    def replicas(self, entry: RevisionEntry) -> Sequence[R]:
        """Return every replica of a revision, also draining ones."""

    def start(self, entry: RevisionEntry, count: int) -> object:
        """Begin to start `count` replicas; they are among `replicas` at once, as starting."""

    def stop(self, replica: R) -> None:
        """Drain a replica and end it; it does not count from now on."""


class Capacity(Generic[R]):
    """The places of one gateway.

    Args:
        fleet: What there is.
        max_replicas: Most replicas of all functions together.
    """

    def __init__(self, fleet: Fleet[R], max_replicas: int) -> None:
        self._fleet = fleet
        self._max_replicas = max_replicas

    def counted(self, entry: RevisionEntry) -> list[R]:
        """Return the replicas of a revision that are starting or serve.

        One whose successor is starting is not counted beside that.
        """
        return [
            one
            for one in self._fleet.replicas(entry)
            if one.state in _COUNTED and not one.is_outgrown
        ]

    def room(self, active: Iterable[RevisionEntry]) -> int:
        """Return how many may still be started, given all revisions that have any."""
        return self._max_replicas - sum(len(self.counted(entry)) for entry in active)

    def shortage(self, count: int) -> str:
        """Return why `count` replicas that are wanted are not started."""
        return (
            f"{_NO_ROOM} {count} more: {self._max_replicas} replicas run in all, "
            "as many as FAAS_MAX_REPLICAS allows"
        )

    def is_shortage(self, reason: str) -> bool:
        """Return whether a decision's reason tells of a shortage."""
        return _NO_ROOM in reason

    def idle(
        self, active: Iterable[RevisionEntry], wanting: RevisionEntry
    ) -> list[tuple[RevisionEntry, R]]:
        """Return idle replicas above the floor of other revisions, least recently used first."""
        found = list(self._idle(active, wanting))
        return sorted(found, key=lambda pair: pair[1].last_used_s)

    def has_idle(self, active: Iterable[RevisionEntry], wanting: RevisionEntry) -> bool:
        """Return whether any other revision could make room."""
        return next(self._idle(active, wanting), None) is not None

    def _idle(
        self, active: Iterable[RevisionEntry], wanting: RevisionEntry
    ) -> Iterator[tuple[RevisionEntry, R]]:
        for entry in active:
            if entry is wanting or entry.is_pending or not is_at_rest(entry):
                continue
            counted = self.counted(entry)
            idle = [one for one in counted if one.state is ReplicaState.READY and not one.in_flight]
            floor = entry.function.function.settings.scaling.min_containers * entry.is_live
            idle.sort(key=lambda one: one.last_used_s)
            yield from ((entry, one) for one in idle[: max(0, len(counted) - floor)])


def is_at_rest(entry: RevisionEntry) -> bool:
    """Return whether nothing of a revision is in flight or queued."""
    pool = entry.pool
    return pool is None or not (pool.running or pool.queued)
