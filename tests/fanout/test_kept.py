"""Kept maps on a real disk, with a backend that does as it is told."""

from __future__ import annotations

import pytest

from jupyter_faas.core.batch import DONE, RAISED
from jupyter_faas.core.errors import BadRequest, FunctionNotFound, InvocationNotFound
from jupyter_faas.fanout.base import Caller
from jupyter_faas.fanout.driver import Driver
from jupyter_faas.fanout.shelf import Shelf, has_unfinished
from tests.fanout.told import Backend, order

CLOCK = [1000.0]


class House:
    """A driver with a shelf; another one finds what the one before has left."""

    def __init__(self, root):
        self.root = root
        self.open()

    def open(self):
        self.backend = Backend(slots=2)
        driver = Driver(self.backend, 0)
        self.shelf = Shelf(
            self.root, 60.0, lambda wanted, id: driver.begin(wanted, Caller(), id), lambda: CLOCK[0]
        )
        self.shelf.restore()

    def begin(self, count, **more):
        kept = self.shelf.begin(order(is_ordered=False, stops_at_error=False, **more))
        kept.add([b"%d" % n for n in range(count)])
        kept.close_inputs()
        return kept

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
    assert has_unfinished(house.root)
    house.work()
    assert kept.is_over
    assert [kept.outcomes.read(n).body for n in range(5)] == [b"r%d" % n for n in range(5)]
    status = kept.status()
    assert (status.state, status.done, status.total, status.is_kept) == ("done", 5, 5, True)
    assert not has_unfinished(house.root)


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
