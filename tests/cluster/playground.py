"""A namespace of its own with a warm pool and nothing else: for tests of the provider alone."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from jupyter_faas.core.ids import random_prefix
from jupyter_faas.core.model import Revision
from jupyter_faas.core.version import VERSION
from jupyter_faas.gateway.greeting import greet
from jupyter_faas.providers.kubernetes.api import KubeApi, path_of
from jupyter_faas.providers.kubernetes.names import (
    MANAGED_LABEL,
    MANAGER,
    POOL,
    PYTHON_LABEL,
    ROLE_LABEL,
    RUNTIME_LABEL,
    TRUST_CONFIG,
    TRUST_KEY,
)
from jupyter_faas.providers.kubernetes.pods import RunnerShape, runner_pod
from jupyter_faas.providers.kubernetes.provider import KubernetesProvider
from tests.cluster.places import closed
from tests.providers.contract import MINOR

IMAGE = os.environ.get("FAAS_TEST_RUNNER_IMAGE", f"jupyter-faas/runner:{VERSION}-py{MINOR}")
POOL_NAME = "pool"
OWNER = "owner"

Object = dict[str, Any]


class Playground:
    """One namespace of the cluster.

    Attributes:
        api: Of the cluster.
        namespace: Made for the tests.
        owner: Of all replicas.
    """

    def __init__(self, api: KubeApi, namespace: str, owner: Object) -> None:
        self.api = api
        self.namespace = namespace
        self.owner = owner

    def provider(self) -> KubernetesProvider:
        """Return a provider that is not open yet: that of another gateway each time."""
        return KubernetesProvider(self.api, [self.namespace], self.owner_reference, greet)

    def owner_reference(self, _revision: Revision) -> Object:
        """Return the owner that all replicas have here: a ConfigMap."""
        return self.owner

    def path(self, plural: str, name: str = "", *, group: str = "", part: str = "") -> str:
        """Return the path of something of this namespace."""
        return path_of(plural, self.namespace, name, group=group, part=part)

    async def pods(self, **labels: str) -> list[Object]:
        """Return pods with these labels that are not being deleted."""
        found = await self.api.get(self.path("pods"))
        return [
            pod
            for pod in found["items"]
            if "deletionTimestamp" not in pod["metadata"]
            and labels.items() <= pod["metadata"]["labels"].items()
        ]

    async def pod_of(self, replica: str) -> Object:
        """Return the pod of a replica."""
        (pod,) = await self.pods(**{"jupyter-faas.io/replica": replica})
        return pod

    async def no_pods(self, role: str) -> None:
        """Wait until there is no pod of a role, none that ends either."""

        async def is_none() -> bool:
            query = f"{ROLE_LABEL}={role}"
            return not (await self.api.get(self.path("pods"), labelSelector=query))["items"]

        await eventually(is_none, f"no pod of role {role}")

    async def resize_pool(self, size: int) -> None:
        """Give the pool another size and wait until it has it."""
        path = self.path("deployments", POOL_NAME, group="apps/v1")
        await self.api.patch(path, {"spec": {"replicas": size}})

        async def is_there() -> bool:
            pods = await self.pods(**{ROLE_LABEL: POOL})
            return len(pods) == len([pod for pod in pods if is_ready(pod)]) == size

        await eventually(is_there, f"a pool of {size}", timeout_s=60.0)

    async def _fill(self, pool_size: int) -> None:
        namespace = {
            "metadata": {
                "name": self.namespace,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            }
        }
        await self.api.create(path_of("namespaces"), namespace)
        trust = base64.b64encode(os.urandom(32)).decode()
        await self.api.create(
            self.path("configmaps"),
            {"metadata": {"name": TRUST_CONFIG}, "data": {TRUST_KEY: trust}},
        )
        made = await self.api.create(self.path("configmaps"), {"metadata": {"name": OWNER}})
        self.owner = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": OWNER,
            "uid": made["metadata"]["uid"],
            "controller": True,
        }
        await self.api.create(self.path("deployments", group="apps/v1"), _pool(pool_size))


def is_ready(pod: Object) -> bool:
    """Return whether the cluster says that a pod is ready."""
    conditions = pod["status"].get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _pool(size: int) -> Object:
    labels = {
        MANAGED_LABEL: MANAGER,
        ROLE_LABEL: POOL,
        PYTHON_LABEL: MINOR,
        RUNTIME_LABEL: "default",
    }
    shape = RunnerShape(image=IMAGE, python=MINOR, labels={ROLE_LABEL: POOL}, preload=())
    return {
        "metadata": {"name": POOL_NAME, "labels": labels},
        "spec": {
            "replicas": size,
            "selector": {"matchLabels": labels},
            "template": runner_pod(shape),
        },
    }


async def eventually(find: Callable[[], Awaitable[Any]], what: str, timeout_s: float = 60.0) -> Any:
    """Return the first true answer of the cluster, asked ten times a second."""
    deadline = time.monotonic() + timeout_s
    while not (found := await find()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(0.1)
    return found


@contextmanager
def playground(pool_size: int) -> Iterator[tuple[str, Object]]:
    """Make a namespace with a ready pool; yields its name and the owner of replicas there."""
    namespace = f"t-{random_prefix()}"

    async def make() -> Object:
        async with connected(namespace, {}) as ground:
            await ground._fill(pool_size)
            await ground.resize_pool(pool_size)
            return ground.owner

    async def remove() -> None:
        async with connected(namespace, {}) as ground:
            await ground.api.delete(path_of("namespaces", name=namespace))

    try:
        yield namespace, asyncio.run(make())
    finally:
        asyncio.run(remove())


@asynccontextmanager
async def connected(namespace: str, owner: Object) -> AsyncIterator[Playground]:
    """Return a playground as it is, in this event loop."""
    api = await KubeApi.connect()
    try:
        yield Playground(api, namespace, owner)
    finally:
        await closed(api)
