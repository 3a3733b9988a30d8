"""A gateway that is the controller of one namespace, and a person with kubectl."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from jupyter_faas.core.settings import Settings
from jupyter_faas.gateway.cluster.control import ClusterControl
from jupyter_faas.gateway.cluster.controller import digest_of
from jupyter_faas.gateway.cluster_blobs import ClusterBlobs
from jupyter_faas.gateway.entries import FunctionEntry
from jupyter_faas.gateway.service import GatewayService
from jupyter_faas.gateway.store.kubernetes import KubernetesStore
from jupyter_faas.providers.base import Provider
from jupyter_faas.providers.kubernetes.api import KubeApi, Object, path_of
from jupyter_faas.providers.kubernetes.names import API_VERSION, FUNCTIONS
from jupyter_faas.wire.upstream import Answer, request

TOKEN = "secret-token"
GREETING = "def hello(name='you'):\n    return f'hello {name}'\n"


async def until(seen: Any, timeout_s: float = 20.0) -> None:
    """Wait until something is so; fails after `timeout_s`."""
    for _ in range(int(timeout_s / 0.02)):
        if seen():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {timeout_s:g} s")


class World:
    """A gateway that is the controller of one namespace, and a person with kubectl."""

    def __init__(self, api: KubeApi, directory: str, provider: Provider, space: str) -> None:
        self.api = api
        self.space = space
        settings = Settings(
            gateway_token=TOKEN,
            state_dir=directory,
            namespace=space,
            namespaces=(space,),
            system_namespace=space,
            stop_grace_s=0.2,
        )
        blobs = ClusterBlobs(Path(directory) / "blobs", None)
        self.store = KubernetesStore(
            api, (space,), space, read_package=blobs.fetch, digest_of=digest_of
        )
        blobs.inside = self.store.package
        self.provider = provider
        self.service = GatewayService(settings, provider, self.store, blobs=blobs)
        self.control = ClusterControl(self.service, self.store, api)
        self.service.attach(self.control)

    def path(self, name: str = "hello", plural: str = FUNCTIONS, part: str = "") -> str:
        return path_of(plural, self.space, name, group=API_VERSION, part=part)

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
        return self.service.registry.find(self.space, name)

    async def live(self, number: int = 1, name: str = "hello") -> FunctionEntry:
        await until(
            lambda: (found := self.entry(name)) is not None and number in found.function.traffic
        )
        found = self.entry(name)
        assert found is not None
        return found

    async def status(self, seen: Any, name: str = "hello", timeout_s: float = 20.0) -> Object:
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
        address = f"127.0.0.1:{self.service.listeners.port}"
        return await request(address, "POST", path, headers, body, timeout_s=20)


def condition(status: Object, type: str = "Ready") -> Object:
    found = (one for one in status.get("conditions") or () if one["type"] == type)
    return next(found, {"status": "", "reason": "", "message": "", "observedGeneration": 0})


def is_ready(status: Object, generation: int = 1) -> bool:
    ready = condition(status)
    return bool(ready["status"] == "True" and ready["observedGeneration"] >= generation)
