"""What the blobs service keeps of calls and maps, on a volume and in object stores alike."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from jupyter_faas.core.errors import BadRequest, ProviderError
from jupyter_faas.gateway.blob_service import BlobService
from jupyter_faas.gateway.keeping import Keeping
from jupyter_faas.gateway.kept.remote import RemoteKept
from jupyter_faas.gateway.kept_service import SILENCE_S
from jupyter_faas.gateway.store.kept_base import QUEUED, STARTED, KeptAnswer, KeptCall
from jupyter_faas.gateway.store.kept_maps import MapPlace, OpenMap
from jupyter_faas.wire.kept import KeptLink, MapHead

KEY = b"k" * 32
ANSWER = KeptAnswer(200, [], b"said", 100.0)
PLACE = MapPlace("map-1", "default", "f")


def call(id: str, function: str = "f") -> KeptCall:
    return KeptCall(id, "default", function, 1.0)


class Service:
    """A blobs service, and gateways that use it."""

    def __init__(self, directory: Path, keeping: Keeping) -> None:
        self.now_s = 100.0
        self.service = BlobService(
            directory / "blobs",
            KEY,
            wall_clock=time.time,
            clock=lambda: self.now_s,
            keeping=keeping,
        )

    def link(self, holder: str, *there: str, key: bytes = KEY) -> KeptLink:
        made = KeptLink(f"127.0.0.1:{self.service.port}", key.hex(), holder)
        made.there = lambda: list(there)
        return made

    def kept(self, holder: str, *there: str) -> RemoteKept:
        return RemoteKept(self.link(holder, *there))


@pytest.fixture
async def service(tmp_path: Path, keep_in: Callable[[], Keeping]) -> AsyncIterator[Service]:
    made = Service(tmp_path, keep_in())
    await made.service.start("127.0.0.1", 0)
    yield made
    await made.service.stop()


def everything(_namespace: str, _name: str) -> bool:
    return True


async def test_a_call_is_begun_and_ended_by_who_holds_it(service: Service) -> None:
    a, b = service.kept("a"), service.kept("b", "a")
    assert await a.add(call("1"), b"body") == "1"
    assert await a.add(call("1"), b"body") == "1", "asked twice, since the answer was lost"
    with pytest.raises(BadRequest, match="kept already"):
        await a.add(call("1", "g"), b"")
    assert await b.body("1") == b"body"
    assert (await b.find("1")).state == QUEUED
    assert not await b.note_started("1")
    assert await a.note_started("1")
    assert not await b.end("1", ANSWER, is_told=True)
    assert await a.end("1", ANSWER, is_told=True)
    assert await a.end("1", ANSWER, is_told=True), "asked twice"
    assert await b.answer("1") == ANSWER
    assert await b.body("1") is None
    assert await b.find("2") is None


async def test_what_a_gateway_has_that_is_there_is_not_taken(service: Service) -> None:
    a, b = service.kept("a"), service.kept("b", "a")
    await a.add(call("1"), b"")
    assert await b.take(everything) == ([], True)
    await a.let_go(["1"])
    taken = await b.take(everything)
    assert ([known.call.id for known in taken.calls], taken.is_more) == (["1"], False)
    assert await b.take(everything) == ([], False), "once"
    assert len((await b.take(everything, again=True)).calls) == 1
    assert not await a.note_started("1")


async def test_of_a_gateway_that_is_gone_the_begun_ones_come_later(service: Service) -> None:
    a, b = service.kept("a"), service.kept("b")
    await a.add(call("waits"), b"")
    await a.add(call("runs"), b"")
    await a.note_started("runs")
    taken = await b.take(everything)
    assert [(known.call.id, known.state) for known in taken.calls] == [("waits", QUEUED)]
    assert taken.is_more
    service.now_s += SILENCE_S
    taken = await b.take(everything)
    assert [(known.call.id, known.state) for known in taken.calls] == [("runs", STARTED)]
    assert not await a.end("runs", ANSWER, is_told=True), "it is told lost already"


async def test_only_what_is_owned_is_taken(service: Service) -> None:
    a, b = service.kept("a"), service.kept("b")
    for id, function in (("1", "f"), ("2", "g")):
        await a.add(call(id, function), b"")
    taken = await b.take(lambda _namespace, name: name == "g")
    assert [known.call.id for known in taken.calls] == ["2"]


async def test_old_answers_go(service: Service) -> None:
    a = service.kept("a")
    await a.add(call("1"), b"")
    await a.end("1", ANSWER, is_told=False)
    assert await a.drop(101.0) == 0
    await a.note_told("1")
    assert await a.drop(101.0) == 1


async def test_a_map_is_written_by_who_holds_it_and_read_by_the_next(service: Service) -> None:
    a, b = service.link("a"), service.link("b", "a")
    await a.ask("map_begin", type(None), PLACE, 5.0, b"order")
    assert await a.ask("map_open_maps", list[OpenMap]) == [], "its inputs are not all here"
    for at, piece in ((0, b"one"), (3, b"two")):
        assert await a.ask("map_write", bool, "map-1", 0, 0, at, piece)
    assert not await b.ask("map_write", bool, "map-1", 0, 0, 0, b"no")
    assert await a.ask("map_mark", bool, "map-1", 0, 2, None, b"{}", 6.0)
    assert await b.ask("map_open_maps", list[OpenMap]) == [(*PLACE, False)]
    assert not await b.ask("map_take", bool, "map-1")
    await a.ask("map_let_go", type(None), "map-1")
    assert await b.ask("map_take", bool, "map-1")
    assert not await a.ask("map_take", bool, "map-2")
    head = await b.find("map_head", MapHead, "map-1")
    assert head == MapHead("default", "f", 5.0, b"order", 2, None, 1)
    assert await b.ask("map_read", bytes, "map-1", 0, 0) == b"onetwo"
    assert await b.ask("map_read", bytes, "map-1", 0, 6) == b""
    await b.ask("map_cut", type(None), "map-1", 0, 4)
    assert await b.ask("map_read", bytes, "map-1", 0, 0) == b"onet"
    assert not await a.ask("map_mark", bool, "map-1", 0, 2, b"ended", b"{}", 7.0)
    assert not await b.ask("map_mark", bool, "map-1", 0, 2, b"ended", b"{}", 7.0)
    assert await b.ask("map_mark", bool, "map-1", 1, 2, b"ended", b"{}", 7.0)
    assert await b.ask("map_states", list[bytes], "default") == [b"{}"]
    assert await b.ask("map_states", list[bytes], "other") == []
    assert await b.ask("map_sweep", int, 7.0, 0.0) == 0
    assert await b.ask("map_sweep", int, 8.0, 0.0) == 1
    assert await b.find("map_place", MapPlace, "map-1") is None


async def test_who_does_not_show_the_key_or_asks_nonsense_gets_nothing(service: Service) -> None:
    with pytest.raises(ProviderError, match="gateways only"):
        await service.link("a", key=b"x" * 32).ask("find", str, "1")
    with pytest.raises(BadRequest, match="no such operation"):
        await service.link("a").ask("__init__", str, "1")
    with pytest.raises(BadRequest, match="cannot be read"):
        await service.link("a").ask("find", str, 1)


async def test_a_service_that_is_away_is_a_reason(tmp_path: Path) -> None:
    link = KeptLink("127.0.0.1:9", KEY.hex(), "a")
    with pytest.raises(ProviderError, match="does not answer"):
        await link.ask("find", str, "1", tries=1)


async def test_a_defect_of_the_service_is_its_answer(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def odd(_operation: str, _body: bytes) -> bytes:
        raise KeyError("odd")

    monkeypatch.setattr(service.service._kept, "answer", odd)
    with pytest.raises(ProviderError, match="its log says how"):
        await service.link("g1").ask("map_open_maps", list)
