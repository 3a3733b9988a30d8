"""Kept maps on a real disk, with a backend that does as it is told."""

from __future__ import annotations

import asyncio
import errno
import os

import msgspec
import pytest

from jupyter_faas.core import batch
from jupyter_faas.core.batch import DONE, GIVEN_BACK, RAISED, STARTED
from jupyter_faas.core.errors import (
    BadRequest,
    FunctionNotFound,
    InvocationNotFound,
    QueueFull,
)
from jupyter_faas.core.mapping import HEADER
from jupyter_faas.core.model import Retries
from jupyter_faas.execution.failure import Fault
from jupyter_faas.fanout import kept_files
from jupyter_faas.fanout.base import Caller
from jupyter_faas.fanout.door import Door
from jupyter_faas.fanout.driver import Driver
from jupyter_faas.fanout.shelf import Shelf, has_unfinished
from jupyter_faas.wire.frames import FrameKind, encode_header
from jupyter_faas.wire.server import HttpServerProtocol
from jupyter_faas.wire.upstream import request
from tests.fanout.told import Backend, order

CLOCK = [1000.0]


class House:
    """A driver with a shelf; another one finds what the one before has left."""

    def __init__(self, root):
        self.root = root
        self.open()

    def open(self):
        self.backend = Backend(slots=2)
        driver = self.driver = Driver(self.backend, 0)
        self.shelf = Shelf(
            self.root, 60.0, lambda wanted, id: driver.begin(wanted, Caller(), id), lambda: CLOCK[0]
        )
        self.shelf.restore()

    def begin(self, count, **more):
        kept = self.shelf.begin(order(is_ordered=False, stops_at_error=False, **more))
        kept.add([b"%d" % n for n in range(count)])
        kept.close_inputs()
        return kept

    def lose(self):
        """Kill the driver, and start another one: what runs ends in nothing."""
        for kept in self.shelf.maps.values():
            run, kept.run = kept.run, None
            if run is not None:
                run.sink = None
                run.backend = Backend(slots=0)
                for file in kept.files:
                    os.close(file._fd)
                    file._fd = -1
        self.open()

    def work(self):
        while self.backend.open:
            self.backend.open[0].answer()


@pytest.fixture
async def house(tmp_path):
    made = House(tmp_path / "maps")
    yield made
    made.shelf.close()


async def test_a_kept_map_runs_without_anybody(house):
    kept = house.begin(5)
    assert has_unfinished(house.root, lambda _id: True)
    house.work()
    assert kept.is_over
    assert [kept.outcomes.read(n).body for n in range(5)] == [b"r%d" % n for n in range(5)]
    status = kept.status()
    assert (status.state, status.done, status.total, status.is_kept) == ("done", 5, 5, True)
    assert status.ended_at == CLOCK[0]
    assert not has_unfinished(house.root, lambda id: id == kept.id)
    assert has_unfinished(house.root, lambda _id: False), "what it has come to is to be told"


async def test_another_driver_goes_on_from_what_is_done(house):
    kept = house.begin(6)
    house.backend.open[0].answer()
    done = kept.outcomes.count
    assert 0 < done < 6
    house.shelf.close()
    house.open()
    again = house.shelf.maps[kept.id]
    assert not again.is_over
    house.work()
    assert again.is_over
    assert again.outcomes.count == 6
    ran = [index for sent in house.backend.sent for index in sent.given.indices]
    assert len(ran) == 6 - done, "what is done does not run again"


async def test_each_driver_tells_what_all_have_done(house):
    kept = house.begin(6, is_kept=True, is_tallied=True)
    house.backend.open[0].answer()
    told = kept.tally()
    assert (told.items, told.items_before, told.is_over) == (kept.outcomes.count, 0, False)
    house.shelf.close()
    house.open()
    assert house.shelf.tallies() == (told,)
    house.work()
    (ended,) = house.shelf.tallies()
    assert (ended.key, ended.items, ended.failed, ended.is_over) == (kept.id, 6, 0, True)


