"""The store contract on an API server in memory, and what happens when that one is difficult."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from jupyter_faas.core.errors import InvalidSpec, ProviderError
from jupyter_faas.core.inline import inline_package
from jupyter_faas.core.model import Function, Revision, RevisionSpec, RevisionState, Scaling
from jupyter_faas.gateway.cluster.controller import digest_of
from jupyter_faas.gateway.store import following
from jupyter_faas.gateway.store.base import Change, Store
from jupyter_faas.gateway.store.kubernetes import KubernetesStore
from jupyter_faas.gateway.store.records import RecordRing
from jupyter_faas.gateway.store.translation import translated
from jupyter_faas.providers.kubernetes.api import KubeError, path_of
from jupyter_faas.providers.kubernetes.names import API_VERSION, FUNCTIONS, REVISIONS
from tests.gateway.conftest import until
from tests.gateway.fake_kube import FakeKube
from tests.gateway.store_contract import StoreContract, record, rows

SPACES = ("default", "a", "b")
PACKAGES: dict[str, bytes] = {}


async def read_package(digest: str) -> bytes | None:
    return PACKAGES.get(digest)


async def opened(api: FakeKube) -> KubernetesStore:
    store = KubernetesStore(api, SPACES, "a", read_package=read_package, digest_of=digest_of)
    await store.open()
    return store


@pytest.fixture
def api() -> FakeKube:
    return FakeKube()


@pytest.fixture
async def store(api: FakeKube) -> AsyncIterator[KubernetesStore]:
    store = await opened(api)
    yield store
    await store.close()


class TestKubernetesStore(StoreContract):
    keeps_records = False

    @pytest.fixture(autouse=True)
    def _api(self, api: FakeKube) -> None:
        self.api = api

    @pytest.fixture
    async def store(self, store: KubernetesStore) -> Store:
        return store

    async def reopen(self, store: Store) -> Store:
        await store.close()
        return await opened(self.api)


def revision(number: int, state: RevisionState = RevisionState.READY) -> Revision:
    package, code = inline_package(f"def f(): return {number}", "f", "3.11")
    PACKAGES[package.digest] = b"".join(package.parts())
    return Revision(
        function="f", number=number, id=f"{number:064x}", created_at=1.0,
        spec=RevisionSpec(code=code), state=state,
    )  # fmt: skip


def function(latest: int = 1, **more: Any) -> Function:
    return Function(name="f", latest=latest, **more)


def path(plural: str = FUNCTIONS, name: str = "f", part: str = "") -> str:
    return path_of(plural, "default", name, group=API_VERSION, part=part)


async def test_a_stale_version_is_read_again_and_both_changes_stay(
    api: FakeKube, store: KubernetesStore
) -> None:
    await store.save(Change("default", "f", function(), (revision(1),)))
    for watch in store._following.watches:
        watch.cancel()
    await api.patch(path(), {"spec": {"public": True}})
    wide = Scaling(max_containers=77)
    settings = msgspec.structs.replace(function().settings, scaling=wide)
    await store.save(Change("default", "f", function(settings=settings)))
    spec = (await api.get(path()))["spec"]
    assert (spec["public"], spec["scaling"]["maxContainers"]) == (True, 77)


async def test_code_that_people_have_just_written_is_not_written_over(
    api: FakeKube, store: KubernetesStore
) -> None:
    await store.save(Change("default", "f", function(), (revision(1),)))
    for watch in store._following.watches:
        watch.cancel()
    theirs = {"code": {"source": "def f(): return 'theirs'"}}
    await api.patch(path(), {"spec": theirs})
    with pytest.raises(ProviderError, match="changed on the cluster at the same time"):
        await store.save(Change("default", "f", function(2), (revision(2),)))
    assert (await api.get(path()))["spec"]["code"]["source"] == theirs["code"]["source"]


async def test_what_an_earlier_function_of_the_name_left_is_replaced(
    api: FakeKube, store: KubernetesStore
) -> None:
    await store.save(Change("default", "f", function(), (revision(1),)))
    old = api.objects[REVISIONS, "default", "f-1"]
    await store.delete("default", "f")
    old["metadata"]["uid"] = "left"
    api.objects[REVISIONS, "default", "f-1"] = old  # The garbage collector has not come yet.
    await store.save(Change("default", "f", function(), (revision(1),)))
    new = api.objects[REVISIONS, "default", "f-1"]
    uid = api.objects[FUNCTIONS, "default", "f"]["metadata"]["uid"]
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert new["metadata"]["ownerReferences"][0]["uid"] == uid


async def test_while_the_api_is_away_nothing_is_done_and_it_is_said(
    api: FakeKube, store: KubernetesStore
) -> None:
    api.is_away = True
    with pytest.raises(ProviderError, match=r"`f` could not be written: .+ not answer"):
        await store.save(Change("default", "f", function(), (revision(1),)))
    with pytest.raises(ProviderError):
        await store.get_meta("x")
    api.is_away = False
    assert await store.load() == ([], [], {})


async def test_objects_that_cannot_be_read_hide_nothing_else(
    api: FakeKube, store: KubernetesStore
) -> None:
    await store.save(Change("default", "f", function(), (revision(1),)))
    await api.create(
        path_of(FUNCTIONS, "default", group=API_VERSION),
        {"metadata": {"name": "odd"}, "spec": {"code": 3}},
    )
    await api.create(
        path_of(REVISIONS, "default", group=API_VERSION),
        {"metadata": {"name": "odd-1"}, "spec": {"function": "odd"}},
    )
    await until(lambda: ("default", "odd") in store.sight.functions)
    assert store.sight.functions["default", "odd"].spec is None
    assert "code" in store.sight.functions["default", "odd"].problem
    assert [one.name for one in (await store.load()).functions] == ["f"]


async def test_after_a_watch_that_broke_off_what_is_gone_is_known(
    api: FakeKube, store: KubernetesStore
) -> None:
    await store.save(Change("default", "f", function(), (revision(1),)))
    del api.objects[FUNCTIONS, "default", "f"]
    del api.objects[REVISIONS, "default", "f-1"]
    for plural in (FUNCTIONS, REVISIONS):
        await store._following.lose_what_is_gone("default", plural)
    assert await store.load() == ([], [], {})
    assert ("default", "f") in store._following.news


async def test_a_write_goes_to_the_status_only_where_it_differs(
    api: FakeKube, store: KubernetesStore
) -> None:
    await store.save(Change("default", "f", function(), (revision(1),)))
    api.asked.clear()
    await store.save(Change("default", "f", function(), (revision(1),)))
    assert api.asked == []
    await store.save(Change("default", "f", function(traffic={1: 100})))
    assert api.asked == [("PATCH", path(part="status"))]


def test_the_ring_forgets_the_oldest() -> None:
    ring = RecordRing(2)
    ring.add(rows(record("a"), record("b"), record("a"), record("c")))
    assert ring.find("b") is None
    assert ring.find("a") is not None
    assert [one.id for one in ring.newest("default", None, 9)] == ["c", "a"]


def test_a_refusal_is_whose_fault_it_is() -> None:
    with (
        pytest.raises(InvalidSpec, match="It could not be: too long"),
        translated("It could not be"),
    ):
        raise KubeError(422, "Invalid", "too long")
    with pytest.raises(ProviderError) as caught, translated("It could not be"):
        raise KubeError(403, "Forbidden", "no")
    assert caught.value.extra == {"reason": "Forbidden"}
    with pytest.raises(ProviderError, match="does not answer"), translated("It"):
        raise TimeoutError


async def test_a_watch_that_is_refused_at_first_is_an_error(api: FakeKube) -> None:
    class Refusing(FakeKube):
        async def watch(self, path: str, **query: str) -> AsyncIterator[Any]:
            raise KubeError(404, "NotFound", "no such kind")
            yield

    store = KubernetesStore(Refusing(), SPACES, "a", read_package=read_package, digest_of=digest_of)
    with pytest.raises(ProviderError, match="no such kind"):
        await store.open()
    await asyncio.sleep(0)


async def test_a_watch_that_fails_in_an_odd_way_begins_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(following, "AGAIN_S", 0.01)

    class Odd(FakeKube):
        breaks = asyncio.Event()

        async def watch(self, path: str, **query: str) -> AsyncIterator[Any]:
            async for event in super().watch(path, **query):
                yield event
                if event.kind == "SYNCED" and not self.breaks.is_set():
                    self.breaks.set()
                    raise KeyError("odd")

    api = Odd()
    store = await opened(api)
    await asyncio.wait_for(api.breaks.wait(), 20)
    other = await opened(api)
    await other.save(Change("default", "f", function(), (revision(1),)))
    await until(lambda: ("default", "f") in store.sight.functions, "seen all the same")
    await store.close()
    await other.close()
