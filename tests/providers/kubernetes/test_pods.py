"""One shape for every runner: restricted, resizable, and only what was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_faas.core.model import Resources
from jupyter_faas.providers.kubernetes.names import ROLE_LABEL, RUNTIME_LABEL
from jupyter_faas.providers.kubernetes.pods import (
    POOL_RESOURCES,
    RunnerShape,
    gpu_request,
    pod_resources,
    runner_pod,
)

PLAIN = RunnerShape(image="runner:1", python="3.11")


def container_of(shape: RunnerShape) -> dict[str, Any]:
    (container,) = runner_pod(shape)["spec"]["containers"]
    return container


def test_a_runner_passes_restricted_and_has_no_token() -> None:
    spec = runner_pod(PLAIN)["spec"]
    (container,) = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def test_a_runner_cannot_start_without_knowing_whom_to_trust() -> None:
    env = {
        one["name"]: one["valueFrom"] for one in container_of(PLAIN)["env"] if "valueFrom" in one
    }
    assert env["FAAS_TRUST"]["configMapKeyRef"].get("optional", False) is False
    assert env["FAAS_POD_UID"] == {"fieldRef": {"fieldPath": "metadata.uid"}}


def test_a_pod_has_only_what_was_asked_for() -> None:
    spec = runner_pod(PLAIN)["spec"]
    assert not spec.keys() & {"runtimeClassName", "nodeSelector", "imagePullSecrets"}
    assert [volume["name"] for volume in spec["volumes"]] == ["tmp"]


def test_everything_asked_for_is_in_the_pod() -> None:
    shape = RunnerShape(
        image="mine:2",
        python="3.12",
        runtime_class="gvisor",
        gpu="a100:2",
        volumes={"/data": "claim", "/also": "claim", "/b": "other"},
        node_selector={"zone": "a"},
        labels={ROLE_LABEL: "pool"},
        preload=(),
        pull_secret="registry",
    )
    pod = runner_pod(shape)
    spec = pod["spec"]
    assert (
        pod["metadata"]["labels"] | {ROLE_LABEL: "pool", RUNTIME_LABEL: "gvisor"}
        == (pod["metadata"]["labels"])
    )
    assert spec["runtimeClassName"] == "gvisor"
    assert spec["nodeSelector"] == {"zone": "a", "jupyter-faas.io/gpu": "a100"}
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    container = spec["containers"][0]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert "--preload" not in container["command"]
    claims = {
        volume["name"]: volume["persistentVolumeClaim"]["claimName"]
        for volume in spec["volumes"]
        if "persistentVolumeClaim" in volume
    }
    mounted = {mount["mountPath"]: claims.get(mount["name"]) for mount in container["volumeMounts"]}
    assert mounted == {"/tmp": None, "/data": "claim", "/also": "claim", "/b": "other"}


def test_a_pool_s_resources_are_not_changed_by_a_shape() -> None:
    runner_pod(RunnerShape(image="i", python="3.11", gpu="1"))
    assert "nvidia.com/gpu" not in POOL_RESOURCES["limits"]


@pytest.mark.parametrize(
    ("gpu", "limits", "nodes"),
    [
        (None, {}, {}),
        ("1", {"nvidia.com/gpu": "1"}, {}),
        ("a100:2", {"nvidia.com/gpu": "2"}, {"jupyter-faas.io/gpu": "a100"}),
        ("a100", {"nvidia.com/gpu": "1"}, {"jupyter-faas.io/gpu": "a100"}),
        ("amd.com/gpu:3", {"amd.com/gpu": "3"}, {}),
        ("amd.com/gpu", {"amd.com/gpu": "1"}, {}),
    ],
)
def test_gpus_are_asked_for_as_people_name_them(
    gpu: str | None, limits: dict[str, str], nodes: dict[str, str]
) -> None:
    assert gpu_request(gpu) == (limits, nodes)


@pytest.mark.parametrize(
    ("wanted", "requests", "limits"),
    [
        (Resources(), {"cpu": "100m", "memory": "128Mi"}, {"memory": "768Mi"}),
        (
            Resources(cpu=2, cpu_limit=2, memory_mib=1024, memory_request_mib=1024),
            {"cpu": "2000m", "memory": "1024Mi"},
            {"memory": "1280Mi", "cpu": "2000m"},
        ),
        (Resources(cpu=0.0001, memory_mib=1), {"cpu": "1m", "memory": "1Mi"}, {"memory": "257Mi"}),
    ],
)
def test_resources_are_requests_and_limits_of_a_burstable_pod(
    wanted: Resources, requests: dict[str, str], limits: dict[str, str]
) -> None:
    found = pod_resources(wanted)
    assert found == {"requests": requests, "limits": limits}
    assert found["requests"]["memory"] != found["limits"]["memory"]
