from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jupyter_faas.core.errors import (
    FunctionNotFound,
    InvalidSpec,
    NameTaken,
    ProviderError,
    RevisionNotFound,
)
from jupyter_faas.core.model import (
    Code,
    DeployRequest,
    FunctionSettings,
    Origin,
    Place,
    RevisionSpec,
    RevisionState,
    Scaling,
)
from jupyter_faas.gateway.catalogue import RegistryChange
from jupyter_faas.gateway.registry import Registry
from jupyter_faas.gateway.store.base import Change
from jupyter_faas.gateway.store.sqlite import SqliteStore

BROKEN = {"code": "not_serializable", "detail": "It cannot be loaded."}


def request(id: str, **more: Any) -> DeployRequest:
    code = Code(digest=id * 64, size_bytes=1, entry="f", python="3.11")
    return DeployRequest(id=id * 64, revision=RevisionSpec(code=code), **more)


class Wall:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "faas.db", Wall())
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def registry(store: SqliteStore) -> AsyncIterator[Registry]:
    made = Registry(store, Wall(), newest_kept=3)
    await made.load()
    yield made
    await made.close()


async def live(registry: Registry, *ids: str) -> None:
    for id in ids:
        answer = await registry.deploy("default", "f", request(id))
        await registry.mark_ready(registry.get("default", "f").revisions[answer.revision.number])


def heard(registry: Registry) -> list[tuple[str, int | None]]:
    news: list[tuple[str, int | None]] = []

    def hear(change: RegistryChange) -> None:
        news.append((change.kind, change.revision and change.revision.number))

    registry.subscribe(hear)
    return news


async def test_everything_is_as_it_was_after_a_new_start(
    registry: Registry, store: SqliteStore
) -> None:
    await live(registry, "a", "b")
    await registry.deploy("default", "f", request("c"))
    await registry.set_traffic("default", "f", {1: 30, 2: 70})
    await registry.set_scaling("default", "f", {"min_containers": 2})
    again = Registry(store, Wall())
    await again.load()
    old, new = registry.get("default", "f"), again.get("default", "f")
    assert new.function == old.function
    assert new.traffic.numbers == (1, 2)
    values = [[one.revision for one in entry.revisions.values()] for entry in (old, new)]
    assert values[0] == values[1]
    assert [one.is_pending for one in new.revisions.values()] == [False, False, True]


async def test_subscribers_hear_what_happened_in_order(registry: Registry) -> None:
    news = heard(registry)
    await live(registry, "a")
    await registry.deploy("default", "f", request("b"))
    entry = registry.get("default", "f")
    await registry.mark_failed(entry.revisions[2], BROKEN)
    await registry.set_scaling("default", "f", {"max_containers": 3})
    await registry.deploy("default", "f", request("a"))
    await registry.delete("default", "f")
    assert news == [
        ("deployed", 1),
        ("live", 1),
        ("deployed", 2),
        ("failed", 2),
        ("scaling", None),
        ("live", 1),
        ("deleted", None),
    ]


async def test_a_broken_subscriber_does_not_keep_the_others_from_hearing(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: RegistryChange) -> None:
        raise ZeroDivisionError

    registry.subscribe(broken)
    news = heard(registry)
    await registry.deploy("default", "f", request("a"))
    assert news == [("deployed", 1)]
    assert "subscriber" in caplog.text


async def test_calls_go_to_the_pending_revision_until_one_is_ready(registry: Registry) -> None:
    await registry.deploy("default", "f", request("a"))
    entry = registry.get("default", "f")
    assert entry.route() is entry.revisions[1]
    await registry.mark_ready(entry.revisions[1])
    await registry.deploy("default", "f", request("b"))
    assert entry.route().number == 1
    await registry.mark_ready(entry.revisions[2])
    assert entry.route().number == 2
    assert [one.number for one in entry.live()] == [2]


