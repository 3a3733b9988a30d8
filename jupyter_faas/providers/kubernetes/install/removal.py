"""Taking an installation off a cluster: what goes, in which order, and what stays.

Functions go first, while their gateways still run: these let go of replicas and finalizers, and
owner references take the rest. Namespaces of functions stay, whatever else may be in them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from jupyter_faas.providers.kubernetes.api import MERGE_PATCH, KubeApi, KubeError, Object, path_of
from jupyter_faas.providers.kubernetes.install import manifests
from jupyter_faas.providers.kubernetes.install.check import has_kuberay
from jupyter_faas.providers.kubernetes.install.options import InstallOptions
from jupyter_faas.providers.kubernetes.install.ray import ray_cluster
from jupyter_faas.providers.kubernetes.names import (
    API_VERSION,
    FUNCTIONS,
    GATEWAY_NAME,
    MANAGED_LABEL,
    MANAGER,
    POOL,
    RAY_NAME,
    REPLICA,
    REVISIONS,
    ROLE_LABEL,
    SPARE,
    TRUST_CONFIG,
)

GRACE_S = 60.0
"""So long functions may take to go; then what holds them, a gateway that is not there, goes."""

_PLURALS = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "ConfigMap": "configmaps",
    "CustomResourceDefinition": "customresourcedefinitions",
    "Deployment": "deployments",
    "Ingress": "ingresses",
    "Namespace": "namespaces",
    "NetworkPolicy": "networkpolicies",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "RayCluster": "rayclusters",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "StatefulSet": "statefulsets",
}
_BY_GATEWAYS = (
    ("ConfigMap", TRUST_CONFIG, "configmaps"),
    ("Secret", RAY_NAME, "secrets"),
)
"""In each namespace of functions."""
_SHARED = ("CustomResourceDefinition", "ClusterRole")
"""Kinds that another installation on the same cluster may use too."""


class Doomed(NamedTuple):
    """One object, or all objects of a kind in a namespace, that will be deleted."""

    kind: str
    name: str
    namespace: str
    path: str

    def __str__(self) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{self.kind} {self.name}{where}"


def plan(options: InstallOptions, *, keeps_crds: bool) -> list[Doomed]:
    """Return what is deleted after functions and pools are gone, in order. Pure.

    Args:
        options: As installed; the namespaces matter, where blobs are, whether there is (Kube)Ray.
        keeps_crds: Leave what other installations share: the CRDs and the users' ClusterRoles.
    """
    plain = msgspec.structs.replace(options, is_kuberay=False)
    clusters = [ray_cluster(options, name) for name in options.namespaces if options.is_kuberay]
    everything = [*manifests(plain), *clusters]
    own = [one for one in everything if not _stays(one, options)]
    shared = [one for one in own if _is_shared(one)]
    kept_last = [one for one in own if one["kind"] == "Namespace"]
    rest = [one for one in own if one not in shared and one not in kept_last]
    made = [
        Doomed(kind, name, namespace, path_of(plural, namespace, name))
        for namespace in options.namespaces
        for kind, name, plural in _BY_GATEWAYS
    ]
    last = [*kept_last, *([] if keeps_crds else shared)]
    return [*map(_doomed, reversed(rest)), *made, *map(_doomed, last)]


async def installed(api: KubeApi, system_namespace: str) -> InstallOptions:
    """Return the namespaces of the installation that is there, or of what is left of one.

    Raises:
        KubeError: There is none (404), or it cannot be read.
    """
    path = path_of("deployments", system_namespace, GATEWAY_NAME, group="apps/v1")
    env: dict[str, str] = {}
    try:
        deployment = await api.get(path)
    except KubeError as error:
        namespaces = await _left(api, system_namespace) if error.is_missing else ()
        if not namespaces:
            raise
    else:
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        env = {one["name"]: one.get("value", "") for one in container.get("env", [])}
        namespaces = tuple(name for name in env.get("FAAS_NAMESPACES", "").split(",") if name)
    # With a domain and Ray, so that an Ingress and Ray are among what is looked for.
    return InstallOptions(
        system_namespace=system_namespace,
        namespaces=namespaces,
        domain="any.example",
        ray=True,
        is_kuberay=await has_kuberay(api),
        blob_url=env.get("FAAS_BLOB_URL", ""),
    )


async def _left(api: KubeApi, system_namespace: str) -> tuple[str, ...]:
    """Return where gateways had rights that somebody has deleted before the rest."""
    path = path_of("rolebindings", group="rbac.authorization.k8s.io/v1")
    found = await api.get(path, fieldSelector=f"metadata.name={GATEWAY_NAME}")
    owned = [
        one["metadata"]["namespace"]
        for one in found.get("items") or []
        if any(who.get("namespace") == system_namespace for who in one.get("subjects") or [])
    ]
    return tuple(sorted({*owned} - {system_namespace}))


async def functions(api: KubeApi, namespaces: tuple[str, ...]) -> list[Doomed]:
    """Return the functions of these namespaces."""
    found = []
    for namespace in namespaces:
        for one in await _items(api, path_of(FUNCTIONS, namespace, group=API_VERSION)):
            name = one["metadata"]["name"]
            path = path_of(FUNCTIONS, namespace, name, group=API_VERSION)
            found.append(Doomed("Function", name, namespace, path))
    return found


async def pools(api: KubeApi, namespaces: tuple[str, ...]) -> list[Doomed]:
    """Return the Deployments of warm pools, whatever options they were made with."""
    selector = f"{MANAGED_LABEL}={MANAGER},{ROLE_LABEL}={POOL}"
    found = []
    for namespace in namespaces:
        path = path_of("deployments", namespace, group="apps/v1")
        for one in (await api.get(path, labelSelector=selector)).get("items") or []:
            one |= {"apiVersion": "apps/v1", "kind": "Deployment"}
            found.append(_doomed(one))
    return found


async def others(api: KubeApi, options: InstallOptions) -> list[str]:
    """Return what else on the cluster needs the kinds: other gateways, functions of other places.

    Gateways need them before they have functions: without, nothing can be deployed there any more.
    """
    everywhere = await _items(api, path_of(FUNCTIONS, group=API_VERSION))
    places = {one["metadata"]["namespace"] for one in everywhere} - {*options.namespaces}
    named = f"metadata.name={GATEWAY_NAME}"
    listed = await api.get(path_of("deployments", group="apps/v1"), fieldSelector=named)
    systems = {one["metadata"]["namespace"] for one in listed.get("items") or []}
    return [
        *(f"the gateways of {name}" for name in sorted(systems - {options.system_namespace})),
        *(f"the functions of {name}" for name in sorted(places)),
    ]


async def existing(api: KubeApi, doomed: list[Doomed]) -> list[Doomed]:
    """Return those that are there."""
    return [one for one in doomed if await api.find(one.path) is not None]


async def remove_functions(
    api: KubeApi, doomed: list[Doomed], namespaces: tuple[str, ...], tell: Callable[[str], None]
) -> None:
    """Delete functions and wait until they, their revisions and replicas are gone."""
    for one in doomed:
        await api.delete(one.path, _background())
        tell(str(one))
    try:
        async with asyncio.timeout(GRACE_S):
            for namespace in namespaces:
                await _until_empty(api, path_of(FUNCTIONS, namespace, group=API_VERSION))
    except TimeoutError:
        for one in await functions(api, namespaces):
            await _let_go(api, one.path)
            tell(f"{one}: nobody answered for it, its finalizers were taken off")
    for namespace in namespaces:
        for path in (path_of(REVISIONS, namespace, group=API_VERSION), path_of("pods", namespace)):
            query = {} if REVISIONS in path else {"labelSelector": _REPLICAS}
            await api.delete(path, _background(), **query)


async def remove(api: KubeApi, doomed: list[Doomed], tell: Callable[[str], None]) -> None:
    """Delete these objects in order; what is gone already is passed over."""
    for one in doomed:
        if await api.delete(one.path, _background()):
            tell(str(one))


async def _items(api: KubeApi, path: str) -> list[Object]:
    try:
        listed = await api.get(path)
    except KubeError as error:
        if error.is_missing:
            return []  # the CRD is gone already
        raise
    items: list[Object] = listed.get("items") or []
    return items


async def _until_empty(api: KubeApi, path: str) -> None:
    there: set[str] = set()
    is_complete = False
    async for event in api.watch(path):
        if event.kind == "SYNCED":
            is_complete = True
        elif event.kind == "DELETED":
            there.discard(event.object["metadata"]["name"])
        else:
            there.add(event.object["metadata"]["name"])
        if is_complete and not there:
            return


async def _let_go(api: KubeApi, path: str) -> None:
    try:
        await api.patch(path, {"metadata": {"finalizers": None}}, MERGE_PATCH)
    except KubeError as error:
        if not error.is_missing:
            raise


_REPLICAS = f"{MANAGED_LABEL}={MANAGER},{ROLE_LABEL} in ({REPLICA},{SPARE})"


def _background() -> Object:
    return {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}


def _stays(one: Object, options: InstallOptions) -> bool:
    """Return whether something stays, or is found in another way (pools)."""
    name: str = one["metadata"]["name"]
    if one["kind"] == "Namespace":
        return name != options.system_namespace
    labels: dict[str, str] = one["metadata"].get("labels", {})
    return labels.get(ROLE_LABEL) == POOL


def _is_shared(one: Object) -> bool:
    name: str = one["metadata"]["name"]
    return one["kind"] in _SHARED and not name.startswith(GATEWAY_NAME)


def _doomed(one: Object) -> Doomed:
    metadata = one["metadata"]
    group = one["apiVersion"] if "/" in one["apiVersion"] else ""
    namespace = metadata.get("namespace", "")
    path = path_of(_PLURALS[one["kind"]], namespace or None, metadata["name"], group=group)
    return Doomed(one["kind"], metadata["name"], namespace, path)
