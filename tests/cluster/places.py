"""Namespaces of one test run on a real cluster, made and removed again."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from jupyter_faas.providers.kubernetes.api import KubeApi, path_of
from jupyter_faas.providers.kubernetes.crds import crds

pytest.importorskip("kubernetes")

needs_cluster = pytest.mark.skipif(
    not os.environ.get("KUBECONFIG"), reason="KUBECONFIG names no cluster"
)
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def names(*parts: str) -> tuple[str, ...]:
    """Return names of namespaces that nobody else uses."""
    run = secrets.token_hex(3)
    return tuple(f"t-{part}-{run}" for part in parts)


@contextmanager
def namespaces_made(namespaces: Sequence[str]) -> Iterator[None]:
    """Have the definitions and these namespaces there; the namespaces are removed at the end."""
    asyncio.run(_with_api(_make, namespaces))
    try:
        yield
    finally:
        asyncio.run(_with_api(_remove, namespaces))


async def _with_api(
    work: Callable[[KubeApi, Sequence[str]], Awaitable[None]], namespaces: Sequence[str]
) -> None:
    api = await KubeApi.connect()
    try:
        await work(api, namespaces)
    finally:
        await closed(api)


async def closed(api: KubeApi) -> None:
    """Close a connection to its last socket: aiohttp does not wait for the end of TLS."""
    await api.close()
    await asyncio.sleep(0.1)


async def _make(api: KubeApi, namespaces: Sequence[str]) -> None:
    for one in crds():
        await api.apply(f"{DEFINITIONS}/{one['metadata']['name']}", one)
    for name in namespaces:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await api.create(path_of("namespaces"), body)
        account = path_of("serviceaccounts", name, "default")
        for _ in range(1200):  # pods are taken once it is there
            if await api.find(account) is not None:
                break
            await asyncio.sleep(0.05)


async def _remove(api: KubeApi, namespaces: Sequence[str]) -> None:
    for name in namespaces:
        await api.delete(path_of("namespaces", None, name))


async def until(seen: Callable[[], object], timeout_s: float = 60.0) -> None:
    """Wait until something is so; fails after `timeout_s`."""
    for _ in range(int(timeout_s / 0.02)):
        if seen():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {timeout_s:g} s")
