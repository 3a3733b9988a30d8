"""Two gateways over one real cluster: who owns what, whose replicas are whose, who leads.

The gateways run here, in the test's process; functions, replicas, keys, the Lease and the
EndpointSlices by which they find one another are the cluster's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from jupyter_faas.cli.cluster import compose
from jupyter_faas.core.ownership import Members
from jupyter_faas.core.settings import Settings
from jupyter_faas.gateway.service import GatewayService
from jupyter_faas.providers.kubernetes.api import KubeApi, Object, path_of
from jupyter_faas.providers.kubernetes.names import (
    API_VERSION,
    FUNCTIONS,
    LEADER_LEASE,
    PEERS_NAME,
    ROLE_LABEL,
)
from jupyter_faas.wire.upstream import Answer, request
from tests.cluster.places import closed, names, namespaces_made, needs_cluster, until
from tests.cluster.playground import _pool, eventually, is_ready
from tests.support import free_ports

pytestmark = [pytest.mark.cluster, needs_cluster, pytest.mark.timeout(300)]

SYSTEM, SPACE = names("k5-system", "k5-functions")
TOKEN = "secret-token"
SOURCE = (
    "import os\ndef hello(name='you'):\n    return f'hello {name} from ' + os.uname().nodename\n"
)
SLICES = "discovery.k8s.io/v1"


@pytest.fixture(scope="module", autouse=True)
def _places() -> Iterator[None]:
    with namespaces_made((SYSTEM, SPACE)):
        yield


class Ground:
    """The cluster, and the gateways that serve it from here."""

    def __init__(self, api: KubeApi, directory: Path, host: str) -> None:
        self.api = api
        self.directory = directory
        self.host = host
        self.gateways: dict[str, GatewayService] = {}

    async def start(self, id: str) -> GatewayService:
        (port,) = free_ports(1)
        state = self.directory / f"{id}-{port}"
        state.mkdir()
        settings = Settings(
            gateway_token=TOKEN,
            state_dir=str(state),
            host=self.host,
            port=port,
            namespace=SPACE,
            namespaces=(SPACE,),
            system_namespace=SYSTEM,
            blob_url="none",
            stop_grace_s=0.5,
            leave_quiet_s=0.2,
        )
        await self._name(id, port)
        service = await compose(settings, self.api, {"POD_NAME": id, "POD_IP": self.host})
        await service.start()
        self.gateways[id] = service
        return service

    async def stop(self, id: str) -> None:
        await self.gateways.pop(id).stop()

    async def _name(self, id: str, port: int) -> None:
        """Tell of a gateway as the headless Service's controller does."""
        body = {
            "apiVersion": SLICES,
            "kind": "EndpointSlice",
            "metadata": {"name": id, "labels": {"kubernetes.io/service-name": PEERS_NAME}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": port}],
            "endpoints": [
                {"addresses": [self.host], "targetRef": {"kind": "Pod", "name": id}},
            ],
        }
        await self.api.apply(path_of("endpointslices", SYSTEM, id, group=SLICES), body)

    async def settled(self) -> None:
        ids = set(self.gateways)
        await until(
            lambda: all(
                ids == {id, *(peer.id for peer in one.several.peers.all() if peer.serves)}
                for id, one in self.gateways.items()
            )
        )

    async def call(self, id: str, name: str) -> Answer:
        told = [(b"Authorization", b"Bearer " + TOKEN.encode())]
        address = f"{self.host}:{self.gateways[id].listeners.port}"
        return await request(
            address, "POST", f"/function/{SPACE}/{name}", told, b"{}", timeout_s=30
        )

    async def apply(self, name: str, **spec: Any) -> None:
        body: Object = {
            "apiVersion": API_VERSION,
            "kind": "Function",
            "metadata": {"name": name},
            "spec": {"code": {"source": SOURCE, "entry": "hello", "python": "3.11"}, **spec},
        }
        path = path_of(FUNCTIONS, SPACE, name, group=API_VERSION)
        await self.api.apply(path, body, fieldManager="kubectl")

    async def replicas(self, name: str) -> list[str]:
        found = await self.api.get(path_of("pods", SPACE), labelSelector=f"{ROLE_LABEL}=replica")
        return [
            pod["metadata"]["name"]
            for pod in found["items"]
            if pod["metadata"]["labels"].get("jupyter-faas.io/function") == name
            and "deletionTimestamp" not in pod["metadata"]
        ]

    async def leader(self) -> str:
        group = "coordination.k8s.io/v1"
        found = await self.api.find(path_of("leases", SYSTEM, LEADER_LEASE, group=group))
        return str((found or {}).get("spec", {}).get("holderIdentity") or "")


def made_by(answer: Answer) -> str:
    return (answer.header(b"faas-invocation-id") or b"").decode().partition("-")[0]


@contextmanager
def directory() -> Iterator[Path]:
    with TemporaryDirectory(prefix="faas-", dir="/tmp") as path:
        yield Path(path)


@asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    api = await KubeApi.connect()
    with directory() as path:
        node = (await api.get(path_of("nodes")))["items"][0]
        addresses = node["status"]["addresses"]
        host = next(one["address"] for one in addresses if one["type"] == "InternalIP")
        made = Ground(api, path, host)
        try:
            yield made
        finally:
            for id in list(made.gateways):
                await made.stop(id)
            await closed(api)


async def test_a_function_changes_hands_with_its_pod_and_somebody_always_leads():
    async with ground() as made:
        a, b = await made.start("a"), await made.start("b")
        await made.settled()
        deployments = path_of("deployments", SPACE, group="apps/v1")
        await made.api.create(deployments, _pool(1))

        async def is_filled() -> bool:
            pods = (await made.api.get(path_of("pods", SPACE)))["items"]
            return any(is_ready(pod) for pod in pods)

        await eventually(is_filled, "a warm pod", timeout_s=120)
        members = Members(("a", "b"))
        name = next(f"f{n}" for n in range(99) if members.owner((SPACE, f"f{n}")) == "b")
        await made.apply(name, scaling={"maxContainers": 1, "scaledownWindowSeconds": 600})
        # Each hears of it by a watch of its own: until the owner has, nobody can call it.
        await until(lambda: all(one.registry.find(SPACE, name) is not None for one in (a, b)))
        answer = await made.call("a", name)
        assert answer.status == 200, answer
        assert made_by(answer) == b.ids.prefix
        (pod,) = await made.replicas(name)
        assert pod.encode() in answer.body

        async def leads(id: str) -> bool:
            return (await made.leader()).startswith(f"{id}-")

        await eventually(lambda: leads("a"), "the first one leads")
        # The owner leaves: the other one has its pod, the Lease stays where it is.
        calling = asyncio.ensure_future(keep_calling(made, "a", name))
        await made.stop("b")
        answer = await made.call("a", name)
        assert made_by(answer) == a.ids.prefix
        assert pod.encode() in answer.body
        again = await made.start("b")
        await made.settled()
        answer = await made.call("a", name)
        assert made_by(answer) == again.ids.prefix
        assert pod.encode() in answer.body
        assert not calling.done(), calling
        calling.cancel()
        assert await made.replicas(name) == [pod]
        begin_s = time.monotonic()
        await made.stop("a")
        await eventually(lambda: leads("b"), "the other one leads")
        assert time.monotonic() - begin_s < 40
        assert (await made.call("b", name)).status == 200
        await made.api.delete(path_of(FUNCTIONS, SPACE, name, group=API_VERSION))

        async def is_gone() -> bool:
            return not await made.replicas(name)

        await eventually(is_gone, "its pod is gone")


async def keep_calling(made: Ground, id: str, name: str) -> None:
    """Call without a pause; whatever is not right fails the test that awaits this."""
    while True:
        answer = await made.call(id, name)
        assert answer.status == 200, answer
