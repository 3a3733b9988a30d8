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

from jupyter_faas.core.errors import RemoteError
from jupyter_faas.core.settings import Settings
from jupyter_faas.gateway.cluster.control import ClusterControl
from jupyter_faas.gateway.cluster.controller import digest_of
from jupyter_faas.gateway.cluster_blobs import ClusterBlobs
from jupyter_faas.gateway.entries import FunctionEntry
from jupyter_faas.gateway.service import GatewayService
from jupyter_faas.gateway.store.kubernetes import KubernetesStore
from jupyter_faas.providers.base import Provider
from jupyter_faas.providers.kubernetes.api import KubeApi, Object, path_of
from jupyter_faas.providers.kubernetes.names import API_VERSION, FUNCTIONS, REVISIONS
from jupyter_faas.providers.local.provider import LocalProvider
from jupyter_faas.wire.upstream import Answer, request
from tests.cluster.places import closed, names, namespaces_made, needs_cluster, until
from tests.gateway.fake_front import FakeFront, FakeProvider

pytestmark = [pytest.mark.cluster, needs_cluster]

NAMESPACES = names("control")
SPACE = NAMESPACES[0]
TOKEN = "secret-token"
GREETING = "def hello(name='you'):\n    return f'hello {name}'\n"


class World:
    """A gateway that is the controller of one namespace, and a person with kubectl."""

    def __init__(self, api: KubeApi, directory: str, provider: Provider) -> None:
        self.api = api
        settings = Settings(
            gateway_token=TOKEN,
            state_dir=directory,
            namespace=SPACE,
            namespaces=NAMESPACES,
            system_namespace=SPACE,
            stop_grace_s=0.2,
        )
        blobs = ClusterBlobs(Path(directory) / "blobs", None)
        self.store = KubernetesStore(
            api, NAMESPACES, SPACE, read_package=blobs.fetch, digest_of=digest_of
        )
        blobs.inside = self.store.package
        self.provider = provider
        self.service = GatewayService(settings, provider, self.store, blobs=blobs)
        self.control = ClusterControl(self.service, self.store, api)
        self.service.attach(self.control)

    def path(self, name: str = "hello", plural: str = FUNCTIONS, part: str = "") -> str:
        return path_of(plural, SPACE, name, group=API_VERSION, part=part)

    async def apply(self, name: str = "hello", **spec: Any) -> Object:
        code = {"source": spec.pop("source", GREETING), "python": "3.11"}
        body: Object = {
            "apiVersion": API_VERSION,
            "kind": "Function",
            "metadata": {"name": name},
            "spec": {"code": code, **spec},
        }
        return await self.api.apply(self.path(name), body, fieldManager="kubectl")

    async def get(self, name: str = "hello", plural: str = FUNCTIONS) -> Object:
        return await self.api.get(self.path(name, plural))

    def entry(self, name: str = "hello") -> FunctionEntry | None:
        return self.service.registry.find(SPACE, name)

    async def live(self, number: int = 1, name: str = "hello") -> FunctionEntry:
        await until(
            lambda: (found := self.entry(name)) is not None and number in found.function.traffic
        )
        found = self.entry(name)
        assert found is not None
        return found

    async def status(self, seen: Any, name: str = "hello", timeout_s: float = 5.0) -> Object:
        """Wait until the status on the cluster is so; return it."""
        found: Object = {}
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = (await self.get(name)).get("status") or {}
            if found and seen(found):
                return found
            await asyncio.sleep(0.05)
        raise AssertionError(f"the status stays {found}")

    async def call(self, name: str = "hello", body: bytes = b"{}", host: str = "") -> Answer:
        headers = [(b"Authorization", b"Bearer " + TOKEN.encode())]
        path = f"/function/{name}" if not host else "/"
        if host:
            headers.append((b"Host", host.encode()))
        address = f"127.0.0.1:{self.service.port}"
        return await request(address, "POST", path, headers, body, timeout_s=20)


def condition(status: Object, type: str = "Ready") -> Object:
    return next(one for one in status.get("conditions") or () if one["type"] == type)


def is_ready(status: Object, generation: int = 1) -> bool:
    ready = condition(status)
    return bool(ready["status"] == "True" and ready["observedGeneration"] >= generation)


@pytest.fixture(scope="module", autouse=True)
def spaces() -> Iterator[None]:
    with namespaces_made(NAMESPACES):
        yield


async def made(provider_of: Any) -> AsyncIterator[World]:
    api = await KubeApi.connect()
    for plural in (FUNCTIONS, REVISIONS):
        await api.delete(path_of(plural, SPACE, group=API_VERSION))
    with TemporaryDirectory(prefix="faas-", dir="/tmp") as directory:
        world = World(api, directory, provider_of(directory))
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
    for _ in range(1000):
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


