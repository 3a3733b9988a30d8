"""kubectl is a full client: what people do to Functions on a real cluster is followed.

Replicas are fakes (they answer with what they are sent) or processes of this machine; pods are
tested with the provider.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from jupyter_faas.core.settings import Settings
from jupyter_faas.providers.kubernetes.api import KubeApi, path_of
from jupyter_faas.providers.kubernetes.names import API_VERSION, FUNCTIONS, REVISIONS
from jupyter_faas.providers.local.provider import LocalProvider
from tests.cluster.places import closed, names, namespaces_made, needs_cluster, until
from tests.gateway.cluster_world import World, condition, is_ready
from tests.gateway.controller_contract import ControllerContract
from tests.gateway.fake_front import FakeProvider

pytestmark = [pytest.mark.cluster, needs_cluster]

NAMESPACES = names("control")
SPACE = NAMESPACES[0]


@pytest.fixture(scope="module", autouse=True)
def spaces() -> Iterator[None]:
    with namespaces_made(NAMESPACES):
        yield


async def made(provider_of: Any) -> AsyncIterator[World]:
    api = await KubeApi.connect()
    for plural in (FUNCTIONS, REVISIONS):
        await api.delete(path_of(plural, SPACE, group=API_VERSION))
    with TemporaryDirectory(prefix="faas-", dir="/tmp") as directory:
        world = World(api, directory, provider_of(directory), SPACE)
        await world.service.start()
        yield world
        await world.service.stop()
    await closed(api)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async for one in made(lambda directory: FakeProvider(Path(directory))):
        yield one


@pytest.fixture
async def real() -> AsyncIterator[World]:
    async for one in made(
        lambda directory: LocalProvider(Settings(state_dir=directory, preload=()))
    ):
        yield one


async def test_source_that_is_applied_answers_over_http(real: World) -> None:
    began = time.perf_counter()
    await real.apply()
    for _ in range(10_000):
        answer = await real.call(body=b'{"name": "world"}')
        if answer.status != 404:
            break
        await asyncio.sleep(0.005)
    took_ms = (time.perf_counter() - began) * 1000
    assert (answer.status, answer.body) == (200, b"hello world")
    print(f"\napply to answer: {took_ms:.0f} ms")
    status = await real.status(is_ready)
    assert status["latestRevision"] == "hello-1"
    assert status["replicas"] == 1
    assert status["observedGeneration"] == 1
    await real.apply(source="def hello(): return 2")
    await real.live(2)
    assert (await real.call()).body == b"2"
    await real.apply(source="raise ImportError('no such thing')\ndef hello(): ...")
    status = await real.status(lambda one: condition(one)["status"] == "False")
    assert condition(status)["reason"] == "ImportError"
    assert "revision 2 keeps serving" in condition(status)["message"]
    assert condition(status, "Serving")["status"] == "True"
    assert (await real.call()).body == b"2"


async def test_the_scale_subresource_moves_the_floor_and_nobody_writes_it(world: World) -> None:
    await world.apply()
    await world.live(1)
    path = world.path(part="scale")
    scale = await world.api.get(path)
    assert scale["spec"].get("replicas", 0) == 0
    await world.api.patch(path, {"spec": {"replicas": 2}})
    await world.status(lambda one: one.get("replicas") == 2)
    scale = await world.api.get(path)
    assert scale["status"]["replicas"] == 2
    assert scale["status"]["selector"].startswith("jupyter-faas.io/function=hello")
    await world.api.patch(path, {"spec": {"replicas": 0}})
    await until(
        lambda: (
            (one := world.entry()) is not None and one.function.settings.scaling.min_containers == 0
        )
    )
    assert (await world.get())["spec"]["scaling"]["minContainers"] == 0


async def test_a_deleted_function_leaves_nothing(world: World) -> None:
    await world.apply()
    await world.live(1)
    await world.api.delete(world.path())
    await until(lambda: world.entry() is None)
    assert (await world.call()).status == 404
    for _ in range(1200):
        found = await world.api.get(path_of(REVISIONS, SPACE, group=API_VERSION))
        if not found["items"]:
            break
        await asyncio.sleep(0.05)
    assert found["items"] == []
    await until(lambda: not world.provider.fronts)  # type: ignore[attr-defined]  # a fake's
    await world.apply()
    entry = await world.live(1)
    assert list(entry.revisions) == [1]


class TestController(ControllerContract):
    space = SPACE
