"""Where packages that are too large for a FunctionRevision are kept, and calls and maps: one pod.

It has a volume. Where an object store has the packages it keeps calls and maps there too, and
needs none: a Deployment then, whose pod comes elsewhere soon when its node is gone. That there
may be two of them for a moment is no harm: the store lets one of them write.
"""

from __future__ import annotations

from jupyter_faas.providers.kubernetes.install.objects import LABELS, Object, obj
from jupyter_faas.providers.kubernetes.install.options import InstallOptions
from jupyter_faas.providers.kubernetes.names import (
    BLOBS,
    BLOBS_KEY,
    BLOBS_NAME,
    BLOBS_PORT,
    KEYS_SECRET,
    ROLE_LABEL,
)
from jupyter_faas.providers.kubernetes.pods import container_security, pod_security

BLOBS_DIR = "/blobs"
KEY_DIR = "/keys"
BLOBS_ENV = ("FAAS_HOST", "FAAS_PORT", "FAAS_STATE_DIR", "FAAS_BLOBS_KEY_FILE", "FAAS_BLOB_URL")

_SELECTOR = {ROLE_LABEL: BLOBS}


GONE_S = 10
"""A pod without a volume is replaced when its node has been away for so long."""


def blob_store(options: InstallOptions) -> list[Object]:
    """Return the pod's controller and its Service; nothing where `--blob-url` names such a one."""
    if not options.has_blob_service:
        return []
    system = options.system_namespace
    service = {
        "clusterIP": "None",
        "selector": _SELECTOR,
        "ports": [{"name": "http", "port": BLOBS_PORT, "targetPort": "http"}],
    }
    return [
        obj("v1", "Service", BLOBS_NAME, system, labels=_SELECTOR, spec=service),
        _deployment(options) if options.is_in_object_store else _set(options),
    ]


def _deployment(options: InstallOptions) -> Object:
    gone = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    tolerations = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": GONE_S}
        for key in gone
    ]
    volumes = [{"name": "blobs", "emptyDir": {}}]
    spec = {
        "replicas": 1,
        "revisionHistoryLimit": 3,
        "selector": {"matchLabels": _SELECTOR},
        "strategy": {"type": "Recreate"},
        "template": _template(options, volumes, tolerations=tolerations),
    }
    system = options.system_namespace
    return obj("apps/v1", "Deployment", BLOBS_NAME, system, labels=_SELECTOR, spec=spec)


def _set(options: InstallOptions) -> Object:
    claim = {
        "metadata": {"name": "blobs", "labels": _SELECTOR},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": options.blob_size}},
        },
    }
    spec = {
        "replicas": 1,
        "serviceName": BLOBS_NAME,
        "selector": {"matchLabels": _SELECTOR},
        "template": _template(options, []),
        "volumeClaimTemplates": [claim],
    }
    system = options.system_namespace
    return obj("apps/v1", "StatefulSet", BLOBS_NAME, system, labels=_SELECTOR, spec=spec)


def _template(options: InstallOptions, volumes: list[Object], **more: object) -> Object:
    pull = {"imagePullSecrets": [{"name": options.pull_secret}]} if options.pull_secret else {}
    # Of the installation's keys this one only: with the others it could pose as a gateway.
    key = {"secretName": KEYS_SECRET, "items": [{"key": BLOBS_KEY, "path": BLOBS_KEY}]}
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": pod_security(),
        **pull,
        "containers": [_container(options)],
        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "key", "secret": key}, *volumes],
        **more,
    }
    return {"metadata": {"labels": {**LABELS, **_SELECTOR}}, "spec": pod}


def _container(options: InstallOptions) -> Object:
    url = [{"name": "FAAS_BLOB_URL", "value": options.blob_url}] if options.blob_url else []
    return {
        "name": "blobs",
        "image": options.image(options.gateway_image),
        "imagePullPolicy": options.pull_policy,
        "command": ["jupyter-faas", "blobs"],
        "env": [
            {"name": "FAAS_HOST", "value": "0.0.0.0"},  # noqa: S104 - a pod is reached this way
            {"name": "FAAS_PORT", "value": str(BLOBS_PORT)},
            {"name": "FAAS_STATE_DIR", "value": BLOBS_DIR},
            {"name": "FAAS_BLOBS_KEY_FILE", "value": f"{KEY_DIR}/{BLOBS_KEY}"},
            *url,
        ],
        **credentials(options),
        "ports": [{"name": "http", "containerPort": BLOBS_PORT}],
        "readinessProbe": {
            "httpGet": {"path": "/healthz", "port": "http"},
            "periodSeconds": 2,
            "timeoutSeconds": 2,
        },
        "resources": {
            "requests": {"cpu": "10m", "memory": "64Mi"},
            "limits": {"memory": "512Mi"},
        },
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
            {"name": "blobs", "mountPath": BLOBS_DIR},
            {"name": "key", "mountPath": KEY_DIR, "readOnly": True},
        ],
    }


def credentials(options: InstallOptions) -> Object:
    """Return what a container needs of the object store: the variables of a Secret, if any."""
    if not options.blob_secret:
        return {}
    return {"envFrom": [{"secretRef": {"name": options.blob_secret}}]}
