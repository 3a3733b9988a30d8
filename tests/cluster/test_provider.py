"""The Kubernetes provider on a real cluster: the contract of all providers, and its own claims."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Iterator

import pytest

from jupyter_faas.core.errors import ProviderError
from jupyter_faas.core.model import Resources
from jupyter_faas.providers.base import (
    ReplicaFound,
    ReplicaGone,
    ReplicaLeaving,
    ReplicaPending,
    ReplicaStarted,
)
from jupyter_faas.providers.kubernetes.names import ALLOW_LABEL, REPLICA_LABEL, ROLE_LABEL
from jupyter_faas.providers.kubernetes.provider import KubernetesProvider
from tests.cluster.playground import IMAGE, Object, Playground, connected, eventually, playground
from tests.providers.contract import ProviderContract, Recorder, can_connect

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not os.environ.get("KUBECONFIG"), reason="needs a cluster (KUBECONFIG)"),
]

POOL_SIZE = 3

KILL_FRONT = """
import glob, os
for path in glob.glob("/proc/[0-9]*/comm"):
    if open(path).read().strip() == "faas-front":
        os.kill(int(path.split("/")[2]), 9)
"""


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[str, Object]]:
    with playground(POOL_SIZE) as made:
        yield made


@pytest.fixture
async def ground(place: tuple[str, Object]) -> AsyncIterator[Playground]:
    async with connected(*place) as made:
        yield made


async def _end_all(provider: KubernetesProvider, ground: Playground) -> None:
    for pod in await ground.pods(**{ROLE_LABEL: "replica"}):
        await provider.stop(pod["metadata"]["labels"][REPLICA_LABEL])
    await ground.no_pods("replica")
    await ground.no_pods("spare")


@pytest.fixture
async def provider(ground: Playground) -> AsyncIterator[KubernetesProvider]:
    await ground.resize_pool(POOL_SIZE)
    provider = ground.provider()
    await provider.open()
    yield provider
    another = ground.provider()
    await another.open()
    await _end_all(another, ground)
    await another.close()
    await provider.close()


class TestContract(ProviderContract):
    @pytest.fixture(autouse=True)
    def _in_its_namespace(self, ground):
        self.namespace = ground.namespace

    @pytest.fixture
    async def events(self, provider):
        recorder = Recorder(provider)
        yield recorder
        await recorder.cancel()


class TestKubernetes:
    @pytest.fixture(autouse=True)
    def _in_its_namespace(self, ground):
        self.namespace = ground.namespace

    revision = ProviderContract.revision

    @pytest.fixture
    async def events(self, provider):
        recorder = Recorder(provider)
        yield recorder
        await recorder.cancel()

    async def test_a_claim_gives_the_pod_labels_and_an_owner_and_the_pool_replaces_it(
        self, ground, provider, events
    ):
        await provider.start(self.revision(), ["a"])
        await events.started("a")
        meta = (await ground.pod_of("a"))["metadata"]
        assert meta["labels"]["jupyter-faas.io/function"] == "f"
        assert meta["labels"]["jupyter-faas.io/revision"] == "1"
        assert meta["annotations"]["jupyter-faas.io/revision-id"] == "0" * 64
        assert [one["name"] for one in meta["ownerReferences"]] == ["owner"]
        await ground.resize_pool(POOL_SIZE)

    async def test_a_claimed_pod_gets_the_size_of_its_function_without_a_restart(
        self, ground, provider, events
    ):
        wanted = Resources(cpu=0.05, memory_mib=128)
        await provider.start(self.revision(resources=wanted), ["a"])
        await events.started("a")

        async def resized():
            found = (await ground.pod_of("a"))["status"]["containerStatuses"][0]
            return found["resources"]["limits"]["memory"] == "384Mi" and found

        found = await eventually(resized, "its own size")
        assert found["resources"]["requests"]["cpu"] == "50m"
        assert found["restartCount"] == 0

    async def test_a_gateway_that_adopts_a_claimed_pod_gives_it_its_size(
        self, ground, provider, events
    ):
        revision = self.revision(resources=Resources(cpu=0.05, memory_mib=128))
        await provider.start(revision, ["a"])
        await events.started("a")
        await provider.close()  # before it has asked for the size
        other = ground.provider()
        await other.open()
        (found,) = await other.known(ground.namespace, "f")
        other.adopted(revision, found.replica)

        async def resized():
            status = (await ground.pod_of("a"))["status"]["containerStatuses"][0]
            return status["resources"]["requests"]["cpu"] == "50m"

        await eventually(resized, "its own size")
        await other.close()

    async def test_more_than_the_pool_has_comes_from_created_pods_and_says_so(
        self, ground, provider, events
    ):
        names = [f"r{index}" for index in range(POOL_SIZE + 3)]
        await provider.start(self.revision(), names)
        addresses = {(await events.started(name)).address for name in names}
        assert len(addresses) == len(names)
        told = {one.code for one in events.seen if isinstance(one, ReplicaPending)}
        assert "PoolEmpty" in told
        started = [one.replica for one in events.seen if isinstance(one, ReplicaStarted)]
        assert set(started[:POOL_SIZE]) == set(names[:POOL_SIZE]), "first come, first served"

    async def test_an_empty_pool_does_not_keep_a_function_from_starting(
        self, ground, provider, events
    ):
        await ground.resize_pool(0)
        await provider.start(self.revision(), ["a"])
        started = await events.started("a")
        assert await can_connect(started.address)
        pod = await ground.pod_of("a")
        assert [one["name"] for one in pod["metadata"]["ownerReferences"]] == ["owner"]
        await provider.start(self.revision(), ["b"])
        await events.until(lambda one: isinstance(one, ReplicaPending) and one.replica == "b")
        await provider.stop("b")
        await ground.no_pods("spare")

    async def test_two_gateways_never_take_the_same_pod(self, ground, provider, events):
        other = ground.provider()
        await other.open()
        others = Recorder(other)
        await asyncio.gather(
            provider.start(self.revision(), ["a", "b"]), other.start(self.revision(), ["c", "d"])
        )
        addresses = [(await events.started(name)).address for name in "ab"]
        addresses += [(await others.started(name)).address for name in "cd"]
        assert len(set(addresses)) == 4
        await others.cancel()
        await other.close()

    async def test_another_gateway_finds_what_was_claimed_and_can_end_it(
        self, ground, provider, events
    ):
        await provider.start(self.revision(), ["a"])
        started = await events.started("a")
        await provider.close()
        assert await can_connect(started.address), "closing a gateway ends no replica"
        other = ground.provider()
        await other.open()
        others = Recorder(other)
        (found,) = await other.known(ground.namespace, "f")
        assert (found.replica, found.function, found.revision_id) == ("a", "f", "0" * 64)
        assert (found.address, found.seal) == (started.address, started.seal)
        assert await other.known(ground.namespace, "g") == []
        await others.until(lambda one: isinstance(one, ReplicaFound) and one.replica == "a")
        await other.stop("a")
        assert (await others.gone("a")).reason == "stopped"
        await others.cancel()
        await other.close()

    async def test_what_nobody_brings_up_is_abandoned(self, ground, provider, events):
        await provider.start(self.revision(), ["a"])
        await events.started("a")
        assert await provider.abandoned(0.0) == [], "it is being brought up here"
        other = ground.provider()
        await other.open()
        assert await other.abandoned(60.0) == [], "it was seen just now"
        assert await other.abandoned(0.0) == ["a"]
        await other.close()

    async def test_a_pod_that_somebody_deletes_is_told_as_leaving_then_as_gone(
        self, ground, provider, events
    ):
        await provider.start(self.revision(), ["a"])
        await events.started("a")
        name = (await ground.pod_of("a"))["metadata"]["name"]
        await ground.api.delete(ground.path("pods", name))
        gone = await events.gone("a")
        assert gone.reason == "stopped"
        about = [type(one) for one in events.seen if one.replica == "a"]
        assert about[-2:] == [ReplicaLeaving, ReplicaGone]

    async def test_an_evicted_pod_says_so(self, ground, provider, events):
        await provider.start(self.revision(), ["a"])
        await events.started("a")
        name = (await ground.pod_of("a"))["metadata"]["name"]
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": ground.namespace},
        }
        await ground.api.create(ground.path("pods", name, part="eviction"), eviction)
        left = await events.until(lambda one: isinstance(one, ReplicaLeaving))
        assert left.reason
        await events.gone("a")

    async def test_a_runner_that_crashes_is_told_so_and_found_again_as_a_generic_one(
        self, ground, provider, events
    ):
        await provider.start(self.revision(), ["a"])
        started = await events.started("a")
        pod = (await ground.pod_of("a"))["metadata"]["name"]
        process = await asyncio.create_subprocess_exec(
            *("kubectl", "-n", ground.namespace, "exec", pod, "--", "python", "-c", KILL_FRONT)
        )
        await process.wait()
        gone = await events.gone("a")
        assert (gone.reason, gone.detail) == ("crashed", "Its container ended with exit code 1.")
        found = await events.until(lambda one: isinstance(one, ReplicaFound) and one.replica == "a")
        assert found.seal not in (None, started.seal), "sealed to its new start"
        assert await can_connect(found.address)
        await provider.stop("a")
        await ground.no_pods("replica")

    @pytest.mark.parametrize(
        ("settings", "code", "words"),
        [
            (
                {"image": "nobody.invalid/has-this:1"},
                "ImagePullFailed",
                "nobody.invalid/has-this:1",
            ),
            ({"image": "UPPER/case"}, "ImagePullFailed", "UPPER/case"),
            ({"volumes": {"/data": "no-claim"}}, "VolumeClaimMissing", "no-claim"),
            ({"resources": Resources(cpu=640.0)}, "Unschedulable", "640 CPUs free; largest is"),
            ({"resources": Resources(gpu="a100:2")}, "Unschedulable", "gpu=a100"),
            ({"node_selector": {"disk": "none-such"}}, "Unschedulable", "disk=none-such"),
            ({"runtime_class": "no-such-class"}, "RuntimeClassMissing", "no-such-class"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    async def test_what_cannot_start_says_why_in_plain_words(
        self, ground, provider, events, settings, code, words
    ):
        await provider.start(self.revision(**settings), ["a"])
        gone = await events.gone("a")
        assert (gone.reason, gone.code, gone.is_final) == ("start_failed", code, True)
        assert words in gone.detail

    async def test_an_image_without_a_runner_is_said_to_be_one(self, ground, provider, events):
        await provider.start(self.revision(image="registry.k8s.io/pause:3.10"), ["a"])
        gone = await events.gone("a")
        assert gone.reason == "start_failed"
        assert gone.code in ("ImageBroken", "ImagePullFailed")

    async def test_a_function_with_its_own_image_gets_its_own_pod(self, ground, provider, events):
        await provider.start(self.revision(image=IMAGE, resources=Resources(cpu=0.02)), ["a"])
        started = await events.started("a")
        assert await can_connect(started.address)
        container = (await ground.pod_of("a"))["spec"]["containers"][0]
        assert container["resources"]["requests"]["cpu"] == "20m"

    async def test_a_quota_that_is_used_up_is_told(self, ground, provider, events):
        used = len(await ground.pods())
        quota = {"metadata": {"name": "tight"}, "spec": {"hard": {"pods": str(used)}}}
        await ground.api.create(ground.path("resourcequotas"), quota)
        try:
            path = ground.path("resourcequotas", "tight")

            async def is_counted():
                return (await ground.api.get(path))["status"].get("used")

            await eventually(is_counted, "the quota is counted")
            await provider.start(self.revision(image=IMAGE), ["a"])
            gone = await events.gone("a")
            assert (gone.code, gone.is_final) == ("QuotaExceeded", True)
            assert "`tight`" in gone.detail
            names = [f"r{index}" for index in range(POOL_SIZE + 1)]
            await provider.start(self.revision(), names)
            last = await events.gone(names[-1])
            assert last.code == "QuotaExceeded"
        finally:
            await ground.api.delete(ground.path("resourcequotas", "tight"))

    async def test_secrets_are_given_where_they_are_labelled_for_functions(self, ground, provider):
        data = {"TOKEN": base64.b64encode(b"x").decode(), "not-a-variable": ""}
        for name, labels in (("open", {ALLOW_LABEL: "true"}), ("closed", {})):
            await ground.api.create(
                ground.path("secrets"), {"metadata": {"name": name, "labels": labels}, "data": data}
            )
        assert await provider.secrets(ground.namespace, ["open"]) == {"TOKEN": "x"}
        for name, reason in (("closed", "SecretNotAllowed"), ("none", "SecretMissing")):
            with pytest.raises(ProviderError, match=name) as caught:
                await provider.secrets(ground.namespace, [name])
            assert caught.value.extra["reason"] == reason
