"""Who reaches a gateway, and how: from a pod, as somebody with few rights, by an Ingress' hosts.

On one installation with a domain and a pool of sandboxed runners, which is removed at the end by
the command that removes it, as machines read it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from jupyter_faas.core.version import VERSION
from jupyter_faas.providers.kubernetes.pods import container_security, pod_security
from tests.cluster.conftest import (
    KubectlFailed,
    installed,
    jupyter_faas,
    run_kubectl,
    wait_allowed,
)
from tests.cluster.system import GATEWAY, USER, System, inline
from tests.support import wait_until

DOMAIN = "faas.example.org"
HELLO = "def hello(name='you'):\n    return {'hello': name}\n"

CLIENT = """
import jupyter_faas as faas
from jupyter_faas import serverless

@serverless
def add(a, b): return a + b

gateway = faas.connect({where})
print(add.remote(2, 3), gateway.provider, faas.function("hello").remote("ada")["hello"])
"""


def has_gvisor() -> bool:
    try:
        run_kubectl("get", "runtimeclass", "gvisor")
    except KubectlFailed:
        return False
    return True


@pytest.fixture(scope="module")
def place() -> Iterator[System]:
    """An installation with a function; `uninstall --json` tells what it has removed."""
    sandboxed = ("--runtime-class=gvisor=1",) if has_gvisor() else ()
    options = ("--replicas=1", "--pool=3.11=2", f"--domain={DOMAIN}", "--blob-url=none")
    with installed(*options, *sandboxed) as system:
        system.apply(inline("hello", HELLO))
        system.wait_ready("hello")
        yield system
        where = f"--system-namespace={system.system}"
        told = json.loads(jupyter_faas("uninstall", where, "--keep-crds", "--json"))
        assert f"Deployment {GATEWAY} in {system.system}" in told["wouldDelete"]
        assert system.exists("fn", "hello"), "only told"
        gone = json.loads(jupyter_faas("uninstall", where, "--keep-crds", "--yes", "--json"))
        assert set(told["wouldDelete"]) <= set(gone["deleted"])
        assert system.list("fn") == []
        ours = "app.kubernetes.io/managed-by=jupyter-faas"
        wait_until(lambda: not system.list("pods", ours), 60.0, what="the last pods have ended")


# -- an Ingress


def test_a_host_below_the_domain_is_a_function(place: System) -> None:
    """What an Ingress controller does: passes on the request with its Host."""
    ingress = place.get("ingress", GATEWAY, place.system)
    hosts = [rule["host"] for rule in ingress["spec"]["rules"]]
    assert hosts == [DOMAIN, f"*.{DOMAIN}"]
    for host in (f"hello.{DOMAIN}", f"hello.{place.namespace}.{DOMAIN}", f"HELLO.{DOMAIN}:80"):
        answer = place.request("POST", "/", {"name": "x"}, {"Host": host})
        assert (answer.status, answer.json()) == (200, {"hello": "x"}), host
    assert place.request("POST", "/", {}, {"Host": f"nobody.{DOMAIN}"}).status == 404
    assert place.request("POST", "/", {}, {"Host": f"hello.{DOMAIN}"}, token=None).status == 401


def test_the_public_address_is_told(place: System) -> None:
    assert place.control("GET", "/v1/state").json()["publicUrl"] == f"http://{DOMAIN}"
    url = f"http://{DOMAIN}/function/{place.namespace}/hello"
    wait_until(lambda: place.get("fn", "hello")["status"]["url"] == url, 60.0)


# -- from a pod


def test_a_pod_finds_the_gateway_of_its_cluster_and_calls_with_its_own_account(
    place: System,
) -> None:
    allow(place, "caller")
    script = CLIENT.format(where="")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "caller"},
        "spec": {
            "restartPolicy": "Never",
            "serviceAccountName": "caller",
            "securityContext": pod_security(),
            "containers": [
                {
                    "name": "caller",
                    "image": f"jupyter-faas/runner:{VERSION}-py3.11",
                    "command": ["python", "-c", script],
                    "env": [
                        {"name": "FAAS_SYSTEM_NAMESPACE", "value": place.system},
                        {"name": "HOME", "value": "/tmp"},
                    ],
                    "securityContext": {**container_security(), "readOnlyRootFilesystem": False},
                }
            ],
        },
    }
    place.apply(pod)
    wait_until(
        lambda: place.get("pod", "caller")["status"].get("phase") in ("Succeeded", "Failed"), 120.0
    )
    assert place.kubectl("logs", "caller").strip().splitlines()[-1] == "5 kubernetes ada"


# -- as somebody with few rights


def test_who_has_the_role_of_the_documentation_connects_through_kubeconfig(
    place: System, tmp_path: Path
) -> None:
    allow(place, "ada")
    documented = Path(__file__).parents[2] / "docs" / "connect.md"
    role = documented.read_text().partition("```yaml\napiVersion: rbac")[2].partition("```")[0]
    rules = yaml.safe_load("apiVersion: rbac" + role)
    rules["metadata"]["namespace"] = place.system
    run_kubectl("apply", "-f", "-", stdin=json.dumps(rules))
    account = f"--serviceaccount={place.namespace}:ada"
    bind = ("create", "rolebinding", "ada", "--role=jupyter-faas-connect", account)
    run_kubectl("-n", place.system, *bind)
    ada = f"system:serviceaccount:{place.namespace}:ada"
    wait_allowed(ada, place.system, "create", "pods", "portforward")
    token = place.kubectl("create", "token", "ada", "--duration=1h").strip()
    kubeconfig = kubeconfig_of(tmp_path, place.namespace, {"token": token})
    done = run_client(place, CLIENT.format(where='"kubernetes"'), KUBECONFIG=str(kubeconfig))
    assert done.stdout.strip().splitlines()[-1:] == ["5 kubernetes ada"], done.stderr
    elsewhere = CLIENT.format(where='"kubernetes", namespace="default"')
    refused = run_client(place, elsewhere, KUBECONFIG=str(kubeconfig))
    assert "Forbidden" in refused.stderr


# -- what cannot be, said in time


def test_an_exception_says_what_the_cluster_knows_soon(place: System) -> None:
    script = """
