"""Load: every answer is checked, no call is lost, no limit is broken, no replica too many."""

from __future__ import annotations

import asyncio
import math
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from jupyter_faas import serverless
from tests.e2e.gateway import Gateway, wait_until
from tests.e2e.load import Load, run

pytestmark = pytest.mark.timeout(300)

SOURCE = """
import os, time

GO_ON = {go_on!r}
_running = []  # append and pop are atomic; a lock would not travel

def f(n):
    _running.append(n)
    together = len(_running)
    time.sleep({seconds})
    until_s = time.monotonic() + 60.0
    while n and GO_ON and not os.path.exists(GO_ON) and time.monotonic() < until_s:
        time.sleep(0.01)
    _running.pop()
    return {{"n": n, "made_by": "{made_by}", "pid": os.getpid(), "together": together}}
"""


def make(
    name: str, *, made_by: str = "a", seconds: float = 0.0, go_on: Path | str = "", **settings: Any
) -> Any:
    """Return a remote function as a cell would define it.

    `made_by` tells its versions apart; calls with another number than 0 wait for the file `go_on`.
    """
    space: dict[str, Any] = {"__name__": "__main__"}
    source = SOURCE.format(seconds=seconds, made_by=made_by, go_on=str(go_on))
    exec(compile(source, "<cell>", "exec"), space)
    return serverless(name=name, **settings)(space["f"])


class ReplicaIds:
    """Collects the ids of all replicas a function has while the block runs."""

    def __init__(self, gateway: Gateway, name: str) -> None:
        self._gateway, self._name = gateway, name
        self.seen: set[str] = set()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> ReplicaIds:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._is_over.wait(0.05):
            self.seen |= {row["id"] for row in self._gateway.replicas(self._name)}
        self.seen |= {row["id"] for row in self._gateway.replicas(self._name)}


def ledger(gateway: Gateway, name: str) -> dict[str, int]:
    """Return how many calls of a function were accepted, and where they are now."""
    page = gateway.request("GET", "/metrics").body.decode()
    found = {}
    for word in ("accepted", "done", "dead", "cancelled", "queued", "running", "rejected"):
        rows = re.findall(
            rf"^faas_invocations_{word}(?:_total)?\{{(.*?)\}} (\S+)$", page, re.MULTILINE
        )
        found[word] = sum(int(float(n)) for labels, n in rows if f'function="{name}"' in labels)
    return found


@pytest.mark.parametrize(("calls", "k", "most"), [(10, 1, 10), (24, 5, 10), (30, 4, 3)])
def test_a_herd_of_first_calls_starts_exactly_what_it_needs(
    gateway: Gateway, tmp_path: Path, calls: int, k: int, most: int
) -> None:
    name = f"herd-{calls}-{k}"
    make(name, go_on=tmp_path / "go on", max_inputs=k, max_containers=most).deploy()
    load = Load(gateway, name)
    with ReplicaIds(gateway, name) as replicas:
        herd(gateway, load, tmp_path / "go on", calls, min(calls, most * k))
    assert load.statuses() == {200: calls}
    assert sorted(one.value["n"] for one in load.seen) == list(range(1, calls + 1))
    assert max(one.value["together"] for one in load.seen) <= k
    assert len(replicas.seen) == min(math.ceil(calls / k), most)


def herd(gateway: Gateway, load: Load, go_on: Path, calls: int, together: int) -> None:
    """Make these calls at once; none ends before all have come and as many run as can."""

    def is_full() -> bool:
        count = ledger(gateway, load.name)
        return (count["accepted"], count["running"]) == (calls, together)

    async def work() -> None:
        calling = asyncio.create_task(load.at_once(list(range(1, calls + 1))))
        await asyncio.to_thread(wait_until, is_full, 60.0, what="as many run as can")
        await asyncio.to_thread(go_on.touch)
        await calling

    run(work)


