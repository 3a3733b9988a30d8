"""Packages in an object store instead of a volume: S3, its credentials in a Secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest

from tests.cluster.conftest import Kubectl, installed, run_kubectl
from tests.cluster.system import System
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
    assert listed.read().count(b"<Key>here/") == 1
    wait_until(lambda: not system.replicas("size"), 30.0)
    # A gateway with an empty disk starts the next replica.
    run_kubectl("-n", system.system, "rollout", "restart", "deployment/jupyter-faas-gateway")
    run_kubectl(
        "-n", system.system, "rollout", "status", "deployment/jupyter-faas-gateway",
        "--timeout=60s", timeout_s=70.0,
    )  # fmt: skip
    assert system.call("size").body == b"300000"
    assert not system.list("pods", "jupyter-faas.io/role=blobs", system.system)
