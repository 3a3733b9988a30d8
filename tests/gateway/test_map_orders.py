"""What the gateway makes of a map's order: which engine it may have, what is said if not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.core.mapping import MapOrder, Seating
from jupyter_faas.core.model import Code, DeployRequest, Resources, RevisionSpec
from jupyter_faas.gateway.entries import RevisionEntry
from jupyter_faas.gateway.map_orders import filled
from jupyter_faas.gateway.registry import Registry
from jupyter_faas.gateway.store.sqlite import SqliteStore

SEATING = Seating(python="3.11")
REFUSED = [
    ({"image": "mine:1"}, "image"),
    ({"runtime_class": "gvisor"}, "runtime_class"),
    ({"secrets": ("db",)}, "secrets"),
    ({"volumes": {"/data": "scratch"}}, "volumes"),
    ({"node_selector": {"disk": "ssd"}}, "node_selector"),
    ({"resources": Resources(gpu=1)}, "gpu"),
    ({"image": "mine:1", "secrets": ("db",), "volumes": {"/d": "v"}}, "image, secrets and volumes"),
]


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[Registry]:
    store = SqliteStore(tmp_path / "faas.db", lambda: 1000.0)
    await store.open()
    made = Registry(store, lambda: 1000.0)
    await made.load()
    yield made
    await made.close()
    await store.close()


async def entry(registry: Registry, asked: dict[str, Any]) -> RevisionEntry:
    code = Code(digest="a" * 64, size_bytes=1, entry="f", python="3.11")
    wanted = DeployRequest(id="a" * 64, revision=RevisionSpec(code=code, **asked))
    answer = await registry.deploy("default", "f", wanted)
    return registry.get("default", "f").revisions[answer.revision.number]


def told(entry: RevisionEntry, engine: str, seating: Seating | None = SEATING) -> MapOrder:
    order = MapOrder(function="f", engine=engine)
    return msgspec.json.decode(filled(order, entry, "default", "m", seating), type=MapOrder)


@pytest.mark.parametrize(("asked", "named"), REFUSED, ids=[named for _, named in REFUSED])
async def test_what_ray_cannot_give_is_refused_where_ray_is_asked_for(
    registry: Registry, asked: dict[str, Any], named: str
) -> None:
    asking = await entry(registry, asked)
    said = (
        f"`f` cannot be mapped with engine='ray': the function asks for {named}, "
        "which replicas on Ray cannot have."
    )
    for seating in (SEATING, None):
        with pytest.raises(InvalidSpec) as caught:
            told(asking, "ray", seating)
        assert caught.value.detail == said
    for engine in ("auto", "replicas"):
        of = told(asking, engine).of
        assert of is not None
        assert of.seating is None
        assert named in of.why_not_ray


async def test_what_ray_can_run_is_told_where(registry: Registry) -> None:
    asking = await entry(registry, {})
    for engine in ("auto", "ray"):
        of = told(asking, engine).of
        assert of is not None
        assert (of.seating, of.why_not_ray) == (SEATING, "")


async def test_a_gateway_without_ray_leaves_it_to_the_replicas(registry: Registry) -> None:
    asking = await entry(registry, {"secrets": ("db",)})
    of = told(asking, "auto", None).of
    assert of is not None
    assert (of.seating, of.why_not_ray) == (None, "")
