"""What things are called on a cluster: API group, kinds, labels, annotations, ports, defaults."""

from __future__ import annotations

GROUP = "jupyter-faas.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

FUNCTIONS = "functions"
REVISIONS = "functionrevisions"

SYSTEM_NAMESPACE = "jupyter-faas"
"""Where the gateways, their keys and the blobs are, unless `install --namespace` says otherwise."""

FUNCTION_LABEL = f"{GROUP}/function"
REVISION_LABEL = f"{GROUP}/revision"
"""Number of the revision a replica serves."""
ROLE_LABEL = f"{GROUP}/role"
"""`pool`, `spare`, `replica`, `gateway` or `blobs`."""
REPLICA_LABEL = f"{GROUP}/replica"
"""Id of the replica, as the gateway knows it."""
PYTHON_LABEL = f"{GROUP}/python"
RUNTIME_LABEL = f"{GROUP}/runtime-class"
"""`default` where no runtime class is asked for."""
ALLOW_LABEL = f"{GROUP}/allow"
"""On a Secret: `"true"` lets functions of its namespace use it."""
MANAGED_LABEL = "app.kubernetes.io/managed-by"
MANAGER = "jupyter-faas"
"""Value of `MANAGED_LABEL`, and the field manager of every write."""

REVISION_ID_ANNOTATION = f"{GROUP}/revision-id"

POOL, REPLICA, GATEWAY, BLOBS = "pool", "replica", "gateway", "blobs"
"""Roles."""
SPARE = "spare"
"""Role of a generic pod that a gateway has created because a pool was empty."""

RUNNER_PORT = 8600
GATEWAY_PORT = 8080
CALLS_PORT = 8081
"""Invocation paths only: what replicas may reach."""
BLOBS_PORT = 8082

GATEWAY_NAME = "jupyter-faas-gateway"
"""Of the gateway's Deployment, Service and ServiceAccount."""
BLOBS_NAME = "jupyter-faas-blobs"
KEYS_SECRET = "jupyter-faas-keys"  # noqa: S105 - a name
LEADER_LEASE = "jupyter-faas-leader"
TRUST_CONFIG = "jupyter-faas-trust"
"""ConfigMap in each namespace of functions; its key `TRUST_KEY` is what runners trust."""
TRUST_KEY = "gateway.pub"
USER_ACCOUNT = "jupyter-faas-user"
"""ServiceAccount whose tokens people get who have no bearer token of their own."""
VIEWER_ROLE = "jupyter-faas-view"
"""ClusterRole of who may look at functions, and no more."""

PEERS_NAME = "jupyter-faas-peers"
"""Headless Service of the gateways: in its EndpointSlices they find one another."""
RUNNERS_POLICY = "jupyter-faas-runners"
"""NetworkPolicy of runners, in each namespace of functions."""
BLOBS_KEY = "blobs.key"
"""In `KEYS_SECRET`: 32 random bytes that gateways and the blob store share."""

RAY_LABEL = f"{GROUP}/ray"
"""`head` or `worker`, on pods of Ray; they have no role: no gateway takes them for runners."""
RAY_HEAD, RAY_WORKER = "head", "worker"
RAY_NAME = "jupyter-faas-ray"
"""In each namespace of functions: of a RayCluster, and of the Secret with Ray's tokens."""
RAY_HEAD_NAME = f"{RAY_NAME}-head"
"""Of the head's Deployment, Service and ServiceAccount."""
RAY_WORKER_NAME = f"{RAY_NAME}-worker"
RAY_TOKEN, RAY_HOST_TOKEN = "ray.token", "host.token"
"""In the Secret: what Ray's processes show one another, and what gateways show the host."""
RAY_PORT = 6379
RAY_HOST_PORT = 8091
"""Where gateways find the host of seats, beside Ray's head."""
