"""The gateways: Deployment, Services, disruption budget, and an Ingress if there is a domain."""

from __future__ import annotations

from jupyter_faas.providers.kubernetes.install.blobs import credentials
from jupyter_faas.providers.kubernetes.install.objects import LABELS, Object, obj
from jupyter_faas.providers.kubernetes.install.options import InstallOptions
from jupyter_faas.providers.kubernetes.names import (
    CALLS_PORT,
    GATEWAY,
    GATEWAY_NAME,
    GATEWAY_PORT,
    PEERS_NAME,
    RAY_HEAD_NAME,
    RAY_HOST_PORT,
    ROLE_LABEL,
)
from jupyter_faas.providers.kubernetes.pods import container_security, pod_security

GATEWAY_ENV = (
    "FAAS_BLOB_URL",
    "FAAS_CALLS_PORT",
    "FAAS_DOMAIN",
    "FAAS_HOST",
    "FAAS_NAMESPACE",
    "FAAS_NAMESPACES",
    "FAAS_PORT",
    "FAAS_RAY_HOST",
    "FAAS_STATE_DIR",
    "FAAS_SYSTEM_NAMESPACE",
    "FAAS_URL",
    "POD_IP",
    "POD_NAME",
)

GRACE_S = 330
"""Between SIGTERM and SIGKILL: calls may run for 300 s. A gateway without calls ends at once."""
LEAVE_S = 3
"""Between leaving the Service and SIGTERM: so long nodes may take to hear that it has left."""
STATE_DIR = "/var/lib/jupyter-faas"
RAY_HOST = f"{RAY_HEAD_NAME}.{{namespace}}.svc:{RAY_HOST_PORT}"
"""Where the host of seats of a namespace is."""

_SELECTOR = {ROLE_LABEL: GATEWAY}
_FIELDS = {
    "POD_NAME": "metadata.name",
    "POD_IP": "status.podIP",
}


def gateway(options: InstallOptions) -> list[Object]:
    """Return everything that runs and reaches the gateways."""
    system = options.system_namespace
    budget = {"maxUnavailable": 1, "selector": {"matchLabels": _SELECTOR}}
    return [
        _service(system),
        _peers(system),
        obj("policy/v1", "PodDisruptionBudget", GATEWAY_NAME, system, spec=budget),
        _deployment(options),
        *([_ingress(options)] if options.domain else []),
    ]


def gateway_env(options: InstallOptions) -> list[Object]:
    """Return the environment of a gateway, one entry for each of `GATEWAY_ENV` that is set.

    Which images and policies runners have, a gateway reads from the pools' Deployments.
    """
    values = {
        "FAAS_BLOB_URL": options.blob_url,
        "FAAS_CALLS_PORT": str(CALLS_PORT),
        "FAAS_DOMAIN": options.domain,
        "FAAS_HOST": "0.0.0.0",  # noqa: S104 - a pod has no other way to be reached
        "FAAS_NAMESPACE": options.namespaces[0],  # that of `NAME.DOMAIN`, and of who names none
        "FAAS_NAMESPACES": ",".join(options.namespaces),
        "FAAS_PORT": str(GATEWAY_PORT),
        "FAAS_RAY_HOST": RAY_HOST if options.ray else "",
        "FAAS_STATE_DIR": STATE_DIR,
        "FAAS_SYSTEM_NAMESPACE": options.system_namespace,
        "FAAS_URL": options.public_url,
    }
    plain = [{"name": name, "value": value} for name, value in values.items() if value]
    from_pod = [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
        for name, path in _FIELDS.items()
    ]
    return [*plain, *from_pod]


def _deployment(options: InstallOptions) -> Object:
    spec = {
        "replicas": options.replicas,
        "revisionHistoryLimit": 3,
        "selector": {"matchLabels": _SELECTOR},
        "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {
            "metadata": {"labels": {**LABELS, **_SELECTOR}},
            "spec": _pod(options),
        },
    }
    system = options.system_namespace
    return obj("apps/v1", "Deployment", GATEWAY_NAME, system, labels=_SELECTOR, spec=spec)


def _pod(options: InstallOptions) -> Object:
    pull = {"imagePullSecrets": [{"name": options.pull_secret}]} if options.pull_secret else {}
    return {
        "serviceAccountName": GATEWAY_NAME,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_S,
        "securityContext": pod_security(),
        **pull,
        "topologySpreadConstraints": [
            _spread("kubernetes.io/hostname"),
            _spread("topology.kubernetes.io/zone"),
        ],
        "containers": [_container(options)],
        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "state", "emptyDir": {}}],
    }


def _container(options: InstallOptions) -> Object:
    return {
        "name": "gateway",
        "image": options.image(options.gateway_image),
        "imagePullPolicy": options.pull_policy,
        "command": ["jupyter-faas", "gateway", "--kubernetes"],
        "env": gateway_env(options),
        **credentials(options),
        "ports": [
            {"name": "http", "containerPort": GATEWAY_PORT},
            {"name": "calls", "containerPort": CALLS_PORT},
        ],
        "startupProbe": _probe("/healthz", every_s=1, failures=60),
        "readinessProbe": _probe("/readyz", every_s=1, failures=2),
        "livenessProbe": _probe("/healthz", every_s=10, failures=6),
        "lifecycle": {"preStop": {"sleep": {"seconds": LEAVE_S}}},
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"memory": "2Gi"},
        },
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
            {"name": "state", "mountPath": STATE_DIR},
        ],
    }


def _probe(path: str, *, every_s: int, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": every_s,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    }


def _spread(key: str) -> Object:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": _SELECTOR},
    }


def _service(system: str) -> Object:
    ports = [
        {"name": "http", "port": 80, "targetPort": "http", "appProtocol": "http"},
        {"name": "calls", "port": CALLS_PORT, "targetPort": "calls", "appProtocol": "http"},
    ]
    spec = {"selector": _SELECTOR, "ports": ports}
    return obj("v1", "Service", GATEWAY_NAME, system, labels=_SELECTOR, spec=spec)


def _peers(system: str) -> Object:
    """Return the headless Service in whose EndpointSlices gateways find one another.

    Also those that are not ready (`serving` tells them apart): they get ready by meeting.
    """
    spec = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": _SELECTOR,
        "ports": [{"name": "http", "port": GATEWAY_PORT, "targetPort": "http"}],
    }
    return obj("v1", "Service", PEERS_NAME, system, labels=_SELECTOR, spec=spec)


def _ingress(options: InstallOptions) -> Object:
    """Return an Ingress for the domain and everything below it: `{function}.{domain}`."""
    backend = {"service": {"name": GATEWAY_NAME, "port": {"name": "http"}}}
    http = {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}
    of_class = {"ingressClassName": options.ingress_class} if options.ingress_class else {}
    hosts = [options.domain, f"*.{options.domain}"]
    return obj(
        "networking.k8s.io/v1",
        "Ingress",
        GATEWAY_NAME,
        options.system_namespace,
        spec={**of_class, "rules": [{"host": host, "http": http} for host in hosts]},
    )