def test_a_herd_that_finds_nothing_running_starts_exactly_what_it_needs(
    gateway: Gateway, tmp_path: Path
) -> None:
    make("asleep", go_on=tmp_path / "go on", max_inputs=3, scaledown_window=0.3).deploy()
    wait_until(lambda: not gateway.replicas("asleep"), 60.0, what="to zero")
    load = Load(gateway, "asleep")
    with ReplicaIds(gateway, "asleep") as replicas:
        herd(gateway, load, tmp_path / "go on", 12, 12)
    assert load.statuses() == {200: 12}
    assert len(replicas.seen) == 4


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
    wait_until(lambda: ledger(gateway, "counted")["running"] == 0, what="nothing runs")
    count = ledger(gateway, "counted")
    assert (count["accepted"], count["done"]) == (100, 100), count


def test_accepted_is_the_sum_of_outcomes_in_the_middle_of_everything(gateway: Gateway) -> None:
    # While the queue waits the books are read, and then callers leave: long before its time is up.
    make("mixture", seconds=0.9, max_containers=2, queue_timeout=6.0).deploy()
    load = Load(gateway, "mixture")

    async def work() -> None:
        calls = [asyncio.create_task(load.call(n)) for n in range(30)]
        leaving = [asyncio.create_task(load.call(n)) for n in range(10)]
        while not books or books[-1]["accepted"] < 40:
            books.append(await asyncio.to_thread(ledger, gateway, "mixture"))
        for call in leaving:
            call.cancel()
        while not all(call.done() for call in calls):
            books.append(await asyncio.to_thread(ledger, gateway, "mixture"))
        await asyncio.gather(*calls)
        await asyncio.gather(*leaving, return_exceptions=True)
        load.close()

    books: list[dict[str, int]] = []
    run(work)
    wait_until(lambda: ledger(gateway, "mixture")["running"] == 0, what="nothing runs")
    books.append(ledger(gateway, "mixture"))
    for book in books:
        parts = ("done", "dead", "cancelled", "queued", "running")
        assert book["accepted"] == sum(book[part] for part in parts), books
    assert books[-1]["accepted"] == 40
    assert books[-1]["cancelled"] >= 8
    assert books[-1]["dead"] >= 10
    assert set(load.statuses()) == {200, 503}


def test_a_long_call_survives_every_scale_down(gateway: Gateway) -> None:
    make("long", seconds=2.5, scaledown_window=0.2, max_containers=4).deploy()
    make("short", seconds=0.1, scaledown_window=0.2, max_containers=4).deploy()
    load, other = Load(gateway, "long"), Load(gateway, "short")

    async def work() -> None:
        await asyncio.gather(load.at_once([1, 2]), other.at_once([1, 2, 3, 4]))

    run(work)
    assert load.statuses() == {200: 2}
    assert other.statuses() == {200: 4}
    wait_until(lambda: not gateway.replicas("long"), 60.0, what="to zero afterwards")


def test_the_idle_replica_stops_and_the_busy_one_stays(gateway: Gateway, tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    make("mixed", go_on=go_on, scaledown_window=0.5, max_containers=3).deploy()
    load = Load(gateway, "mixed")

    def busy() -> list[int]:
        return [row.get("inFlight", 0) for row in gateway.replicas("mixed")]

    async def work() -> None:
        lasting = asyncio.create_task(load.call(1))
        await asyncio.to_thread(wait_until, lambda: 1 in busy(), 60.0, what="one is busy")
        await load.call(0)
        await asyncio.to_thread(
            wait_until, lambda: busy() == [1], 60.0, what="one stays", seen=busy
        )
        await asyncio.to_thread(go_on.touch)
        await lasting
        load.close()

    run(work)
    assert load.statuses() == {200: 2}
    assert len({one.value["pid"] for one in load.seen}) == 2


def test_deploys_rollbacks_and_traffic_shifts_under_load_lose_no_call(gateway: Gateway) -> None:
    settings = {"max_inputs": 8, "max_containers": 4}
    first = make("moving", made_by="1", **settings)
    first.deploy()
    load = Load(gateway, "moving")

    is_over = asyncio.Event()

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
        is_over.set()

    async def work() -> None:
        await asyncio.gather(load.at_rate(300, math.inf, until=is_over), change())

    run(work)
    assert set(load.statuses()) == {200}
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
