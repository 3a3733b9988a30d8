"""Invocations wait here for a replica: the slots of every revision, driven by real time.

`core/slots.py` decides, this does: it gives granted invocations their lease, ends waits whose
deadline has passed, tells the autoscaler when something queues, and feeds the concurrency record
that scaling reads. Callbacks only; a warm invocation costs no task and no timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Protocol

from jupyter_faas.core.errors import ColdStartTimeout, FaasError, QueueFull, QueueTimeout
from jupyter_faas.core.scaling import Load
from jupyter_faas.core.slots import Replica, RoomFull, Waiter, WaitingRoom
from jupyter_faas.gateway.entries import RevisionEntry
from jupyter_faas.gateway.pool import Pool

FOREVER = float("inf")

_FINEST_S = 0.005
"""Waits are looked through at most this often, however their deadlines fall."""

_BUSY_PAUSE_S = 0.005
"""A replica that said it was busy is asked again after this long."""


class Queued(Protocol):
    """What the activator needs of an invocation beyond its being a `Waiter`."""

    def on_lease(self, replica: Replica) -> None:
        """It may be sent to `replica` now."""

    def on_given_up(self, error: FaasError) -> None:
        """It has left the queue without a lease."""

    def on_replica_lost(self, reason: str, detail: str) -> None:
        """The replica whose lease it holds is gone."""


class Activator:
    """Leases and queues of all revisions of one gateway.

    Args:
        room: Bounds of all queues.
        clock: Monotonic seconds.
        poke: Called with a revision when something of it queues; must be cheap.
    """

    def __init__(
        self,
        room: WaitingRoom,
        clock: Callable[[], float],
        poke: Callable[[RevisionEntry], None],
    ) -> None:
        self._room = room
        self._clock = clock
        self._poke = poke
        self._pools: dict[str, Pool] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_s = float("inf")
        self.forgotten = dict.fromkeys(("accepted", "done", "dead", "cancelled"), 0)
        """Totals of pools that are no more."""
        self.on_idle: Callable[[RevisionEntry, Replica], None] = lambda _entry, _replica: None
        """Called when the last lease of a closed replica has ended."""

    @property
    def room(self) -> WaitingRoom:
        """The bounds, and how many wait now."""
        return self._room

    def pools(self) -> Iterator[Pool]:
        """Yield the pool of every revision that was ever asked for something."""
        return iter(tuple(self._pools.values()))

    def pool(self, entry: RevisionEntry) -> Pool:
        """Return the pool of a revision; the first look makes it."""
        pool = entry.pool
        if pool is None:
            pool = entry.pool = self._pools[entry.key] = Pool(entry, self._room, self._clock())
        assert isinstance(pool, Pool)
        return pool

    def load(self, entry: RevisionEntry, replicas: int) -> Load:
        """Return what a revision has to do now; `replicas` counts starting and serving ones."""
        pool = self.pool(entry)
        return Load(pool.window, pool.running, pool.queued, replicas, pool.ready_at_s)

    def acquire(
        self, pool: Pool, waiter: Waiter, now_s: float, limit_s: float = FOREVER
    ) -> Replica | None:
        """Accept an invocation: lease it a replica at once, or queue it (None).

        Args:
            pool: Of the revision it goes to.
            waiter: The invocation; its deadline for waiting is set here.
            now_s: Monotonic seconds.
            limit_s: When its caller's patience ends.

        Raises:
            QueueFull: There is no place to wait; nothing was accepted.
        """
        replica = pool.take(waiter)
        if replica is None:
            waiter.deadline_s = min(now_s + pool.patience_s, limit_s)
            self._enqueue(pool, waiter)
        pool.window.record(now_s, pool.running + len(pool.queue))
        if replica is None:
            self._poke(pool.entry)
        return replica

    def release(self, pool: Pool, waiter: Waiter, now_s: float, *, is_cancelled: bool) -> bool:
        """End a lease and give its slot to the next; False: it had ended before."""
        replica = waiter.replica
        if replica is None:
            return False
        pool.release(waiter, is_cancelled=is_cancelled)
        pool.window.record(now_s, pool.running + len(pool.queue))
        if pool.queue:
            self.dispatch(pool)
        if not replica.is_open and not replica.leases:
            self.on_idle(pool.entry, replica)
        return True

    def requeue(self, pool: Pool, waiter: Waiter) -> None:
        """Give back a lease that was not used; the invocation waits at the head again."""
        replica = waiter.replica
        if replica is None or not pool.requeue(waiter):
            return
        self._arm(waiter.deadline_s)
        self._poke(pool.entry)
        if not replica.is_open and not replica.leases:
            self.on_idle(pool.entry, replica)
        asyncio.get_running_loop().call_soon(self.dispatch, pool)

    def withdraw(self, pool: Pool, waiter: Waiter, now_s: float, *, is_cancelled: bool) -> bool:
        """Let an invocation leave the queue; False: it does not wait."""
        if not pool.withdraw(waiter, is_cancelled=is_cancelled):
            return False
        pool.window.record(now_s, pool.running + pool.queued)
        return True

    def dispatch(self, pool: Pool) -> None:
        """Give free slots to whoever waits longest."""
        now_s = self._clock()
        match = pool.match(now_s)
        for waiter in match.expired:
            self._give_up(pool, waiter)
        for waiter in match.granted:
            assert waiter.replica is not None
            _as_queued(waiter).on_lease(waiter.replica)
        pool.window.record(now_s, pool.running + pool.queued)

    def add_replica(self, entry: RevisionEntry, replica: Replica) -> None:
        """Let a ready replica take invocations."""
        pool, now_s = self.pool(entry), self._clock()
        is_first = not pool.replicas
        pool.ready_at_s = now_s
        pool.add(replica)
        self.dispatch(pool)
        if is_first and pool.queued:
            self._shorten(pool, now_s)

    def close_replica(self, entry: RevisionEntry, replica: Replica) -> None:
        """Give a replica nothing new; its invocations go on."""
        self.pool(entry).close(replica)

    def pause_replica(self, pool: Pool, replica: Replica) -> None:
        """Leave a replica alone for a moment that said it was busy."""
        if replica.is_open:
            pool.close(replica)
            asyncio.get_running_loop().call_later(_BUSY_PAUSE_S, self._resume, pool, replica)

    def remove_replica(
        self, entry: RevisionEntry, replica: Replica, reason: str, detail: str
    ) -> None:
        """Forget a replica; each invocation that holds a lease of it is told why."""
        for waiter in self.pool(entry).remove(replica):
            _as_queued(waiter).on_replica_lost(reason, detail)

    def fail(self, entry: RevisionEntry, error: FaasError) -> None:
        """Give everybody who waits for a revision this error: it will not get ready."""
        pool = entry.pool
        if pool is None:
            return
        now_s = self._clock()
        for waiter in pool.waiting:
            pool.withdraw(waiter)
            _as_queued(waiter).on_given_up(error)
        self.pool(entry).window.record(now_s, pool.running)

    def forget(self, entry: RevisionEntry) -> None:
        """Drop the pool of a removed revision once nothing of it waits or runs."""
        pool = entry.pool
        if pool is None or pool.running or pool.queued or pool.replicas:
            return
        gone = self._pools.pop(entry.key, None)
        if gone is not None:
            for name in self.forgotten:
                self.forgotten[name] += getattr(gone, name)
            entry.function.past = gone.added_to(entry.function.past)
            entry.pool = None

    def close(self) -> None:
        """Stop the timer."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _enqueue(self, pool: Pool, waiter: Waiter) -> None:
        try:
            victim = pool.enqueue(waiter)
        except RoomFull as full:
            raise _queue_full(pool, full.is_own_limit) from None
        if victim is not None:
            other, evicted = victim
            assert isinstance(other, Pool)
            _as_queued(evicted).on_given_up(_queue_full(other, is_own_limit=False))
        self._arm(waiter.deadline_s)

    def _resume(self, pool: Pool, replica: Replica) -> None:
        # Whatever closed it for good meanwhile has taken it out of the pool or marked it.
        if not getattr(replica, "is_leaving", False):
            pool.open(replica)
            self.dispatch(pool)

    def _shorten(self, pool: Pool, now_s: float) -> None:
        """From the first ready replica on, the wait for a slot counts, not the cold start."""
        latest_s = now_s + pool.patience_s
        for waiter in pool.waiting:
            waiter.deadline_s = min(waiter.deadline_s, latest_s)
        self._arm(latest_s)

    def _arm(self, deadline_s: float) -> None:
        """See to it that waits are looked through at `deadline_s`."""
        if deadline_s >= self._alarm_s:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_s = deadline_s
        delay_s = max(_FINEST_S, deadline_s - self._clock())
        self._alarm = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def _ring(self) -> None:
        self._alarm, self._alarm_s = None, float("inf")
        now_s = self._clock()
        late, next_s = self._room.overdue(now_s)
        for slots, waiter in late:
            assert isinstance(slots, Pool)
            if self.withdraw(slots, waiter, now_s, is_cancelled=False):
                self._give_up(slots, waiter)
        if next_s < float("inf"):
            self._arm(next_s)

    def _give_up(self, pool: Pool, waiter: Waiter) -> None:
        _as_queued(waiter).on_given_up(wait_is_over(pool))


def wait_is_over(pool: Pool) -> FaasError:
    """Return the error of who waited too long for a replica of `pool`."""
    name, number = pool.entry.function.name, pool.entry.number
    if not pool.replicas:
        return ColdStartTimeout(
            f"No replica of `{name}` (revision {number}) became ready in time.", retry_after_s=1.0
        )
    limit = pool.entry.function.function.settings.scaling.max_containers
    return QueueTimeout(
        f"All {len(pool.replicas)} replicas of `{name}` were busy (max_containers={limit}, "
        f"max_inputs={pool.max_inputs}) for as long as this call could wait.",
        retry_after_s=1.0,
    )


def _queue_full(pool: Pool, is_own_limit: bool) -> QueueFull:
    name = pool.entry.function.name
    if is_own_limit:
        limit = pool.room.max_per_function
        return QueueFull(
            f"{limit} calls of `{name}` wait already; no more may.", status=429, retry_after_s=1.0
        )
    return QueueFull("The gateway's waiting room is full.", retry_after_s=1.0)


def _as_queued(waiter: Waiter) -> Queued:
    return waiter  # type: ignore[return-value]  # - only calls wait here


__all__ = ["Activator", "Pool", "Queued", "wait_is_over"]
