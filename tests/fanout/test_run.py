"""A map in the driver, with a backend that does as it is told."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from jupyter_faas.core import batch
from jupyter_faas.core.batch import DONE, GIVEN_BACK, RAISED, STARTED
from jupyter_faas.core.errors import (
    ColdStartTimeout,
    FunctionNotFound,
    GatewayUnavailable,
    InvalidSpec,
    InvocationNotFound,
    InvocationTimeout,
    PayloadTooLarge,
    QueueFull,
    ReplicaLost,
)
from jupyter_faas.core.mapping import MapOrder, MapState
from jupyter_faas.execution.failure import Fault
from jupyter_faas.fanout.base import Caller
from jupyter_faas.fanout.driver import Driver, cpus_here
from jupyter_faas.wire.frames import CRASH, STDERR, FrameKind, FrameReader
from tests.fanout.told import Backend, order


class Sink:
    def __init__(self):
        self.is_writable = True
        self.is_finished = False
        self.frames = []
        self._reader = FrameReader()

    def write(self, parts):
        self.frames.extend(self._reader.feed(b"".join(map(bytes, parts))))

    def finish(self):
        self.is_finished = True

    @property
    def outcomes(self):
        found = []
        for frame in self.frames:
            if frame.kind == FrameKind.ITEM:
                head, bodies = batch.unpack(frame.body)
                found += zip(head.indices, head.kinds, map(bytes, bodies), strict=True)
        return found

    @property
    def error(self):
        for frame in self.frames:
            if frame.kind == FrameKind.ERROR:
                return msgspec.msgpack.decode(frame.body, type=Fault).problem["code"]
        return None

    @property
    def state(self):
        bodies = [f.body for f in self.frames if f.kind == FrameKind.PROGRESS]
        return msgspec.msgpack.decode(bodies[-1], type=MapState)


@pytest.fixture
async def backend():
    return Backend()


def begin(backend, count=0, *, closed=True, driver=None, cpus=0, **more):
    run = (driver or Driver(backend, cpus)).begin(order(**more), Caller())
    sink = run.sink = Sink()
    run.take([b"%d" % n for n in range(count)])
    if closed:
        run.close_inputs()
    return run, sink


async def test_a_map_ends_when_all_is_out(backend):
    run, sink = begin(backend, 3)
    while backend.open:
        backend.open[0].answer()
    assert sink.outcomes == [(0, DONE, b"r0"), (1, DONE, b"r1"), (2, DONE, b"r2")]
    assert sink.is_finished
    assert sink.frames[-1].kind == FrameKind.END
    assert (sink.state.state, sink.state.done) == ("done", 3)
    assert run.is_over


async def test_no_inputs_end_at_once(backend):
    _, sink = begin(backend, 0)
    assert sink.is_finished


async def test_inputs_that_broke_off_are_told_as_a_failed_map_after_what_they_gave(backend):
    run, sink = begin(backend, 2, closed=False)
    run.close_inputs("ValueError: no more")
    assert run.status().state == "running"
    while backend.open:
        backend.open[0].answer()
    assert sink.outcomes == [(0, DONE, b"r0"), (1, DONE, b"r1")]
    assert sink.error is None, "the caller knows"
    assert sink.state.state == "failed"
    assert sink.state.note == "Its inputs broke off: ValueError: no more"


async def test_slots_are_filled_and_no_more(backend):
    begin(backend, 10)
    assert len(backend.sent) == 2


async def test_one_machine_runs_as_many_as_it_has_cpus_until_they_are_seen_waiting():
    backend = Backend(slots=10)
    begin(backend, 50, cpus=2)
    assert len(backend.sent) == 2
    backend.sent[0].say(STARTED, 0, busy_s=1.0, cpu_s=0.01)
    assert len(backend.sent) == 10


async def test_an_error_ends_the_rest(backend):
    run, sink = begin(backend, 9)
    first, second = backend.sent
    first.say(RAISED, 0)
    assert second.is_cancelled
    assert sink.outcomes == [(0, RAISED, b"r0")]
    assert sink.is_finished
    assert run.state == "failed"


async def test_results_stay_where_they_are_if_they_are_not_wanted(backend):
    _, sink = begin(backend, 2, wants_results=False, stops_at_error=False)
    first, second = backend.sent
    first.say(RAISED, 0)
    first.report.on_end(None)
    second.answer()
    assert sink.outcomes == [(0, RAISED, b"r0"), (1, DONE, b"")]
    assert sink.is_finished


async def test_items_given_back_go_to_the_next_slot(backend):
    run, _ = begin(backend, 0, closed=False, chunk_size=3)
    run.take([b"x"] * 3)
    run.take([b"y"] * 3)
    assert [sent.given.indices for sent in backend.sent] == [[0, 1, 2], [3, 4, 5]]
    backend.sent[0].say(GIVEN_BACK, 1, 2)
    backend.sent[1].answer()
    assert backend.sent[2].given.indices == [1, 2]


async def test_a_lost_worker_costs_its_running_item_at_last(backend):
    _, sink = begin(backend, 1, stops_at_error=False)
    for _ in range(3):
        backend.sent[-1].say(STARTED, 0)
        backend.sent[-1].report.on_died(ReplicaLost("gone", reason="crashed"), is_own=True)
    assert len(backend.sent) == 3
    assert [(at, kind) for at, kind, _ in sink.outcomes] == [(0, RAISED)]
    assert sink.is_finished


async def test_a_timeout_fails_the_item_that_ran(backend):
    _, sink = begin(backend, 1, stops_at_error=False, of={"idempotent": True})
    backend.sent[0].report.on_end(InvocationTimeout("too long"))
    assert [(at, kind) for at, kind, _ in sink.outcomes] == [(0, RAISED)]


async def test_a_chunk_that_failed_before_anything_ran_fails_the_map(backend):
    run, sink = begin(backend, 1)
    backend.sent[0].report.on_end(InvalidSpec("no such method"))
    assert sink.error == "invalid_spec"
    assert run.state == "failed"


async def test_a_full_queue_is_waited_for(backend):
    _, sink = begin(backend, 1)
    backend.sent[0].report.on_refused(QueueFull("full", retry_after_s=0.01))
    assert len(backend.sent) == 1
    backend.has_sent.clear()
    async with asyncio.timeout(20.0):
        await backend.has_sent.wait()
    backend.sent[1].answer()
    assert sink.outcomes == [(0, DONE, b"r0")]


async def test_a_gateway_that_goes_away_is_no_reason_to_fail(backend):
    """It takes the driver along; a kept map goes on with the next one."""
    run, sink = begin(backend, 1)
    backend.sent[0].report.on_refused(GatewayUnavailable("gone", retry_after_s=60.0))
    assert not run.is_over
    assert not sink.is_finished
    run.cancel()


async def test_a_worker_whose_items_are_done_ends_by_itself(backend):
    run, sink = begin(backend, 1)
    (sent,) = backend.sent
    sent.say(DONE, 0)
    assert sink.is_finished
    assert not sent.is_cancelled
    sent.report.on_end(None)
    assert run.state == "done"


async def test_a_time_out_after_the_last_item_costs_nothing(backend):
    run, sink = begin(backend, 2)
    first, second = backend.sent
    first.say(DONE, 0)
    first.report.on_end(InvocationTimeout("too late"))
    second.answer()
    assert sink.error is None
    assert [kind for _, kind, _ in sink.outcomes] == [DONE, DONE]
    assert run.state == "done"


async def test_no_capacity_at_all_fails_the_map(backend):
    _, sink = begin(backend, 1)
    backend.sent[0].report.on_refused(ColdStartTimeout("no replica"))
    assert sink.error == "cold_start_timeout"


async def test_what_nobody_can_run_fails_the_map_and_ends_the_rest(backend):
    _, sink = begin(backend, 5)
    backend.sent[0].report.on_refused(FunctionNotFound("deleted"))
    assert sink.error == "function_not_found"
    assert backend.sent[1].is_cancelled


async def test_an_input_that_is_too_large_fails_alone(backend):
    _, sink = begin(backend, 2, stops_at_error=False)
    first, second = backend.sent
    first.report.on_refused(PayloadTooLarge("too large"))
    second.answer()
    assert [(at, kind) for at, kind, _ in sink.outcomes] == [(0, RAISED), (1, DONE)]


async def test_a_reader_that_stops_gets_nothing_and_goes_on_later(backend):
    run, sink = begin(backend, 1)
    sink.is_writable = False
    backend.sent[0].answer()
    assert sink.outcomes == []
    sink.is_writable = True
    run.pump()
    assert sink.is_finished


async def test_prints_name_their_item(backend):
    run, sink = begin(backend, 2)
    backend.sent[1].report.on_log(1, b"hello")
    frame = next(f for f in sink.frames if f.kind == FrameKind.LOG)
    assert (frame.tag, frame.stream, frame.body) == (2, 1, b"hello")
    run.cancel()
    assert all(sent.is_cancelled for sent in backend.sent)
    run.cancel()


@pytest.mark.parametrize(("is_metered", "told"), [(True, []), (False, [(STDERR, b"dump")])])
async def test_the_dump_of_a_crash_is_for_the_log_alone_where_nobody_else_has_it(
    backend, is_metered, told
):
    backend.is_metered = is_metered
    driver = Driver(backend, 0)
    _, sink = begin(backend, 1, driver=driver)
    backend.sent[0].report.on_log(CRASH, b"dump")
    assert all(frame.kind != FrameKind.LOG for frame in sink.frames)
    prints = driver.usages.told((), 0).prints
    assert [(one.stream, one.text) for one in prints] == told


async def test_two_maps_of_a_function_share_its_slots():
    backend = Backend(slots=4)
    driver = Driver(backend, 0)
    begin(backend, 50, driver=driver)
    assert len(backend.open) == 4
    run, _ = begin(backend, 50, driver=driver)
    while not run.in_flight:
        next(s for s in backend.open if s.report._run is not run).answer()
    for _ in range(6):
        next(s for s in backend.open if s.report._run is not run).answer()
    assert run.in_flight == 2


async def test_the_driver_knows_its_maps(backend):
    driver = Driver(backend, 0)
    assert not driver.is_busy
    run, _ = begin(backend, 1, driver=driver)
    assert driver.is_busy
    assert driver.find(run.id) is run
    status = run.status()
    assert (status.running, status.function, status.slowest[0]) == (1, "f", 0)
    backend.sent[0].answer()
    assert not driver.is_busy
    with pytest.raises(InvocationNotFound):
        driver.find("map-none")
    with pytest.raises(InvalidSpec):
        driver.begin(MapOrder(function="f"), Caller())
    for _ in range(40):
        begin(backend, 0, driver=driver)
    assert len(driver.runs) <= 33
    assert cpus_here() >= 1
