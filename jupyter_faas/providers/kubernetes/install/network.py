"""Who may connect to whom. The second line: what must hold is held by the protocol.

Many clusters do not enforce a NetworkPolicy; on those that do, a function reaches no other
function, no cluster-internal and no metadata address unless `--egress all` says so.
"""

from __future__ import annotations

from jupyter_faas.providers.kubernetes.install.objects import Object, obj
from jupyter_faas.providers.kubernetes.install.options import Egress, InstallOptions
from jupyter_faas.providers.kubernetes.install.ray_pods import OWN_PORTS, REPLICA_PORTS
from jupyter_faas.providers.kubernetes.names import (
    BLOBS,
    BLOBS_NAME,
    BLOBS_PORT,
    CALLS_PORT,
    GATEWAY,
    GATEWAY_NAME,
    GATEWAY_PORT,
    POOL,
    RAY_HEAD,
    RAY_HEAD_NAME,
    RAY_HOST_PORT,
    RAY_LABEL,
    RAY_PORT,
    RAY_WORKER,
    RAY_WORKER_NAME,
    REPLICA,
    ROLE_LABEL,
    RUNNER_PORT,
    RUNNERS_POLICY,
    SPARE,
)

PRIVATE_V4 = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
"""RFC 6890: private, shared, loopback, link-local (metadata services), multicast, reserved."""
PUBLIC_V6 = "2000::/3"
"""All that is routed globally (RFC 4291); the private ranges lie outside."""
NODE_LOCAL_DNS = "169.254.20.10/32"


def network_policies(options: InstallOptions) -> list[Object]:
    """Return the policies of runners, gateways, the blob store and Ray."""
    blobs = [_blobs(options)] if options.has_blob_service else []
    with_ray = options.namespaces if options.ray else ()
    return [
        *(_runners(namespace, options) for namespace in options.namespaces),
        _gateways(options),
        *blobs,
        *(_ray_head(namespace, options) for namespace in with_ray),
        *(_ray_workers(namespace, options) for namespace in with_ray),
    ]


def _runners(namespace: str, options: InstallOptions) -> Object:
    gateways = _pods(options.system_namespace, GATEWAY)
    egress = _of_functions(options)
    roles = {"key": ROLE_LABEL, "operator": "In", "values": [POOL, SPARE, REPLICA]}
    spec = {
        "podSelector": {"matchExpressions": [roles]},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [gateways], "ports": [_port(RUNNER_PORT)]}],
        "egress": egress,
    }
    return obj("networking.k8s.io/v1", "NetworkPolicy", RUNNERS_POLICY, namespace, spec=spec)


def _of_functions(options: InstallOptions) -> list[Object]:
    """Return where the code of functions may connect to."""
    gateways = _pods(options.system_namespace, GATEWAY)
    return [{"to": [gateways], "ports": [_port(CALLS_PORT)]}, _dns(), *_beyond(options.egress)]


def _dns() -> Object:
    return {
        "to": [_namespace("kube-system"), {"ipBlock": {"cidr": NODE_LOCAL_DNS}}],
        "ports": [_port(53), _port(53, "UDP")],
    }


def _beyond(egress: Egress) -> list[Object]:
    if egress == Egress.ALL:
        return [{}]
    if egress == Egress.NONE:
        return []
    public = [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(PRIVATE_V4)}},
        {"ipBlock": {"cidr": PUBLIC_V6}},
    ]
    return [{"to": public}]


def _gateways(options: InstallOptions) -> Object:
    functions = [_pods(namespace, REPLICA) for namespace in options.namespaces]
    if options.ray:
        labels = {RAY_LABEL: RAY_WORKER}
        functions += [_labelled(namespace, labels) for namespace in options.namespaces]
    spec = {
        "podSelector": {"matchLabels": {ROLE_LABEL: GATEWAY}},
        "policyTypes": ["Ingress"],
        "ingress": [
            {"ports": [_port(GATEWAY_PORT)]},
            {"from": functions, "ports": [_port(CALLS_PORT)]},
        ],
    }
    system = options.system_namespace
    return obj("networking.k8s.io/v1", "NetworkPolicy", GATEWAY_NAME, system, spec=spec)


def _blobs(options: InstallOptions) -> Object:
    system = options.system_namespace
    # A volume needs no way out; where an object store is, a policy cannot know.
    out: Object = {"egress": [{}]} if options.is_in_object_store else {}
    spec = {
        "podSelector": {"matchLabels": {ROLE_LABEL: BLOBS}},
        "policyTypes": ["Ingress", "Egress"],
        **out,
        "ingress": [{"from": [_pods(system, GATEWAY)], "ports": [_port(BLOBS_PORT)]}],
    }
    return obj("networking.k8s.io/v1", "NetworkPolicy", BLOBS_NAME, system, spec=spec)


def _namespace(name: str) -> Object:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _ray_head(namespace: str, options: InstallOptions) -> Object:
    """Return that only gateways reach the host, and only Ray's own pods reach Ray."""
    gateways = _pods(options.system_namespace, GATEWAY)
    spec = {
        "podSelector": {"matchLabels": {RAY_LABEL: RAY_HEAD}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"from": [gateways], "ports": [_port(RAY_HOST_PORT)]},
            {"from": [_RAY_PODS], "ports": _RAY_PORTS},
        ],
        "egress": [
            {"to": [_RAY_PODS], "ports": _RAY_PORTS},
            _dns(),
            # The API server, which scales workers: a policy has no name for it.
            {"ports": [_port(443), _port(6443)]},
        ],
    }
    return obj("networking.k8s.io/v1", "NetworkPolicy", RAY_HEAD_NAME, namespace, spec=spec)


def _ray_workers(namespace: str, options: InstallOptions) -> Object:
    """Return the same for workers: gateways reach the replicas on them."""
    gateways = _pods(options.system_namespace, GATEWAY)
    spec = {
        "podSelector": {"matchLabels": {RAY_LABEL: RAY_WORKER}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"from": [gateways], "ports": [_ports(*REPLICA_PORTS)]},
            {"from": [_RAY_PODS], "ports": _RAY_PORTS},
        ],
        "egress": [{"to": [_RAY_PODS], "ports": _RAY_PORTS}, *_of_functions(options)],
    }
    return obj("networking.k8s.io/v1", "NetworkPolicy", RAY_WORKER_NAME, namespace, spec=spec)


def _pods(namespace: str, role: str) -> Object:
    return _labelled(namespace, {ROLE_LABEL: role})


def _labelled(namespace: str, labels: dict[str, str]) -> Object:
    return {**_namespace(namespace), "podSelector": {"matchLabels": labels}}


def _port(port: int, protocol: str = "TCP") -> Object:
    return {"port": port, "protocol": protocol}


def _ports(first: int, last: int) -> Object:
    return {"port": first, "endPort": last, "protocol": "TCP"}


_RAY_PODS: Object = {
    "podSelector": {"matchExpressions": [{"key": RAY_LABEL, "operator": "Exists"}]}
}
_RAY_PORTS = [_port(RAY_PORT), _ports(*OWN_PORTS)]