import time
import jupyter_faas as faas
from jupyter_faas import serverless

@serverless(cpu=64)
def large(): return 1

try:
    large.remote()
except faas.ProviderError as error:
    print(time.time(), error)
"""
    begun_s = time.time()
    done = run_client(place, script, FAAS_GATEWAY_URL="kubernetes")
    at_s, _, said = done.stdout.strip().partition(" ")
    assert "no node has 64 CPUs free; largest is" in said.lower().replace("cpus", "CPUs"), (
        done.stdout + done.stderr
    )
    told_s = [
        datetime.fromisoformat(one["eventTime"]).timestamp()
        for one in place.list("events")
        if one.get("reason") == "FailedScheduling" and one.get("eventTime")
    ]
    known_s = [one for one in told_s if one > begun_s]
    assert known_s, "the scheduler has said it"
    assert float(at_s) - min(known_s) < 20.0, "at its start-up time-out: 60 s"


# -- a sandbox


def test_a_function_that_asks_for_a_sandbox_runs_in_one_of_a_pool_of_its_own(
    place: System,
) -> None:
    if not has_gvisor():
        pytest.skip("the cluster has no RuntimeClass gvisor")
    wait_until(
        lambda: ready(place.list("pods", "jupyter-faas.io/runtime-class=gvisor")), 120.0,
        what="a sandboxed runner",
    )  # fmt: skip
    source = "import os\n\ndef boxed():\n    return open('/proc/version').read()\n"
    place.apply(inline("boxed", source, runtimeClass="gvisor"))
    try:
        place.wait_ready("boxed")
        (pod,) = place.replicas("boxed")
        assert pod["spec"]["runtimeClassName"] == "gvisor"
        assert pod["metadata"]["name"].startswith("jupyter-faas-pool-"), "claimed, not created"
        # gVisor answers for the kernel.
        assert place.call("boxed").body != Path("/proc/version").read_bytes()
        assert place.call("hello").status == 200
    finally:
        place.delete("boxed")


def ready(pods: list[dict[str, Any]]) -> bool:
    return any(
        one["type"] == "Ready" and one["status"] == "True"
        for pod in pods
        for one in pod["status"].get("conditions", ())
    )


@pytest.mark.parametrize(("role", "may_use"), [("view", False), ("edit", True), ("admin", True)])
def test_the_built_in_roles_are_good_for_functions(place: System, role: str, may_use: bool) -> None:
    allow(place, role, role)
    token = place.kubectl("create", "token", role, "--duration=1h").strip()
    account = f"--as=system:serviceaccount:{place.namespace}:{role}"

    def seen() -> str:
        with suppress(KubectlFailed):  # the cluster puts its roles together
            return place.kubectl("get", "fn,functionrevisions", account, "-o", "name")
        return ""

    assert "/hello" in wait_until(seen)
    path = f"/v1/functions/hello?namespace={place.namespace}"
    assert place.request("GET", path, token=token).status == 200
    if may_use:  # the cluster puts this together by itself, too
        user = f"system:serviceaccount:{place.namespace}:{role}"
        wait_allowed(user, place.namespace, "create", "functions.jupyter-faas.io", "invoke")
        wait_allowed(user, place.namespace, "update", "functions.jupyter-faas.io")
    called = place.request("POST", f"/function/{place.namespace}/hello", {}, token=token)
    scaled = place.request("PATCH", path.replace("?", "/scaling?"), {}, token=token)
    assert (called.status == 403, scaled.status == 403) == (not may_use, not may_use)


def allow(place: System, name: str, role: str = USER) -> None:
    """Make an account with a ClusterRole in the functions' namespace."""
    with suppress(KubectlFailed):
        place.kubectl("create", "serviceaccount", name)
    account = f"--serviceaccount={place.namespace}:{name}"
    place.kubectl("create", "rolebinding", name, f"--clusterrole={role}", account)
    if role == USER:
        user = f"system:serviceaccount:{place.namespace}:{name}"
        wait_allowed(user, place.namespace, "create", "functions.jupyter-faas.io", "invoke")


def kubeconfig_of(directory: Path, namespace: str, user: dict[str, str]) -> Path:
    """Write a kubeconfig for this cluster with other credentials."""
    known = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    context = {"cluster": "c", "user": "u", "namespace": namespace}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": known["clusters"][0]["cluster"]}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "mine", "context": context}],
        "current-context": "mine",
    }
    path = directory / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def run_client(place: System, script: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program as a user's, on this machine."""
    environment = {
        **os.environ,
        "FAAS_SYSTEM_NAMESPACE": place.system,
        "FAAS_NAMESPACE": place.namespace,
        **more,
    }
    told = [sys.executable, "-c", script]
    return subprocess.run(
        told, env=environment, capture_output=True, text=True, timeout=90, check=False
    )
