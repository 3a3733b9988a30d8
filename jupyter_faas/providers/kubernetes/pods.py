"""What a runner's pod looks like, of a pool or made for one revision. Pure, plain dicts.

One shape for both, so that a claimed pod and a created one differ in what was asked for only.
`install` puts it into the pools' Deployments, the provider creates single pods of it. It passes
Pod Security `restricted`, has no service-account token and no writable root.
"""

from __future__ import annotations

from typing import Any

import msgspec

from jupyter_faas.core.model import Resources, Value
from jupyter_faas.providers.kubernetes.names import (
    GROUP,
    MANAGED_LABEL,
    MANAGER,
    PYTHON_LABEL,
    REPLICA,
    ROLE_LABEL,
    RUNNER_PORT,
    RUNTIME_LABEL,
    TRUST_CONFIG,
    TRUST_KEY,
)

Object = dict[str, Any]

CONTAINER = "runner"
USER_ID = 65532
TRUST_ENV = "FAAS_TRUST"
POD_UID_ENV = "FAAS_POD_UID"
DEFAULT_RUNTIME = "default"
"""Value of `RUNTIME_LABEL` where no runtime class is asked for."""
PRELOAD = ("numpy", "pandas")
GRACE_S = 35
"""Between SIGTERM and SIGKILL: the runner drains for at most 30 s."""
RUNNER_MIB = 256
"""What a runner's own processes and the libraries they were born with may take, beside what the
function may."""
POOL_RESOURCES: Object = {
    # Burstable from the start: an in-place resize cannot change the QoS class.
    "requests": {"cpu": "10m", "memory": "64Mi"},
    "limits": {"memory": "2Gi"},
}
GPU_RESOURCE = "nvidia.com/gpu"
GPU_LABEL = f"{GROUP}/gpu"
"""Of nodes: the kind of their GPUs, as functions name it (`gpu: a100:2`)."""

_UNTIL_IT_LISTENS = f"until grep -q ':{RUNNER_PORT:04X} ' /proc/net/tcp; do sleep 0.03; done"
"""A container is ready when this hook has ended. A readiness probe comes once a second: with one,
pods were ready 1.28 s after their creation, with this 0.81 s, the moment they could be connected
to (0.79 s); every pod that replaces a claimed one waits for that."""


class RunnerShape(Value, kw_only=True):
    """What one runner's pod is made of; the defaults are those of a pool's pod."""

    image: str
    python: str
    """Minor version, e.g. `3.11`."""
    runtime_class: str | None = None
    resources: Object = msgspec.field(default_factory=lambda: POOL_RESOURCES)
    """`requests` and `limits` as in a container; see `pod_resources`."""
    gpu: str | None = None
    """`1`, `a100:2` (nodes labelled `jupyter-faas.io/gpu=a100`) or `amd.com/gpu:1`."""
    volumes: dict[str, str] = {}
    """Path → name of a PersistentVolumeClaim."""
    node_selector: dict[str, str] = {}
    labels: dict[str, str] = {}
    """Over the ones every runner has; a pool's say role `pool`."""
    preload: tuple[str, ...] = PRELOAD
    pull_policy: str = "IfNotPresent"
    pull_secret: str | None = None


def runner_pod(shape: RunnerShape) -> Object:
    """Return a pod's `{metadata, spec}` without a name: for a Deployment's template or a create."""
    gpus, gpu_nodes = gpu_request(shape.gpu)
    resources = {
        **shape.resources,
        "limits": {**shape.resources.get("limits", {}), **gpus},
    }
    claims = list(dict.fromkeys(shape.volumes.values()))
    selector = {**shape.node_selector, **gpu_nodes}
    optional: Object = {
        "runtimeClassName": shape.runtime_class,
        "nodeSelector": selector or None,
        "imagePullSecrets": [{"name": shape.pull_secret}] if shape.pull_secret else None,
    }
    return {
        "metadata": {
            "labels": {
                MANAGED_LABEL: MANAGER,
                ROLE_LABEL: REPLICA,
                PYTHON_LABEL: shape.python,
                RUNTIME_LABEL: shape.runtime_class or DEFAULT_RUNTIME,
                **shape.labels,
            }
        },
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": GRACE_S,
            "securityContext": pod_security(),
            **{key: value for key, value in optional.items() if value is not None},
            "containers": [_container(shape, resources, claims)],
            "volumes": [
                {"name": "tmp", "emptyDir": {}},
                *({"name": _volume(i), "persistentVolumeClaim": {"claimName": claim}}
                  for i, claim in enumerate(claims)),
            ],
        },
    }  # fmt: skip


