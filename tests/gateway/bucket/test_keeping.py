"""Calls in an object store: what is told lasts, what is not told has not happened, one writes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_faas.core.errors import InvalidSpec, ProviderError
from jupyter_faas.gateway.bucket import database, segments
from jupyter_faas.gateway.bucket.keeping import InBucket
from jupyter_faas.gateway.bucket.segments import BASES, BODIES, LOG, SPARE_S, SURE_S
from jupyter_faas.gateway.objects import Objects
from jupyter_faas.gateway.store.kept import SqliteKept
from jupyter_faas.gateway.store.kept_base import KeptAnswer, KeptCall
from jupyter_faas.gateway.store.kept_maps import MapPlace

LARGE = b"large" * 20_000


def call(id: str) -> KeptCall:
    return KeptCall(id, "default", "f", 1.0)


async def _nothing_used() -> set[str]:
    return set()


class Houses:
    """Processes that keep calls in one bucket; those that are killed leave the rest to it."""

    def __init__(self, url: str, directory: Path) -> None:
        self.url = url
        self.ahead_s = 0.0
        self._directory = directory
        self._all: list[InBucket] = []

    def make(self) -> InBucket:
        copy = self._directory / f"{len(self._all)}" / "copy.db"
        made = InBucket(self.url, copy, lambda: time.time() + self.ahead_s)
        self._all.append(made)
        return made

    async def open(self) -> InBucket:
        made = self.make()
        await made.open()
        return made

    async def close(self) -> None:
        for one in self._all:
            if one._tidying is not None:
                await one.close()

    async def names(self, folder: str) -> list[str]:
        objects = Objects(self.url, "Objects")
        return sorted([one.path async for batch in objects.below(folder) for one in batch])


@pytest.fixture(params=["s3", "directory"])
async def houses(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Houses]:
    where = request.getfixturevalue("bucket_url") if request.param == "s3" else ""
    made = Houses(where or f"file://{tmp_path}/kept", tmp_path)
    yield made
    await made.close()


def calls(house: InBucket) -> SqliteKept:
    return house.calls("a", lambda _holder, _state: False)


async def test_the_next_process_has_what_was_told_and_the_one_before_is_out(houses) -> None:
    first = await houses.open()
    assert await calls(first).add(call("1"), b"body") == "1"
    assert await calls(first).add(call("2"), LARGE) == "2"
    assert await calls(first).note_started("1")
    second = await houses.open()  # the first one was not seen to end
    assert await calls(second).body("1") == b"body"
    assert await calls(second).body("2") == LARGE
    with pytest.raises(ProviderError, match="Another process keeps"):
        await calls(first).add(call("3"), b"")
    assert first.is_lost.is_set()
    assert (first.is_taken, second.is_taken) == (True, False)
    with pytest.raises(ProviderError):
        await calls(first).find("1")
    assert await calls(second).find("3") is None
    answer = KeptAnswer(200, [], LARGE, 2.0)
    assert await calls(second).end("1", answer, is_told=True)
    assert await calls(second).end("1", answer, is_told=True), "asked twice"
    third = await houses.open()
    assert await calls(third).answer("1") == answer


async def test_many_small_changes_cost_few_requests(houses) -> None:
    house = await houses.open()
    before = len(await houses.names(LOG))
    added = [calls(house).add(call(str(n)), b"body") for n in range(500)]
    assert await asyncio.gather(*added) == [str(n) for n in range(500)]
    assert len(await houses.names(LOG)) - before <= 500 / database._TOGETHER + 3
    nothing = await houses.names(LOG)
    assert await calls(house).drop(0.0) == 0
    assert not await calls(house).note_started("none")
    assert await calls(house).find("1") is not None
    assert await houses.names(LOG) == nothing, "what changes nothing is not written"


async def test_a_job_that_fails_takes_nobody_elses_with_it(houses) -> None:
    house = await houses.open()
    await calls(house).add(call("1"), b"")
    other = KeptCall("1", "default", "g", 1.0)
    results = await asyncio.gather(
        calls(house).add(call("2"), b""),
        calls(house).add(other, b""),
        calls(house).add(call("3"), b""),
        return_exceptions=True,
    )
    assert results[::2] == ["2", "3"]
    assert "kept already" in str(results[1])


class Failing:
    """Has an object store fail: before or after it has done what it was asked to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        self.does_it = False
        real = Objects.create

        async def create(objects: Objects, path: str, content: bytes) -> bool:
            if not self.left:
                return await real(objects, path, content)
            self.left -= 1
            if self.does_it:
                await real(objects, path, content)
            raise ProviderError("Calls and maps in s3://here: the network is down")

        monkeypatch.setattr(Objects, "create", create)


