"""Who may run where: replicas of one revision, their leases, and the queue in front of them.

Pure: no clock, no I/O; the gateway's activator does what this says. A lease is the right of one
invocation to one of a replica's `max_inputs` slots; it is kept in the replica under the
invocation's id, so giving it back twice is impossible, and so is losing it when the replica is
lost. `accepted = queued + running + done + dead + cancelled` holds between any two calls.

Picking a replica is O(1): replicas with equal load share a bucket, the lowest non-empty bucket
is remembered. Among equals the one used last is taken, so that the others can become idle.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple


class RoomFull(Exception):
    """A waiter found no place.

    Args:
        is_own_limit: The function's own bound was reached, not the gateway's.
    """

    def __init__(self, is_own_limit: bool) -> None:
        super().__init__(is_own_limit)
        self.is_own_limit = is_own_limit


class Replica:
    """What the slots know of a replica.

    Args:
        id: Unique name of the replica.
        max_inputs: Hard limit of leases at a time, ≥ 1.
    """

    __slots__ = ("id", "is_open", "leases", "max_inputs")

    def __init__(self, id: str, max_inputs: int) -> None:
        self.id = id
        self.max_inputs = max_inputs
        self.is_open = False
        self.leases: dict[bytes, Waiter] = {}


class Waiter:
    """One invocation in the eyes of the slots: it queues, then holds a lease, then is gone.

    Args:
        id: Invocation id, unique among the living.
        deadline_s: When waiting ends, on the caller's monotonic clock.
    """

    __slots__ = ("deadline_s", "id", "is_queued", "replica")

    def __init__(self, id: bytes, deadline_s: float) -> None:
        self.id = id
        self.deadline_s = deadline_s
        self.is_queued = False
        self.replica: Replica | None = None


class Match(NamedTuple):
    """Outcome of `Slots.match`: who has a lease now, and who waited too long."""

    granted: list[Waiter]
    expired: list[Waiter]


def replicas_for(inputs: int, max_inputs: int) -> int:
    """Return how many replicas `inputs` invocations at a time fill: the ceiling of the quotient."""
    return -(-inputs // max_inputs)


class WaitingRoom:
    """Bounds what may queue: per function, and over all functions.

    When the whole room is full, a function with less than its equal share still gets in: the
    newest waiter of the function with the longest queue makes place ("longest queue drop").

    Args:
        max_total: Waiters of all functions together.
        max_per_function: Waiters of one function, over its revisions.

    Source:
        Suter, Lakshman, Stiliadis, Choudhury: Buffer management schemes (1999), LQD.
    """

    __slots__ = ("_queues", "max_per_function", "max_total", "total")

    def __init__(self, max_total: int, max_per_function: int) -> None:
        self.max_total = max_total
        self.max_per_function = max_per_function
        self.total = 0
        self._queues: dict[str, OrderedDict[Waiter, Slots]] = {}

    def queued(self, function_key: str) -> int:
        """Return how many invocations of a function wait."""
        queue = self._queues.get(function_key)
        return 0 if queue is None else len(queue)

    def victim_for(self, function_key: str) -> tuple[Slots, Waiter] | None:
        """Return who must leave so that one more of `function_key` fits; None: there is place.

        Raises:
            RoomFull: There is no place, and nobody who would have to make it.
        """
        own = self.queued(function_key)
        if own >= self.max_per_function:
            raise RoomFull(is_own_limit=True)
        if self.total < self.max_total:
            return None
        longest = max(self._queues.values(), key=len, default=None)
        if longest is None or own + 1 >= len(longest):
            raise RoomFull(is_own_limit=False)
        waiter = next(reversed(longest))
        return longest[waiter], waiter

    def overdue(self, now_s: float) -> tuple[list[tuple[Slots, Waiter]], float]:
        """Return who waited past its deadline, and the next deadline (infinite: none)."""
        late: list[tuple[Slots, Waiter]] = []
        next_s = float("inf")
        for queue in self._queues.values():
            for waiter, slots in queue.items():
                if waiter.deadline_s <= now_s:
                    late.append((slots, waiter))
                elif waiter.deadline_s < next_s:
                    next_s = waiter.deadline_s
        return late, next_s

    def enter(self, slots: Slots, waiter: Waiter, *, at_head: bool = False) -> None:
        """Count a waiter in; bounds are the business of `victim_for`."""
        queue = self._queues.setdefault(slots.function_key, OrderedDict())
        queue[waiter] = slots
        if at_head:
            queue.move_to_end(waiter, last=False)
        self.total += 1

    def leave(self, slots: Slots, waiter: Waiter) -> None:
        """Count a waiter out."""
        queue = self._queues[slots.function_key]
        del queue[waiter]
        if not queue:
            del self._queues[slots.function_key]
        self.total -= 1


class Slots:
    """Replicas, leases and queue of one revision.

    Args:
        key: Names the revision.
        function_key: Names its function, for the bounds of the waiting room.
        max_inputs: Leases per replica, ≥ 1.
        room: Shared by all functions of a gateway.

    Attributes:
        queue: Who waits, in order; to be read only.
    """

    __slots__ = (
        "_by_load",
        "_lowest",
        "accepted",
        "cancelled",
        "dead",
        "done",
        "function_key",
        "key",
        "max_inputs",
        "queue",
        "replicas",
        "room",
        "running",
    )

    def __init__(self, key: str, function_key: str, max_inputs: int, room: WaitingRoom) -> None:
        self.key = key
        self.function_key = function_key
        self.max_inputs = max_inputs
        self.room = room
        self.replicas: dict[str, Replica] = {}
        self.accepted = self.running = self.done = self.dead = self.cancelled = 0
        self.queue: OrderedDict[Waiter, None] = OrderedDict()
        self._by_load: list[dict[Replica, None]] = [{}]
        self._lowest = max_inputs

    @property
    def queued(self) -> int:
        """How many invocations wait."""
        return len(self.queue)

    @property
    def waiting(self) -> tuple[Waiter, ...]:
        """The queue, its head first."""
        return tuple(self.queue)

    @property
    def free(self) -> int:
        """Slots that could be leased now."""
        return sum(
            replica.max_inputs - len(replica.leases)
            for replica in self.replicas.values()
            if replica.is_open
        )

    def take(self, waiter: Waiter) -> Replica | None:
        """Accept an invocation and lease it the least loaded replica; None: it has to queue."""
        if self.queue or self._lowest >= self.max_inputs:
            return None
        self.accepted += 1
        return self._lease(waiter)

    def enqueue(self, waiter: Waiter) -> tuple[Slots, Waiter] | None:
        """Accept an invocation into the queue.

        Returns:
            The waiter (already withdrawn as dead) that had to make place, with its slots.

        Raises:
            RoomFull: Not accepted; nothing is counted.
        """
        victim = self.room.victim_for(self.function_key)
        if victim is not None:
            victim[0].withdraw(victim[1])
        self.accepted += 1
        self._wait(waiter, at_head=False)
        return victim

    def withdraw(self, waiter: Waiter, *, is_cancelled: bool = False) -> bool:
        """Let a waiter leave the queue, as dead or cancelled; False: it does not wait."""
        if not waiter.is_queued:
            return False
        self._unwait(waiter)
        if is_cancelled:
            self.cancelled += 1
        else:
            self.dead += 1
        return True

    def match(self, now_s: float) -> Match:
        """Lease free slots to the head of the queue; drop who waited past its deadline."""
        granted: list[Waiter] = []
        expired: list[Waiter] = []
        while self.queue and self._lowest < self.max_inputs:
            waiter = next(iter(self.queue))
            if waiter.deadline_s <= now_s:
                self.withdraw(waiter)
                expired.append(waiter)
                continue
            self._unwait(waiter)
            self._lease(waiter)
            granted.append(waiter)
        return Match(granted, expired)

    def release(self, waiter: Waiter, *, is_cancelled: bool = False) -> bool:
        """End a lease; False: it had ended already, nothing is counted twice."""
        if waiter.replica is None:
            return False
        self._unlease(waiter)
        if is_cancelled:
            self.cancelled += 1
        else:
            self.done += 1
        return True

    def requeue(self, waiter: Waiter) -> bool:
        """Turn a lease that was not used back into the first place of the queue.

        Only for invocations whose code cannot have started. The room's bounds do not apply:
        it was accepted before. False: it holds no lease.
        """
        if waiter.replica is None:
            return False
        self._unlease(waiter)
        self._wait(waiter, at_head=True)
        return True

    def add(self, replica: Replica) -> None:
        """Let a replica take invocations; its earlier leases count."""
        self.replicas[replica.id] = replica
        self.open(replica)

    def open(self, replica: Replica) -> None:
        """Let a closed replica take invocations again; unknown ones are ignored."""
        if replica.is_open or replica.id not in self.replicas:
            return
        replica.is_open = True
        self._place(replica, len(replica.leases))

    def close(self, replica: Replica) -> None:
        """Give a replica nothing new (it drains, or said it is busy); its leases go on."""
        if not replica.is_open:
            return
        replica.is_open = False
        self._unplace(replica, len(replica.leases))

    def remove(self, replica: Replica) -> list[Waiter]:
        """Forget a replica; returns who still holds a lease, each to be released or requeued."""
        self.close(replica)
        self.replicas.pop(replica.id, None)
        return list(replica.leases.values())

    def _lease(self, waiter: Waiter) -> Replica:
        lowest = self._lowest
        bucket = self._by_load[lowest]
        replica = bucket.popitem()[0]
        replica.leases[waiter.id] = waiter
        waiter.replica = replica
        self.running += 1
        above = lowest + 1
        if above == len(self._by_load):
            self._by_load.append({})
        self._by_load[above][replica] = None
        if not bucket:
            self._lowest = above
        return replica

    def _unlease(self, waiter: Waiter) -> None:
        replica = waiter.replica
        assert replica is not None
        waiter.replica = None
        load = len(replica.leases)
        del replica.leases[waiter.id]
        self.running -= 1
        if replica.is_open:
            load -= 1
            del self._by_load[load + 1][replica]
            self._by_load[load][replica] = None
            if load < self._lowest:  # noqa: PLR1730 — min() costs three times as much
                self._lowest = load

    def _wait(self, waiter: Waiter, *, at_head: bool) -> None:
        waiter.is_queued = True
        self.queue[waiter] = None
        if at_head:
            self.queue.move_to_end(waiter, last=False)
        self.room.enter(self, waiter, at_head=at_head)

    def _unwait(self, waiter: Waiter) -> None:
        waiter.is_queued = False
        del self.queue[waiter]
        self.room.leave(self, waiter)

    def _place(self, replica: Replica, load: int) -> None:
        while load >= len(self._by_load):
            self._by_load.append({})
        self._by_load[load][replica] = None
        self._lowest = min(self._lowest, load)

    def _unplace(self, replica: Replica, load: int) -> None:
        del self._by_load[load][replica]
        while self._lowest < self.max_inputs and (
            self._lowest >= len(self._by_load) or not self._by_load[self._lowest]
        ):
            self._lowest += 1