async def test_what_an_earlier_version_has_counted_is_told(house):
    kept = house.begin(6, is_kept=True)
    house.backend.open[0].answer()
    done = kept.outcomes.count
    house.shelf.close()
    house.open()
    house.work()
    (told,) = house.shelf.tallies()
    assert (told.items, told.items_before) == (6, done)


async def test_what_is_to_be_counted_is_told_when_the_map_is_gone(house):
    kept = house.begin(2)
    house.work()
    told = kept.tally()
    house.shelf.discard(kept)
    assert house.shelf.tallies() == (told,)


async def test_what_failed_runs_again_when_asked(house):
    kept = house.begin(3)
    with pytest.raises(BadRequest):
        kept.retry_failed()
    house.backend.open[0].say(RAISED, 0)
    house.backend.sent[0].report.on_end(None)
    house.work()
    assert (kept.status().state, kept.status().failed) == ("done", 1)
    assert kept.retry_failed() == 1
    house.work()
    assert kept.outcomes.kind(0) == DONE
    assert kept.status().failed == 0
    assert kept.retry_failed() == 0


async def test_a_cancelled_map_keeps_what_is_done_and_can_go_on(house):
    kept = house.begin(4)
    house.backend.open[0].answer()
    kept.cancel()
    assert all(not sent.given.chunk.items or sent.is_cancelled for sent in house.backend.sent)
    assert kept.status().state == "cancelled"
    assert kept.outcomes.count >= 1
    kept.retry_failed()
    house.work()
    assert kept.outcomes.count == 4


async def test_a_map_that_cannot_go_on_says_why(house):
    kept = house.begin(2)
    house.backend.open[0].report.on_refused(FunctionNotFound("deleted"))
    assert (kept.status().state, kept.status().note) == ("failed", "deleted")


async def test_inputs_that_never_ended_are_forgotten(house):
    kept = house.shelf.begin(order())
    kept.add([b"x"])
    house.shelf.close()
    house.open()
    assert kept.id not in house.shelf.maps
    assert not kept.root.exists()


async def test_maps_are_dropped_when_their_time_is_over(house):
    kept = house.begin(1)
    house.work()
    CLOCK[0] += 59
    house.shelf.sweep()
    assert kept.id in house.shelf.maps
    CLOCK[0] += 2
    house.shelf.sweep()
    assert kept.id not in house.shelf.maps
    assert not kept.root.exists()


async def test_news_is_told_to_whoever_listens(house):
    kept = house.begin(2)
    heard = []
    kept.on_news.add(lambda: heard.append(kept.outcomes.count))
    house.work()
    assert heard[-1] == 2


async def test_what_items_print_is_kept_with_the_map(house):
    kept = house.begin(2)
    house.backend.open[0].report.on_log(1, b"said\n")
    house.shelf.close()
    house.open()
    again = house.shelf.maps[kept.id]
    assert [(one.item, one.frame[16:]) for one in again.prints.since(0)] == [(0, b"said\n")]


async def test_a_driver_without_a_place_keeps_nothing(house):
    with pytest.raises(InvocationNotFound):
        Shelf(None, 1.0, lambda *_: None, lambda: 0.0).begin(order())


async def test_a_directory_that_cannot_be_read_costs_the_others_nothing(house):
    kept = house.begin(1)
    house.work()
    broken = house.root / "map-broken"
    broken.mkdir()
    (broken / "whole").write_bytes(b"3")
    house.shelf.close()
    house.open()
    assert set(house.shelf.maps) == {kept.id}


# -- what may run once

ONCE = {"idempotent": False}


async def begun(backend, count):
    """Wait until so many chunks have been sent."""
    async with asyncio.timeout(20.0):
        while len(backend.sent) < count:
            backend.has_sent.clear()
            await backend.has_sent.wait()
    return backend.sent


