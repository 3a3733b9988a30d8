"""The controller on an API server in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.gateway.cluster_world import World
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
