"""Warm pools, read from their Deployments, and the pods that are made after them. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from jupyter_faas.core.model import Revision, Value
from jupyter_faas.providers.kubernetes.names import (
    FUNCTION_LABEL,
    PYTHON_LABEL,
    REPLICA,
    REPLICA_LABEL,
    REVISION_ID_ANNOTATION,
    REVISION_LABEL,
    ROLE_LABEL,
    RUNTIME_LABEL,
    SPARE,
)
from jupyter_faas.providers.kubernetes.pods import RunnerShape, pod_resources, runner_pod
from jupyter_faas.providers.kubernetes.pool import DEFAULT_RUNTIME, PoolKey

Object = dict[str, Any]


class Pool(Value, kw_only=True):
    """One warm pool."""

    namespace: str
    name: str
    version: str
    python: str
    runtime_class: str = DEFAULT_RUNTIME
    image: str
    pull_policy: str = "IfNotPresent"
    pull_secret: str | None = None
    template: dict[str, Any]
    """`{metadata, spec}` of its pods."""

    @property
    def key(self) -> PoolKey:
        """What its pods are interchangeable by."""
        return PoolKey(self.namespace, self.python, self.runtime_class)


def read_pool(deployment: Object) -> Pool:
    """Return what a pool's Deployment says."""
    meta = deployment["metadata"]
    template = deployment["spec"]["template"]
    labels = template["metadata"].get("labels") or {}
    container = template["spec"]["containers"][0]
    secrets = template["spec"].get("imagePullSecrets") or ()
    return Pool(
        namespace=meta["namespace"],
        name=meta["name"],
        version=meta["resourceVersion"],
        python=labels.get(PYTHON_LABEL, ""),
        runtime_class=labels.get(RUNTIME_LABEL, DEFAULT_RUNTIME),
        image=container["image"],
        pull_policy=container.get("imagePullPolicy") or "IfNotPresent",
        pull_secret=secrets[0]["name"] if secrets else None,
        template={"metadata": template["metadata"], "spec": template["spec"]},
    )


def pool_for(pools: Iterable[Pool], revision: Revision) -> Pool | None:
    """Return the pool whose image and settings a created pod of a revision takes.

    One of the revision's namespace and Python, of its runtime class if there is one.
    """
    spec = revision.spec
    fitting = [
        one
        for one in pools
        if one.namespace == revision.namespace and one.python == spec.code.python
    ]
    wanted = spec.runtime_class or DEFAULT_RUNTIME
    fitting.sort(key=lambda one: (one.runtime_class != wanted, one.runtime_class, one.name))
    return fitting[0] if fitting else None


def spare_pod(pool: Pool, name: str, owner: Object) -> Object:
    """Return a generic pod like those of a pool, that no Deployment looks after.

    Args:
        pool: Whose template it has.
        name: Of the pod.
        owner: With what it goes unless it is claimed.
    """
    template = copy.deepcopy(pool.template)
    labels = template["metadata"].setdefault("labels", {})
    labels[ROLE_LABEL] = SPARE
    labels.pop("pod-template-hash", None)
    meta = {
        "name": name,
        "labels": labels,
        "annotations": template["metadata"].get("annotations") or {},
        "ownerReferences": [owner],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}


def own_pod(revision: Revision, replica: str, pool: Pool | None, owner: Object) -> Object:
    """Return the pod that is made for one replica.

    Args:
        revision: That it serves; has an image, or `pool` does.
        replica: Its id; the pod's name.
        pool: See `pool_for`.
        owner: With what it goes.
    """
    spec = revision.spec
    image = spec.image or (pool.image if pool else "")
    shape = RunnerShape(
        image=image,
        python=spec.code.python,
        runtime_class=spec.runtime_class,
        resources=pod_resources(spec.resources),
        gpu=spec.resources.gpu,
        volumes=spec.volumes,
        node_selector=spec.node_selector,
        labels=replica_labels(revision, replica),
        pull_policy=pool.pull_policy if pool else "IfNotPresent",
        pull_secret=pool.pull_secret if pool else None,
    )
    pod = runner_pod(shape)
    meta = {
        **pod["metadata"],
        "name": replica,
        "annotations": {REVISION_ID_ANNOTATION: revision.id},
        "ownerReferences": [owner],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod["spec"]}


def replica_labels(revision: Revision, replica: str) -> dict[str, str]:
    """Return what a pod says that serves a revision."""
    return {
        ROLE_LABEL: REPLICA,
        FUNCTION_LABEL: revision.function,
        REVISION_LABEL: str(revision.number),
        REPLICA_LABEL: replica,
    }