def pod_resources(wanted: Resources) -> Object:
    """Return a container's `requests` and `limits` for what a revision asks for.

    CPU is a request without a limit (throttling puts p95 at 42 ms) unless a limit is asked for.
    Memory: the function's own, and `RUNNER_MIB` for the runner; a quarter of it is requested.
    Fits a resize in place of a pool's pod: Burstable, whatever is asked for.
    """
    limit_mib = wanted.memory_mib + RUNNER_MIB
    request_mib = wanted.memory_request_mib or max(1, wanted.memory_mib // 4)
    requests = {"cpu": _cores(wanted.cpu), "memory": f"{min(request_mib, limit_mib)}Mi"}
    limits = {"memory": f"{limit_mib}Mi"}
    if wanted.cpu_limit is not None:
        limits["cpu"] = _cores(wanted.cpu_limit)
    return {"requests": requests, "limits": limits}


def gpu_request(gpu: str | None) -> tuple[dict[str, str], dict[str, str]]:
    """Return the limits and the node labels that a `gpu=` asks for.

    Returns:
        `1` → one `nvidia.com/gpu`; `a100:2` → two, on nodes labelled `jupyter-faas.io/gpu=a100`;
        `amd.com/gpu:1` → that resource. No count is one.
    """
    if not gpu:
        return {}, {}
    kind, _, count = gpu.strip().rpartition(":")
    if not count.isdecimal():
        kind, count = gpu.strip(), "1"
    if "/" in kind:
        return {kind: count}, {}
    return {GPU_RESOURCE: count}, {GPU_LABEL: kind} if kind else {}


def pod_security() -> Object:
    """Return a pod's security context that passes `restricted`; volumes belong to our group."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER_ID,
        "runAsGroup": USER_ID,
        "fsGroup": USER_ID,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Object:
    """Return a container's security context that passes `restricted`, with a read-only root."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def _container(shape: RunnerShape, resources: Object, claims: list[str]) -> Object:
    command = ["python", "-P", "-m", "jupyter_faas.runner", "serve"]
    command += ["--listen", f"0.0.0.0:{RUNNER_PORT}"]
    if shape.preload:
        command += ["--preload", ",".join(shape.preload)]
    trust = {"name": TRUST_CONFIG, "key": TRUST_KEY}
    return {
        "name": CONTAINER,
        "image": shape.image,
        "imagePullPolicy": shape.pull_policy,
        "command": command,
        "workingDir": "/tmp",  # noqa: S108 - the one place where a function may write
        "env": [
            # Not optional: a runner without it would believe whoever comes first.
            {"name": TRUST_ENV, "valueFrom": {"configMapKeyRef": trust}},
            {"name": POD_UID_ENV, "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
            {"name": "HOME", "value": "/tmp"},  # noqa: S108 - the pod's own, see `volumes`
        ],
        "ports": [{"name": "runner", "containerPort": RUNNER_PORT}],
        "lifecycle": {"postStart": {"exec": {"command": ["sh", "-c", _UNTIL_IT_LISTENS]}}},
        "resources": resources,
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
            *({"name": _volume(claims.index(claim)), "mountPath": path}
              for path, claim in sorted(shape.volumes.items())),
        ],
    }  # fmt: skip


def _volume(index: int) -> str:
    return f"volume-{index}"


def _cores(cores: float) -> str:
    return f"{max(1, round(cores * 1000))}m"