async def finish(house, kept):
    """Have everything run that is sent, until the map is over."""
    async with asyncio.timeout(20.0):
        while not kept.is_over:
            house.work()
            await asyncio.sleep(0.001)  # a thread writes down what begins


def ran(house):
    return [index for sent in house.backend.sent for index in sent.given.indices]


def error_of(kept, index):
    record = kept.outcomes.read(index)
    assert record.kind == RAISED
    return msgspec.msgpack.decode(record.body, type=Fault).problem


async def test_what_may_run_once_is_written_down_before_it_is_sent(house):
    kept = house.begin(5, of=ONCE)
    assert house.backend.sent == []
    assert kept.begun.count == 0
    await begun(house.backend, 2)
    assert list(kept.begun.of_kind(1)) == [0, 1]
    await finish(house, kept)
    assert sorted(ran(house)) == [0, 1, 2, 3, 4]


async def test_what_may_run_again_waits_for_nothing(house):
    kept = house.begin(5)
    assert len(house.backend.sent) == 2
    assert kept.begun is None


async def test_what_had_begun_when_a_driver_was_killed_fails_and_says_so(house):
    kept = house.begin(6, of=ONCE)
    await begun(house.backend, 2)
    house.backend.sent[0].answer()
    await begun(house.backend, 3)
    house.lose()
    again = house.shelf.maps[kept.id]
    await finish(house, again)
    assert sorted(ran(house)) == [3, 4, 5], "0 has its outcome, 1 and 2 may have run"
    assert [again.outcomes.kind(n) for n in range(6)] == [DONE, RAISED, RAISED, DONE, DONE, DONE]
    problem = error_of(again, 1)
    assert problem["code"] == "gateway_lost"
    assert problem["detail"].startswith("Item 1 may have run")
    assert (again.status().state, again.status().failed) == ("done", 2)


async def test_who_asks_for_it_has_them_run_again(house):
    kept = house.begin(2, of=ONCE)
    await begun(house.backend, 2)
    house.lose()
    again = house.shelf.maps[kept.id]
    assert again.is_over
    assert again.retry_failed() == 2
    await finish(house, again)
    assert [again.outcomes.kind(n) for n in range(2)] == [DONE, DONE]


async def test_what_a_worker_has_not_begun_is_not_lost(house):
    kept = house.begin(6, of=ONCE, chunk_size=3)
    first, second = await begun(house.backend, 2)
    first.say(STARTED, 0)
    first.say(DONE, 0)
    first.say(GIVEN_BACK, 1, 2)
    second.report.on_refused(QueueFull("full", retry_after_s=60.0))
    house.lose()
    again = house.shelf.maps[kept.id]
    await finish(house, again)
    assert [again.outcomes.kind(n) for n in range(6)] == [DONE] * 6
    assert sorted(ran(house)) == [1, 2, 3, 4, 5]


async def test_retries_are_counted_over_the_death_of_a_driver(house):
    once = {**ONCE, "retries": Retries(max_retries=1, initial_delay_s=60.0)}
    kept = house.begin(1, of=once)
    await begun(house.backend, 1)
    house.backend.sent[0].say(RAISED, 0)
    assert not kept.is_over
    house.lose()
    again = house.shelf.maps[kept.id]
    await begun(house.backend, 1)
    house.backend.sent[0].say(RAISED, 0)
    assert again.is_over
    assert again.outcomes.kind(0) == RAISED


async def test_a_chunk_that_is_ended_before_it_was_sent_is_not_lost(house):
    kept = house.begin(2, of=ONCE)
    house.shelf.close()
    house.open()
    again = house.shelf.maps[kept.id]
    await finish(house, again)
    assert [again.outcomes.kind(n) for n in range(2)] == [DONE, DONE]


@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyError("No such thing")])
async def test_what_cannot_be_written_down_does_not_run(house, monkeypatch, error):
    kept = house.begin(2, of=ONCE)

    def fail():
        raise error

    monkeypatch.setattr(kept.begun, "sync", fail)
    await finish(house, kept)
    assert house.backend.sent == []
    assert kept.status().state == "failed"
    assert str(error) in kept.status().note


