from __future__ import annotations

import asyncio

from jupyter_faas.core.mapping import MapUse
from jupyter_faas.core.model import Outcome
from jupyter_faas.gateway.metering import Metering
from jupyter_faas.gateway.metrics import buckets
from jupyter_faas.gateway.store.rows import record_of
from tests.gateway.conftest import until


def record(id="i-1", function="f", outcome=Outcome.DONE, run_ms=2.0):
    return (id, function, "default", 1, "r", outcome, "", "", 5.0, 1.0, run_ms, 100, False)


async def test_records_reach_the_sinks_in_groups():
    groups = []
    metering = Metering(groups.append)
    for number in range(3):
        metering.add(record(f"i-{number}"))
    assert not groups
    await until(lambda: groups)
    (group,) = groups
    records = [record_of(row) for row in group]
    assert [one.id for one in records] == ["i-0", "i-1", "i-2"]
    assert (records[0].queued_ms, records[0].run_ms, records[0].started_at) == (1.0, 2.0, 5.0)


async def test_totals_are_what_the_records_add_up_to():
    groups = []
    metering = Metering(groups.append)
    metering.add(record())
    metering.add(record(outcome=Outcome.ERROR, run_ms=4.0))
    metering.add(record(function="g"))
    totals = metering.totals()["default", "f"]
    assert (totals.calls, totals.queued_ms, totals.run_ms) == (2, 2.0, 6.0)
    assert totals.memory_mib_ms == 600.0
    assert totals.outcomes == {Outcome.DONE: 1, Outcome.ERROR: 1}
    metering.forget("default", "f")
    assert set(metering.totals()) == {("default", "g")}


async def test_items_of_maps_are_counted_beside_calls_with_what_they_used_elsewhere():
    metering = Metering()
    metering.add(record())
    metering.add_items(MapUse(function="f", items=7, failed=2, memory_mib_s=1.5))
    metering.add_items(MapUse(function="f", items=1))
    totals = metering.totals()["default", "f"]
    assert (totals.calls, totals.items, totals.failed_items) == (1, 8, 2)
    assert metering.used("default", "f") == (1.7, 8)
    assert metering.used("default", "unknown") == (0.0, 0)


async def test_flushing_nothing_tells_nobody():
    groups = []
    metering = Metering(groups.append)
    metering.flush()
    metering.add(record())
    metering.flush()
    await asyncio.sleep(0)
    metering.flush()
    assert len(groups) == 1


def test_buckets_are_cumulative_and_end_with_everything():
    bins = [0] * 48
    bins[3], bins[7], bins[40] = 1, 2, 4
    found = buckets(bins)
    assert found[0] == ("6.4e-05", 1.0)
    assert found[1] == ("0.000128", 3.0)
    assert found[-2][1] == 3.0
    assert found[-1] == ("+Inf", 7.0)
