"""Who may do what: the gateways, and the people who use functions. No wildcard anywhere.

A gateway's rights lie in the namespaces it serves; of the whole cluster it may know the nodes and
ask who a caller is and what they may do. Names are given wherever the API allows it (`create`
cannot be limited by name).

Source:
    Kubernetes documentation, "Using RBAC Authorization" and "RBAC Good Practices".
"""

from __future__ import annotations

from collections.abc import Sequence

from jupyter_faas.providers.kubernetes.install.objects import Object, obj
from jupyter_faas.providers.kubernetes.install.options import InstallOptions
from jupyter_faas.providers.kubernetes.names import (
    FUNCTIONS,
    GATEWAY_NAME,
    GROUP,
    KEYS_SECRET,
    LEADER_LEASE,
    RAY_NAME,
    REVISIONS,
    SYSTEM_NAMESPACE,
    TRUST_CONFIG,
    USER_ACCOUNT,
    VIEWER_ROLE,
)

_API = "rbac.authorization.k8s.io/v1"
_READ = ("get", "list", "watch")
_WRITE = ("create", "update", "patch", "delete")


def rbac(options: InstallOptions) -> list[Object]:
    """Return accounts, roles and bindings."""
    system = options.system_namespace
    return [
        obj("v1", "ServiceAccount", GATEWAY_NAME, system, automountServiceAccountToken=False),
        obj("v1", "ServiceAccount", USER_ACCOUNT, system, automountServiceAccountToken=False),
        obj(_API, "ClusterRole", _of_cluster(GATEWAY_NAME, system), rules=cluster_rules()),
        obj(
            _API,
            "ClusterRoleBinding",
            _of_cluster(GATEWAY_NAME, system),
            roleRef=_role_ref("ClusterRole", _of_cluster(GATEWAY_NAME, system)),
            subjects=_subjects(GATEWAY_NAME, system),
        ),
        obj(_API, "ClusterRole", USER_ACCOUNT, labels=_FOR_EDITORS, rules=user_rules()),
        obj(_API, "ClusterRole", VIEWER_ROLE, labels=_FOR_VIEWERS, rules=viewer_rules()),
        *_bound_role(system, system, system_rules()),
        *(part for namespace in options.namespaces for part in _in_namespace(namespace, options)),
    ]


def cluster_rules() -> list[Object]:
    """Return what a gateway may of the whole cluster."""
    return [
        _rule("authentication.k8s.io", ["tokenreviews"], ["create"]),
        _rule("authorization.k8s.io", ["subjectaccessreviews"], ["create"]),
        _rule("", ["nodes"], _READ),
    ]


def system_rules() -> list[Object]:
    """Return what a gateway may in its own namespace."""
    return [
        _rule("coordination.k8s.io", ["leases"], ["create"]),
        _rule("coordination.k8s.io", ["leases"], [*_READ, "update", "patch"], names=[LEADER_LEASE]),
        _rule("", ["secrets"], ["create"]),
        _rule("", ["secrets"], ["get", "patch"], names=[KEYS_SECRET]),
        _rule("discovery.k8s.io", ["endpointslices"], _READ),
        *_events(),
    ]


def namespace_rules() -> list[Object]:
    """Return what a gateway may in a namespace of functions."""
    return [
        _rule(GROUP, [FUNCTIONS, REVISIONS], [*_READ, *_WRITE]),
        _rule(GROUP, [f"{FUNCTIONS}/status", f"{REVISIONS}/status"], ["get", "update", "patch"]),
        # Owner references that block deletion are allowed only to who may do this.
        _rule(GROUP, [f"{FUNCTIONS}/finalizers", f"{REVISIONS}/finalizers"], ["update"]),
        _rule("", ["pods"], [*_READ, "create", "patch", "delete"]),
        _rule("", ["pods/resize"], ["patch"]),
        _rule("", ["pods/log"], ["get"]),
        _rule("", ["configmaps"], ["create"]),
        _rule("", ["configmaps"], ["get", "patch", "update"], names=[TRUST_CONFIG]),
        # Any name: people choose them. The gateway uses those that are labelled for it.
        _rule("", ["secrets"], ["get"]),
        _rule("", ["persistentvolumeclaims"], ["get"]),
        _rule("", ["resourcequotas"], ["get", "list"]),
        _rule("", ["services"], [*_READ, *_WRITE]),
        _rule("apps", ["deployments"], _READ),
        # Why a volume cannot be mounted is told by a pod's events only.
        _rule("", ["events"], ["list"]),
        *_events(),
    ]


