"""The pods of Ray: a head that runs no function, and workers. Restricted, like all of ours.

Every port of Ray is pinned, so that a NetworkPolicy can name it; replicas on workers listen on
ports of the kernel's range, which is pinned too. Ray writes below /tmp, and has its object store
in /dev/shm: the container's own would be 64 MiB. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from jupyter_faas.providers.kubernetes.install.objects import LABELS, Object
from jupyter_faas.providers.kubernetes.install.options import InstallOptions
from jupyter_faas.providers.kubernetes.names import (
    RAY_HEAD,
    RAY_HEAD_NAME,
    RAY_HOST_PORT,
    RAY_HOST_TOKEN,
    RAY_LABEL,
    RAY_NAME,
    RAY_PORT,
    RAY_TOKEN,
    RAY_WORKER,
    RAY_WORKER_NAME,
)
from jupyter_faas.providers.kubernetes.pods import container_security, pod_security

SELECT_HEAD = {RAY_LABEL: RAY_HEAD}
SELECT_WORKER = {RAY_LABEL: RAY_WORKER}
OWN_PORTS = (10000, 10199)
"""Of Ray's processes, beside `RAY_PORT`."""
REPLICA_PORTS = (32768, 60999)
"""Of the replicas on a worker: Linux's own range, also on nodes that have changed theirs."""
STORE_BYTES = 80 << 20
"""Of Ray's object store: it refuses less than 75 MiB, and no map lies in it."""
GRACE_S = 10
HEAD_RESOURCES: Object = {
    "requests": {"cpu": "100m", "memory": "512Mi"},
    "limits": {"memory": "2Gi"},
}

_NODE_PORT = OWN_PORTS[0]
_PINNED = (
    "node-manager-port",
    "object-manager-port",
    "runtime-env-agent-port",
    "dashboard-agent-grpc-port",
    "dashboard-agent-listen-port",
    "metrics-export-port",
)
_HOST = f"python -P -m jupyter_faas.fanout.ray.host --listen 0.0.0.0:{RAY_HOST_PORT}"
_ENV = {
    "RAY_AUTH_MODE": "token",
    # A node that has died is noticed within seconds instead of a minute.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
    # A raylet that asks before its head listens sleeps a whole second by default.
    "RAY_raylet_client_connect_timeout_milliseconds": "50",
    "RAY_raylet_client_num_connect_attempts": "400",
    # A worker whose head is gone ends after so long; the kubelet starts it again.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "10",
}


def head(options: InstallOptions) -> Object:
    """Return the template of the head's pod: Ray's head, and the host of seats.

    One container, since a driver of Ray finds its node among the processes that it sees. The host
    ends when Ray does, and both are started again.
    """
    start = ["ray", "start", "--head", f"--port={RAY_PORT}", "--include-dashboard=false"]
    command = " ".join([*start, *_node(0)])
    env = {
        "FAAS_RAY_ADDRESS": f"127.0.0.1:{RAY_PORT}",
        "FAAS_RAY_WORKERS": _workers(options),
        "FAAS_RAY_WORKER_SEATS": str(options.ray_seats),
        "FAAS_RAY_SEAT_MIB": str(options.ray_seat_mib),
        "FAAS_RAY_MIN_WORKERS": str(options.ray_min_workers),
        "FAAS_RAY_MAX_WORKERS": str(options.ray_max_workers),
        "FAAS_RAY_IDLE_S": f"{options.ray_idle_s:g}",
    }
    container = _container(options, f"{command} && exec {_HOST}", env, HEAD_RESOURCES)
    container["env"] += [_secret("FAAS_RAY_HOST_TOKEN", RAY_HOST_TOKEN)]
    container["ports"] = [
        {"name": "ray", "containerPort": RAY_PORT},
        {"name": "host", "containerPort": RAY_HOST_PORT},
    ]
    container["startupProbe"] = _probe(RAY_HOST_PORT, every_s=1, failures=120)
    container["readinessProbe"] = _probe(RAY_HOST_PORT, every_s=2, failures=2)
    container["livenessProbe"] = _probe(RAY_PORT, every_s=5, failures=3)
    account = {"serviceAccountName": RAY_HEAD_NAME, "automountServiceAccountToken": True}
    return _template(options, SELECT_HEAD, container, account)


