"""How maps go, as events, and what they use, as the driver tells."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from jupyter_faas.core.mapping import MapPrint, MapState, MapTally, MapUse, MapUses
from jupyter_faas.gateway import map_news
from jupyter_faas.gateway.events import EventLog
from jupyter_faas.gateway.map_news import LOST, MapNews
from jupyter_faas.wire.upstream import Answer


class Told:
    """A driver that answers what a test has put here; None: it is gone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.maps: list[MapState] = []
        self.uses = MapUses(driver="d1")
        self.is_busy = self.is_keeping = False
        self.address: str | None = "unix:nowhere"
        self.events = EventLog(lambda: 5.0)
        self.metered: list[MapUse] = []
        self.kept: list[MapTally] = []
        self.heard: list[MapPrint] = []
        self.asked: list[str] = []
        self.news = MapNews(self, self.events, self._meter, self.heard.append)  # type: ignore[arg-type]
        monkeypatch.setattr(map_news, "request", self._answer)

    def driver_address(self) -> str | None:
        return self.address

    def _meter(self, used: Sequence[MapUse], kept: Sequence[MapTally]) -> None:
        self.metered += used
        self.kept = list(kept)

    async def _answer(self, *asked: str, **_: Any) -> Answer:
        self.asked += asked[2:]
        body = msgspec.json.encode({"maps": self.maps, "used": self.uses})
        return Answer(200, [], body)

    async def look(self, *maps: MapState) -> list[dict[str, Any]]:
        """Return the events of a look at these maps."""
        self.maps = list(maps)
        seq = self.events.seq
        await self.news.look()
        return [event.value for event in self.events.since(seq)]


@pytest.fixture
async def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(monkeypatch)


def state(id: str = "m", **more: Any) -> MapState:
    return MapState(id=id, function="f", **more)


async def test_what_has_changed_is_told(told: Told) -> None:
    assert [one["done"] for one in await told.look(state(done=1))] == [1]
    assert await told.look(state(done=1)) == []
    assert [one["done"] for one in await told.look(state(done=2), state("n"))] == [2, 0]


async def test_what_moves_all_the_time_is_told_now_and_then(told: Told) -> None:
    looks = [await told.look(state(workers=(share / 10,))) for share in range(8)]
    assert [len(one) for one in looks] == [1, 0, 0, 1, 0, 0, 0, 1]


@pytest.mark.parametrize("is_gone", [True, False])
async def test_a_map_that_goes_with_its_driver_has_failed(told: Told, is_gone: bool) -> None:
    await told.look(state("a"), state("b", state="done"), state("c", is_kept=True))
    if is_gone:
        told.address = None
    (lost,) = await told.look()
    assert (lost["id"], lost["state"], lost["note"]) == ("a", "failed", LOST)
    assert await told.look() == []


async def test_what_was_added_is_metered(told: Told) -> None:
    told.uses = MapUses(driver="d1", functions=(MapUse(function="f", items=3, memory_mib_s=2.0),))
    await told.look()
    await told.look()
    told.uses = MapUses(driver="d1", functions=(MapUse(function="f", items=5, memory_mib_s=2.5),))
    await told.look()
    assert [(one.items, one.memory_mib_s) for one in told.metered] == [(3, 2.0), (2, 0.5)]


async def test_how_far_kept_maps_are_goes_with_it(told: Told) -> None:
    told.uses = MapUses(driver="d1", kept=(MapTally(key="map-1", function="f", items=3),))
    await told.look()
    assert told.kept == list(told.uses.kept)


async def test_another_driver_begins_anew(told: Told) -> None:
    for driver, items in (("d1", 3), ("d2", 4)):
        told.uses = MapUses(driver=driver, functions=(MapUse(function="f", items=items),))
        await told.look()
    assert [one.items for one in told.metered] == [3, 4]


async def test_one_look_that_fails_is_not_the_last(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_news, "EVERY_S", 0.001)
    odd: Any = {"function": "f"}  # no id
    told.maps = [odd]
    told.is_busy, told.begun = True, 1
    told.news.start()
    asked = asyncio.Event()
    answer = told._answer

    async def answered(*_: Any, **__: Any) -> Answer:
        asked.set()
        return await answer()

    monkeypatch.setattr(map_news, "request", answered)
    async with asyncio.timeout(20.0):
        await asked.wait()
        told.maps = [state("m", done=1)]
        while not told.news.known():
            asked.clear()
            await asked.wait()
    await told.news.close()


async def test_what_items_print_on_ray_is_heard_once(told: Told) -> None:
    piece = MapPrint(function="f", revision=2, map="m", stream=1, text=b"\xff hello")
    told.uses = MapUses(driver="d1", prints=(piece,), last_print=7)
    await told.look()
    assert told.heard == [piece]
    told.uses = MapUses(driver="d1", last_print=7)
    await told.look()
    assert [one.rpartition("heard=")[2] for one in told.asked] == ["0", "7"]
    assert told.heard == [piece]
