"""`install --check`: what a cluster lacks for an installation. Asks only; changes nothing.

Each finding is a sentence with what to do. What cannot be asked (whether NetworkPolicies are
enforced) is told as a note, never as good.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, Object, path_of
from jupyter_faas.providers.kubernetes.crds import crds
from jupyter_faas.providers.kubernetes.install.options import InstallOptions
from jupyter_faas.providers.kubernetes.install.ray import KUBERAY_API, RAY_CLUSTERS
from jupyter_faas.providers.kubernetes.install.ray_pods import worker
from jupyter_faas.providers.kubernetes.names import RAY_HEAD, RAY_LABEL
from jupyter_faas.providers.kubernetes.pods import RunnerShape, runner_pod

MIN_VERSION = (1, 33)
"""In-place resize of pods is on by default since then."""
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
CRD_GROUP = "apiextensions.k8s.io/v1"

OK, NOTE, LACKS = "ok", "note", "lacks"


class Finding(NamedTuple):
    """One thing that was looked at."""

    level: str
    """`ok`, `note` (works, but you should know) or `lacks`."""
    what: str
    detail: str


Look = Callable[[KubeApi, InstallOptions], Awaitable[list[Finding]]]


async def look(api: KubeApi, options: InstallOptions) -> list[Finding]:
    """Return everything that was found, in the order a person would mend it.

    Raises:
        KubeError: The cluster cannot be reached at all.
    """
    looks: tuple[Look, ...] = (
        _version, _rights, _crds, _resize, _storage, _runtime_classes, _namespaces, _pods, _ray,
        _network,
    )  # fmt: skip
    found: list[Finding] = []
    for one in looks:
        try:
            found += await one(api, options)
        except KubeError as error:
            if error.status == 0:
                raise
            what = one.__name__.strip("_").replace("_", " ")
            found.append(Finding(NOTE, what, f"could not be looked at: {error.message}"))
    return found


def version_finding(told: Object) -> Finding:
    """Return what the server's `/version` means for us."""
    digits = ["".join(c for c in str(told.get(part, "")) if c.isdigit())
              for part in ("major", "minor")]  # fmt: skip
    version = tuple(int(digit or 0) for digit in digits)
    name = str(told.get("gitVersion", "?"))
    if version >= MIN_VERSION:
        return Finding(OK, "Kubernetes", name)
    wanted = ".".join(map(str, MIN_VERSION))
    return Finding(LACKS, "Kubernetes", f"{name}; at least {wanted} is needed")


def crd_finding(wanted: Object, stored: Object | None) -> Finding:
    """Return whether the cluster's definition of a kind has every field of ours."""
    name = wanted["metadata"]["name"]
    if stored is None:
        return Finding(LACKS, f"CRD {name}", "not there: apply the output of `install`")
    missing = sorted(_fields(wanted) - _fields(stored))
    if missing:
        shown = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
        return Finding(LACKS, f"CRD {name}", f"older than this version ({shown}): apply it again")
    conditions = stored.get("status", {}).get("conditions", [])
    if not any(c["type"] == "Established" and c["status"] == "True" for c in conditions):
        return Finding(LACKS, f"CRD {name}", "not established yet: wait, then look again")
    return Finding(OK, f"CRD {name}", "there")


async def has_kuberay(api: KubeApi) -> bool:
    """Return whether the cluster knows KubeRay's RayCluster, in the version that is written.

    Raises:
        KubeError: It cannot be asked.
    """
    known = await api.find(f"/apis/{KUBERAY_API}") or {}
    return any(one["name"] == RAY_CLUSTERS for one in known.get("resources", ()))


def needed_rights(options: InstallOptions) -> list[Object]:
    """Return what who applies an installation must be allowed, as `resourceAttributes`."""
    system = [options.system_namespace]
    everywhere = [*system, *options.namespaces]
    with_ray = options.namespaces if options.ray else ()
    workers = ("ray.io", RAY_CLUSTERS) if options.is_kuberay else ("apps", "statefulsets")
    return [
        _right("apiextensions.k8s.io", "customresourcedefinitions"),
        _right("rbac.authorization.k8s.io", "clusterroles"),
        _right("rbac.authorization.k8s.io", "clusterrolebindings"),
        _right("", "namespaces"),
        *(_right("apps", "deployments", name) for name in everywhere),
        *(_right("rbac.authorization.k8s.io", "roles", name) for name in everywhere),
        *(_right("networking.k8s.io", "networkpolicies", name) for name in everywhere),
        *(_right("", "services", name) for name in (*system, *with_ray)),
        *(_right("", "serviceaccounts", name) for name in (*system, *with_ray)),
        *(_right(*workers, name) for name in with_ray),
    ]


async def _version(api: KubeApi, options: InstallOptions) -> list[Finding]:
    return [version_finding(await api.get("/version"))]


async def _rights(api: KubeApi, options: InstallOptions) -> list[Finding]:
    path = path_of("selfsubjectaccessreviews", group="authorization.k8s.io/v1")
    refused = []
    for attributes in needed_rights(options):
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = await api.create(path, review)
        if not answer.get("status", {}).get("allowed"):
            where = f" in {attributes['namespace']}" if "namespace" in attributes else ""
            refused.append(f"{attributes['verb']} {attributes['resource']}{where}")
    if refused:
        return [Finding(LACKS, "your rights", f"you may not {'; '.join(refused)}")]
    return [Finding(OK, "your rights", "you may apply all of it")]


async def _crds(api: KubeApi, options: InstallOptions) -> list[Finding]:
    plural = "customresourcedefinitions"
    return [
        crd_finding(
            wanted,
            await api.find(path_of(plural, None, wanted["metadata"]["name"], group=CRD_GROUP)),
        )
        for wanted in crds()
    ]


