"""The controller on an API server in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from jupyter_faas.gateway.cluster.controller import READS_AT_ONCE
from jupyter_faas.gateway.store.sight import Key
from tests.gateway.cluster_world import World, until
from tests.gateway.controller_contract import ControllerContract
from tests.gateway.fake_front import FakeProvider
from tests.gateway.fake_kube import FakeKube


@pytest.fixture
async def world() -> AsyncIterator[World]:
    with TemporaryDirectory(prefix="faas-", dir="/tmp") as directory:
        provider = FakeProvider(Path(directory))
        world = World(FakeKube(), directory, provider, "default")
        await world.service.start()
        yield world
        await world.service.stop()


class TestController(ControllerContract):
    space = "default"


async def test_functions_that_were_gained_are_read_a_few_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once: list[int] = []
    read: set[str] = set()
    now = 0

    async def refresh(key: Key) -> None:
        nonlocal now
        now += 1
        at_once.append(now)
        await asyncio.sleep(0)
        now -= 1
        read.add(key[1])

    monkeypatch.setattr(world.store, "refresh", refresh)
    names = {f"f{number}" for number in range(100)}
    for name in names:
        world.control.gained("default", name)
    await until(lambda: read == names)
    assert max(at_once) == READS_AT_ONCE
