"""Where packages that are too large for a FunctionRevision are kept: one pod with a volume."""

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
BLOBS_ENV = ("FAAS_HOST", "FAAS_PORT", "FAAS_STATE_DIR", "FAAS_BLOBS_KEY_FILE")

_SELECTOR = {ROLE_LABEL: BLOBS}


def blob_store(options: InstallOptions) -> list[Object]:
    """Return the StatefulSet and its Service; nothing where `--blob-url` names a store."""
    if not options.has_blob_volume:
        return []
    system = options.system_namespace
    service = {
        "clusterIP": "None",
        "selector": _SELECTOR,
        "ports": [{"name": "http", "port": BLOBS_PORT, "targetPort": "http"}],
    }
    return [
        obj("v1", "Service", BLOBS_NAME, system, labels=_SELECTOR, spec=service),
        obj("apps/v1", "StatefulSet", BLOBS_NAME, system, labels=_SELECTOR, spec=_set(options)),
    ]


def _set(options: InstallOptions) -> Object:
    claim = {
        "metadata": {"name": "blobs", "labels": _SELECTOR},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": options.blob_size}},
        },
    }
    return {
        "replicas": 1,
        "serviceName": BLOBS_NAME,
        "selector": {"matchLabels": _SELECTOR},
        "template": {"metadata": {"labels": {**LABELS, **_SELECTOR}}, "spec": _pod(options)},
        "volumeClaimTemplates": [claim],
    }


def _pod(options: InstallOptions) -> Object:
    pull = {"imagePullSecrets": [{"name": options.pull_secret}]} if options.pull_secret else {}
    # Of the installation's keys this one only: with the others it could pose as a gateway.
    key = {"secretName": KEYS_SECRET, "items": [{"key": BLOBS_KEY, "path": BLOBS_KEY}]}
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": pod_security(),
        **pull,
        "containers": [_container(options)],
        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "key", "secret": key}],
    }


def _container(options: InstallOptions) -> Object:
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
        ],
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