async def _resize(api: KubeApi, options: InstallOptions) -> list[Finding]:
    known = {resource["name"] for resource in (await api.get("/api/v1"))["resources"]}
    if "pods/resize" in known:
        return [Finding(OK, "in-place resize", "pods can be resized while they run")]
    text = "pods cannot be resized: functions with resources of their own get created pods (1 s)"
    return [Finding(NOTE, "in-place resize", text)]


async def _storage(api: KubeApi, options: InstallOptions) -> list[Finding]:
    if options.blob_secret:
        path = path_of("secrets", options.system_namespace, options.blob_secret)
        what = f"Secret {options.blob_secret}"
        if await api.find(path) is None:
            text = f"not in {options.system_namespace}: gateways would wait for it"
            return [Finding(LACKS, what, text)]
        return [Finding(OK, what, "there")]
    if not options.has_blob_volume:
        return []
    classes = (await api.get(path_of("storageclasses", group="storage.k8s.io/v1")))["items"]
    for one in classes:
        if one["metadata"].get("annotations", {}).get(DEFAULT_CLASS) == "true":
            return [Finding(OK, "default StorageClass", one["metadata"]["name"])]
    text = "none is marked as default: packages over 64 KiB have no place; or use --blob-url none"
    return [Finding(LACKS, "default StorageClass", text)]


async def _runtime_classes(api: KubeApi, options: InstallOptions) -> list[Finding]:
    found = []
    for name in options.runtime_classes:
        stored = await api.find(path_of("runtimeclasses", None, name, group="node.k8s.io/v1"))
        text = "there" if stored else "not there: its pool would have no pods"
        found.append(Finding(OK if stored else LACKS, f"RuntimeClass {name}", text))
    return found


async def _namespaces(api: KubeApi, options: InstallOptions) -> list[Finding]:
    """Tell what is about to become subject to Pod Security in a namespace that is in use."""
    found = []
    for name in options.namespaces:
        pods = await api.get(path_of("pods", name), limit="1", labelSelector=_NOT_OURS)
        if pods["items"]:
            text = "has pods of others: they too must then pass Pod Security `restricted`"
            found.append(Finding(NOTE, f"namespace {name}", text))
    return found


async def _pods(api: KubeApi, options: InstallOptions) -> list[Finding]:
    python = next(iter(options.pool))
    shape = RunnerShape(image=options.image(options.runner_image, python), python=python)
    pods = {"a runner": runner_pod(shape)}
    if options.ray:
        pods["a worker of Ray"] = worker(options)
    return [await _pod(api, name, pods) for name in options.namespaces]


async def _pod(api: KubeApi, namespace: str, pods: dict[str, Object]) -> Finding:
    what = f"pods in {namespace}"
    if await api.find(path_of("namespaces", None, namespace)) is None:
        return Finding(NOTE, what, "the namespace is not there yet; `install` makes it")
    for name, template in pods.items():
        pod = {"apiVersion": "v1", "kind": "Pod", **template}
        pod["metadata"] = {**template["metadata"], "generateName": "jupyter-faas-check-"}
        try:
            await api.create(path_of("pods", namespace), pod, dryRun="All")
        except KubeError as error:
            return Finding(LACKS, what, f"{name} would be refused: {error.message}")
    return Finding(OK, what, f"{' and '.join(pods)} would be admitted")


async def _ray(api: KubeApi, options: InstallOptions) -> list[Finding]:
    if not options.ray:
        return []
    found = []
    if options.is_kuberay:
        is_there = await has_kuberay(api)
        text = (
            "there: Ray is written as a RayCluster"
            if is_there
            else "not there: use --ray-kind auto"
        )
        found.append(Finding(OK if is_there else LACKS, "KubeRay", text))
    return [*found, *[await _head(api, name) for name in options.namespaces]]


async def _head(api: KubeApi, namespace: str) -> Finding:
    """Tell how a namespace's Ray is, if it is installed already."""
    what = f"Ray in {namespace}"
    listed = await api.get(path_of("pods", namespace), labelSelector=f"{RAY_LABEL}={RAY_HEAD}")
    if not listed["items"]:
        return Finding(NOTE, what, "not there yet")
    status = listed["items"][0].get("status", {})
    if any(one.get("ready") for one in status.get("containerStatuses", ())):
        return Finding(OK, what, "its head answers")
    look = f"kubectl -n {namespace} describe pod -l {RAY_LABEL}={RAY_HEAD}"
    return Finding(LACKS, what, f"its head is not ready, maps run on replicas: `{look}`")


async def _network(api: KubeApi, options: InstallOptions) -> list[Finding]:
    text = (
        "a cluster does not tell whether it enforces them; without, only the protocol keeps "
        f"functions apart, and --egress {options.egress.value} has no effect"
    )
    return [Finding(NOTE, "NetworkPolicy", text)]


_NOT_OURS = "app.kubernetes.io/managed-by!=jupyter-faas"


def _right(group: str, resource: str, namespace: str = "") -> Object:
    where = {"namespace": namespace} if namespace else {}
    return {"group": group, "resource": resource, "verb": "create", **where}


def _fields(crd: Object) -> set[str]:
    """Return the path of every field that a definition knows."""
    found: set[str] = set()
    for version in crd["spec"]["versions"]:
        schema = version["schema"]["openAPIV3Schema"]
        _collect(schema, version["name"], found)
    return found


def _collect(schema: Object, path: str, found: set[str]) -> None:
    for name, part in schema.get("properties", {}).items():
        found.add(f"{path}.{name}")
        _collect(part, f"{path}.{name}", found)
    if isinstance(schema.get("items"), dict):
        _collect(schema["items"], f"{path}[]", found)