@pytest.mark.parametrize("does_it", [False, True])
async def test_what_was_told_to_have_failed_has_not_happened(
    houses, monkeypatch, does_it: bool
) -> None:
    house = await houses.open()
    failing = Failing(monkeypatch)
    failing.left, failing.does_it = 1, does_it
    with pytest.raises(ProviderError, match="the network is down"):
        await calls(house).add(call("1"), b"")
    assert await calls(house).find("1") is None
    assert await calls(house).add(call("2"), b"") == "2"
    assert await calls(house).add(call("3"), b"") == "3"
    again = await houses.open()
    assert [await calls(again).find(id) is not None for id in "123"] == [False, True, True]


async def test_what_arrived_though_it_failed_is_not_written_twice(houses, monkeypatch) -> None:
    house = await houses.open()
    failing = Failing(monkeypatch)
    failing.left, failing.does_it = 1, True
    with pytest.raises(ProviderError):
        await calls(house).add(call("1"), b"")
    written = await houses.names(LOG)
    assert await calls(house).add(call("1"), b"") == "1", "the same is asked for again"
    assert await houses.names(LOG) == written
    assert await calls(await houses.open()).find("1") is not None


async def test_a_snapshot_makes_a_start_short_and_old_objects_go(houses, monkeypatch) -> None:
    monkeypatch.setattr(segments, "MOST_SEGMENTS", 8)
    house = await houses.open()
    for n in range(30):
        await calls(house).add(call(str(n)), b"body")
    monkeypatch.setattr(segments, "MOST_SEGMENTS", 10_000)  # none that is written meanwhile
    assert await calls(house).find("29") is not None  # after the last add: one is begun by now
    assert house._database._snapshot is not None
    await house._database._snapshot
    bases = await houses.names(BASES)
    reads: list[str] = []
    real = Objects.get

    async def get(objects: Objects, path: str) -> bytes | None:
        reads.append(path)
        return await real(objects, path)

    monkeypatch.setattr(Objects, "get", get)
    second = await houses.open()
    assert len(reads) < 30
    assert [await calls(second).body(str(n)) for n in range(30)] == [b"body"] * 30
    before = len(await houses.names(LOG))
    await second.tidy()
    assert len(await houses.names(LOG)) >= before, "what is young stays"
    houses.ahead_s = SPARE_S + 60
    await second.tidy()
    assert len(await houses.names(LOG)) < before
    assert await houses.names(BASES) == [max(await houses.names(BASES))]
    assert bases
    third = await houses.open()
    assert [await calls(third).body(str(n)) for n in range(30)] == [b"body"] * 30


async def test_who_was_away_until_its_number_was_free_again_still_finds_out(houses) -> None:
    first = await houses.open()
    await calls(first).add(call("1"), b"")
    second = await houses.open()
    await calls(second).add(call("2"), b"")
    mine = segments.path_of(LOG, first._log.next_number)
    objects = Objects(houses.url, "Objects")
    await objects.delete([mine])  # as after a snapshot, and an hour
    houses.ahead_s = SURE_S + 1
    with pytest.raises(ProviderError, match="Another process"):
        await calls(first).add(call("3"), b"")


async def test_large_bodies_go_when_nothing_has_named_them_for_an_hour(houses) -> None:
    house = await houses.open()
    kept = calls(house)
    await kept.add(call("ends"), LARGE)
    await kept.add(call("waits"), LARGE[::-1])
    await kept.end("ends", KeptAnswer(200, [], b"said", 2.0), is_told=True)
    await house.tidy()
    assert len(await houses.names(BODIES)) == 2
    houses.ahead_s = SPARE_S + 60
    await house.tidy()
    assert len(await houses.names(BODIES)) == 1
    assert await kept.body("waits") == LARGE[::-1]