def user_rules() -> list[Object]:
    """Return what people who use functions may; the gateway asks for the same verbs."""
    return [
        _rule(GROUP, [FUNCTIONS], [*_READ, "create", "update", "patch", "delete"]),
        _rule(GROUP, [f"{FUNCTIONS}/scale"], ["get", "update", "patch"]),
        _rule(GROUP, [REVISIONS], _READ),
        _rule(GROUP, [f"{FUNCTIONS}/invoke"], ["create"]),
    ]


def viewer_rules() -> list[Object]:
    """Return what people who look at functions may: no call, no change."""
    return [
        _rule(GROUP, [FUNCTIONS, REVISIONS], _READ),
        _rule(GROUP, [f"{FUNCTIONS}/scale", f"{FUNCTIONS}/status"], ["get"]),
    ]


_TO = "rbac.authorization.k8s.io/aggregate-to"
_FOR_EDITORS = {f"{_TO}-edit": "true", f"{_TO}-admin": "true"}
"""Who may edit a namespace may use its functions."""
_FOR_VIEWERS = {f"{_TO}-view": "true"}
"""Who may view a namespace may look at them; the cluster gives `edit` and `admin` that, too."""


def ray_rules() -> list[Object]:
    """Return what a gateway may in a namespace with a Ray: give it its tokens."""
    return [
        _rule("", ["secrets"], ["create"]),
        _rule("", ["secrets"], ["patch"], names=[RAY_NAME]),
    ]


def _in_namespace(namespace: str, options: InstallOptions) -> list[Object]:
    system = options.system_namespace
    rules = [*namespace_rules(), *(ray_rules() if options.ray else [])]
    binding = obj(
        _API,
        "RoleBinding",
        USER_ACCOUNT,
        namespace,
        roleRef=_role_ref("ClusterRole", USER_ACCOUNT),
        subjects=_subjects(USER_ACCOUNT, system),
    )
    return [*_bound_role(namespace, system, rules), binding]


def _bound_role(namespace: str, system: str, rules: list[Object]) -> list[Object]:
    return [
        obj(_API, "Role", GATEWAY_NAME, namespace, rules=rules),
        obj(
            _API,
            "RoleBinding",
            GATEWAY_NAME,
            namespace,
            roleRef=_role_ref("Role", GATEWAY_NAME),
            subjects=_subjects(GATEWAY_NAME, system),
        ),
    ]


def _of_cluster(name: str, system: str) -> str:
    """Return a name that two installations on one cluster do not share."""
    return name if system == SYSTEM_NAMESPACE else f"{name}-{system}"


def _events() -> list[Object]:
    return [
        _rule("", ["events"], ["create", "patch"]),
        _rule("events.k8s.io", ["events"], ["create", "patch"]),
    ]


def _rule(
    group: str, resources: Sequence[str], verbs: Sequence[str], names: Sequence[str] = ()
) -> Object:
    limited = {"resourceNames": list(names)} if names else {}
    return {"apiGroups": [group], "resources": list(resources), **limited, "verbs": list(verbs)}


def _role_ref(kind: str, name: str) -> Object:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}


def _subjects(account: str, namespace: str) -> list[Object]:
    return [{"kind": "ServiceAccount", "name": account, "namespace": namespace}]
