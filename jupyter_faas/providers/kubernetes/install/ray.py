"""Ray for maps: in each namespace of functions a head with the host of seats, and workers.

One Ray for each namespace, because functions that share one are not isolated from each other.
Without an operator the head is a Deployment and the workers are a StatefulSet: scaling it down
takes the highest numbers, so the host knows whom it sends away. Where KubeRay is, both are one
RayCluster. Tokens are made by the gateways, on the cluster.
"""

from __future__ import annotations

from jupyter_faas.providers.kubernetes.install.objects import Object, obj
from jupyter_faas.providers.kubernetes.install.options import InstallOptions
from jupyter_faas.providers.kubernetes.install.ray_pods import (
    SELECT_HEAD,
    SELECT_WORKER,
    head,
    worker,
)
from jupyter_faas.providers.kubernetes.names import (
    RAY_HEAD_NAME,
    RAY_HOST_PORT,
    RAY_NAME,
    RAY_PORT,
    RAY_WORKER_NAME,
)

_RBAC = "rbac.authorization.k8s.io/v1"
KUBERAY_API, RAY_CLUSTERS = "ray.io/v1", "rayclusters"


def ray(options: InstallOptions) -> list[Object]:
    """Return Ray for all namespaces of functions; nothing unless it is asked for."""
    if not options.ray:
        return []
    return [part for namespace in options.namespaces for part in _in_namespace(options, namespace)]


def ray_cluster(options: InstallOptions, namespace: str) -> Object:
    """Return the same pods for KubeRay, which runs the commands that are written in them."""
    spec = {
        "headGroupSpec": {"rayStartParams": {}, "template": head(options)},
        "workerGroupSpecs": [
            {
                "groupName": "workers",
                "minReplicas": options.ray_min_workers,
                "maxReplicas": options.ray_max_workers,
                "rayStartParams": {},
                "template": worker(options),
            }
        ],
    }
    made = obj(KUBERAY_API, "RayCluster", RAY_NAME, namespace, spec=spec)
    made["metadata"]["annotations"] = {"ray.io/overwrite-container-cmd": "true"}
    return made


def _in_namespace(options: InstallOptions, namespace: str) -> list[Object]:
    return [
        obj("v1", "ServiceAccount", RAY_HEAD_NAME, namespace, automountServiceAccountToken=False),
        *_rights(options, namespace),
        _service(namespace),
        *([ray_cluster(options, namespace)] if options.is_kuberay else _sets(options, namespace)),
    ]


def _rights(options: InstallOptions, namespace: str) -> list[Object]:
    """Return what the head may: say how many workers there are, and nothing else."""
    if options.is_kuberay:  # it has no scale subresource
        groups, resources, name = ["ray.io"], [RAY_CLUSTERS], RAY_NAME
    else:
        groups, resources, name = ["apps"], ["statefulsets/scale"], RAY_WORKER_NAME
    rule = {
        "apiGroups": groups,
        "resources": resources,
        "resourceNames": [name],
        "verbs": ["get", "patch"],
    }
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": RAY_HEAD_NAME}
    subject = {"kind": "ServiceAccount", "name": RAY_HEAD_NAME, "namespace": namespace}
    return [
        obj(_RBAC, "Role", RAY_HEAD_NAME, namespace, rules=[rule]),
        obj(_RBAC, "RoleBinding", RAY_HEAD_NAME, namespace, roleRef=reference, subjects=[subject]),
    ]


def _service(namespace: str) -> Object:
    """Return where workers and gateways find the head; workers also before it is ready."""
    spec = {
        "publishNotReadyAddresses": True,
        "selector": SELECT_HEAD,
        "ports": [
            {"name": "ray", "port": RAY_PORT, "targetPort": RAY_PORT},
            {"name": "host", "port": RAY_HOST_PORT, "targetPort": RAY_HOST_PORT},
        ],
    }
    return obj("v1", "Service", RAY_HEAD_NAME, namespace, labels=SELECT_HEAD, spec=spec)


def _sets(options: InstallOptions, namespace: str) -> list[Object]:
    heads = {
        "replicas": 1,
        "revisionHistoryLimit": 1,
        "selector": {"matchLabels": SELECT_HEAD},
        "strategy": {"type": "Recreate"},  # two heads would be two clusters
        "template": head(options),
    }
    workers = {  # how many is the host's to say: an upgrade must send none away
        "revisionHistoryLimit": 1,
        "podManagementPolicy": "Parallel",
        "serviceName": RAY_HEAD_NAME,
        "selector": {"matchLabels": SELECT_WORKER},
        "template": worker(options),
    }
    return [
        obj("apps/v1", "Deployment", RAY_HEAD_NAME, namespace, labels=SELECT_HEAD, spec=heads),
        obj(
            "apps/v1", "StatefulSet", RAY_WORKER_NAME, namespace, labels=SELECT_WORKER, spec=workers
        ),
    ]
