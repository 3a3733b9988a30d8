"""The store contract on a real cluster, and what only Kubernetes does: others write, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest

from jupyter_faas.core.errors import FunctionNotFound, ProviderError
from jupyter_faas.core.inline import inline_package
from jupyter_faas.core.model import Function, Revision, RevisionSpec, RevisionState
from jupyter_faas.gateway.store.base import Change, Store, StoreEvent
from jupyter_faas.gateway.store.kubernetes import KubernetesStore
from jupyter_faas.providers.kubernetes.api import KubeApi, path_of
from jupyter_faas.providers.kubernetes.names import API_VERSION, FUNCTIONS, REVISIONS
from jupyter_faas.providers.kubernetes.objects import CodeObject
from tests.cluster.places import closed, names, namespaces_made, needs_cluster, until
from tests.gateway.store_contract import StoreContract

pytestmark = [pytest.mark.cluster, needs_cluster]

NAMESPACES = names("store", "store-a", "store-b")
SPACE = NAMESPACES[0]
PACKAGES: dict[str, bytes] = {}


def digest_of(code: CodeObject) -> str:
    if code.source is not None:
        return inline_package(code.source, code.entry, code.python)[1].digest
    return (code.digest or "").removeprefix("sha256:")


async def read_package(digest: str) -> bytes | None:
    return PACKAGES.get(digest)


@pytest.fixture(scope="module", autouse=True)
def spaces() -> Iterator[None]:
    with namespaces_made(NAMESPACES):
        yield


@pytest.fixture
async def api() -> AsyncIterator[KubeApi]:
    api = await KubeApi.connect()
    yield api
    await closed(api)


async def opened(api: KubeApi) -> KubernetesStore:
    store = KubernetesStore(api, NAMESPACES, SPACE, read_package=read_package, digest_of=digest_of)
    await store.open()
    return store


@pytest.fixture
async def store(api: KubeApi) -> AsyncIterator[KubernetesStore]:
    for namespace in NAMESPACES:
        for plural in (FUNCTIONS, REVISIONS):
            await api.delete(path_of(plural, namespace, group=API_VERSION))
        await api.delete(path_of("configmaps", namespace, "jupyter-faas-meta"))
    store = await opened(api)
    yield store
    await store.close()


class TestKubernetesStore(StoreContract):
    namespaces = NAMESPACES
    keeps_records = False

    @pytest.fixture(autouse=True)
    def _api(self, api: KubeApi) -> None:
        self.api = api

    @pytest.fixture
    async def store(self, store: KubernetesStore) -> Store:
        return store

    async def reopen(self, store: Store) -> Store:
        await store.close()
        again = await opened(self.api)
        await again.load()
        return again


def inline(number: int, text: str, state: RevisionState = RevisionState.READY) -> Revision:
    package, code = inline_package(f"def f():\n    return {text!r}\n", "f", "3.11")
    PACKAGES[package.digest] = b"".join(package.parts())
    return Revision(
        function="f", namespace=SPACE, number=number, id=f"{number:064x}", created_at=1.0,
        spec=RevisionSpec(code=code), state=state,
    )  # fmt: skip


def function(latest: int = 1, **more: object) -> Function:
    return msgspec.convert({"name": "f", "namespace": SPACE, "latest": latest, **more}, Function)


def path(plural: str = FUNCTIONS, name: str = "f", part: str = "") -> str:
    return path_of(plural, SPACE, name, group=API_VERSION, part=part)


async def test_source_is_written_where_people_can_read_it(
    api: KubeApi, store: KubernetesStore
) -> None:
    await store.save(Change(SPACE, "f", function(), (inline(1, "one"),)))
    found = await api.get(path())
    assert found["spec"]["code"]["source"] == "def f():\n    return 'one'\n"
    assert found["status"]["state"]["latest"] == 1
    object_ = await api.get(path(REVISIONS, "f-1"))
    assert object_["metadata"]["ownerReferences"][0]["uid"] == found["metadata"]["uid"]
    digest = inline(1, "one").spec.code.digest
    assert await store.package(digest) == PACKAGES[digest]
    assert await store.package("0" * 64) is None
    owner = store.owner_reference(SPACE, "f", 1)
    assert (owner["name"], owner["uid"]) == ("f-1", object_["metadata"]["uid"])


async def test_going_back_writes_the_old_code_and_leaves_the_rest(
    api: KubeApi, store: KubernetesStore
) -> None:
    await store.save(Change(SPACE, "f", function(), (inline(1, "one"),)))
    await store.save(Change(SPACE, "f", function(2), (inline(2, "two"),)))
    await api.patch(path(), {"spec": {"scaling": {"minContainers": 4}}})
    await store.save(Change(SPACE, "f", function(1, traffic={1: 100})))
    spec = (await api.get(path()))["spec"]
    assert "'one'" in spec["code"]["source"]
    assert spec["scaling"]["minContainers"] == 4


async def test_what_was_read_from_a_function_is_not_written_back(
    api: KubeApi, store: KubernetesStore
) -> None:
    await store.save(Change(SPACE, "f", function(), (inline(1, "one"),)))
    source = "def f():\n    return 'newest'\n"
    await api.patch(path(), {"spec": {"code": {"source": source}}})
    change = Change(SPACE, "f", function(2), (inline(2, "two"),), is_followed=True)
    await store.save(change)
    assert (await api.get(path()))["spec"]["code"]["source"] == source


async def test_what_others_change_is_told(api: KubeApi, store: KubernetesStore) -> None:
    events: list[StoreEvent] = []

    async def follow() -> None:
        async for event in store.watch():
            events.append(event)

    task = asyncio.create_task(follow())
    try:
        await store.save(Change(SPACE, "f", function(), (inline(1, "one"),)))
        await api.patch(path(), {"spec": {"scaling": {"minContainers": 2}}})
        await until(
            lambda: events and events[-1].function is not None
            and events[-1].function.settings.scaling.min_containers == 2
        )  # fmt: skip
        assert events[-1].revisions == (inline(1, "one"),)
        await api.delete(path())
        await until(lambda: events[-1].function is None)
    finally:
        task.cancel()


async def test_what_an_own_write_brings_back_is_told_too(
    api: KubeApi, store: KubernetesStore
) -> None:
    await store.save(Change(SPACE, "f", function(), (inline(1, "one"),)))
    for watch in store._following.watches:
        watch.cancel()  # What the watch tells comes later than the answer to the write.
    store._following.news.clear()
    await api.patch(path(), {"spec": {"env": {"A": "b"}}})
    await store.patch_status((SPACE, "f"), {"inFlight": 3})
    assert list(store._following.news) == [(SPACE, "f")]
    seen = store.sight.functions[SPACE, "f"]
    assert seen.spec is not None
    assert seen.spec.env == {"A": "b"}


async def test_a_function_that_people_have_deleted_does_not_come_back(
    api: KubeApi, store: KubernetesStore
) -> None:
    await store.save(Change(SPACE, "f", function(), (inline(1, "one"),)))
    await api.delete(path())
    await until(lambda: (SPACE, "f") not in store.sight.functions)
    with pytest.raises(FunctionNotFound):
        await store.save(Change(SPACE, "f", function(traffic={1: 100})))
    store.taken((SPACE, "f"), None)
    await store.save(Change(SPACE, "f", function(), (inline(1, "again"),)))
    contents = await store.load()
    assert contents.revisions == [inline(1, "again")]


async def test_while_the_api_is_away_nothing_is_done(store: KubernetesStore) -> None:
    away = await KubeApi.connect()
    away._host = "https://127.0.0.1:1"
    other = KubernetesStore(away, NAMESPACES, SPACE, read_package=read_package, digest_of=digest_of)
    with pytest.raises(ProviderError, match="does not answer"):
        await other.save(Change(SPACE, "f", function(), (inline(1, "one"),)))
    await closed(away)
    assert await store.load() == ([], [], {})