async def test_results_that_find_no_room_on_the_disk_end_the_map_and_say_so(house):
    kept = house.begin(4)
    news = []
    kept.on_news.add(lambda: news.append(kept.status().state))
    full = OSError(errno.ENOSPC, "No space left on device")

    def refuse(records):
        raise full

    extend, kept.outcomes.extend = kept.outcomes.extend, refuse
    house.backend.open[0].answer()
    await asyncio.sleep(0)
    assert (kept.status().state, kept.status().note) == (
        "failed",
        "Its results cannot be kept: No space left on device.",
    )
    assert news[-1] == "failed", "who reads it is told"
    assert all(sent.is_cancelled for sent in house.backend.open)
    kept.outcomes.extend = extend
    kept.retry_failed()
    house.work()
    assert (kept.status().state, kept.status().done) == ("done", 4)


async def test_a_map_that_is_stopped_is_said_to_be_so_when_that_is_on_disk(house, monkeypatch):
    kept = house.begin(4)
    write = kept_files.write

    def refuse(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kept_files, "write", refuse)
    kept.cancel()
    assert kept.status().state == "cancelled"
    assert all(sent.is_cancelled for sent in house.backend.open)
    assert (kept.is_end_written, house.shelf.is_busy) == (False, True)
    house.shelf.sweep()
    assert house.shelf.is_busy
    monkeypatch.setattr(kept_files, "write", write)
    house.shelf.sweep()
    assert (kept.is_end_written, house.shelf.is_busy) == (True, False)
    house.lose()
    assert house.shelf.maps[kept.id].status().state == "cancelled"


class Served:
    """The driver's HTTP, and what its client says of a kept map's inputs."""

    def __init__(self, house, address):
        self._house, self._address = house, address

    async def send(self, *frames):
        wanted = order(is_ordered=False, stops_at_error=False, is_kept=True)
        headers = [(HEADER, msgspec.json.encode(wanted))]
        inputs = batch.pack(batch.Head([0], bytes(1), [1]), [b"x"])
        body = b"".join([encode_header(FrameKind.ITEM, sum(map(len, inputs))), *inputs])
        body += b"".join(encode_header(kind, len(text)) + text for kind, text in frames)
        return await request(self._address, "POST", "/v1/maps", headers, body, timeout_s=20.0)

    async def listed(self):
        answer = await request(self._address, "GET", "/v1/maps", timeout_s=20.0)
        return msgspec.json.decode(answer.body)["maps"]

    def keeps_nothing(self):
        shelf = self._house.shelf
        return (shelf.maps, shelf.is_busy, list(self._house.root.iterdir())) == ({}, False, [])


@pytest.fixture
async def served(house):
    connections = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: HttpServerProtocol(Door(house.driver, house.shelf), connections=connections),
        "127.0.0.1",
        0,
    )
    yield Served(house, f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    server.close()
    for connection in tuple(connections):
        connection.retire()


async def test_inputs_that_find_no_room_at_their_end_make_no_map(house, served, monkeypatch):
    write = kept_files.write

    def refuse(path, content):
        if path.name == "whole":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    monkeypatch.setattr(kept_files, "write", refuse)
    answer = await served.send((FrameKind.END, b""))
    assert (answer.status, b"No space left" in answer.body) == (507, True)
    assert served.keeps_nothing()


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        ([(FrameKind.ERROR, b"ValueError: no more")], "Its inputs broke off: ValueError: no more"),
        ([], "The inputs end in the middle."),
    ],
)
async def test_inputs_that_break_off_are_told_as_a_failed_map_and_nothing_is_kept(
    served, frames, why
):
    answer = await served.send(*frames)
    assert (answer.status, msgspec.json.decode(answer.body)["detail"]) == (400, why)
    (told,) = await served.listed()
    assert (told["state"], told["note"], told["isKept"]) == ("failed", why, False)
    assert served.keeps_nothing()