async def test_a_changed_field_makes_a_revision_and_scaling_does_not(world: World) -> None:
    await world.apply()
    await world.live(1)
    await world.api.patch(world.path(), {"spec": {"scaling": {"minContainers": 3}}})
    status = await world.status(lambda one: one["replicas"] == 3)
    assert status["latestRevision"] == "hello-1"
    await world.apply(timeoutSeconds=9, scaling={"minContainers": 3})
    entry = await world.live(2)
    assert entry.latest.revision.spec.timeout_s == 9
    assert entry.latest.revision.origin.notebook == "kubectl"
    await world.apply(scaling={"minContainers": 3})
    await world.live(1)
    assert len(entry.revisions) == 2  # the first one again, under its number


async def test_the_scale_subresource_moves_the_floor_and_nobody_writes_it(world: World) -> None:
    await world.apply()
    await world.live(1)
    path = world.path(part="scale")
    scale = await world.api.get(path)
    assert scale["spec"].get("replicas", 0) == 0
    await world.api.patch(path, {"spec": {"replicas": 2}})
    await world.status(lambda one: one["replicas"] == 2)
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


async def test_traffic_stays_divided_while_a_new_revision_gets_ready(world: World) -> None:
    await world.apply()
    await world.live(1)
    traffic = [{"revision": 1, "percent": 90}, {"latest": True, "percent": 10}]
    await world.apply(source="def hello(): return 2", traffic=traffic)
    entry = await world.live(2)
    assert entry.function.traffic == {1: 90, 2: 10}
    assert (await world.get())["spec"]["traffic"] == traffic
    await world.apply(source="def hello(): return 2")
    await until(lambda: entry.function.traffic == {2: 100})


async def test_a_rollback_writes_the_spec(world: World) -> None:
    await world.apply()
    await world.live(1)
    await world.apply(source="def hello(): return 2")
    await world.live(2)
    await world.service.registry.rollback(SPACE, "hello")
    await asyncio.sleep(0.5)
    found = await world.get()
    assert found["spec"]["code"]["source"] == GREETING
    entry = world.entry()
    assert entry is not None
    assert entry.function.traffic == {1: 100}
    assert len(entry.revisions) == 2
    status = await world.status(lambda one: is_ready(one, found["metadata"]["generation"]))
    assert status["latestRevision"] == "hello-1"


async def test_a_deleted_function_leaves_nothing(world: World) -> None:
    await world.apply()
    await world.live(1)
    await world.api.delete(world.path())
    await until(lambda: world.entry() is None)
    assert (await world.call()).status == 404
    for _ in range(200):
        found = await world.api.get(path_of(REVISIONS, SPACE, group=API_VERSION))
        if not found["items"]:
            break
        await asyncio.sleep(0.05)
    assert found["items"] == []
    await until(lambda: not world.provider.fronts)  # type: ignore[attr-defined]  # a fake's
    await world.apply()
    entry = await world.live(1)
    assert list(entry.revisions) == [1]


@pytest.mark.parametrize(
    ("spec", "reason", "said"),
    [
        ({"source": "def hello(:\n"}, "InvalidSource", "no Python"),
        ({"source": "def a(): ...\ndef b(): ..."}, "InvalidSource", "Name one as `entry`"),
        ({"traffic": [{"revision": 7, "percent": 100}]}, "RevisionNotFound", "no revision 7"),
    ],
)
async def test_a_spec_that_cannot_be_is_refused_and_the_last_one_serves(
    world: World, spec: dict[str, Any], reason: str, said: str
) -> None:
    await world.apply()
    await world.live(1)
    await world.apply(**spec)
    status = await world.status(lambda one: condition(one)["status"] == "False")
    assert condition(status)["reason"] == reason
    assert said in condition(status)["message"]
    assert condition(status)["observedGeneration"] == 2
    assert (await world.call()).status == 200
    events = await events_of(world, reason)
    assert events[0]["type"] == "Warning"
    await world.apply()
    await world.status(lambda one: is_ready(one, 3))


async def test_going_back_to_what_serves_after_a_failure_is_ready(world: World) -> None:
    await world.apply()
    await world.live(1)

    def fail(front: FakeFront) -> None:
        front.load_error = RemoteError("It raised.", exception="ValueError")

    world.provider.prepare = fail  # type: ignore[attr-defined]  # a fake's
    await world.apply(timeoutSeconds=5)
    status = await world.status(lambda one: condition(one)["status"] == "False")
    assert condition(status)["reason"] == "LoadFailed"
    body = {"spec": {"timeoutSeconds": 300}}
    await world.api.patch(world.path(), body, fieldManager="somebody-else")
    status = await world.status(lambda one: is_ready(one, 3))
    assert status["latestRevision"] == "hello-1"


async def test_a_package_that_is_not_here_is_waited_for(world: World) -> None:
    digest = "sha256:" + "a" * 64
    code = {"digest": digest, "entry": "f", "python": "3.11"}
    body = {
        "apiVersion": API_VERSION,
        "kind": "Function",
        "metadata": {"name": "far"},
        "spec": {"code": code},
    }
    await world.api.apply(world.path("far"), body)
    status = await world.status(lambda one: condition(one)["status"] == "False", "far")
    assert condition(status)["reason"] == "PackageMissing"
    assert world.entry("far") is None


