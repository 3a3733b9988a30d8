"""Has as many replicas running as `core/scaling.py` wants: the half with a clock.

Poked at once when an invocation queues that no replica can take, told of what the registry and
the fleet see, and ticking while any revision has replicas or work; a thousand sleeping functions
cost a tick nothing. Every decision that changes a count is published with its reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, Protocol

from jupyter_faas.core.model import ReplicaState, RevisionState
from jupyter_faas.core.scaling import (
    Decision,
    Load,
    ReplicaUse,
    ScaleSpec,
    choose_to_stop,
    desired_replicas,
    start_delay_s,
)
from jupyter_faas.gateway.capacity import Capacity, Fleet, FleetReplica, R, is_at_rest
from jupyter_faas.gateway.catalogue import RegistryChange
from jupyter_faas.gateway.entries import RevisionEntry

TICK_S = 1.0
_FINEST_TICK_S = 0.1


class Loads(Protocol):
    """Tells what revisions have to do; the activator."""

    def load(self, entry: RevisionEntry, replicas: int) -> Load:
        """Return the load of a revision that has `replicas`."""


class Scaled(NamedTuple):
    """A decision that changed a count, as published."""

    entry: RevisionEntry
    before: int
    after: int
    reason: str
    at: float
    """Wall clock, seconds since the epoch."""


class Windows(NamedTuple):
    """Settings of the policy. Seconds; see `ScaleSpec`."""

    stable_s: float = 60.0
    panic_s: float = 6.0


class Autoscaler(Generic[R]):
    """Decides for every revision that has replicas or work.

    Args:
        fleet: Starts and ends replicas.
        loads: The activator.
        max_replicas: Most replicas of all functions together.
        clock: Monotonic seconds.
        wall_clock: Seconds since the epoch, for what people see.
        publish: Told every decision that changes a count.
        windows: Lengths of the stable and the panic window.
    """

    def __init__(
        self,
        fleet: Fleet[R],
        loads: Loads,
        *,
        max_replicas: int,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        publish: Callable[[Scaled], None],
        windows: Windows = Windows(),
    ) -> None:
        self._fleet = fleet
        self._loads = loads
        self._capacity = Capacity(fleet, max_replicas)
        self._clock = clock
        self._wall_clock = wall_clock
        self._publish = publish
        self._windows = windows
        self._active: dict[str, RevisionEntry] = {}
        self._dirty: dict[str, RevisionEntry] = {}
        self._full: set[str] = set()
        self._wanted_first: set[str] = set()
        self._after_others: set[str] = set()
        self._failures: dict[str, tuple[int, float]] = {}
        self._last: dict[str, Scaled] = {}
        self._run_soon: asyncio.Handle | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._is_closed = False
        self.owns: Callable[[RevisionEntry], bool] = lambda _entry: True
        """Whether replicas of a revision are this gateway's business; others look after the rest.

        What is called here all the same gets replicas, which are let go when it is at rest.
        """
        self.on_guest_gone: Callable[[RevisionEntry], None] = lambda _entry: None
        """Called when nothing runs any more of a revision that is not this gateway's."""

    def poke(self, entry: RevisionEntry) -> None:
        """Look at a revision soon: something of it queues. Cheap; may be called per invocation.

        Of a revision that has all the replicas it may have nothing is to be decided before the
        next tick.
        """
        key = entry.key
        if key in self._dirty or key in self._full or self._is_closed:
            return
        self._dirty[key] = entry
        if self._run_soon is None:
            self._run_soon = asyncio.get_running_loop().call_soon(self._run)

    def on_change(self, change: RegistryChange) -> None:
        """Subscriber of the registry: what was deployed, moved, changed or deleted."""
        about = change.revision
        if about is not None and change.kind == "deployed" and change.strategy == "recreate":
            self._after_others.add(about.key)
        if about is not None and change.kind == "deployed":
            self._failures.pop(about.key, None)  # who deploys anew has mended something
        if about is not None and change.kind == "removed":
            self._look_again(about)
        if change.kind == "live":
            asleep = (one for one in change.function.live() if not self._capacity.counted(one))
            self._wanted_first.update(one.key for one in asleep)
        for entry in change.function.revisions.values():
            self._look_again(entry)

    def on_ready(self, entry: RevisionEntry) -> None:
        """Note that a replica got ready: starts work (again)."""
        self._failures.pop(entry.key, None)
        self._wanted_first.discard(entry.key)
        self._look_again(entry)

    def on_gone(self, entry: RevisionEntry, *, has_been_ready: bool) -> None:
        """Note that a replica has ended, wanted or not; failing starts are made more slowly."""
        if not has_been_ready:
            failures = self._failures.get(entry.key, (0, 0.0))[0] + 1
            self._failures[entry.key] = (failures, self._clock() + start_delay_s(failures))
        for other in entry.function.revisions.values():
            self._look_again(other)
        self._look_again(entry)

    def last(self, entry: RevisionEntry) -> Scaled | None:
        """Return the last decision that changed a revision's count."""
        return self._last.get(entry.key)

    def room(self) -> int:
        """Return how many replicas may still be started, all functions together."""
        return self._capacity.room(self._active.values())

    def can_grow(self, entry: RevisionEntry) -> bool:
        """Return whether a revision may get more replicas than it has ready."""
        counted = self._capacity.counted(entry)
        if any(one.state is ReplicaState.STARTING for one in counted):
            return True
        spec = self._spec(entry)
        return len(counted) < spec.max_containers and (
            self.room() > 0 or self._capacity.has_idle(self._active.values(), entry)
        )

    def close(self) -> None:
        """Decide nothing any more."""
        self._is_closed = True
        for handle in (self._run_soon, self._tick):
            if handle is not None:
                handle.cancel()

    def _run(self) -> None:
        self._run_soon = None
        dirty, self._dirty = self._dirty, {}
        now_s = self._clock()
        for entry in dirty.values():
            self._look_at(entry, now_s)
        self._arm()

    def forget(self, entry: RevisionEntry) -> None:
        """Decide nothing more about a revision; it belongs to another gateway now."""
        for known in (self._active, self._dirty, self._failures, self._last):
            known.pop(entry.key, None)
        for noted in (self._full, self._wanted_first, self._after_others):
            noted.discard(entry.key)

    def _look_again(self, entry: RevisionEntry) -> None:
        """Look at a revision soon whose limits or replicas may have changed."""
        self._full.discard(entry.key)
        if self.owns(entry):
            self.poke(entry)

    def tick(self) -> None:
        """Look at every revision that has replicas or work; called by a timer while one has."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        self._full.clear()
        self._dirty.update(self._active)
        self._run()

    def _arm(self) -> None:
        if self._tick is None and self._active and not self._is_closed:
            shortest = min(
                one.function.function.settings.scaling.scaledown_window_s
                for one in self._active.values()
            )
            delay_s = min(TICK_S, max(_FINEST_TICK_S, shortest / 4))
            self._tick = asyncio.get_running_loop().call_later(delay_s, self.tick)

    def _look_at(self, entry: RevisionEntry, now_s: float) -> None:
        """Bring one revision to the count it should have, as far as there is room."""
        if not self.owns(entry) and not self._has_queue(entry):
            if is_at_rest(entry):
                self.forget(entry)
                self.on_guest_gone(entry)
            return
        self._active[entry.key] = entry
        counted = self._capacity.counted(entry)
        decision = self._decide(entry, counted, now_s)
        missing = decision.count - len(counted)
        reason = decision.reason
        if missing > 0:
            wanted, missing = missing, self._start(entry, missing, now_s)
            if missing < wanted and self.room() <= 0:
                reason = f"{reason}; {self._capacity.shortage(wanted - missing)}"
        elif missing < 0:
            by_id = {one.id: one for one in counted}
            for replica_id in choose_to_stop(_uses(counted), -missing):
                self._fleet.stop(by_id[replica_id])
        if missing or (reason != decision.reason and not self._has_told_shortage(entry)):
            self._note(entry, len(counted), len(counted) + missing, reason)
        if not decision.count:
            self._sleep_if_done(entry)
        elif len(counted) >= entry.function.function.settings.scaling.max_containers:
            self._full.add(entry.key)

    def _has_queue(self, entry: RevisionEntry) -> bool:
        return entry.pool is not None and bool(entry.pool.queue)

    def _decide(self, entry: RevisionEntry, counted: Sequence[R], now_s: float) -> Decision:
        if entry.is_removed:
            return Decision(0, "removed")
        spec = self._spec(entry)
        load = self._loads.load(entry, len(counted))
        load.window.fit(now_s, spec.stable_s)
        decision = desired_replicas(spec, load, now_s)
        if entry.revision.state is RevisionState.FAILED:
            return Decision(0, f"revision {entry.number} failed")
        if self._wants_first(entry) and not decision.count:
            return Decision(1, f"the first replica of revision {entry.number}")
        return decision

    def _wants_first(self, entry: RevisionEntry) -> bool:
        """Whether one replica is wanted before anybody has called; until it is ready."""
        if entry.is_pending:
            self._wanted_first.add(entry.key)
            return True
        return entry.key in self._wanted_first and entry.is_live

    def _spec(self, entry: RevisionEntry) -> ScaleSpec:
        """Return the limits of a revision; several live ones share the function's."""
        scaling = entry.function.function.settings.scaling
        is_retired = not entry.is_live and not entry.is_pending
        spec = ScaleSpec.of(
            scaling, entry.revision.spec.max_inputs, is_retired=is_retired
        )._replace(longest_stable_s=self._windows.stable_s, longest_panic_s=self._windows.panic_s)
        if len(entry.function.traffic.numbers) > 1 and entry.is_live:
            others = sum(
                len(self._capacity.counted(o)) for o in entry.function.live() if o is not entry
            )
            room = max(1, spec.max_containers - others)
            weights = entry.function.function.traffic
            is_main = weights[entry.number] == max(weights.values())
            floor = min(room, spec.min_containers) if is_main else 0
            spec = spec._replace(max_containers=room, min_containers=floor)
        return spec

    def _start(self, entry: RevisionEntry, wanted: int, now_s: float) -> int:
        """Start up to `wanted` replicas; return how many."""
        if now_s < self._failures.get(entry.key, (0, 0.0))[1] or self._must_wait(entry):
            return 0
        room = self.room()
        if room < wanted:
            room += self._reclaim(entry, wanted - room)
        count = max(0, min(wanted, room))
        if count:
            self._fleet.start(entry, count)
        return count

    def _must_wait(self, entry: RevisionEntry) -> bool:
        """Whether a `recreate` still waits for the replicas of the other revisions to end."""
        if entry.key not in self._after_others:
            return False
        others = (o for o in entry.function.revisions.values() if o is not entry)
        if any(self._fleet.replicas(other) for other in others):
            return True
        self._after_others.discard(entry.key)
        return False

    def _reclaim(self, wanting: RevisionEntry, count: int) -> int:
        """Stop idle replicas of others, least recently used first, that are above their floor."""
        found = self._capacity.idle(self._active.values(), wanting)[:count]
        for entry, replica in found:
            before = len(self._capacity.counted(entry))
            self._fleet.stop(replica)
            why = f"idle, and `{wanting.function.name}` waits for room"
            self._note(entry, before, before - 1, why)
        return len(found)

    def _has_told_shortage(self, entry: RevisionEntry) -> bool:
        told = self._last.get(entry.key)
        return told is not None and self._capacity.is_shortage(told.reason)

    def _note(self, entry: RevisionEntry, before: int, after: int, reason: str) -> None:
        sentence = Decision(after, reason).sentence(before)
        scaled = Scaled(entry, before, after, sentence, self._wall_clock())
        self._last[entry.key] = scaled
        self._publish(scaled)

    def _sleep_if_done(self, entry: RevisionEntry) -> None:
        """Look no more at a revision without replicas or work, until it is poked."""
        if self._fleet.replicas(entry) or not is_at_rest(entry):
            return
        self._active.pop(entry.key, None)
        self._full.discard(entry.key)
        if entry.is_removed:
            self._wanted_first.discard(entry.key)
            self._after_others.discard(entry.key)
            self._failures.pop(entry.key, None)
            self._last.pop(entry.key, None)


def _uses(replicas: Sequence[FleetReplica]) -> list[ReplicaUse]:
    return [
        ReplicaUse(one.id, one.in_flight, one.last_used_s, one.state is ReplicaState.STARTING)
        for one in replicas
    ]


__all__ = ["Autoscaler", "Loads", "Scaled", "Windows"]