async def test_what_is_being_put_while_tidying_begins_is_not_tidied_away(
    houses: Houses, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await houses.open()
    kept = calls(house)
    await kept.add(call("ends"), LARGE)
    await kept.end("ends", KeptAnswer(200, [], b"said", 2.0), is_told=True)
    houses.ahead_s = SPARE_S + 60
    objects = house._bodies._objects
    put, begun, listed = objects.put, asyncio.Event(), asyncio.Event()

    async def put_when_listed(path: str, body: bytes) -> None:
        begun.set()
        await listed.wait()  # the equal object that is there is old
        await put(path, body)

    below = objects.below

    async def below_then(folder: str) -> AsyncIterator[Any]:
        async for batch in below(folder):
            listed.set()
            await asyncio.wait({adding})
            yield batch

    monkeypatch.setattr(objects, "put", put_when_listed)
    adding = asyncio.ensure_future(house._bodies.put_apart(LARGE))
    await begun.wait()
    monkeypatch.setattr(objects, "below", below_then)
    await house._bodies.tidy(_nothing_used)
    assert await house._bodies.get(await adding) == LARGE


async def test_what_a_map_had_goes_when_its_time_is_over(houses) -> None:
    house = await houses.open()
    maps = house.maps("a", lambda _holder: False)
    for id, ended_at in (("old", 100.0), ("young", 200.0)):
        await maps.begin(MapPlace(id, "default", "f"), 1.0, b"order")
        assert await maps.write(id, 0, 0, 0, id.encode() * 100_000)
        assert await maps.mark(id, 0, 1, b"ended", b"{}", ended_at)
    houses.ahead_s = SPARE_S + 60
    assert await maps.sweep(150.0, 0.0) == 1
    await house.tidy()
    assert len(await houses.names(BODIES)) == 1
    assert await maps.read("young", 0, 0) == b"young" * 100_000
    assert await maps.place("old") is None


async def test_a_body_that_is_lost_is_said_to_be(houses) -> None:
    house = await houses.open()
    await calls(house).add(call("1"), LARGE)
    objects = Objects(houses.url, "Objects")
    await objects.delete(await houses.names(BODIES))
    with pytest.raises(ProviderError, match="has lost a part"):
        await calls(house).body("1")


async def test_two_that_start_at_once_agree_who_writes(houses) -> None:
    before = await houses.open()
    for n in range(5):
        await calls(before).add(call(str(n)), b"")
    one, other = await asyncio.gather(houses.open(), houses.open())
    results = await asyncio.gather(
        calls(one).add(call("a"), b""), calls(other).add(call("b"), b""), return_exceptions=True
    )
    assert [isinstance(result, ProviderError) for result in results].count(True) == 1
    again = await houses.open()
    there = [await calls(again).find(id) is not None for id in "01234ab"]
    assert there[:5] == [True] * 5
    assert there[5:].count(True) == 1


async def test_a_store_that_overwrites_is_refused(houses, monkeypatch) -> None:
    async def create(objects: Objects, path: str, content: bytes) -> bool:
        await objects.put(path, content)
        return True

    monkeypatch.setattr(Objects, "create", create)
    house = houses.make()
    with pytest.raises(InvalidSpec, match="If-None-Match"):
        await house.open()
    await house.close()


async def test_a_bucket_that_is_not_there_is_said_to_be(s3, tmp_path, monkeypatch) -> None:
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    house = InBucket("s3://no-such-bucket/here", tmp_path / "copy.db", time.time)
    with pytest.raises(ProviderError, match="Calls and maps in s3://no-such-bucket/here"):
        await house.open()
    await house.close()


async def test_packages_and_what_is_kept_leave_each_other_alone(houses) -> None:
    from jupyter_faas.gateway.object_blobs import ObjectBlobs

    house = await houses.open()
    await calls(house).add(call("1"), LARGE)
    packages = ObjectBlobs(houses.url, lambda: time.time() + 10 * SPARE_S)
    await packages.put("1" * 64, b"package")
    await packages.collect([])
    assert await packages.get("1" * 64) is None
    houses.ahead_s = SPARE_S + 60
    await packages.put("2" * 64, b"package")
    await house.tidy()
    assert await packages.get("2" * 64) == b"package"
    assert await calls(await houses.open()).body("1") == LARGE
