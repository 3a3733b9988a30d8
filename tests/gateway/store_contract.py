"""What every `Store` does; a test module subclasses `StoreContract` and gives it stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from jupyter_faas.core.model import (
    Code,
    Function,
    InvocationRecord,
    Outcome,
    Revision,
    RevisionSpec,
    RevisionState,
)
from jupyter_faas.gateway.store.base import Change, Store

SPEC = RevisionSpec(code=Code(digest="d" * 64, size_bytes=1, entry="f", python="3.11"))


def function(name: str = "f", *, latest: int = 1, **more: Any) -> Function:
    return Function(name=name, latest=latest, **more)


def revision(
    number: int = 1, name: str = "f", state: RevisionState = RevisionState.READY
) -> Revision:
    return Revision(
        function=name, number=number, id=f"{number:064x}", spec=SPEC, created_at=1.0, state=state
    )


def record(id: str, name: str = "f", outcome: Outcome = Outcome.DONE) -> InvocationRecord:
    return InvocationRecord(
        id=id, function=name, revision=1, outcome=outcome, started_at=5.0, run_ms=1.5, cold=True
    )


class StoreContract:
    """Needs fixtures `store` (open) and `reopened` (closes it and opens another on its content)."""

    @pytest.fixture
    async def store(self) -> AsyncIterator[Store]:
        raise NotImplementedError

    async def reopen(self, store: Store) -> Store:
        raise NotImplementedError

    async def test_it_is_empty_at_first(self, store: Store) -> None:
        assert await store.load() == ([], [])
        assert await store.invocation("x") is None
        assert await store.invocations("default") == []
        assert await store.get_meta("x") is None

    async def test_what_was_saved_is_there_after_a_new_start(self, store: Store) -> None:
        saved = function(traffic={1: 100}, previous=(2,), created_at=3.5)
        await store.save(Change("default", "f", saved, (revision(1), revision(2))))
        again = await self.reopen(store)
        contents = await again.load()
        assert contents.functions == [saved]
        assert sorted(contents.revisions, key=lambda one: one.number) == [revision(1), revision(2)]

    async def test_a_change_replaces_adds_and_removes(self, store: Store) -> None:
        await store.save(Change("default", "f", function(), (revision(1), revision(2))))
        failed = revision(2, state=RevisionState.FAILED)
        await store.save(Change("default", "f", function(latest=3), (failed, revision(3)), (1,)))
        contents = await store.load()
        assert contents.functions == [function(latest=3)]
        assert sorted(contents.revisions, key=lambda one: one.number) == [failed, revision(3)]

    async def test_a_change_without_a_function_keeps_it(self, store: Store) -> None:
        await store.save(Change("default", "f", function()))
        await store.save(Change("default", "f", None, (revision(7),)))
        assert (await store.load()).functions == [function()]

    async def test_functions_of_two_namespaces_are_two(self, store: Store) -> None:
        await store.save(Change("a", "f", function(namespace="a")))
        await store.save(Change("b", "f", function(namespace="b")))
        await store.delete("a", "f")
        assert (await store.load()).functions == [function(namespace="b")]

    async def test_a_deleted_function_takes_its_revisions_along(self, store: Store) -> None:
        await store.save(Change("default", "f", function(), (revision(),)))
        await store.save(Change("default", "g", function("g"), (revision(name="g"),)))
        await store.delete("default", "f")
        await store.delete("default", "never-was")
        contents = await store.load()
        assert [one.name for one in contents.functions] == ["g"]
        assert [one.function for one in contents.revisions] == ["g"]

    async def test_records_are_found_at_once_and_after_a_new_start(self, store: Store) -> None:
        store.add_invocations([record("a"), record("b", outcome=Outcome.TIMEOUT)])
        assert await store.invocation("b") == record("b", outcome=Outcome.TIMEOUT)
        again = await self.reopen(store)
        assert await again.invocation("a") == record("a")
        assert await again.invocation("c") is None

    async def test_the_newest_record_of_an_id_is_given(self, store: Store) -> None:
        store.add_invocations([record("a", outcome=Outcome.LOST)])
        store.add_invocations([record("a", outcome=Outcome.LOST), record("a")])
        assert await store.invocation("a") == record("a")

    async def test_records_are_listed_newest_first_by_function(self, store: Store) -> None:
        store.add_invocations([record("1"), record("2", "g")])
        store.add_invocations([record("3"), record("4", "g"), record("5")])
        assert [one.id for one in await store.invocations("default")] == ["5", "4", "3", "2", "1"]
        assert [one.id for one in await store.invocations("default", "g")] == ["4", "2"]
        assert [one.id for one in await store.invocations("default", "f", 2)] == ["5", "3"]
        assert await store.invocations("other") == []

    async def test_small_texts_are_kept(self, store: Store) -> None:
        await store.set_meta("port", "1")
        await store.set_meta("port", "2")
        again = await self.reopen(store)
        assert await again.get_meta("port") == "2"

    async def test_changes_at_the_same_time_all_happen(self, store: Store) -> None:
        names = [f"f{n}" for n in range(50)]
        await asyncio.gather(
            *(store.save(Change("default", name, function(name))) for name in names)
        )
        assert {one.name for one in (await store.load()).functions} == set(names)

    async def test_a_write_goes_on_when_nobody_waits_any_more(self, store: Store) -> None:
        task = asyncio.ensure_future(store.save(Change("default", "f", function())))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await store.load()).functions == [function()]

    async def test_closing_twice_is_fine(self, store: Store) -> None:
        await store.close()
        await store.close()
