"""Load: every answer is checked, no call is lost, no limit is broken, no replica too many."""

from __future__ import annotations

import asyncio
import math
import re
import time
from typing import Any

import pytest

from jupyter_faas import serverless
from tests.e2e.gateway import Gateway, wait_until
from tests.e2e.load import Load, run

pytestmark = pytest.mark.timeout(120)

SOURCE = """
import os, time

_running = []  # append and pop are atomic; a lock would not travel

def f(n):
    _running.append(n)
    together = len(_running)
    time.sleep({seconds})
    _running.pop()
    return {{"n": n, "made_by": "{made_by}", "pid": os.getpid(), "together": together}}
"""


def make(name: str, *, made_by: str = "a", seconds: float = 0.0, **settings: Any) -> Any:
    """Return a remote function as a cell would define it; `made_by` tells its versions apart."""
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(SOURCE.format(seconds=seconds, made_by=made_by), "<cell>", "exec"), space)
    return serverless(name=name, **settings)(space["f"])


def started_replicas(gateway: Gateway, name: str) -> int:
    """Return how many replicas of a function were ever started, by the gateway's own count."""
    page = gateway.request("GET", "/metrics").body.decode()
    rows = re.findall(r"^faas_replicas_started_total\{([^}]*)\} ([0-9.]+)", page, re.MULTILINE)
    return int(sum(float(value) for labels, value in rows if f'function="{name}"' in labels))


def outcomes(gateway: Gateway, name: str) -> tuple[float, float]:
    """Return (accepted, sum of all outcomes, queued and running) of a function from /metrics."""
    page = gateway.request("GET", "/metrics").body.decode()

    def total(metric: str) -> float:
        rows = re.findall(rf"^{metric}\{{([^}}]*)\}} ([0-9.e+]+)", page, re.MULTILINE)
        return sum(float(value) for labels, value in rows if f'function="{name}"' in labels)

    ended = total("faas_invocations_total")
    return total("faas_accepted_total"), ended + total("faas_queued") + total("faas_in_flight")


@pytest.mark.parametrize(("calls", "k", "most"), [(10, 1, 10), (24, 5, 10), (30, 4, 3)])
def test_a_herd_of_first_calls_starts_exactly_what_it_needs(
    gateway: Gateway, calls: int, k: int, most: int
) -> None:
    name = f"herd-{calls}-{k}"
    make(name, seconds=0.4, max_inputs=k, max_containers=most).deploy()
    load = Load(gateway, name)
    run(lambda: load.at_once(list(range(calls))))
    assert load.statuses() == {200: calls}
    assert sorted(one.value["n"] for one in load.seen) == list(range(calls))
    assert max(one.value["together"] for one in load.seen) <= k
    assert started_replicas(gateway, name) == min(math.ceil(calls / k), most)


def test_a_herd_that_finds_nothing_running_starts_exactly_what_it_needs(gateway: Gateway) -> None:
    make("asleep", seconds=0.3, max_inputs=3, scaledown_window=0.3).deploy()
    wait_until(lambda: not gateway.replicas("asleep"), 15.0, what="to zero")
    before = started_replicas(gateway, "asleep")
    load = Load(gateway, "asleep")
    run(lambda: load.at_once(list(range(12))))
    assert load.statuses() == {200: 12}
    assert started_replicas(gateway, "asleep") - before == 4


def test_max_inputs_is_never_exceeded_under_steady_load(gateway: Gateway) -> None:
    make("steady", seconds=0.01, max_inputs=3, max_containers=3).deploy()
    load = Load(gateway, "steady")
    run(lambda: load.at_rate(200, 3.0))
    assert load.statuses() == {200: 600}
    assert max(one.value["together"] for one in load.seen) <= 3
    assert len({one.value["pid"] for one in load.seen}) <= 3


def test_accepted_is_the_sum_of_outcomes(gateway: Gateway) -> None:
    make("counted", seconds=0.005, max_containers=2).deploy()
    load = Load(gateway, "counted")
    run(lambda: load.at_rate(100, 1.0))
    assert load.statuses() == {200: 100}
    accepted, accounted = wait_until(
        lambda: (pair := outcomes(gateway, "counted")) and pair[0] == pair[1] and pair,
        what="accepted = outcomes",
    )
    assert accepted == accounted == 100


def test_a_long_call_survives_every_scale_down(gateway: Gateway) -> None:
    make("long", seconds=2.5, scaledown_window=0.2, max_containers=4).deploy()
    make("short", seconds=0.1, scaledown_window=0.2, max_containers=4).deploy()
    load, other = Load(gateway, "long"), Load(gateway, "short")

    async def work() -> None:
        await asyncio.gather(load.at_once([1, 2]), other.at_once([1, 2, 3, 4]))

    run(work)
    assert load.statuses() == {200: 2}
    assert other.statuses() == {200: 4}
    wait_until(lambda: not gateway.replicas("long"), 15.0, what="to zero afterwards")


def test_the_idle_replica_stops_and_the_busy_one_stays(gateway: Gateway) -> None:
    make("mixed", seconds=0.0, scaledown_window=0.4, max_containers=3).deploy()
    sleeper = make("mixed-long", seconds=2.0, scaledown_window=0.4, max_containers=3)
    sleeper.deploy()
    load = Load(gateway, "mixed-long")

    async def work() -> None:
        await asyncio.gather(load.call(0), load.call(1))
        burst_ended_s = time.monotonic()
        one = await load.call(2)
        assert one.started_s >= burst_ended_s
        load.close()

    run(work)
    assert load.statuses() == {200: 3}
    pids = [one.value["pid"] for one in load.seen]
    assert pids[2] in pids[:2]


def test_deploys_rollbacks_and_traffic_shifts_under_load_lose_no_call(gateway: Gateway) -> None:
    settings = {"max_inputs": 8, "max_containers": 4}
    first = make("moving", made_by="1", **settings)
    first.deploy()
    load = Load(gateway, "moving")

    async def change() -> None:
        for number in (2, 3, 4):
            version = make("moving", made_by=str(number), **settings)
            await asyncio.to_thread(version.deploy, take_over=True)
            await asyncio.sleep(0.4)
        await asyncio.to_thread(first.rollback)
        await asyncio.sleep(0.4)
        await asyncio.to_thread(first.traffic, {1: 50, 4: 50})
        await asyncio.sleep(0.6)
        await asyncio.to_thread(first.rollback, 2)

    async def work() -> None:
        await asyncio.gather(load.at_rate(500, 5.0), change())

    run(work)
    assert load.statuses() == {200: 2_500}
    assert [one.sent for one in load.seen if one.value["n"] != one.sent] == []
    # The answer's header names the revision whose code made it.
    assert {one.revision for one in load.seen if one.value["made_by"] != one.revision} == set()
    assert {one.revision for one in load.seen} == {"1", "2", "3", "4"}
    after = Load(gateway, "moving")
    run(lambda: after.at_once(list(range(20))))
    assert {one.revision for one in after.seen} == {"2"}


def test_weights_are_kept(gateway: Gateway) -> None:
    settings = {"max_inputs": 8, "max_containers": 2}
    make("weighed", made_by="1", **settings).deploy()
    second = make("weighed", made_by="2", **settings)
    second.deploy(take_over=True)
    second.traffic({1: 80, 2: 20})
    load = Load(gateway, "weighed")
    run(lambda: load.at_rate(400, 2.0))
    share = sum(one.revision == "2" for one in load.seen) / len(load.seen)
    assert load.statuses() == {200: 800}
    assert 0.13 <= share <= 0.27
