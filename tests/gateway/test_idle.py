"""When an unused gateway leaves: a table of what was seen when."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_faas.gateway.idle import IdlePolicy, Use, unused

QUIET = Use(is_busy=False, activity=0)
BUSY = Use(is_busy=True, activity=0)
CALLED = Use(is_busy=False, activity=1)


@pytest.mark.parametrize(
    ("idle_exit_s", "seen", "leaves"),
    [
        (10, [(0, QUIET), (9.9, QUIET)], False),
        (10, [(0, QUIET), (10, QUIET)], True),
        (10, [(0, QUIET), (9, BUSY), (12, QUIET)], False),
        (10, [(0, QUIET), (9, BUSY), (19, QUIET)], True),
        (10, [(0, QUIET), (9, CALLED), (18, CALLED)], False),
        (10, [(0, QUIET), (9, CALLED), (19, CALLED)], True),
        (10, [(0, BUSY), (100, BUSY), (1000, BUSY)], False),
        (0, [(0, QUIET), (1e9, QUIET)], False),
    ],
)
def test_it_leaves_when_nothing_was_used_for_long_enough(idle_exit_s, seen, leaves):
    policy = IdlePolicy(idle_exit_s, 0.0)
    answers = [policy.may_leave(use, now_s) for now_s, use in seen]
    assert answers[-1] is leaves
    assert not any(answers[:-1])


async def test_waiting_ends_when_use_has_ended():
    now_s = 0.0
    looks = 0

    def look() -> Use:
        nonlocal now_s, looks
        looks += 1
        now_s += 0.05
        return BUSY if looks < 3 else QUIET

    await asyncio.wait_for(unused(0.2, look, lambda: now_s), 20.0)
    assert looks >= 6


async def test_one_that_never_leaves_is_not_looked_at():
    def look() -> Use:
        raise AssertionError

    waiting = asyncio.ensure_future(unused(0.0, look, lambda: 0.0))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
