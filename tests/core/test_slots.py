from __future__ import annotations

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jupyter_faas.core.slots import (
    Replica,
    RoomFull,
    Slots,
    Waiter,
    WaitingRoom,
    replicas_for,
)


def make(max_inputs=1, replicas=0, *, room=None, function="f", revision="f/1"):
    slots = Slots(revision, function, max_inputs, room or WaitingRoom(100, 100))
    for number in range(replicas):
        slots.add(Replica(f"r{number}", max_inputs))
    return slots


def waiter(name, deadline_s=100.0):
    return Waiter(name.encode(), deadline_s)


@pytest.mark.parametrize(
    ("inputs", "max_inputs", "count"),
    [(0, 1, 0), (1, 1, 1), (7, 1, 7), (1, 10, 1), (10, 10, 1), (11, 10, 2), (100, 8, 13)],
)
def test_a_herd_needs_the_ceiling_of_its_size_over_max_inputs(inputs, max_inputs, count):
    assert replicas_for(inputs, max_inputs) == count


def test_the_least_loaded_replica_is_leased():
    slots = make(max_inputs=3, replicas=2)
    leased = [slots.take(waiter(f"i{n}")) for n in range(6)]
    assert [replica.id for replica in leased].count("r0") == 3
    assert [replica.id for replica in leased[:2]] in (["r0", "r1"], ["r1", "r0"])
    assert slots.take(waiter("i6")) is None


def test_among_equals_the_one_used_last_is_leased():
    slots = make(replicas=3)
    first, second = waiter("a"), waiter("b")
    used = slots.take(first)
    slots.release(first)
    assert slots.take(second) is used


def test_a_lease_is_released_once():
    slots = make(replicas=1)
    call = waiter("a")
    slots.take(call)
    assert slots.release(call)
    assert not slots.release(call)
    assert (slots.running, slots.done) == (0, 1)


def test_nobody_overtakes_the_queue():
    slots = make(replicas=1)
    running, first, second = waiter("a"), waiter("b"), waiter("c")
    slots.take(running)
    slots.enqueue(first)
    slots.release(running)
    assert slots.take(second) is None, "a slot is free, and someone waited longer"
    slots.enqueue(second)
    assert slots.match(0.0).granted == [first]


def test_a_waiter_past_its_deadline_never_takes_a_slot():
    slots = make()
    late, fresh = waiter("late", 1.0), waiter("fresh", 9.0)
    slots.enqueue(late)
    slots.enqueue(fresh)
    slots.add(Replica("r", 1))
    match = slots.match(5.0)
    assert match == ([fresh], [late])
    assert slots.dead == 1


def test_a_requeued_invocation_is_first_in_line_and_counted_once():
    slots = make(replicas=1)
    refused, waiting = waiter("a"), waiter("b")
    slots.take(refused)
    slots.enqueue(waiting)
    slots.requeue(refused)
    assert slots.waiting == (refused, waiting)
    assert slots.accepted == 2
    assert slots.match(0.0).granted == [refused]


def test_a_closed_replica_keeps_its_leases_and_takes_nothing():
    slots = make(max_inputs=2, replicas=1)
    running = waiter("a")
    replica = slots.take(running)
    slots.close(replica)
    assert slots.take(waiter("b")) is None
    assert slots.running == 1
    slots.open(replica)
    assert slots.take(waiter("c")) is replica


def test_removing_a_replica_names_who_held_it():
    slots = make(max_inputs=2, replicas=1)
    one, two = waiter("a"), waiter("b")
    replica = slots.take(one)
    slots.take(two)
    assert slots.remove(replica) == [one, two]
    assert slots.release(one)
    assert slots.requeue(two)
    assert slots.free == 0


def test_a_function_has_its_own_bound():
    room = WaitingRoom(100, 2)
    slots, other = make(room=room), make(room=room, function="g", revision="g/1")
    slots.enqueue(waiter("a"))
    slots.enqueue(waiter("b"))
    with pytest.raises(RoomFull) as full:
        slots.enqueue(waiter("c"))
    assert full.value.is_own_limit
    assert slots.accepted == 2
    other.enqueue(waiter("d"))


def test_the_bound_of_a_function_covers_all_its_revisions():
    room = WaitingRoom(100, 2)
    one, two = make(room=room), make(room=room, revision="f/2")
    one.enqueue(waiter("a"))
    two.enqueue(waiter("b"))
    with pytest.raises(RoomFull):
        one.enqueue(waiter("c"))


def test_a_flooded_room_still_takes_the_first_of_another_function():
    room = WaitingRoom(4, 100)
    greedy, modest = make(room=room), make(room=room, function="g", revision="g/1")
    flood = [waiter(f"f{n}") for n in range(4)]
    for one in flood:
        greedy.enqueue(one)
    with pytest.raises(RoomFull) as full:
        greedy.enqueue(waiter("more"))
    assert not full.value.is_own_limit
    evicted = modest.enqueue(waiter("first"))
    assert evicted == (greedy, flood[-1]), "the newest of the longest queue makes place"
    assert room.total == 4
    assert greedy.dead == 1
    modest.enqueue(waiter("second"))
    with pytest.raises(RoomFull):
        modest.enqueue(waiter("third"))


