"""What maps use: items are counted once, and work is metered where the gateway does not see it."""

from __future__ import annotations

import pytest

from jupyter_faas.core.batch import DONE, RAISED, STARTED
from jupyter_faas.core.errors import InvocationTimeout, ReplicaLost
from jupyter_faas.fanout.base import Caller
from jupyter_faas.fanout.driver import Driver
from tests.fanout.told import Backend, order


class Outside(Backend):
    is_metered = False


class House:
    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.driver = Driver(backend, 0)
        self.now_s = 0.0

    def begin(self, count: int, **more: object):  # type: ignore[no-untyped-def]
        run = self.driver.begin(order(stops_at_error=False, chunk_size=3, **more), Caller())
        run.now_s = lambda: self.now_s  # type: ignore[method-assign]
        run.take([b"%d" % n for n in range(count)])
        run.close_inputs()
        return run

    @property
    def used(self):  # type: ignore[no-untyped-def]
        (one,) = self.driver.usages.told().functions
        return one


@pytest.fixture
async def metered() -> House:
    return House(Backend())


@pytest.fixture
async def outside() -> House:
    return House(Outside())


async def test_items_are_counted_when_they_end_failed_ones_too(metered: House) -> None:
    metered.begin(5)
    metered.backend.sent[0].say(DONE, 0, 1)
    assert (metered.used.items, metered.used.failed) == (2, 0)
    metered.backend.sent[0].say(RAISED, 2)
    assert (metered.used.items, metered.used.failed) == (3, 1)
    assert metered.used.function == "f"


async def test_sums_go_on_from_map_to_map(metered: House) -> None:
    for _ in range(2):
        metered.begin(3)
        metered.backend.sent[-1].answer()
    assert metered.used.items == 6


async def test_what_the_gateway_meters_is_not_metered_twice(metered: House) -> None:
    metered.begin(1)
    metered.backend.sent[0].say(DONE, 0, busy_s=2.0, cpu_s=1.0)
    assert (metered.used.memory_mib_s, metered.used.cpu_s) == (0.0, 0.0)


async def test_elsewhere_memory_limit_times_run_time_is_counted(outside: House) -> None:
    outside.begin(2, of={"memory_mib": 100})
    outside.backend.sent[0].say(DONE, 0, busy_s=2.0, cpu_s=1.5)
    outside.backend.sent[0].say(DONE, 1, busy_s=0.5, cpu_s=0.5)
    assert (outside.used.memory_mib_s, outside.used.cpu_s) == (250.0, 2.0)


@pytest.mark.parametrize("how", ["died", "timeout", "cancelled"])
async def test_an_item_that_is_ended_has_used_what_it_ran(outside: House, how: str) -> None:
    run = outside.begin(1, of={"memory_mib": 100, "idempotent": False})
    (sent,) = outside.backend.sent
    sent.say(STARTED, 0, busy_s=0.0)
    outside.now_s = 3.0
    if how == "died":
        sent.report.on_died(ReplicaLost("gone", reason="killed"), is_own=True, is_told=True)
    elif how == "timeout":
        sent.report.on_end(InvocationTimeout("too long"))
    else:
        run.cancel()
    assert outside.used.memory_mib_s == 300.0


async def test_items_of_kept_maps_are_not_among_them(metered: House) -> None:
    metered.begin(3, is_kept=True)
    metered.backend.sent[0].answer()
    assert (metered.used.items, metered.used.failed) == (0, 0)


async def test_another_driver_has_another_name() -> None:
    names = {Driver(Backend(), 0).usages.told().driver for _ in range(2)}
    assert len(names) == 2
