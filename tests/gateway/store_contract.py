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
from jupyter_faas.core.names import DEFAULT_NAMESPACE
from jupyter_faas.gateway.past import Past
from jupyter_faas.gateway.store.base import Change, Store
from jupyter_faas.gateway.store.rows import InvocationRow, row_of
from jupyter_faas.gateway.tallies import Counted

SPEC = RevisionSpec(code=Code(digest="d" * 64, size_bytes=1, entry="f", python="3.11"))


def function(name: str = "f", *, latest: int = 1, **more: Any) -> Function:
    return Function(name=name, latest=latest, **more)


def revision(number: int = 1, name: str = "f", **more: Any) -> Revision:
    known = {"state": RevisionState.READY, **more}
    return Revision(
        function=name, number=number, id=f"{number:064x}", spec=SPEC, created_at=1.0, **known
    )


def record(id: str, name: str = "f", outcome: Outcome = Outcome.DONE) -> InvocationRecord:
    return InvocationRecord(
        id=id, function=name, revision=1, outcome=outcome, started_at=5.0, run_ms=1.5, cold=True
    )


def rows(*records: InvocationRecord) -> list[InvocationRow]:
    return [row_of(one) for one in records]


class StoreContract:
    """Needs a fixture `store` (open) and `reopen` (closes it and opens another on its content)."""

    namespaces = (DEFAULT_NAMESPACE, "a", "b")
    keeps_records = True
    """Whether records of invocations outlive the store."""

    def function(self, name: str = "f", **more: Any) -> Function:
        return function(name, **{"namespace": self.namespaces[0], **more})

    def revision(self, number: int = 1, name: str = "f", **more: Any) -> Revision:
        return revision(number, name, **{"namespace": self.namespaces[0], **more})

    def change(self, function: Function | None, *more: Any, **named: Any) -> Change:
        name = "f" if function is None else function.name
        space = self.namespaces[0] if function is None else function.namespace
        if not more:
            assert function is not None
            more = ((self.revision(function.latest, name, namespace=space),),)
        return Change(space, name, function, *more, **named)

    @pytest.fixture
    async def store(self) -> AsyncIterator[Store]:
        raise NotImplementedError

    async def reopen(self, store: Store) -> Store:
        raise NotImplementedError

    async def test_it_is_empty_at_first(self, store: Store) -> None:
        assert await store.load() == ([], [], {})
        assert await store.invocation("x") is None
        assert await store.invocations("default") == []
        assert await store.get_meta("x") is None

    async def test_what_was_saved_is_there_after_a_new_start(self, store: Store) -> None:
        saved = self.function(traffic={1: 100}, previous=(2,), created_at=3.5)
        await store.save(self.change(saved, (self.revision(1), self.revision(2))))
        again = await self.reopen(store)
        contents = await again.load()
        assert contents.functions == [saved]
        assert sorted(contents.revisions, key=lambda one: one.number) == [
            self.revision(1),
            self.revision(2),
        ]

    async def test_a_change_replaces_adds_and_removes(self, store: Store) -> None:
        await store.save(self.change(self.function(), (self.revision(1), self.revision(2))))
        failed = self.revision(2, state=RevisionState.FAILED)
        await store.save(self.change(self.function(latest=3), (failed, self.revision(3)), (1,)))
        contents = await store.load()
        assert contents.functions == [self.function(latest=3)]
        assert sorted(contents.revisions, key=lambda one: one.number) == [failed, self.revision(3)]

    async def test_a_change_without_a_function_keeps_it(self, store: Store) -> None:
        await store.save(self.change(self.function()))
        await store.save(self.change(None, (self.revision(7),)))
        assert (await store.load()).functions == [self.function()]

    async def test_functions_of_two_namespaces_are_two(self, store: Store) -> None:
        _, x, y = self.namespaces
        await store.save(self.change(self.function(namespace=x)))
        await store.save(self.change(self.function(namespace=y)))
        await store.delete(x, "f")
        assert (await store.load()).functions == [self.function(namespace=y)]

    async def test_a_deleted_function_takes_its_revisions_along(self, store: Store) -> None:
        await store.save(self.change(self.function(), (self.revision(),)))
        await store.save(self.change(self.function("g"), (self.revision(name="g"),)))
        await store.delete(self.namespaces[0], "f")
        await store.delete(self.namespaces[0], "never-was")
        contents = await store.load()
        assert [one.name for one in contents.functions] == ["g"]
        assert [one.function for one in contents.revisions] == ["g"]

    async def test_records_are_found_at_once_and_after_a_new_start(self, store: Store) -> None:
        store.add_invocations(rows(record("a"), record("b", outcome=Outcome.TIMEOUT)))
        assert await store.invocation("b") == record("b", outcome=Outcome.TIMEOUT)
        if not self.keeps_records:
            return
        again = await self.reopen(store)
        assert await again.invocation("a") == record("a")
        assert await again.invocation("c") is None

    async def test_what_a_function_has_come_to_is_kept_with_its_records(self, store: Store) -> None:
        key = (self.namespaces[0], "f")
        await store.save(self.change(self.function()))
        past = Past(outcomes={Outcome.DONE: 2, Outcome.LOST: 1}, latency=[0, 3], items=4)
        store.add_invocations(rows(record("a")), {key: Past(), (key[0], "gone"): past})
        store.add_invocations((), {key: past})
        assert [one.id for one in await store.invocations("default")] == ["a"]
        if not self.keeps_records:
            return
        await store.save(self.change(self.function(latest=2), (self.revision(2),)))
        again = await self.reopen(store)
        assert (await again.load()).pasts == {key: past}
        await again.delete(*key)
        again.add_invocations(rows(record("b")), {key: past})
        await again.save(self.change(self.function()))
        assert (await again.load()).pasts == {}, "another function of its name begins at nothing"

    async def test_what_is_counted_of_kept_maps_is_kept_with_it(self, store: Store) -> None:
        assert await store.tallies() == {}
        store.add_invocations((), {}, {"a": Counted(3, 1), "b": Counted(1, 0, is_over=True)})
        store.add_invocations((), {}, {"a": Counted(4, 1), "b": None, "never-was": None})
        if not self.keeps_records:
            return
        again = await self.reopen(store)
        assert await again.tallies() == {"a": Counted(4, 1)}

    async def test_the_newest_record_of_an_id_is_given(self, store: Store) -> None:
        store.add_invocations(rows(record("a", outcome=Outcome.LOST)))
        store.add_invocations(rows(record("a", outcome=Outcome.LOST), record("a")))
        assert await store.invocation("a") == record("a")

    async def test_records_are_listed_newest_first_by_function(self, store: Store) -> None:
        store.add_invocations(rows(record("1"), record("2", "g")))
        store.add_invocations(rows(record("3"), record("4", "g"), record("5")))
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
        await asyncio.gather(*(store.save(self.change(self.function(name))) for name in names))
        assert {one.name for one in (await store.load()).functions} == set(names)

    async def test_a_write_goes_on_when_nobody_waits_any_more(self, store: Store) -> None:
        task = asyncio.ensure_future(store.save(self.change(self.function())))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await store.load()).functions == [self.function()]

    async def test_closing_twice_is_fine(self, store: Store) -> None:
        await store.close()
        await store.close()
