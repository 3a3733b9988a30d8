"""Files of kept maps whose pieces gather until they are an object, against a plain string."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.core.errors import BadRequest
from jupyter_faas.gateway.bucket import pieces
from jupyter_faas.gateway.bucket.bodies import Named
from jupyter_faas.gateway.bucket.pieces import ObjectKeptMaps, used_bodies
from jupyter_faas.gateway.store.kept_maps import MapPlace
from jupyter_faas.gateway.store.schema import migrate

ID = "map-1"


class Bodies:
    """Keeps large values in memory."""

    def __init__(self) -> None:
        self.there: dict[str, bytes] = {}

    async def put_apart(self, body: bytes) -> str:
        digest = hashlib.sha256(body).hexdigest()
        self.there[digest] = body
        return str(Named(digest, len(body)))

    async def get(self, stored: bytes | str) -> bytes:
        if isinstance(stored, bytes):
            return stored
        digest, size = Named.of(stored)
        return self.there[digest][:size]


class World:
    """One map, begun by a gateway."""

    def __init__(self, bodies: Any = None) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        migrate(self.db, Path("memory"))
        self.bodies = bodies or Bodies()
        self.maps = self.seen_by("a")

    def seen_by(self, holder: str) -> ObjectKeptMaps:
        async def work(job: Any) -> Any:
            return job(self.db)

        return ObjectKeptMaps(work, holder, lambda _holder: False, self.bodies)

    async def begin(self) -> None:
        await self.maps.begin(MapPlace(ID, "default", "f"), 1.0, b"order")

    async def content(self) -> bytes:
        whole = b""
        while piece := await self.maps.read(ID, 0, len(whole)):
            whole += piece
        return whole

    def rows(self) -> int:
        return int(self.db.execute("SELECT count(*) FROM kept_pieces").fetchone()[0])


STEPS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 60), st.integers(0, 60)),
    st.tuples(st.just("cut"), st.integers(0, 60), st.just(0)),
)


@given(st.lists(STEPS, max_size=25), st.data())
def test_a_file_has_what_was_written_whatever_is_asked_twice(
    steps: list[tuple[str, int, int]], data: st.DataObject
) -> None:
    async def run() -> None:
        world = World()
        await world.begin()
        model = b""
        for step, size, back in steps:
            if step == "write":
                at = max(0, len(model) - back)  # what was not heard of is written again
                added = data.draw(st.binary(min_size=size, max_size=size))
                piece = model[at:] + added
                assert await world.maps.write(ID, 0, 0, at, piece)
                model += added
            elif size < len(model):
                await world.maps.cut(ID, 0, size)
                model = model[:size]
            assert await world.content() == model
            at = data.draw(st.integers(0, len(model)))
            assert model[at:].startswith(await world.maps.read(ID, 0, at))
        world.db.close()

    before, pieces.GATHERED_BYTES = pieces.GATHERED_BYTES, 40
    try:
        asyncio.run(run())
    finally:
        pieces.GATHERED_BYTES = before


async def test_small_pieces_become_one_object_and_one_row(monkeypatch) -> None:
    monkeypatch.setattr(pieces, "GATHERED_BYTES", 1000)
    world = World()
    await world.begin()
    for n in range(100):
        assert await world.maps.write(ID, 0, 0, n * 100, bytes([n]) * 100)
    assert len(world.bodies.there) == 10
    assert world.rows() == 10
    assert used_bodies(world.db) == set(world.bodies.there)
    assert await world.content() == b"".join(bytes([n]) * 100 for n in range(100))
    world.db.close()


async def test_what_is_asked_twice_at_once_takes_nothing_away(monkeypatch) -> None:
    monkeypatch.setattr(pieces, "GATHERED_BYTES", 10)

    class Slow(Bodies):
        go = asyncio.Event()

        async def put_apart(self, body: bytes) -> str:
            if body == b"a" * 12:
                await self.go.wait()
            return await super().put_apart(body)

    world = World(Slow())
    await world.begin()
    late = asyncio.ensure_future(world.maps.write(ID, 0, 0, 0, b"a" * 12))
    await asyncio.sleep(0)
    assert await world.maps.write(ID, 0, 0, 0, b"a" * 12 + b"b" * 5)
    assert await world.maps.write(ID, 0, 0, 17, b"c")
    world.bodies.go.set()
    assert await late
    assert await world.content() == b"a" * 12 + b"b" * 5 + b"c"
    world.db.close()


async def test_who_does_not_hold_it_writes_nothing_and_no_file_has_a_gap() -> None:
    world = World()
    await world.begin()
    assert await world.maps.write(ID, 0, 0, 0, b"one")
    assert not await world.seen_by("b").write(ID, 0, 0, 3, b"x" * 500_000)
    assert not await world.maps.write(ID, 1, 0, 3, b"another turn's")
    assert world.bodies.there == {}, "nor is it sent anywhere"
    with pytest.raises(BadRequest, match="3 bytes"):
        await world.maps.write(ID, 0, 0, 4, b"x")
    assert await world.content() == b"one"
    world.db.close()
