"""Everything that is installed, as a real API server sees it: admitted, restricted, removable."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jupyter_faas.core.version import VERSION
from jupyter_faas.providers.kubernetes.crds import crds
from jupyter_faas.providers.kubernetes.install import InstallOptions, manifests
from jupyter_faas.providers.kubernetes.names import TRUST_CONFIG
from jupyter_faas.providers.kubernetes.pods import RunnerShape, runner_pod
from tests.cluster.conftest import Kubectl, KubectlFailed, wait_allowed
from tests.providers.kubernetes.raycluster import CRD
from tests.support import wait_until

RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
RUNNER = f"jupyter-faas/runner:{VERSION}-py{MINOR}"
DRY = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-")

Object = dict[str, Any]


def as_list(objects: list[Object]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


@pytest.fixture(scope="module", autouse=True)
def kinds(kubectl: Kubectl) -> None:
    """The CRDs of this version are on the cluster."""
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=as_list(crds()))
    for crd in crds():
        name = crd["metadata"]["name"]
        kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=30s")


@pytest.fixture(scope="module")
def places(new_namespace: Callable[..., str]) -> tuple[str, str]:
    """Namespaces of gateways and of functions, restricted."""
    return new_namespace("sys", RESTRICTED), new_namespace("fn", RESTRICTED)


@pytest.fixture(scope="module")
def everything(places: tuple[str, str]) -> list[Object]:
    """All objects there can be."""
    options = InstallOptions(
        system_namespace=places[0],
        namespaces=(places[1],),
        runtime_classes={"gvisor": 1},
        domain="faas.example.org",
        ingress_class="nginx",
        pull_secret="registry",
        ray=True,
    )
    return manifests(options)


def test_every_object_is_admitted(kubectl: Kubectl, everything: list[Object]) -> None:
    admitted = kubectl(*DRY, stdin=as_list(everything)).splitlines()
    assert len(admitted) == len(everything)


def test_every_pod_passes_restricted(kubectl: Kubectl, everything: list[Object]) -> None:
    templates = [one for one in everything if one["kind"] in ("Deployment", "StatefulSet")]
    assert len(templates) == 6
    for one in templates:
        template = one["spec"]["template"]
        namespace = one["metadata"]["namespace"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**template["metadata"], "name": one["metadata"]["name"]},
            "spec": {
                # The volume of a StatefulSet comes with its claim.
                **template["spec"],
                "volumes": [*template["spec"]["volumes"], {"name": "blobs", "emptyDir": {}}],
                "serviceAccountName": "default",
                "runtimeClassName": None,
            },
        }
        kubectl("-n", namespace, "create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))


def test_a_pod_that_is_not_restricted_is_refused_there(
    kubectl: Kubectl, places: tuple[str, str]
) -> None:
    with pytest.raises(KubectlFailed, match="violates PodSecurity"):
        kubectl("-n", places[1], "run", "root", "--image=x", "--dry-run=server")


def test_a_runner_is_ready_when_it_answers_and_can_write_only_to_tmp(
    kubectl: Kubectl, places: tuple[str, str]
) -> None:
    namespace = places[1]
    key = f"gateway.pub={'A' * 43}="
    kubectl("-n", namespace, "create", "configmap", TRUST_CONFIG, f"--from-literal={key}")
    pod = runner_pod(RunnerShape(image=RUNNER, python=MINOR))
    pod |= {"apiVersion": "v1", "kind": "Pod"}
    pod["metadata"]["name"] = "alone"
    kubectl("-n", namespace, "create", "-f", "-", stdin=json.dumps(pod))
    ready = ("wait", "--for=condition=Ready", "pod/alone", "--timeout=90s")
    kubectl("-n", namespace, *ready, timeout_s=100.0)
    inside = ("-n", namespace, "exec", "alone", "--")
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8600/v1/runner').read())"
    assert '"state":"generic"' in kubectl(*inside, "python", "-c", ask)
    assert kubectl(*inside, "id", "-u").strip() == "65532"
    kubectl(*inside, "touch", "/tmp/file")
    with pytest.raises(KubectlFailed, match="Read-only file system"):
        kubectl(*inside, "touch", "/file")
    with pytest.raises(KubectlFailed, match="No such file"):
        kubectl(*inside, "ls", "/var/run/secrets/kubernetes.io/serviceaccount")
    kubectl("-n", namespace, "delete", "pod", "alone", "--grace-period=0", "--force")


@pytest.fixture(scope="module")
def gateway_account(
    kubectl: Kubectl, places: tuple[str, str], everything: list[Object]
) -> Iterator[str]:
    """The gateways' account with all its rights; its name for `--as`."""
    system = places[0]
    rights = [
        one for one in everything if one["kind"] == "ServiceAccount" or "rbac" in one["apiVersion"]
    ]
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=as_list(rights))
    account = f"system:serviceaccount:{system}:jupyter-faas-gateway"
    for place, resource in zip(places, ("secrets/jupyter-faas-keys", "secrets"), strict=True):
        wait_allowed(account, place, "get", resource)
    yield account
    name = f"jupyter-faas-gateway-{system}"
    kubectl("delete", f"clusterrole/{name}", f"clusterrolebinding/{name}")


