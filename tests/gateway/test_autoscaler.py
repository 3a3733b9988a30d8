from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Any

import pytest

from jupyter_faas.core.model import (
    Code,
    DeployRequest,
    FunctionSettings,
    ReplicaState,
    RevisionSpec,
    Scaling,
)
from jupyter_faas.core.slots import Waiter, WaitingRoom
from jupyter_faas.gateway.activator import Activator
from jupyter_faas.gateway.autoscaler import Autoscaler, Scaled
from jupyter_faas.gateway.entries import RevisionEntry
from jupyter_faas.gateway.registry import Registry
from jupyter_faas.gateway.replica import Replica
from jupyter_faas.gateway.store.base import Change, Contents

BROKEN = {"code": "provider_error", "detail": "It cannot start."}


class Memory:
    """A store that remembers nothing."""

    async def load(self) -> Contents:
        return Contents([], [])

    async def save(self, change: Change) -> None:
        pass

    async def delete(self, namespace: str, name: str) -> None:
        pass


class Caller(Waiter):
    """An invocation that does what its test says."""

    def on_lease(self, replica: Any) -> None:
        pass

    def on_given_up(self, error: Exception) -> None:
        pass

    def on_replica_lost(self, reason: str, detail: str) -> None:
        pass


class World:
    """An autoscaler over a fleet whose replicas start and stop when the test says so."""

    def __init__(self, max_replicas: int = 100) -> None:
        self.now_s = 1000.0
        self.registry = Registry(Memory(), lambda: self.now_s)  # type: ignore[arg-type]
        self.activator = Activator(WaitingRoom(10_000, 10_000), lambda: self.now_s, self._poke)
        self.made: dict[str, list[Replica]] = {}
        self.stopped: list[str] = []
        self.said: list[Scaled] = []
        self.scaler: Autoscaler[Replica] = Autoscaler(
            self,
            self.activator,
            max_replicas=max_replicas,
            clock=lambda: self.now_s,
            wall_clock=lambda: self.now_s,
            publish=self.said.append,
        )
        self.registry.subscribe(self.scaler.on_change)
        self.calls = 0

    def _poke(self, entry: RevisionEntry) -> None:
        self.scaler.poke(entry)

    # The fleet's side.

    def replicas(self, entry: RevisionEntry) -> Sequence[Replica]:
        return [one for one in self.made.get(entry.key, []) if one.state is not ReplicaState.LOST]

    def start(self, entry: RevisionEntry, count: int) -> None:
        for _ in range(count):
            family = self.made.setdefault(entry.key, [])
            replica = Replica(f"{entry.function.name}-{len(family)}", entry, "s", 0.0)
            replica.last_used_s = self.now_s
            family.append(replica)

    def stop(self, replica: Replica) -> None:
        self.stopped.append(replica.id)
        self.activator.close_replica(replica.entry, replica)
        replica.state = ReplicaState.DRAINING

    # What tests do.

    async def deploy(self, name: str = "f", id: str = "a", **more: Any) -> RevisionEntry:
        strategy = more.pop("strategy", "rolling")
        max_inputs = more.pop("max_inputs", 1)
        code = Code(digest=id * 64, size_bytes=1, entry="f", python="3.11")
        answer = await self.registry.deploy(
            "default",
            name,
            DeployRequest(
                id=id * 64,
                revision=RevisionSpec(code=code, max_inputs=max_inputs),
                settings=FunctionSettings(scaling=Scaling(**more)),
                strategy=strategy,
            ),
        )
        await settle()
        return self.registry.get("default", name).revisions[answer.revision.number]

    async def ready(self, entry: RevisionEntry, count: int | None = None) -> None:
        """Let the starting replicas of a revision get ready."""
        starting = [one for one in self.replicas(entry) if one.state is ReplicaState.STARTING]
        for replica in starting[:count]:
            replica.state = ReplicaState.READY
            replica.last_used_s = self.now_s
            # Traffic moves first, and is heard of, as in the fleet.
            await self.registry.mark_ready(entry)
            await settle()
            self.activator.add_replica(entry, replica)
            self.scaler.on_ready(entry)
        await settle()

    async def live(self, name: str = "f", id: str = "a", **more: Any) -> RevisionEntry:
        entry = await self.deploy(name, id, **more)
        await self.ready(entry)
        return entry

    def gone(self, entry: RevisionEntry, replica: Replica, *, has_been_ready: bool = True) -> None:
        replica.state = ReplicaState.LOST
        self.activator.remove_replica(entry, replica, "x", "")
        self.scaler.on_gone(entry, has_been_ready=has_been_ready)

    def call(self, entry: RevisionEntry) -> Caller:
        self.calls += 1
        caller = Caller(b"%d" % self.calls, self.now_s + 1e6)
        self.activator.acquire(self.activator.pool(entry), caller, self.now_s)
        return caller

    def end(self, entry: RevisionEntry, caller: Caller) -> None:
        replica = caller.replica
        assert isinstance(replica, Replica)
        replica.last_used_s = self.now_s
        pool = self.activator.pool(entry)
        self.activator.release(pool, caller, self.now_s, is_cancelled=False)

    async def later(self, seconds: float) -> None:
        """Let time pass, with the ticks it brings."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s = min(end_s, self.now_s + 1.0)
            self.scaler.tick()
        await settle()

    def count(self, entry: RevisionEntry) -> int:
        return sum(one.state is not ReplicaState.DRAINING for one in self.replicas(entry))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    made.scaler.close()
    made.activator.close()


async def test_a_deploy_starts_one_replica_at_once_also_without_a_floor(world: World) -> None:
    entry = await world.deploy()
    assert world.count(entry) == 1
    assert world.said[0].reason == "0 → 1: the first replica of revision 1"
    await world.later(30)
    assert world.count(entry) == 1


async def test_the_first_replica_stays_between_ready_revision_and_serving_replica(
    world: World,
) -> None:
    entry = await world.deploy(max_containers=3, max_inputs=4)
    await world.registry.mark_ready(entry)
    await settle()
    await world.later(2)
    assert world.stopped == []
    for _ in range(30):
        world.call(entry)
    await settle()
    assert [one.id for one in world.replicas(entry)] == ["f-0", "f-1", "f-2"]


@pytest.mark.parametrize(("calls", "max_inputs"), [(1, 1), (7, 1), (100, 10), (101, 10), (3, 8)])
async def test_a_herd_of_first_calls_starts_exactly_what_it_fills(
    world: World, calls: int, max_inputs: int
) -> None:
    entry = await world.live(max_containers=100, max_inputs=max_inputs, scaledown_window_s=5.0)
    await world.later(10)
    assert world.count(entry) == 0
    for replica in world.replicas(entry):
        world.gone(entry, replica)
    for _ in range(calls):
        world.call(entry)
    await settle()
    assert world.count(entry) == -(-calls // max_inputs)
    for _ in range(20):
        world.scaler.poke(entry)
        await settle()
    assert world.count(entry) == -(-calls // max_inputs)


async def test_it_scales_with_the_load_to_the_limit_and_back_to_zero(world: World) -> None:
    entry = await world.live(max_containers=4, scaledown_window_s=10.0)
    callers = [world.call(entry) for _ in range(9)]
    await settle()
    assert world.count(entry) == 4
    await world.ready(entry)
    for _ in range(3):
        for caller in [one for one in callers if one.replica is not None]:
            world.end(entry, caller)
            callers.remove(caller)
    assert not callers
    await world.later(9)
    assert world.count(entry) == 4
    await world.later(3)
    assert world.count(entry) == 0
    assert world.said[-1].reason == "4 → 0: nothing in flight for 10 s"


async def test_a_busy_replica_is_not_stopped_while_an_idle_one_exists(world: World) -> None:
    entry = await world.live(max_containers=4, scaledown_window_s=5.0)
    callers = [world.call(entry) for _ in range(3)]
    await settle()
    await world.ready(entry)
    busy = callers[0].replica
    for caller in callers[1:]:
        world.end(entry, caller)
    await world.later(20)
    assert busy is not None
    assert [one.id for one in world.replicas(entry) if not one.is_leaving] == [busy.id]


async def test_nothing_is_looked_at_when_nothing_lives(world: World) -> None:
    entries = [await world.live(f"f{n}", scaledown_window_s=2.0) for n in range(20)]
    assert len(world.scaler._active) == 20
    await world.later(5)
    for entry in entries:
        for replica in world.replicas(entry):
            world.gone(entry, replica)
    await world.later(2)
    assert world.scaler._active == {}
    assert world.scaler._tick is None


async def test_traffic_that_moved_lets_the_old_revision_drain_to_zero(world: World) -> None:
    old = await world.live(id="a", min_containers=2)
    await world.ready(old)
    assert world.count(old) == 2
    caller = world.call(old)
    new = await world.live(id="b", min_containers=2)
    assert world.count(new) == 2
    assert world.count(old) == 1
    await world.later(20)
    assert world.count(old) == 1  # a long call survives
    world.end(old, caller)
    await world.later(10)
    assert world.count(old) == 0


async def test_a_rollback_starts_one_replica_before_anybody_calls(world: World) -> None:
    old = await world.live(id="a", scaledown_window_s=3.0)
    await world.live(id="b", scaledown_window_s=3.0)
    await world.later(20)
    assert world.count(old) == 0
    await world.registry.rollback("default", "f")
    await settle()
    assert world.count(old) == 1


async def test_recreate_waits_until_the_old_replicas_are_gone(world: World) -> None:
    old = await world.live(id="a", scaledown_window_s=0.5)
    new = await world.deploy(id="b", strategy="recreate", scaledown_window_s=0.5)
    assert world.stopped == ["f-0"]
    assert world.count(new) == 0
    world.gone(old, world.replicas(old)[0])
    await settle()
    assert world.count(new) == 1


async def test_a_failed_revision_keeps_nothing_running(world: World) -> None:
    entry = await world.deploy(min_containers=3)
    assert world.count(entry) == 3
    await world.registry.mark_failed(entry, BROKEN)
    await settle()
    assert world.count(entry) == 0
    assert world.said[-1].reason == "3 → 0: revision 1 failed"


async def test_starts_that_fail_are_made_more_slowly(world: World) -> None:
    entry = await world.live(scaledown_window_s=5.0)
    await world.later(10)
    world.gone(entry, world.replicas(entry)[0])
    world.call(entry)
    starts = []
    for _ in range(40):
        await settle()
        if replicas := [one for one in world.replicas(entry) if not one.is_leaving]:
            starts.append(world.now_s)
            world.gone(entry, replicas[0], has_been_ready=False)
        await world.later(0.25)
    gaps = [round(b - a, 2) for a, b in pairwise(starts)]
    assert gaps == sorted(gaps)
    assert gaps[-1] >= 2.0
    await world.later(60)
    await world.ready(entry)
    assert entry.key not in world.scaler._failures


async def test_a_crashed_replica_is_replaced_at_once(world: World) -> None:
    entry = await world.live(min_containers=1)
    world.gone(entry, world.replicas(entry)[0])
    await settle()
    assert world.count(entry) == 1


async def test_a_deleted_function_loses_its_replicas(world: World) -> None:
    entry = await world.live(min_containers=2)
    await world.ready(entry)
    await world.registry.delete("default", "f")
    await settle()
    assert world.count(entry) == 0
    for replica in list(world.replicas(entry)):
        world.gone(entry, replica)
    await settle()
    assert world.scaler._active == {}
    assert world.scaler.last(entry) is None


async def test_all_functions_together_stay_within_the_cap_and_idle_ones_make_room() -> None:
    world = World(max_replicas=3)
    old = await world.live("old")
    world.now_s += 1
    new = await world.live("new")
    floor = await world.live("floor", min_containers=1)
    assert (world.scaler.room(), world.scaler.can_grow(new)) == (0, True)
    busy = await world.deploy("busy")
    assert world.stopped == ["old-0"]
    assert "`busy` waits for room" in next(
        one.reason for one in world.said if one.after < one.before
    )
    await world.ready(busy)
    world.call(busy)
    world.call(busy)
    await settle()
    assert world.stopped == ["old-0", "new-0"]
    world.call(busy)
    await settle()
    assert [world.count(one) for one in (old, new, floor, busy)] == [0, 0, 1, 2]
    assert not world.scaler.can_grow(busy) or world.replicas(busy)[-1].state is (
        ReplicaState.STARTING
    )
    world.scaler.close()
    world.activator.close()


async def test_who_gets_no_room_is_told_why_once_and_starts_when_there_is_some() -> None:
    world = World(max_replicas=2)
    first = await world.deploy("first", min_containers=2)
    await settle()
    second = await world.deploy("second", "b")
    for _ in range(3):
        await settle()
        world.scaler.tick()
    (told,) = (one for one in world.said if one.entry is second)
    assert (told.before, told.after) == (0, 0)
    assert "no room for 1 more: 2 replicas run in all" in told.reason
    assert "FAAS_MAX_REPLICAS" in told.reason
    await world.registry.delete("default", "first")
    await settle()
    for replica in list(world.replicas(first)):
        world.gone(first, replica)
    world.scaler.tick()
    await settle()
    last = world.scaler.last(second)
    assert last is not None
    assert last.after == 1
    assert "no room" not in last.reason


async def test_revisions_that_share_traffic_share_the_limit_and_the_floor(world: World) -> None:
    first = await world.live(id="a", max_containers=4)
    second = await world.live(id="b", max_containers=4)
    await world.registry.set_traffic("default", "f", {1: 10, 2: 90})
    await world.registry.set_scaling("default", "f", {"min_containers": 2})
    await settle()
    assert (world.count(first), world.count(second)) == (1, 2)
    for _ in range(9):
        world.call(first)
        world.call(second)
    await settle()
    assert world.count(first) + world.count(second) <= 5
    assert world.scaler.last(second) is not None


async def test_a_change_of_scaling_takes_effect_at_once(world: World) -> None:
    entry = await world.live()
    await world.registry.set_scaling("default", "f", {"min_containers": 3})
    await settle()
    assert world.count(entry) == 3


async def test_a_closed_autoscaler_does_nothing(world: World) -> None:
    entry = await world.live()
    world.scaler.close()
    world.call(entry)
    world.call(entry)
    await settle()
    assert world.count(entry) == 1


async def test_a_tick_is_set_while_something_lives(world: World) -> None:
    await world.live(scaledown_window_s=1.0)
    assert world.scaler._tick is not None
    due_in_s = world.scaler._tick.when() - asyncio.get_running_loop().time()
    assert due_in_s <= 0.26
