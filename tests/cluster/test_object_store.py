"""Packages in an object store instead of a volume: S3, its credentials in a Secret."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress

import pytest

import jupyter_faas as faas
from jupyter_faas import FunctionCall, MapRun
from jupyter_faas.client.session import session
from tests.cluster.conftest import Kubectl, installed, run_kubectl
from tests.cluster.mapped import slow, work
from tests.cluster.node import kill_all
from tests.cluster.system import System
from tests.cluster.test_fan_out import again
from tests.gateway.object_store import BUCKET, s3_server
from tests.support import wait_until

DEPLOY = """
import os
from jupyter_faas import serverless

DATA = os.urandom(300_000)

@serverless(scaledown_window=1)
def size(): return len(DATA)

print(size.remote())
"""


@pytest.fixture(scope="module")
def stored(kubectl: Kubectl) -> Iterator[tuple[System, dict[str, str]]]:
    """A system of one gateway whose packages are in a bucket on this machine."""
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    addresses = {one["type"]: one["address"] for one in nodes[0]["status"]["addresses"]}
    try:
        serving = s3_server(addresses["InternalIP"])
        variables = serving.__enter__()
    except OSError:
        pytest.skip("the cluster's node is not this machine")
    options = ("--replicas=1", "--pool=3.11=1", f"--blob-url=s3://{BUCKET}/here")

    def secret(system: str) -> None:
        literals = (f"--from-literal={name}={value}" for name, value in variables.items())
        kubectl("create", "namespace", system)
        kubectl("-n", system, "create", "secret", "generic", "store", *literals)

    try:
        with installed(*options, "--blob-secret=store", before=secret) as system:
            yield system, variables
    finally:
        serving.__exit__(None, None, None)


def test_a_large_package_is_in_the_bucket_and_any_gateway_finds_it(
    stored: tuple[System, dict[str, str]],
) -> None:
    system, variables = stored
    environment = {
        **os.environ,
        "FAAS_GATEWAY_URL": f"http://{system.address[0]}:{system.address[1]}",
        "FAAS_GATEWAY_TOKEN": system.token,
        "FAAS_NAMESPACE": system.namespace,
    }
    told = [sys.executable, "-c", DEPLOY]
    done = subprocess.run(
        told, env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.stdout.strip() == "300000", done.stderr
    listed = urllib.request.urlopen(f"{variables['AWS_ENDPOINT']}/{BUCKET}?list-type=2", timeout=10)
    assert re.findall(rb"<Key>here/../", listed.read()), "beside what is kept of calls and maps"
    wait_until(lambda: not system.replicas("size"), 60.0)
    # A gateway with an empty disk starts the next replica.
    run_kubectl("-n", system.system, "rollout", "restart", "deployment/jupyter-faas-gateway")
    run_kubectl(
        "-n", system.system, "rollout", "status", "deployment/jupyter-faas-gateway",
        "--timeout=120s", timeout_s=130.0,
    )  # fmt: skip

    def said() -> bytes:
        with suppress(OSError):  # of the one that has just gone
            return system.call("size").body
        return b""

    wait_until(lambda: said() == b"300000", 120.0, seen=said)
    assert not system.list("persistentvolumeclaims", "", system.system)


def test_maps_and_calls_go_on_when_gateway_and_service_are_killed(
    stored: tuple[System, dict[str, str]],
) -> None:
    """The kernel has gone too: whoever reads knows the ids."""
    system, _ = stored
    status = ("rollout", "status", "deployment/jupyter-faas-blobs", "--timeout=120s")
    run_kubectl("-n", system.system, *status, timeout_s=130.0)
    before = session.gateway
    host, port = system.address
    gateway = faas.connect(f"http://{host}:{port}", system.token, namespace=system.namespace)
    try:
        assert work.remote(1) == 1
        run = work.spawn_map(range(120), kwargs={"seconds": 0.2})
        call = slow.spawn(7, 3.0)
        assert next(run.results()) == 0
        for role in ("gateway", "blobs"):
            for pod in system.list("pods", f"jupyter-faas.io/role={role}", system.system):
                kill_all(pod)
        wait_until(lambda: is_ready(system), 90.0)
        assert again(lambda: list(MapRun.from_id(run.id).results())) == [x * x for x in range(120)]
        assert again(lambda: FunctionCall.from_id(call.id).get(timeout=60)) == 7
        assert run.failed() == []
    finally:
        for name in ("mapped", "slow-once"):
            system.delete(name)
        gateway.close()
        session.gateway = before


def is_ready(system: System) -> bool:
    """Return whether the gateway answers."""
    try:
        return system.request("GET", "/readyz").status == 200
    except OSError:
        return False
