"""Kept maps of several drivers: a real service has them, a backend does as it is told."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_faas.core.batch import DONE, RAISED, STARTED
from jupyter_faas.core.errors import InternalError, InvocationNotFound, ProviderError
from jupyter_faas.fanout import mirror, shelf
from jupyter_faas.fanout.base import Caller
from jupyter_faas.fanout.door import Door
from jupyter_faas.fanout.driver import Driver
from jupyter_faas.fanout.shelf import Shelf
from jupyter_faas.gateway.blob_service import BlobService
from jupyter_faas.wire.kept import KeptLink
from jupyter_faas.wire.server import HttpServerProtocol
from jupyter_faas.wire.upstream import AnswerLost, request
from tests.fanout.told import Backend, order

KEY = b"k" * 32
CLOCK = [1000.0]


class House:
    """A driver of the gateway `name`."""

    def __init__(self, root, port, name):
        self.backend = Backend(slots=1)
        self.link = KeptLink(f"127.0.0.1:{port}", KEY.hex(), name)
        driver = self.driver = Driver(self.backend, 0)
        self.shelf = Shelf(
            root / name,
            60.0,
            lambda wanted, id: driver.begin(wanted, Caller(), id),
            lambda: CLOCK[0],
            self.link,
        )
        self.shelf.restore()

    async def begin(self, count, **more):
        wanted = order(is_ordered=False, stops_at_error=False, chunk_size=1, **more)
        kept = self.shelf.begin(wanted)
        kept.add([b"%d" % n for n in range(count)])
        kept.close_inputs()
        await kept.mirror.settled()
        return kept

    async def take(self, id):
        """Do what a gateway does with a map of a function that it owns now."""
        assert await self.link.ask("map_take", bool, id)
        return await self.shelf.fetch(id)

    def work(self):
        while self.backend.open:
            self.backend.open[0].answer()

    @property
    def ran(self):
        return [index for sent in self.backend.sent for index in sent.given.indices]


@pytest.fixture
async def houses(tmp_path, keep_in):
    now = [0.0]
    service = BlobService(tmp_path / "blobs", KEY, clock=lambda: now[0], keeping=keep_in())
    await service.start("127.0.0.1", 0)
    a, b = (House(tmp_path, service.port, name) for name in "ab")
    a.silence = lambda: now.__setitem__(0, now[0] + 10.0)
    yield a, b
    a.shelf.close()
    b.shelf.close()
    await service.stop()


async def door_of(house):
    """Serve what a driver answers; return the address, and what ends it."""
    connections: set[HttpServerProtocol] = set()
    door = Door(house.driver, house.shelf)
    server = await asyncio.get_running_loop().create_server(
        lambda: HttpServerProtocol(door, connections=connections), "127.0.0.1", 0
    )

    def close():
        server.close()
        for connection in tuple(connections):
            connection.retire()

    return f"127.0.0.1:{server.sockets[0].getsockname()[1]}", close


async def test_a_map_of_a_killed_driver_goes_on_from_what_is_done(houses):
    a, b = houses
    kept = await a.begin(4)
    a.backend.open[0].answer()
    await kept.mirror.settled()
    a.backend.open[0].answer()  # this one is not written down any more
    kept.mirror.stop()
    a.silence()
    again = await b.take(kept.id)
    assert (again.outcomes.count, again.status().total) == (1, 4)
    assert again.started_at == pytest.approx(kept.started_at, abs=0.001)
    b.work()
    assert again.is_over
    assert sorted(b.ran) == [1, 2, 3], "what is done does not run again"
    assert [again.outcomes.read(n).kind for n in range(4)] == [DONE] * 4
    await again.mirror.settled()
    assert await b.link.ask("map_open_maps", list) == []


async def test_what_may_run_once_is_at_the_service_before_it_runs(houses):
    a, b = houses
    kept = await a.begin(3, of={"idempotent": False})
    async with asyncio.timeout(20.0):
        await a.backend.has_sent.wait()
    kept.mirror.stop()  # killed: nothing more is written down
    a.silence()
    again = await b.take(kept.id)
    async with asyncio.timeout(20.0):
        while not again.is_over:
            await b.backend.has_sent.wait()
            b.backend.has_sent.clear()
            b.work()
    assert (a.ran, b.ran) == ([0], [1, 2])
    assert [again.outcomes.read(n).kind for n in range(3)] == [RAISED, DONE, DONE]


async def test_what_may_run_once_does_not_run_where_the_map_is_lost(houses):
    a, b = houses
    kept = await a.begin(2, of={"idempotent": False})
    async with asyncio.timeout(20.0):
        await a.backend.has_sent.wait()
    a.silence()
    await b.take(kept.id)
    a.backend.open[0].answer()
    assert not await kept.mirror.has(3, kept.begun.size + 1)
    assert a.ran == [0]


async def test_who_has_lost_a_map_writes_nothing_and_lets_go(houses):
    a, b = houses
    kept = await a.begin(3)
    a.silence()
    await b.take(kept.id)
    a.backend.open[0].answer()
    await kept.mirror.settled()
    assert kept.mirror.is_lost
    a.shelf.sweep()
    await a.shelf._background.ended()
    assert kept.id not in a.shelf.maps
    assert not kept.root.exists()
    head = await b.link.ask("map_read", bytes, kept.id, 1, 0)
    assert head == b"", "none of its outcomes"


async def test_a_driver_that_has_missed_a_turn_writes_nothing_either(houses):
    a, b = houses
    kept = await a.begin(2)
    a.silence()
    await b.take(kept.id)
    b.work()
    await b.shelf.release(kept.id)
    assert await a.link.ask("map_take", bool, kept.id), "held here again, and it did not notice"
    a.work()
    await kept.mirror.settled()
    assert kept.mirror.is_lost
    a.shelf.sweep()
    await a.shelf._background.ended()
    assert [(await a.shelf.fetch(kept.id)).outcomes.read(n).body for n in (0, 1)] == [b"r0", b"r1"]


async def test_what_is_under_way_may_end_when_a_map_goes_to_another_driver(houses):
    a, b = houses
    kept = await a.begin(3)
    running = a.backend.open[0]
    running.say(STARTED, *running.given.indices)
    going = asyncio.ensure_future(a.shelf.release(kept.id))
    await asyncio.sleep(0.1)  # it waits for the item
    assert not going.done()
    running.answer()
    await going
    assert a.ran == [0]
    assert kept.id not in a.shelf.maps
    again = await b.take(kept.id)
    b.work()
    assert sorted(b.ran) == [1, 2]
    assert again.is_over


async def test_who_reads_a_map_that_goes_to_another_driver_is_cut_off_to_ask_again(houses):
    a, _ = houses
    kept = await a.begin(3)
    address, close = await door_of(a)
    target = f"/v1/maps/{kept.id}/results"
    reading = asyncio.ensure_future(request(address, "GET", target, timeout_s=20.0))
    async with asyncio.timeout(20.0):
        while not kept.on_news:  # noqa: ASYNC110 - nothing tells that a reader has come
            await asyncio.sleep(0.001)
    await a.shelf.release(kept.id, 0.0)
    with pytest.raises(AnswerLost):
        await reading
    close()


async def test_an_ended_map_is_read_by_another_driver_and_can_be_retried(houses):
    a, b = houses
    kept = await a.begin(2)
    a.work()
    await a.shelf.release(kept.id)
    again = await b.take(kept.id)
    assert again.is_over
    assert [again.outcomes.read(n).body for n in range(2)] == [b"r0", b"r1"]
    assert again.retry_failed() == 0


async def test_a_torn_last_record_is_written_anew(houses):
    a, b = houses
    kept = await a.begin(2)
    a.backend.open[0].answer()
    await kept.mirror.settled()
    size = kept.outcomes.size
    assert await a.link.ask("map_write", bool, kept.id, 0, 1, size, b"torn")
    kept.mirror.stop()
    a.silence()
    again = await b.take(kept.id)
    b.work()
    await again.mirror.settled()
    await b.shelf.release(kept.id)
    whole = await b.take(kept.id)
    assert whole.outcomes.count == 2


async def test_there_is_no_map_of_an_unknown_id_and_a_dropped_one_is_gone(houses):
    a, b = houses
    assert await b.shelf.fetch("map-none") is None
    kept = await a.begin(1)
    a.shelf.discard(kept)
    await a.shelf._background.ended()
    assert await b.shelf.fetch(kept.id) is None


async def test_a_driver_that_ends_has_written_down_how_far_it_is(houses, monkeypatch):
    monkeypatch.setattr(shelf, "LEAVE_S", 20.0)  # a store may be slow, where others are tried too
    a, b = houses
    kept = await a.begin(3)
    a.backend.open[0].answer()
    await a.shelf.leave()
    again = await b.take(kept.id)
    assert again.outcomes.count == 1


async def test_ended_maps_leave_the_driver_not_the_service(houses):
    a, b = houses
    kept = await a.begin(1)
    a.work()
    CLOCK[0] += 61
    a.shelf.sweep()
    await a.shelf._background.ended()
    assert kept.id not in a.shelf.maps
    assert (await b.take(kept.id)).is_over


async def test_what_cannot_be_written_down_is_a_reason_and_is_tried_again(houses):
    a, _ = houses
    a.link._headers = []  # the service refuses
    kept = a.shelf.begin(order(is_ordered=False, stops_at_error=False))
    kept.add([b"x"])
    kept.close_inputs()
    with pytest.raises(ProviderError, match="gateways only"):
        await kept.mirror.settled()
    a.work()
    assert kept.is_over
    assert a.shelf.is_busy, "the driver does not leave before it is known"
    with pytest.raises(ProviderError):
        await a.shelf.release(kept.id, 0.0)
    assert not a.shelf.maps


def test_nothing_is_kept_without_a_place(tmp_path):
    async def begin():
        Shelf(None, 60.0, lambda *_: None, lambda: 0.0).begin(order())

    with pytest.raises(InvocationNotFound):
        asyncio.run(begin())


async def test_a_defect_on_the_way_to_the_service_is_told_and_what_waits_goes_on(
    houses, monkeypatch
):
    monkeypatch.setattr(mirror, "RETRY_S", 0.01)
    a, _ = houses
    ask, is_odd = a.link.ask, True

    async def odd(operation, *values, **more):
        if is_odd and operation == "map_write":
            raise KeyError("odd")
        return await ask(operation, *values, **more)

    monkeypatch.setattr(a.link, "ask", odd)
    with pytest.raises(InternalError, match="odd"):
        await a.begin(1, of={"idempotent": False})
    is_odd = False
    async with asyncio.timeout(20.0):
        await a.backend.has_sent.wait()
    a.work()
    assert a.ran == [0]


async def test_a_map_that_cannot_be_brought_here_is_not_said_to_be_unknown(houses, monkeypatch):
    a, b = houses
    kept = await a.begin(1)
    address, close = await door_of(b)

    async def fail(_id):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(b.shelf, "fetch", fail)
    answer = await request(address, "GET", f"/v1/maps/{kept.id}", timeout_s=20.0)
    assert answer.status == 500
    close()