async def events_of(world: World, reason: str) -> list[Object]:
    uid = (await world.get())["metadata"]["uid"]
    chosen = f"involvedObject.uid={uid},reason={reason}"
    for _ in range(100):
        found = await world.api.get(path_of("events", SPACE), fieldSelector=chosen)
        if found["items"]:
            return found["items"]  # type: ignore[no-any-return]  # JSON
        await asyncio.sleep(0.05)
    raise AssertionError(f"no event {reason}")


async def test_what_happens_is_told_by_events_that_are_counted(world: World) -> None:
    await world.apply()
    await world.live(1)
    (deployed,) = await events_of(world, "Deployed")
    assert deployed["involvedObject"]["kind"] == "Function"
    for n in range(3):
        world.control.events.say((SPACE, "hello"), "Normal", "Said", f"the {n}th time")
    for _ in range(100):
        (said,) = await events_of(world, "Said")
        if said["count"] == 3:
            break
        await asyncio.sleep(0.05)
    assert (said["count"], said["message"]) == (3, "the 2th time")


DAMAGE = {
    "the status is wiped": lambda w: w.api.patch(w.path(part="status"), {"status": None}),
    "the state is edited": lambda w: w.api.patch(
        w.path(part="status"), {"status": {"state": {"latest": 9, "traffic": {"9": 1}}}}
    ),
    "a condition is edited": lambda w: w.api.patch(
        w.path(part="status"), {"status": {"conditions": []}}
    ),
    "the live revision is deleted": lambda w: w.api.delete(w.path("hello-2", REVISIONS)),
    "a revision that serves nobody is deleted": lambda w: w.api.delete(
        w.path("hello-1", REVISIONS)
    ),
    "the labels of a revision are edited": lambda w: w.api.patch(
        w.path("hello-2", REVISIONS), {"metadata": {"labels": {"jupyter-faas.io/function": "x"}}}
    ),
    "the owner of a revision is taken away": lambda w: w.api.patch(
        w.path("hello-2", REVISIONS), {"metadata": {"ownerReferences": None}}
    ),
    "the status of a revision is wiped": lambda w: w.api.patch(
        w.path("hello-2", REVISIONS, "status"), {"status": None}
    ),
}


def without_versions(found: Object) -> Object:
    meta = found["metadata"]
    kept = {k: meta[k] for k in ("name", "labels", "ownerReferences") if k in meta}
    status = dict(found.get("status") or {})
    status["conditions"] = [
        {k: v for k, v in one.items() if k != "lastTransitionTime"}
        for one in status.get("conditions") or ()
    ]
    return {"metadata": kept, "spec": found["spec"], "status": status}


async def pictured(world: World) -> list[Object]:
    revisions = await world.api.get(path_of(REVISIONS, SPACE, group=API_VERSION))
    return [without_versions(one) for one in (await world.get(), *revisions["items"])]


@pytest.mark.parametrize("damage", list(DAMAGE))
async def test_damage_is_repaired_within_5_s(world: World, damage: str) -> None:
    await world.apply()
    await world.live(1)
    await world.apply(source="def hello(): return 2")
    await world.live(2)
    await world.status(lambda one: is_ready(one, 2))
    before = await pictured(world)
    await DAMAGE[damage](world)
    if "serves nobody" in damage:
        before = [one for one in before if one["metadata"]["name"] != "hello-1"]
    began = time.monotonic()
    while (now := await pictured(world)) != before:
        assert time.monotonic() - began < 5, (before, now)
        await asyncio.sleep(0.05)
    entry = world.entry()
    assert entry is not None
    assert entry.function.traffic == {2: 100}
    assert (await world.call()).status == 200
    assert world.provider.started <= 2 + 1  # type: ignore[attr-defined]  # nothing was restarted


async def test_a_service_is_there_while_it_is_asked_for(world: World) -> None:
    await world.apply(expose="service")
    await world.live(1)
    path = path_of("services", SPACE, "hello")
    for _ in range(100):
        if (service := await world.api.find(path)) is not None:
            break
        await asyncio.sleep(0.05)
    assert service is not None
    target = f"jupyter-faas-gateway.{SPACE}.svc.cluster.local"
    assert service["spec"]["externalName"] == target
    status = await world.status(lambda one: one["url"].startswith("http://hello."))
    assert status["url"] == f"http://hello.{SPACE}.svc"
    await world.apply()
    for _ in range(100):
        if await world.api.find(path) is None:
            break
        await asyncio.sleep(0.05)
    assert await world.api.find(path) is None


async def test_a_gateway_that_starts_finds_what_was_asked_meanwhile(world: World) -> None:
    await world.apply()
    await world.live(1)
    await world.service.stop()
    await world.apply(source="def hello(): return 2", scaling={"minContainers": 1})
    with TemporaryDirectory(prefix="faas-", dir="/tmp") as directory:
        other = World(world.api, directory, FakeProvider(Path(directory)))
        await other.service.start()
        entry = await other.live(2)
        assert list(entry.revisions) == [1, 2]
        await other.status(lambda one: is_ready(one, 2) and one["replicas"] == 1)
        await other.service.stop()