@pytest.mark.parametrize(
    ("verb", "resource", "part", "where", "may"),
    [
        ("create", "pods", "", "functions", True),
        ("patch", "pods", "resize", "functions", True),
        ("list", "functions.jupyter-faas.io", "", "functions", True),
        ("get", "secrets", "", "functions", True),
        ("list", "secrets", "", "functions", False),
        ("create", "pods", "exec", "functions", False),
        ("create", "pods", "eviction", "functions", False),
        ("create", "deployments.apps", "", "functions", False),
        ("create", "pods", "", "system", False),
        ("get", "secrets/jupyter-faas-keys", "", "system", True),
        ("get", "secrets/other", "", "system", False),
        ("patch", "secrets/jupyter-faas-ray", "", "functions", True),
        ("patch", "secrets/other", "", "functions", False),
        ("get", "secrets", "", "kube-system", False),
        ("create", "clusterroles.rbac.authorization.k8s.io", "", "functions", False),
        ("impersonate", "users", "", "functions", False),
    ],
)
def test_a_gateway_may_do_its_work_and_nothing_else(
    verb: str,
    resource: str,
    part: str,
    where: str,
    may: bool,
    kubectl: Kubectl,
    places: tuple[str, str],
    gateway_account: str,
) -> None:
    namespace = {"system": places[0], "functions": places[1]}.get(where, where)
    asked = ["auth", "can-i", verb, resource, "-n", namespace, f"--as={gateway_account}"]
    if part:
        asked.append(f"--subresource={part}")
    try:
        answer = kubectl(*asked)
    except KubectlFailed:
        answer = "no"
    assert (answer.strip() == "yes") is may


def cli(*args: str) -> subprocess.CompletedProcess[str]:
    """Run our own command in a process of its own."""
    command = [sys.executable, "-m", "jupyter_faas", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_an_installation_is_found_complete_and_is_removed_without_a_trace(
    kubectl: Kubectl, new_namespace: Callable[..., str]
) -> None:
    system, functions = new_namespace("sys", exists=False), new_namespace("fn", exists=False)
    where = ("--system-namespace", system, "--namespace", functions)
    # No images are needed here: what is looked at are the objects.
    ray = ("--ray", "--ray-kind", "statefulset")
    printed = cli("install", *where, *ray, "--pool", f"{MINOR}=0", "--blob-url", "none")
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=printed.stdout)
    checked = cli("install", "--check", *where, "--blob-url", "none")
    assert checked.returncode == 0, checked.stdout + checked.stderr

    shown = cli("uninstall", "--system-namespace", system, "--keep-crds")
    assert f"Deployment jupyter-faas-gateway in {system}" in shown.stdout
    assert kubectl("get", "namespace", system)

    done = cli("uninstall", "--system-namespace", system, "--keep-crds", "--yes")
    assert done.returncode == 0, done.stderr
    ours = "app.kubernetes.io/managed-by=jupyter-faas"
    kinds = "deployments,statefulsets,services,serviceaccounts,roles,rolebindings"
    kinds += ",networkpolicies,configmaps,secrets"
    listed = ("get", kinds, "-l", ours, "-o", "name")
    wait_until(lambda: kubectl("-n", functions, *listed) == "", 60.0)
    cluster = kubectl("get", "clusterroles,clusterrolebindings", "-l", ours, "-o", "name")
    assert system not in cluster
    kubectl("wait", "--for=delete", f"namespace/{system}", "--timeout=150s", timeout_s=160)
    again = cli("uninstall", "--system-namespace", system)
    assert (again.returncode, "nothing is installed there" in again.stderr) == (1, True)


@pytest.fixture
def kuberay(kubectl: Kubectl) -> Iterator[None]:
    """KubeRay's kind is there: its own, or its shape for as long as the test takes."""
    try:
        kubectl("get", f"crd/{CRD['metadata']['name']}")
    except KubectlFailed:
        pass
    else:
        yield
        return
    kubectl("create", "-f", "-", stdin=json.dumps(CRD))
    kubectl("wait", "--for=condition=Established", "crd/rayclusters.ray.io", "--timeout=30s")
    yield
    kubectl("delete", "crd/rayclusters.ray.io", "--timeout=30s")


def test_where_kuberay_is_a_ray_cluster_is_written_and_admitted(
    kubectl: Kubectl, places: tuple[str, str], kuberay: None
) -> None:
    where = ("--system-namespace", places[0], "--namespace", places[1])
    printed = cli("install", "--ray", *where, "--json")
    assert "The cluster has KubeRay" in printed.stderr
    items = json.loads(printed.stdout)["items"]
    (cluster,) = (one for one in items if one["kind"] == "RayCluster")
    admit = ("create", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-")
    admitted = json.loads(kubectl(*admit, stdin=json.dumps(cluster)))
    (group,) = admitted["spec"]["workerGroupSpecs"]
    assert (group["minReplicas"], group["maxReplicas"]) == (1, 4)
    for template in (cluster["spec"]["headGroupSpec"]["template"], group["template"]):
        pod = {"apiVersion": "v1", "kind": "Pod", **template}
        pod["metadata"] = {**template["metadata"], "generateName": "ray-"}
        pod["spec"] = {**template["spec"], "serviceAccountName": "default"}
        kubectl("-n", places[1], *admit, stdin=json.dumps(pod))
    checked = cli("install", "--check", "--ray", *where, "--blob-url", "none")
    assert "KubeRay: there" in checked.stdout
