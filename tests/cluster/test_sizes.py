"""Claimed pods get the size of their function, or a pod made to measure takes their place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from jupyter_faas.providers.kubernetes.pods import container_security, pod_security
from jupyter_faas.providers.kubernetes.quantity import number_of
from tests.cluster.conftest import run_kubectl
from tests.cluster.system import System, inline
from tests.support import wait_until

WANTED = "600m"
SOURCE = "import os\n\ndef sized():\n    return os.environ['FAAS_REPLICA']\n"


@pytest.fixture
def sized(system: System) -> Iterator[str]:
    yield "sized"
    system.delete("sized")


def deploy(system: System, cpu: str) -> None:
    scaling = {"minContainers": 1, "maxContainers": 1}
    system.apply(inline("sized", SOURCE, resources={"cpu": cpu}, scaling=scaling))
    system.wait_ready("sized")


def requests(system: System) -> list[str]:
    """What the containers of its replicas really have, in CPUs."""
    shown = [pod["status"].get("containerStatuses") or [{}] for pod in system.replicas("sized")]
    return [str((one[0].get("resources") or {}).get("requests", {}).get("cpu")) for one in shown]


def test_a_cluster_that_forbids_resizing_gets_pods_made_to_measure(
    system: System, sized: str
) -> None:
    with resizing_forbidden(system.namespace):
        deploy(system, "50m")
        wait_until(lambda: requests(system) == ["50m"], 60.0, seen=lambda: system.replicas(sized))
        (pod,) = system.replicas(sized)
        assert not pod["metadata"]["name"].startswith("jupyter-faas-pool-"), "made to measure"
        assert system.call(sized).status == 200
    said = system.kubectl("describe", "fn", sized)
    assert "ResizeRefused" in said
    assert "keeps the size of the warm pool" in said


def test_a_node_without_room_is_said_in_the_status_until_it_has_room(
    system: System, sized: str
) -> None:
    with full(system, leaving_cores=0.4):
        deploy(system, WANTED)
        shown = wait_until(
            lambda: (found := system.condition(sized)["message"]) and "smaller" in found and found,
            60.0,
            seen=lambda: system.get("fn", sized)["status"],
        )
        assert "until its node has room" in shown
        wait_until(lambda: len(system.replicas(sized)) == 2, 60.0, what="a successor waits")
        assert system.call(sized).status == 200, "it serves meanwhile"
    wait_until(lambda: requests(system) == [WANTED], 60.0, seen=lambda: system.replicas(sized))
    wait_until(lambda: "smaller" not in system.condition(sized)["message"], 60.0)
    assert system.call(sized).status == 200


@contextmanager
def resizing_forbidden(namespace: str) -> Iterator[None]:
    """Have the API server refuse every resize in a namespace."""
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": namespace},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["UPDATE"],
                        "resources": ["pods/resize"],
                    }
                ],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            },
            "validations": [{"expression": "false", "message": "pods keep their size here"}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": namespace},
        "spec": {"policyName": namespace, "validationActions": ["Deny"]},
    }
    try:
        for one in (policy, binding):
            run_kubectl("apply", "-f", "-", stdin=json.dumps(one))
        wait_until(lambda: _is_resize_refused(namespace), 60.0, what="the policy holds")
        yield
    finally:
        run_kubectl("delete", "validatingadmissionpolicybinding", namespace, "--ignore-not-found")
        run_kubectl("delete", "validatingadmissionpolicy", namespace, "--ignore-not-found")


def _is_resize_refused(namespace: str) -> bool:
    pods = json.loads(run_kubectl("-n", namespace, "get", "pods", "-o", "json"))["items"]
    name = pods[0]["metadata"]["name"]
    container = pods[0]["spec"]["containers"][0]
    patch = {"spec": {"containers": [{"name": container["name"], "resources": {}}]}}
    told = ("-n", namespace, "patch", "pod", name, "--subresource=resize", "--dry-run=server")
    try:
        run_kubectl(*told, "-p", json.dumps(patch))
    except Exception as error:
        return "pods keep their size here" in str(error)
    return False


@contextmanager
def full(system: System, leaving_cores: float) -> Iterator[None]:
    """Take all CPUs of the only node but some, with a pod that does nothing."""
    nodes = json.loads(run_kubectl("get", "nodes", "-o", "json"))["items"]
    if len(nodes) > 1:
        pytest.skip("the cluster has several nodes: the pod may be put onto another one")
    filler = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "filler", "namespace": system.system},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "securityContext": pod_security(),
            "containers": [
                {
                    "name": "filler",
                    "image": _pause_image(system),
                    "command": ["sleep", "600"],
                    "securityContext": container_security(),
                    "resources": {
                        "requests": {"cpu": f"{_free_cores(nodes[0]) - leaving_cores:.3f}"}
                    },
                }
            ],
        },
    }
    run_kubectl("apply", "-f", "-", stdin=json.dumps(filler))
    wait = ("wait", "--for=condition=Ready", "pod/filler", "--timeout=120s")
    try:
        run_kubectl("-n", system.system, *wait, timeout_s=130.0)
        yield
    finally:
        run_kubectl("-n", system.system, "delete", "pod", "filler", "--ignore-not-found")


def _free_cores(node: dict[str, Any]) -> float:
    pods = json.loads(run_kubectl("get", "pods", "-A", "-o", "json"))["items"]
    taken = sum(
        number_of(container.get("resources", {}).get("requests", {}).get("cpu", "0"))
        for pod in pods
        if pod["status"].get("phase") in ("Pending", "Running")
        and "deletionTimestamp" not in pod["metadata"]  # the filler waits for what they leave
        for container in pod["spec"]["containers"]
    )
    return number_of(node["status"]["allocatable"]["cpu"]) - taken


def _pause_image(system: System) -> str:
    """An image that the node has: the gateway's."""
    (gateway, *_) = system.list("pods", "jupyter-faas.io/role=gateway", system.system)
    return str(gateway["spec"]["containers"][0]["image"])