def worker(options: InstallOptions) -> Object:
    """Return the template of a worker's pod: a node of Ray, on whose seats replicas are forked."""
    # Ray itself, when it finds no head, looks again only ten seconds later.
    wait = f"until (: </dev/tcp/{RAY_HEAD_NAME}/{RAY_PORT}) 2>/dev/null; do sleep 0.2; done"
    start = ["exec", "ray", "start", f"--address={RAY_HEAD_NAME}:{RAY_PORT}", "--block"]
    command = " ".join([*start, *_node(options.ray_seats)])
    resources = {
        "requests": {
            "cpu": f"{max(1, round(options.ray_worker_cpu * 1000))}m",
            "memory": f"{options.ray_worker_mib // 4}Mi",
        },
        "limits": {"memory": f"{options.ray_worker_mib}Mi"},
    }
    container = _container(options, f"{wait}; {command}", {}, resources)
    container["readinessProbe"] = _probe(_NODE_PORT, every_s=1, failures=3)
    container["livenessProbe"] = _probe(_NODE_PORT, every_s=10, failures=12)
    return _template(options, SELECT_WORKER, container, {"automountServiceAccountToken": False})


def _node(seats: int) -> list[str]:
    """Return what every `ray start` is told."""
    pinned = [f"--{name}={_NODE_PORT + number}" for number, name in enumerate(_PINNED)]
    return [
        f"--num-cpus={seats}",
        "--node-ip-address=$(POD_IP)",
        *pinned,
        f"--min-worker-port={_NODE_PORT + len(pinned)}",
        f"--max-worker-port={OWN_PORTS[1]}",
        f"--object-store-memory={STORE_BYTES}",
        "--disable-usage-stats",
    ]


def _workers(options: InstallOptions) -> str:
    """Return what the host scales."""
    if options.is_kuberay:
        return f"raycluster/{RAY_NAME}"
    return f"statefulset/{RAY_WORKER_NAME}"


def _container(
    options: InstallOptions, script: str, env: Mapping[str, str], resources: Object
) -> Object:
    python = next(iter(options.pool))
    plain = [{"name": name, "value": value} for name, value in {**_ENV, **env}.items()]
    return {
        "name": "ray",  # KubeRay takes the first container for Ray's
        "image": options.image(options.ray_image, python),
        "imagePullPolicy": options.pull_policy,
        "command": ["bash", "-c", script],
        "workingDir": "/tmp",  # noqa: S108 - the one place where it may write
        "env": [
            *plain,
            _secret("RAY_AUTH_TOKEN", RAY_TOKEN),
            _field("POD_IP", "status.podIP"),
            _field("POD_NAMESPACE", "metadata.namespace"),
            {"name": "HOME", "value": "/tmp"},  # noqa: S108 - as above
        ],
        "resources": resources,
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - as above
        ],
    }


def _template(
    options: InstallOptions, labels: dict[str, str], container: Object, more: Object
) -> Object:
    pull = {"imagePullSecrets": [{"name": options.pull_secret}]} if options.pull_secret else {}
    ports = f"{REPLICA_PORTS[0]} {REPLICA_PORTS[1]}"
    sysctls = [{"name": "net.ipv4.ip_local_port_range", "value": ports}]
    return {
        "metadata": {"labels": {**LABELS, **labels}},
        "spec": {
            **more,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": GRACE_S,
            "securityContext": {**pod_security(), "sysctls": sysctls},
            **pull,
            "containers": [container],
            "volumes": [
                {"name": "tmp", "emptyDir": {}},
                {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "256Mi"}},
            ],
        },
    }


def _secret(variable: str, key: str) -> Object:
    return {
        "name": variable,
        "valueFrom": {"secretKeyRef": {"name": RAY_NAME, "key": key}},
    }


def _field(variable: str, path: str) -> Object:
    return {"name": variable, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _probe(port: int, *, every_s: int, failures: int) -> Object:
    return {
        "tcpSocket": {"port": port},
        "periodSeconds": every_s,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    }