async def test_what_cannot_be_stored_has_not_happened(
    registry: Registry, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live(registry, "a")

    async def full(_: Change) -> None:
        raise ProviderError("full")

    news = heard(registry)
    monkeypatch.setattr(store, "save", full)
    for change in (
        registry.deploy("default", "f", request("b")),
        registry.deploy("default", "new", request("b")),
        registry.set_scaling("default", "f", {"min_containers": 1}),
    ):
        with pytest.raises(ProviderError):
            await change
    monkeypatch.undo()
    entry = registry.get("default", "f")
    assert list(entry.revisions) == [1]
    assert entry.function.settings.scaling.min_containers == 0
    assert registry.find("default", "new") is None
    assert news == []


async def test_a_change_is_finished_even_if_nobody_waits_for_it(registry: Registry) -> None:
    deploying = asyncio.ensure_future(registry.deploy("default", "f", request("a")))
    await asyncio.sleep(0)
    deploying.cancel()
    await asyncio.gather(deploying, return_exceptions=True)
    await registry.close()
    assert registry.get("default", "f").function.latest == 1


async def test_deploys_at_the_same_time_get_numbers_in_a_row(registry: Registry) -> None:
    answers = await asyncio.gather(
        *(registry.deploy("default", "f", request(id)) for id in "abcdef")
    )
    assert sorted(one.revision.number for one in answers) == [1, 2, 3, 4, 5, 6]
    same = await asyncio.gather(*(registry.deploy("default", "g", request("a")) for _ in range(9)))
    assert {one.revision.number for one in same} == {1}
    assert sum(one.created for one in same) == 1
    assert len(registry._locks) == 0


async def test_retention_keeps_the_newest_and_what_is_named(
    registry: Registry, store: SqliteStore
) -> None:
    news = heard(registry)
    await live(registry, "a")
    first = registry.get("default", "f").revisions[1]
    for id in "bcdef":
        await registry.deploy("default", "f", request(id))
        entry = registry.get("default", "f")
        await registry.mark_failed(entry.latest, BROKEN)
    assert list(entry.revisions) == [1, 4, 5, 6]
    assert not first.is_removed
    assert [number for kind, number in news if kind == "removed"] == [2, 3]
    assert sorted(one.number for one in (await store.load()).revisions) == [1, 4, 5, 6]
    await registry.deploy("default", "f", request("g"))
    assert entry.latest.number == 7


async def test_waiting_ends_when_the_revision_is_ready_failed_or_gone(registry: Registry) -> None:
    await registry.deploy("default", "f", request("a"))
    entry = registry.get("default", "f").revisions[1]
    assert (await registry.settled(entry, 0.001)).state is RevisionState.PENDING
    waiting = asyncio.ensure_future(registry.settled(entry, 60))
    await asyncio.sleep(0)
    await registry.mark_failed(entry, BROKEN)
    assert (await waiting).reason == "It cannot be loaded."
    assert (await registry.settled(entry, 60)).problem == BROKEN
    await registry.deploy("default", "f", request("b"))
    entry = registry.get("default", "f").revisions[2]
    waiting = asyncio.ensure_future(registry.settled(entry, 60))
    await asyncio.sleep(0)
    await registry.delete("default", "f")
    with pytest.raises(RevisionNotFound):
        await waiting
    assert len(registry._waits) == 0


async def test_news_about_a_removed_or_settled_revision_changes_nothing(
    registry: Registry,
) -> None:
    await live(registry, "a")
    entry = registry.get("default", "f").revisions[1]
    await registry.mark_failed(entry, BROKEN)
    assert entry.revision.state is RevisionState.READY
    await registry.delete("default", "f")
    await registry.mark_ready(entry)
    assert registry.find("default", "f") is None


async def test_a_function_deployed_anew_after_a_delete_starts_at_1(registry: Registry) -> None:
    await live(registry, "a", "b")
    old = registry.get("default", "f").revisions[1]
    await registry.delete("default", "f")
    await live(registry, "b")
    new = registry.get("default", "f").revisions[1]
    assert new.key != old.key
    assert old.is_removed
    assert not new.is_removed


async def test_names_are_taken_by_notebooks(registry: Registry) -> None:
    mine, other = Origin(notebook="mine.ipynb"), Origin(notebook="other.ipynb")
    await registry.deploy("default", "f", request("a", origin=mine))
    with pytest.raises(NameTaken, match=r"mine\.ipynb"):
        await registry.deploy("default", "f", request("b", origin=other))
    await registry.deploy("other", "f", request("b", origin=other))


async def test_what_does_not_exist_is_said_with_a_hint(registry: Registry) -> None:
    await live(registry, "a")
    with pytest.raises(FunctionNotFound, match="No function `ff` is deployed; there is `f`"):
        registry.get("default", "ff")
    with pytest.raises(FunctionNotFound, match="in namespace `x`"):
        registry.get("x", "f")
    with pytest.raises(RevisionNotFound, match="no revision 3; it has 1"):
        registry.get_revision(registry.get("default", "f"), 3)
    for change in (
        registry.rollback("default", "no"),
        registry.set_traffic("default", "no", {1: 1}),
        registry.set_scaling("default", "no", {}),
        registry.delete("default", "no"),
    ):
        with pytest.raises(FunctionNotFound):
            await change
    with pytest.raises(InvalidSpec, match="cannot be used"):
        await registry.deploy("default", "No", request("a"))


def _place(n: int) -> Place:
    path = tuple(f"/home/someone/project/lib{k}" for k in range(20))
    return Place(
        interpreter="/venv/bin/python",
        cwd="/home/someone/project",
        sys_path=path,
        environ={f"VARIABLE_{k}": "some value of it" * 4 for k in range(12)},
    )


async def test_a_thousand_functions_of_one_notebook_cost_little_each(registry: Registry) -> None:
    def wish(n: int) -> DeployRequest:
        modules = {f"package-{k}": "1.2.3" for k in range(15)}
        parameters = ({"name": "x", "kind": "positional", "annotation": "int"},) * 3
        spec = RevisionSpec(
            code=Code(
                digest=f"{n:064x}",
                size_bytes=n,
                entry="f",
                python="3.11",
                modules=modules,
                parameters=parameters,
            ),
            place=_place(n),
            env={"MODE": "fast"},
        )
        origin = Origin(owner="me", notebook="/home/me/nb.ipynb", cell_id="c", session="s")
        settings = FunctionSettings(scaling=Scaling(max_containers=3))
        whole = DeployRequest(id=f"{n:064x}", revision=spec, origin=origin, settings=settings)
        return msgspec.json.decode(msgspec.json.encode(whole), type=DeployRequest)

    await registry.deploy("default", "warm", wish(0))
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for n in range(1, 301):
        await registry.deploy("default", f"f{n}", wish(n))
    gc.collect()
    each = (tracemalloc.get_traced_memory()[0] - before) / 300
    tracemalloc.stop()
    assert each < 4_500, each
    assert sys.getsizeof(registry.get("default", "f1")) < 200
    assert len(registry) == 301


async def test_who_waits_for_a_ready_revision_does_not_wait_for_the_store(
    registry: Registry, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live(registry, "a")
    await registry.deploy("default", "f", request("b"))
    entry = registry.get("default", "f")
    may_write, save = asyncio.Event(), store.save

    async def slowly(change: Change) -> None:
        await may_write.wait()
        await save(change)

    monkeypatch.setattr(store, "save", slowly)
    await registry.mark_ready(entry.revisions[2])
    assert (entry.traffic.numbers, entry.latest.revision.state) == ((2,), RevisionState.READY)
    written = asyncio.create_task(registry.written())
    may_write.set()
    await written
    stored = (await store.load()).functions
    assert [one.traffic for one in stored] == [{2: 100}]