def test_the_room_tells_who_is_overdue_and_when_to_look_again():
    room = WaitingRoom(10, 10)
    one, two = make(room=room), make(room=room, function="g", revision="g/1")
    late, soon, later = waiter("a", 1.0), waiter("b", 3.0), waiter("c", 7.0)
    one.enqueue(late)
    one.enqueue(later)
    two.enqueue(soon)
    assert room.overdue(2.0) == ([(one, late)], 3.0)
    assert WaitingRoom(1, 1).overdue(2.0) == ([], float("inf"))


class SlotsMachine(RuleBasedStateMachine):
    """Random life of two functions against a plain model of who waits and who runs."""

    def __init__(self):
        super().__init__()
        self.room = WaitingRoom(6, 4)
        self.slots = {
            "f": make(2, room=self.room, function="f", revision="f/1"),
            "g": make(1, room=self.room, function="g", revision="g/1"),
        }
        self.order = {"f": [], "g": []}
        self.running = {"f": set(), "g": set()}
        self.removed = []
        self.now_s = 0.0
        self.count = 0
        self.accepted = {"f": 0, "g": 0}

    functions = st.sampled_from(["f", "g"])

    def fresh(self, patience_s):
        self.count += 1
        return waiter(f"i{self.count}", self.now_s + patience_s)

    @rule(name=functions, patience_s=st.integers(1, 5))
    def arrive(self, name, patience_s):
        slots, call = self.slots[name], self.fresh(patience_s)
        free = slots.free
        if slots.take(call) is not None:
            assert free
            assert not self.order[name]
            self.running[name].add(call)
            self.accepted[name] += 1
            return
        assert not free or self.order[name]
        try:
            victim = slots.enqueue(call)
        except RoomFull:
            assert self.room.queued(name) >= 4 or self.room.total >= 6
            return
        self.accepted[name] += 1
        self.order[name].append(call)
        if victim is not None:
            assert victim[0] is not slots
            self.order[victim[0].function_key].remove(victim[1])

    @rule(name=functions)
    def match(self, name):
        granted, expired = self.slots[name].match(self.now_s)
        for call in expired:
            assert call.deadline_s <= self.now_s
            self.order[name].remove(call)
        assert granted == self.order[name][: len(granted)], "first come, first served"
        del self.order[name][: len(granted)]
        self.running[name].update(granted)
        if self.order[name]:
            assert self.slots[name].free == 0

    @rule(seconds=st.integers(1, 4))
    def time_passes(self, seconds):
        self.now_s += seconds

    @rule(name=functions)
    def replica_arrives(self, name):
        slots = self.slots[name]
        if len(slots.replicas) < 3:
            self.count += 1
            slots.add(Replica(f"r{self.count}", slots.max_inputs))

    @rule(name=functions, data=st.data(), act=st.sampled_from(["close", "open", "remove"]))
    def replica_changes(self, name, data, act):
        slots = self.slots[name]
        if slots.replicas:
            replica = data.draw(
                st.sampled_from(sorted(slots.replicas.values(), key=lambda r: r.id))
            )
            holders = getattr(slots, act)(replica)
            if act == "remove":
                assert set(holders) <= self.running[name]
                assert replica not in slots.replicas.values()

    @precondition(lambda self: any(self.running.values()))
    @rule(data=st.data(), cancelled=st.booleans(), act=st.sampled_from(["release", "requeue"]))
    def lease_ends(self, data, cancelled, act):
        name = data.draw(st.sampled_from([n for n in ("f", "g") if self.running[n]]))
        call = data.draw(st.sampled_from(sorted(self.running[name], key=lambda c: c.id)))
        slots = self.slots[name]
        self.running[name].remove(call)
        if act == "release":
            assert slots.release(call, is_cancelled=cancelled)
            assert not slots.release(call)
        else:
            assert slots.requeue(call)
            assert not slots.requeue(call)
            self.order[name].insert(0, call)

    @precondition(lambda self: any(self.order.values()))
    @rule(data=st.data(), cancelled=st.booleans())
    def waiter_leaves(self, data, cancelled):
        name = data.draw(st.sampled_from([n for n in ("f", "g") if self.order[n]]))
        call = data.draw(st.sampled_from(self.order[name]))
        assert self.slots[name].withdraw(call, is_cancelled=cancelled)
        assert not self.slots[name].withdraw(call)
        self.order[name].remove(call)

    @invariant()
    def every_invocation_is_in_one_place(self):
        for name, slots in self.slots.items():
            assert slots.accepted == self.accepted[name]
            assert slots.accepted == (
                slots.queued + slots.running + slots.done + slots.dead + slots.cancelled
            )
            assert list(slots.waiting) == self.order[name]
            assert slots.running == len(self.running[name])
            assert self.room.queued(name) == len(self.order[name])
        assert self.room.total == sum(map(len, self.order.values()))

    @invariant()
    def no_replica_has_more_than_max_inputs(self):
        for slots in self.slots.values():
            for replica in slots.replicas.values():
                assert len(replica.leases) <= replica.max_inputs

    @invariant()
    def a_free_slot_is_found(self):
        for slots in self.slots.values():
            loads = [len(r.leases) for r in slots.replicas.values() if r.is_open]
            best = min(loads, default=slots.max_inputs)
            assert slots._lowest == min(best, slots.max_inputs)


SlotsMachine.TestCase.settings = hypothesis_settings(
    max_examples=150, stateful_step_count=40, deadline=None
)
TestSlots = SlotsMachine.TestCase
