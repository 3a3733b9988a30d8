"""The leader's Lease and the gateways' EndpointSlices on a real cluster."""

from __future__ import annotations

import asyncio
import os
import secrets
import time

import pytest

from jupyter_faas.core.leadership import Step
from jupyter_faas.core.ownership import Member
from jupyter_faas.core.version import VERSION
from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, path_of
from jupyter_faas.providers.kubernetes.lease import Leader
from jupyter_faas.providers.kubernetes.members import KubernetesMembers
from tests.cluster.places import closed

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif("KUBECONFIG" not in os.environ, reason="no KUBECONFIG"),
]


@pytest.fixture
async def api():
    made = await KubeApi.connect()
    yield made
    await closed(made)


@pytest.fixture
async def namespace(api):
    name = f"t-k5-{secrets.token_hex(3)}"
    await api.create(path_of("namespaces"), {"metadata": {"name": name}})
    yield name
    await api.delete(path_of("namespaces", name=name))


def standing() -> float:
    """A monotonic clock that stands still: nobody is late, however slow the machine."""
    return 1.0


def leader(api, namespace, own, clock=standing):
    return Leader(api, namespace, own, clock, time.time)


async def test_one_leads_and_the_next_has_it_at_once_when_it_is_released(api, namespace):
    a, b = leader(api, namespace, "a"), leader(api, namespace, "b")
    assert await a.look_once() is Step.CREATE
    assert await b.look_once() is Step.WAIT
    assert (a.is_leader, b.is_leader) == (True, False)
    assert await a.look_once() is Step.RENEW
    await a.close()
    assert not a.is_leader
    assert await b.look_once() is Step.TAKE
    assert b.is_leader
    stored = await api.get(
        f"{path_of('leases', namespace, group='coordination.k8s.io/v1')}/jupyter-faas-leader"
    )
    assert stored["spec"]["holderIdentity"] == "b"
    assert stored["spec"]["leaseTransitions"] == 1


async def test_a_leader_that_is_gone_is_followed_within_its_terms(api, namespace):
    now_s = 1.0

    def later() -> float:
        return now_s

    a, b = leader(api, namespace, "a"), leader(api, namespace, "b", later)
    await a.look_once()
    assert await b.look_once() is Step.WAIT
    now_s += 3.9
    assert await b.look_once() is Step.WAIT
    now_s += 0.2
    assert await b.look_once() is Step.TAKE
    assert await a.look_once() is Step.WAIT
    assert not a.is_leader


async def test_of_two_that_take_it_at_once_one_leads(api, namespace):
    many = [leader(api, namespace, f"g{n}") for n in range(6)]
    await asyncio.gather(*(one.look_once() for one in many))
    assert sum(one.is_leader for one in many) == 1


async def test_it_is_renewed_while_it_runs_and_ends_with_the_api_server(api, namespace):
    lease = f"{path_of('leases', namespace, group='coordination.k8s.io/v1')}/jupyter-faas-leader"
    a = leader(api, namespace, "a", time.monotonic)
    a.start()
    try:
        await wait(lambda: a.is_leader, "it leads")
        renewed = set()
        async with asyncio.timeout(60):
            while len(renewed) < 3:
                renewed.add((await api.get(lease))["spec"]["renewTime"])
                await asyncio.sleep(0.1)
        await wait(lambda: a.is_leader, "it leads")
        a._api = Unreachable()
        await wait(lambda: not a.is_leader, "it has not renewed in time")
        a._api = api
        await wait(lambda: a.is_leader, "it leads again")
    finally:
        await a.close()


class Unreachable:
    async def find(self, *_: object) -> None:
        raise KubeError(0, "Unreachable", "no")

    replace = find


async def test_gateways_are_found_by_their_headless_service(api, namespace):
    pods, services = path_of("pods", namespace), path_of("services", namespace)
    labels = {"role": "gateway"}
    service = {
        "metadata": {"name": "peers"},
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": labels,
            "ports": [{"name": "http", "port": 8080}],
        },
    }
    await api.create(services, service)
    told: list[tuple[Member, ...]] = []

    async def follow():
        async for members in KubernetesMembers(api, namespace, "peers").watch():
            told.append(members)

    following = asyncio.ensure_future(follow())
    try:
        await wait(lambda: told and told[-1] == (), "nobody so far")
        for name in ("one", "two"):
            pod = {
                "metadata": {"name": name, "labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 60,
                    "containers": [
                        {
                            "name": "c",
                            "image": IMAGE,
                            "imagePullPolicy": "IfNotPresent",
                            "command": ["python", "-c", "import time; time.sleep(600)"],
                            "readinessProbe": {"exec": {"command": ["false"]}},
                        }
                    ],
                },
            }
            await api.create(pods, pod)
        await wait(lambda: [one.id for one in told[-1]] == ["one", "two"], "both, not ready")
        assert all(one.address.endswith(":8080") for one in told[-1])
        # One that ends leaves at once, long before it is gone.
        begin = time.monotonic()
        await api.delete(f"{pods}/one")
        await wait(lambda: [one.id for one in told[-1]] == ["two"], "one has left")
        assert time.monotonic() - begin < 45
        assert await api.find(f"{pods}/one") is not None
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        for name in ("one", "two"):
            await api.delete(f"{pods}/{name}", {"gracePeriodSeconds": 0})


IMAGE = f"jupyter-faas/runner:{VERSION}-py3.11"  # any with a Python


async def wait(predicate, what, timeout_s=60.0):
    deadline = time.monotonic() + timeout_s
    while not predicate():
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.02)
