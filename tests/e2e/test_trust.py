"""A gateway with keys over runners as in pods: processes on TCP that trust it and nobody else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jupyter_faas.core.capture import capture
from jupyter_faas.core.model import (
    Code,
    DeployRequest,
    FunctionSettings,
    Revision,
    RevisionSpec,
    Scaling,
)
from jupyter_faas.providers.base import ReplicaGone, ReplicaStarted, Seal
from tests.gateway.cluster import KEYS, ClusterBench, cluster_bench
from tests.gateway.conftest import until
from tests.gateway.fake_front import FakeProvider
from tests.runner.harness import _of_notebook
from tests.runner.pods import Pod, pod
from tests.support import free_ports

pytestmark = pytest.mark.e2e


class PodProvider(FakeProvider):
    """Starts runners as a kubelet would: each in a pod of its own, trusting the gateway's key."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.pods: dict[str, Pod] = {}
        self.keeps_seals = True
        self._running = ExitStack()

    async def start(
        self, revision: Revision, replica_ids: Sequence[str], *, made_to_measure: bool = False
    ) -> None:
        for replica_id in replica_ids:
            self.started += 1
            made = self._running.enter_context(pod(f"uid-{replica_id}", trust=KEYS.public_key))
            self.pods[replica_id] = made
            hello = made.hello()
            seal = Seal(
                public_key=base64.b64decode(hello["publicKey"]),
                nonce=base64.b64decode(hello["nonce"]),
                pod_uid=made.uid,
            )
            told = seal if self.keeps_seals else None
            self._events.put_nowait(
                ReplicaStarted(replica=replica_id, address=made.address, seal=told)
            )

    async def stop(self, replica_id: str, *, grace_s: float = 0.0) -> None:
        self.stopped.append(replica_id)
        self._events.put_nowait(ReplicaGone(replica=replica_id, reason="stopped"))

    async def close(self) -> None:
        self._running.close()
        await super().close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ClusterBench]:
    (calls_port,) = free_ports(1)
    async with cluster_bench(PodProvider(tmp_path), calls_port=calls_port) as made:
        yield made


async def deploy(bench: ClusterBench, name: str, code: Any, namespace: str = "default") -> None:
    """Deploy a function as a notebook would, and wait until it serves."""
    package = capture(_of_notebook(code)).package
    blob = b"".join(package.parts())
    path = bench.service.blobs.path(package.digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(blob)
    spec = RevisionSpec(
        code=Code(digest=package.digest, size_bytes=len(blob), entry=name, python="3.11")
    )
    settings = FunctionSettings(scaling=Scaling(max_containers=1, scaledown_window_s=600))
    id = hashlib.sha256(blob).hexdigest()
    wish = DeployRequest(id=id, revision=spec, settings=settings)
    await bench.service.registry.deploy(namespace, name, wish)
    entry = bench.service.registry.find(namespace, name)
    assert entry is not None
    await until(lambda: entry.latest.is_live, f"{name} is live", 20.0)


def ask(url: str, method: str = "GET", token: str = "") -> int:
    """Ask the gateway from within a function; runs in its replica."""
    import os
    import urllib.error
    import urllib.request

    token = token or os.environ["FAAS_GATEWAY_TOKEN"]
    head = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = b"[]" if method == "POST" else None
    request = urllib.request.Request(url, body, head, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


async def test_a_function_can_call_its_namespace_and_nothing_else(bench: ClusterBench):
    def tries(control: str) -> dict[str, int]:
        import os

        calls = os.environ["FAAS_GATEWAY_URL"]
        return {
            "another function": ask(f"{calls}/function/other", "POST"),
            "the same on the control port": ask(f"{control}/function/other", "POST"),
            "another namespace": ask(f"{calls}/function/theirs/other", "POST"),
            "list": ask(f"{control}/v1/functions"),
            "deploy": ask(f"{control}/v1/functions/other", "PUT"),
            "delete": ask(f"{control}/v1/functions/other", "DELETE"),
            "state": ask(f"{control}/v1/state"),
            "metrics": ask(f"{control}/metrics"),
            "control on the calls port": ask(f"{calls}/v1/functions"),
            "a token of its own making": ask(
                f"{calls}/function/theirs/other", "POST", "faasc.theirs." + "0" * 64
            ),
        }

    await deploy(bench, "tries", tries)
    await deploy(bench, "other", lambda: "other")
    await deploy(bench, "other", lambda: "theirs", namespace="theirs")
    body = msgspec.json.encode([bench.service.url])
    answer = await bench.call("tries", body, token="alices")
    assert msgspec.json.decode(answer.body) == {
        "another function": 200,
        "the same on the control port": 200,
        "another namespace": 403,
        "list": 403,
        "deploy": 403,
        "delete": 403,
        "state": 403,
        "metrics": 403,
        "control on the calls port": 404,
        "a token of its own making": 401,
    }


async def test_a_function_that_knows_its_own_secret_reaches_no_other_runner(bench: ClusterBench):
    """A replica's secret opens that replica alone, whatever its code does with it."""
    await deploy(bench, "one", lambda: 1)
    await deploy(bench, "two", lambda: 2)
    provider = bench.provider
    assert isinstance(provider, PodProvider)
    (one, first), (two, second) = provider.pods.items()
    for where, stranger in ((first, two), (second, one)):
        known = {"Faas-Secret": KEYS.replica_secret(stranger)}
        assert where.request("GET", "/v1/watch", known).status == 401
    revision = bench.service.fleet.find(one).entry.revision.id
    assert first.call(KEYS.replica_secret(one), revision).body == b"1"


async def test_secrets_are_not_sent_to_a_runner_that_cannot_unseal_them(bench: ClusterBench):
    provider = bench.provider
    assert isinstance(provider, PodProvider)
    provider.keeps_seals = False
    entry = await bench.deploy("f", env={"KEY": "secret"})
    await until(lambda: entry.revision.reason, "a reason", 20.0)
    assert "takes nothing sealed" in entry.revision.reason
    assert {made.hello()["state"] for made in provider.pods.values()} == {"generic"}
