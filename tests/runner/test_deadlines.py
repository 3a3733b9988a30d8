from __future__ import annotations

from jupyter_faas.runner.deadlines import NEVER, Deadlines


class Handle:
    def __init__(self):
        self.is_cancelled = False

    def cancel(self):
        self.is_cancelled = True


class Clock:
    """A loop's clock and timers, moved by hand."""

    def __init__(self):
        self.now_s = 0.0
        self.timers = []

    def time(self):
        return self.now_s

    def call_at(self, when_s, callback):
        handle = Handle()
        self.timers.append((when_s, callback, handle))
        return handle

    @property
    def set_for(self):
        return [when_s for when_s, _, handle in self.timers if not handle.is_cancelled]

    def move_to(self, now_s):
        self.now_s = now_s
        due = [one for one in self.timers if one[0] <= now_s and not one[2].is_cancelled]
        self.timers = [one for one in self.timers if one not in due]
        for _, callback, _ in due:
            callback()


class Call:
    def __init__(self, until_s):
        self.until_s = until_s
        self.ended_at = []

    def on_time(self):
        self.ended_at.append(self.until_s)
        self.until_s = NEVER


def begun(clock, deadlines, calls, until_s):
    call = calls[len(calls)] = Call(until_s)
    deadlines.watch(until_s)
    return call


def test_each_call_is_told_at_its_own_time_by_one_timer():
    clock, calls = Clock(), {}
    deadlines = Deadlines(clock, calls)
    late = begun(clock, deadlines, calls, 9.0)
    soon = begun(clock, deadlines, calls, 3.0)
    assert clock.set_for == [3.0]
    clock.move_to(3.0)
    assert (soon.ended_at, late.ended_at) == ([3.0], [])
    assert clock.set_for == [9.0]
    clock.move_to(9.0)
    assert late.ended_at == [9.0]
    assert clock.set_for == []


def test_calls_that_ended_before_their_time_leave_one_timer_that_tells_nobody():
    clock, calls = Clock(), {}
    deadlines = Deadlines(clock, calls)
    for number in range(100):
        clock.now_s = number / 100
        begun(clock, deadlines, calls, clock.now_s + 5.0)
        calls.clear()
    assert clock.set_for == [5.0]
    running = begun(clock, deadlines, calls, 6.5)
    clock.move_to(5.0)
    assert running.ended_at == []
    assert clock.set_for == [6.5]


def test_a_time_that_was_moved_on_is_kept_to():
    clock, calls = Clock(), {}
    deadlines = Deadlines(clock, calls)
    call = begun(clock, deadlines, calls, 3.0)
    call.until_s = 7.0
    clock.move_to(3.0)
    assert call.ended_at == []
    clock.move_to(7.0)
    assert call.ended_at == [7.0]


def test_without_calls_no_timer_is_set():
    clock = Clock()
    deadlines = Deadlines(clock, {})
    deadlines.watch(2.0)
    clock.move_to(2.0)
    assert clock.set_for == []
