"""What the controller does, whatever the cluster: a test module gives it worlds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from jupyter_faas.core.errors import ProviderError, RemoteError
from jupyter_faas.providers.kubernetes.api import Object, path_of
from jupyter_faas.providers.kubernetes.names import API_VERSION, REVISIONS
from tests.gateway.cluster_world import GREETING, World, condition, is_ready, until
from tests.gateway.fake_front import FakeFront, FakeProvider


async def events_of(world: World, reason: str) -> list[Object]:
    uid = (await world.get())["metadata"]["uid"]
    chosen = f"involvedObject.uid={uid},reason={reason}"
    for _ in range(400):
        found = await world.api.get(path_of("events", world.space), fieldSelector=chosen)
        if found["items"]:
            return found["items"]  # type: ignore[no-any-return]  # JSON
        await asyncio.sleep(0.05)
    raise AssertionError(f"no event {reason}")


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
    revisions = await world.api.get(path_of(REVISIONS, world.space, group=API_VERSION))
    return [without_versions(one) for one in (await world.get(), *revisions["items"])]


class ControllerContract:
    """Needs a fixture `world`: a started gateway over fake fronts."""

    space: str

    async def test_a_changed_field_makes_a_revision_scaling_does_not(self, world: World) -> None:
        await world.apply()
        await world.live(1)
        await world.api.patch(world.path(), {"spec": {"scaling": {"minContainers": 3}}})
        status = await world.status(lambda one: one.get("replicas") == 3)
        assert status["latestRevision"] == "hello-1"
        await world.apply(timeoutSeconds=9, scaling={"minContainers": 3})
        entry = await world.live(2)
        assert entry.latest.revision.spec.timeout_s == 9
        assert entry.latest.revision.origin.notebook == "kubectl"
        await world.apply(scaling={"minContainers": 3})
        await world.live(1)
        assert len(entry.revisions) == 2  # the first one again, under its number

    async def test_traffic_stays_divided_when_a_revision_gets_ready(self, world: World) -> None:
        await world.apply()
        await world.live(1)
        traffic = [{"revision": 1, "percent": 90}, {"latest": True, "percent": 10}]
        await world.apply(source="def hello(): return 2", traffic=traffic)
        entry = await world.live(2)
        assert entry.function.traffic == {1: 90, 2: 10}
        assert (await world.get())["spec"]["traffic"] == traffic
        await world.apply(source="def hello(): return 2")
        await until(lambda: entry.function.traffic == {2: 100})

    async def test_a_rollback_writes_the_spec(self, world: World) -> None:
        await world.apply()
        await world.live(1)
        await world.apply(source="def hello(): return 2")
        await world.live(2)
        await world.service.registry.rollback(self.space, "hello")
        await asyncio.sleep(0.5)
        found = await world.get()
        assert found["spec"]["code"]["source"] == GREETING
        entry = world.entry()
        assert entry is not None
        assert entry.function.traffic == {1: 100}
        assert len(entry.revisions) == 2
        status = await world.status(lambda one: is_ready(one, found["metadata"]["generation"]))
        assert status["latestRevision"] == "hello-1"

    @pytest.mark.parametrize(
        ("spec", "reason", "said"),
        [
            ({"source": "def hello(:\n"}, "InvalidSource", "no Python"),
            ({"source": "def a(): ...\ndef b(): ..."}, "InvalidSource", "Name one as `entry`"),
            ({"traffic": [{"revision": 7, "percent": 100}]}, "RevisionNotFound", "no revision 7"),
        ],
    )
    async def test_a_spec_that_cannot_be_is_refused_and_the_last_one_serves(
        self, world: World, spec: dict[str, Any], reason: str, said: str
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

    async def test_going_back_to_what_serves_after_a_failure_is_ready(self, world: World) -> None:
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

    async def test_what_the_cluster_lacked_is_found_when_it_is_there(self, world: World) -> None:
        missing = ProviderError("There is no secret `x`.", reason="SecretMissing", is_final=True)
        world.provider.start_error = missing  # type: ignore[attr-defined]  # a fake's
        await world.apply()
        status = await world.status(lambda one: condition(one)["reason"] == "SecretMissing")
        assert condition(status)["message"].endswith("no secret `x`. It is tried again.")
        world.provider.start_error = None  # type: ignore[attr-defined]  # a fake's
        await world.status(is_ready)
        assert (await world.call()).status == 200

    async def test_a_package_that_is_not_here_is_waited_for(self, world: World) -> None:
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

    async def test_what_happens_is_told_by_events_that_are_counted(self, world: World) -> None:
        await world.apply()
        await world.live(1)
        (deployed,) = await events_of(world, "Deployed")
        assert deployed["involvedObject"]["kind"] == "Function"
        for n in range(3):
            world.control.events.say((self.space, "hello"), "Normal", "Said", f"the {n}th time")
        for _ in range(400):
            (said,) = await events_of(world, "Said")
            if said["count"] == 3:
                break
            await asyncio.sleep(0.05)
        assert (said["count"], said["message"]) == (3, "the 2th time")

    @pytest.mark.parametrize("damage", list(DAMAGE))
    async def test_damage_is_repaired_within_5_s(self, world: World, damage: str) -> None:
        await world.apply()
        await world.live(1)
        await world.apply(source="def hello(): return 2")
        await world.live(2)
        # The first one has drained: nothing of the picture changes by itself any more.
        await until(lambda: len(world.service.fleet.all()) == 1)
        await world.status(lambda one: is_ready(one, 2) and one.get("replicas") == 1)
        before = await pictured(world)
        await DAMAGE[damage](world)
        if "serves nobody" in damage:
            before = [one for one in before if one["metadata"]["name"] != "hello-1"]
        for _ in range(100):  # 5 s, and as much more as the machine stands still
            if (now := await pictured(world)) == before:
                break
            await asyncio.sleep(0.05)
        assert now == before
        entry = world.entry()
        assert entry is not None
        assert entry.function.traffic == {2: 100}
        assert (await world.call()).status == 200
        assert world.provider.started <= 2 + 1  # type: ignore[attr-defined]  # nothing was restarted

    async def test_a_service_is_there_while_it_is_asked_for(self, world: World) -> None:
        await world.apply(expose="service")
        await world.live(1)
        path = path_of("services", self.space, "hello")
        for _ in range(400):
            if (service := await world.api.find(path)) is not None:
                break
            await asyncio.sleep(0.05)
        assert service is not None
        target = f"jupyter-faas-gateway.{self.space}.svc.cluster.local"
        assert service["spec"]["externalName"] == target
        status = await world.status(lambda one: one.get("url", "").startswith("http://hello."))
        assert status["url"] == f"http://hello.{self.space}.svc"
        await world.apply()
        for _ in range(400):
            if await world.api.find(path) is None:
                break
            await asyncio.sleep(0.05)
        assert await world.api.find(path) is None

    async def test_somebody_elses_service_is_left_alone_and_told(self, world: World) -> None:
        path = path_of("services", world.space)
        port = {"port": 80, "protocol": "TCP"}
        body = {"metadata": {"name": "hello"}, "spec": {"ports": [port], "selector": {"a": "b"}}}
        await world.api.create(path, {"apiVersion": "v1", "kind": "Service", **body})
        await world.apply(expose="service")
        (told,) = await events_of(world, "NoService")
        assert "`hello` that is not this function's" in told["message"]
        await world.status(lambda one: one.get("url", "").endswith(f"/{world.space}/hello"))
        assert (await world.api.get(f"{path}/hello"))["spec"]["selector"] == {"a": "b"}
        await world.api.delete(f"{path}/hello")

    async def test_packages_that_the_runners_lack_are_refused(self, world: World) -> None:
        await world.apply(packages=["numpy>=99"])
        status = await world.status(lambda one: condition(one)["status"] == "False")
        assert condition(status)["reason"] == "MissingPackages"
        assert "numpy>=99 is not installed" in condition(status)["message"]

    async def test_a_gateway_that_starts_finds_what_was_asked_meanwhile(self, world: World) -> None:
        await world.apply()
        await world.live(1)
        await world.service.stop()
        await world.apply(source="def hello(): return 2", scaling={"minContainers": 1})
        with TemporaryDirectory(prefix="faas-", dir="/tmp") as directory:
            other = World(world.api, directory, FakeProvider(Path(directory)), self.space)
            await other.service.start()
            entry = await other.live(2)
            assert list(entry.revisions) == [1, 2]
            await other.status(lambda one: is_ready(one, 2) and one.get("replicas") == 1)
            await other.service.stop()
