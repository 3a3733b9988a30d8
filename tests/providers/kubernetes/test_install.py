"""What is installed: least privilege, restricted, equal to what lies in the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from jupyter_faas.cli.cluster_yaml import to_yaml
from jupyter_faas.cli.install import HEADER
from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.providers.kubernetes.api import KubeError
from jupyter_faas.providers.kubernetes.install import InstallOptions, manifests
from jupyter_faas.providers.kubernetes.install.check import crd_finding, version_finding
from jupyter_faas.providers.kubernetes.install.gateway import GATEWAY_ENV, gateway_env
from jupyter_faas.providers.kubernetes.install.options import Egress, check
from jupyter_faas.providers.kubernetes.install.removal import installed, others, plan
from jupyter_faas.providers.kubernetes.names import (
    GATEWAY_NAME,
    KEYS_SECRET,
    RAY_NAME,
    TRUST_CONFIG,
)
from tests.providers.kubernetes.raycluster import refused

ROOT = Path(__file__).parents[3]
FULL = InstallOptions(
    namespaces=("a", "b"),
    system_namespace="sys",
    registry="registry.example.org/team/",
    pool={"3.11": 4, "3.12": 1},
    runtime_classes={"gvisor": 2},
    domain="faas.example.org",
    ingress_class="nginx",
    pull_secret="registry",
)

WITH_RAY = msgspec.structs.replace(FULL, ray=True, ray_worker_cpu=2.5, ray_worker_mib=4096)

Object = dict[str, Any]


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    return [one for one in objects if one["kind"] == kind]


def pod_specs(objects: list[Object]) -> list[Object]:
    return [
        one["spec"]["template"]["spec"]
        for one in objects
        if one["kind"] in ("Deployment", "StatefulSet")
    ]


def test_the_file_in_the_repository_is_the_default_output() -> None:
    printed = HEADER + to_yaml(manifests(InstallOptions()))
    assert (ROOT / "deploy/install.yaml").read_text() == printed, (
        "write it anew: .venv/bin/jupyter-faas install > deploy/install.yaml"
    )


@pytest.mark.parametrize("options", [FULL, WITH_RAY])
def test_what_is_printed_reads_back_as_it_was(options: InstallOptions) -> None:
    objects = manifests(options)
    text = to_yaml(objects)
    assert list(yaml.safe_load_all(text)) == objects
    assert "&id" not in text


@pytest.mark.parametrize("options", [FULL, WITH_RAY])
def test_no_role_has_a_wildcard_and_no_secret_is_printed(options: InstallOptions) -> None:
    objects = manifests(options)
    for role in of_kind(objects, "Role") + of_kind(objects, "ClusterRole"):
        for rule in role["rules"]:
            assert "*" not in rule["apiGroups"] + rule["resources"] + rule["verbs"]
    assert of_kind(objects, "Secret") == []


@pytest.mark.parametrize("options", [FULL, WITH_RAY])
def test_the_gateway_may_change_one_secret_and_read_no_list_of_them(
    options: InstallOptions,
) -> None:
    for role in of_kind(manifests(options), "Role"):
        for rule in role["rules"]:
            if "secrets" not in rule["resources"]:
                continue
            assert not {"list", "watch", "delete"} & set(rule["verbs"])
            if {"patch", "update"} & set(rule["verbs"]):
                is_system = role["metadata"]["namespace"] == "sys"
                assert rule["resourceNames"] == [KEYS_SECRET if is_system else RAY_NAME]


def test_the_trust_of_runners_is_the_only_config_map_that_can_be_changed() -> None:
    for role in of_kind(manifests(FULL), "Role"):
        for rule in role["rules"]:
            if "configmaps" in rule["resources"] and rule["verbs"] != ["create"]:
                assert rule["resourceNames"] == [TRUST_CONFIG]


def test_both_kinds_of_namespace_are_restricted() -> None:
    for namespace in of_kind(manifests(FULL), "Namespace"):
        labels = namespace["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("options", [FULL, WITH_RAY])
def test_every_pod_is_restricted_and_only_who_asks_the_cluster_has_a_token(
    options: InstallOptions,
) -> None:
    for spec in pod_specs(manifests(options)):
        assert spec["securityContext"]["runAsNonRoot"]
        asks = ("jupyter-faas-gateway", "jupyter-faas-ray-head")
        assert spec["automountServiceAccountToken"] is (spec.get("serviceAccountName") in asks)
        for container in spec["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert container["image"].startswith("registry.example.org/team/jupyter-faas/")
            assert "requests" in container["resources"]
        assert spec["imagePullSecrets"] == [{"name": "registry"}]


def test_there_is_one_pool_per_namespace_python_and_runtime_class() -> None:
    pools = [
        (one["metadata"]["namespace"], one["metadata"]["name"], one["spec"]["replicas"])
        for one in of_kind(manifests(FULL), "Deployment")
        if "pool" in one["metadata"]["name"]
    ]
    each = [("py311", 4), ("py311-gvisor", 2), ("py312", 1), ("py312-gvisor", 2)]
    assert pools == [
        (namespace, f"jupyter-faas-pool-{name}", size)
        for namespace in ("a", "b")
        for name, size in each
    ]


def test_a_selector_never_takes_in_what_a_claim_has_taken_out() -> None:
    for pool in of_kind(manifests(FULL), "Deployment"):
        template = pool["spec"]["template"]["metadata"]["labels"]
        selector = pool["spec"]["selector"]["matchLabels"]
        assert selector.items() <= template.items()
        assert "jupyter-faas.io/role" in selector


def test_the_environment_of_a_gateway_is_the_list_that_is_told() -> None:
    options = InstallOptions(domain="a.b", blob_url="none", ray=True)
    given = [one["name"] for one in gateway_env(options)]
    assert sorted(given) == sorted(GATEWAY_ENV)


@pytest.mark.parametrize(
    ("egress", "reaches_public", "reaches_all"),
    [(Egress.NONE, False, False), (Egress.PUBLIC, True, False), (Egress.ALL, False, True)],
)
def test_egress_is_dns_gateway_and_what_was_chosen(
    egress: Egress, reaches_public: bool, reaches_all: bool
) -> None:
    policies = of_kind(manifests(InstallOptions(egress=egress)), "NetworkPolicy")
    runners = next(one for one in policies if one["metadata"]["name"] == "jupyter-faas-runners")
    rules = runners["spec"]["egress"]
    assert [8081] in [[port["port"] for port in rule.get("ports", [])] for rule in rules]
    blocks = [to.get("ipBlock", {}).get("cidr") for rule in rules for to in rule.get("to", [])]
    assert ("0.0.0.0/0" in blocks) is reaches_public
    assert ({} in rules) is reaches_all
    if reaches_public:
        block = next(
            to["ipBlock"]
            for rule in rules
            for to in rule["to"]
            if to.get("ipBlock", {}).get("cidr") == "0.0.0.0/0"
        )
        assert {"10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16"} <= set(block["except"])


def test_a_store_elsewhere_needs_no_volume_here() -> None:
    assert of_kind(manifests(InstallOptions(blob_url="none")), "StatefulSet") == []


def test_an_object_store_needs_no_volume_and_its_credentials_are_a_secrets():
    made = manifests(InstallOptions(blob_url="s3://bucket/here", blob_secret="store"))
    assert of_kind(made, "StatefulSet") == []
    (gateway,) = (
        one for one in of_kind(made, "Deployment") if one["metadata"]["name"] == GATEWAY_NAME
    )
    container = gateway["spec"]["template"]["spec"]["containers"][0]
    assert container["envFrom"] == [{"secretRef": {"name": "store"}}]
    assert {"name": "FAAS_BLOB_URL", "value": "s3://bucket/here"} in container["env"]


def test_a_pod_without_a_volume_keeps_calls_and_maps_in_an_object_store():
    made = manifests(InstallOptions(blob_url="s3://bucket/here", blob_secret="store"))
    named = {one["kind"]: one for one in made if one["metadata"]["name"] == "jupyter-faas-blobs"}
    assert named.keys() == {"Deployment", "Service", "NetworkPolicy"}
    spec = named["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert environment(container)["FAAS_BLOB_URL"] == "s3://bucket/here"
    assert container["envFrom"] == [{"secretRef": {"name": "store"}}]
    assert {one["name"] for one in pod["volumes"]} == {"tmp", "key", "blobs"}
    assert {one["tolerationSeconds"] for one in pod["tolerations"]} == {10}
    policy = named["NetworkPolicy"]["spec"]
    assert policy["egress"] == [{}], "where the store is, is not known"
    on_volume = of_kind(manifests(InstallOptions()), "NetworkPolicy")
    (policy,) = (one for one in on_volume if one["metadata"]["name"] == "jupyter-faas-blobs")
    assert "egress" not in policy["spec"], "what has a volume reaches nobody"


def test_removal_takes_what_keeps_calls_in_an_object_store():
    options = InstallOptions(blob_url="s3://bucket/here")
    doomed = {(one.kind, one.name) for one in plan(options, keeps_crds=True)}
    assert ("Deployment", "jupyter-faas-blobs") in doomed


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (InstallOptions(namespaces=()), "--namespace"),
        (InstallOptions(namespaces=("a", "a")), "--namespace names a namespace twice"),
        (InstallOptions(namespaces=("A",)), "--namespace A"),
        (InstallOptions(system_namespace="a_b"), "--system-namespace a_b"),
        (InstallOptions(namespaces=("jupyter-faas",)), "keys of their gateway"),
        (InstallOptions(replicas=0), "--replicas 0"),
        (InstallOptions(pool={}), "--pool"),
        (InstallOptions(pool={"python3": 1}), "--pool python3=1"),
        (InstallOptions(pool={"3.11": 5000}), "--pool 3.11=5000"),
        (InstallOptions(pool={"3.11": 1, "3.12": 1}, runner_image="x"), "--runner-image"),
        (InstallOptions(runtime_classes={"g_v": 1}), "--runtime-class g_v=1"),
        (InstallOptions(blob_size="much"), "--blob-size much"),
        (InstallOptions(blob_url="ftp://b"), "--blob-url ftp://b"),
        (InstallOptions(blob_url="s3://"), "--blob-url s3://"),
        (InstallOptions(blob_secret="s"), "--blob-secret"),
        (InstallOptions(url="faas.example.org"), "--url faas.example.org"),
        (InstallOptions(blob_url="none", blob_secret="s"), "--blob-secret"),
        (InstallOptions(domain="nodots"), "--domain nodots"),
        (InstallOptions(ingress_class="nginx"), "--ingress-class needs --domain"),
        (InstallOptions(ray_min_workers=5), "--ray-min-workers 5, --ray-max-workers 4"),
        (InstallOptions(ray_min_workers=-1), "--ray-min-workers -1"),
        (InstallOptions(ray_min_workers=0, ray_max_workers=0), "--ray-max-workers 0"),
        (InstallOptions(ray_worker_cpu=0.0), "--ray-worker-cpu 0"),
        (InstallOptions(ray_idle_s=0.0), "--ray-idle 0"),
        (InstallOptions(ray_worker_cpu=8.0, ray_worker_mib=1024), "need 1536 MiB or more"),
    ],
)
def test_an_option_that_does_not_fit_is_named(options: InstallOptions, says: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        check(options)
    assert says in str(caught.value)


def test_defaults_and_everything_at_once_fit() -> None:
    assert check(InstallOptions()) == InstallOptions()
    assert check(FULL) is FULL


@pytest.mark.parametrize(
    ("told", "level"),
    [
        ({"major": "1", "minor": "37", "gitVersion": "v1.37.2"}, "ok"),
        ({"major": "1", "minor": "33+", "gitVersion": "v1.33.1-eks"}, "ok"),
        ({"major": "1", "minor": "32", "gitVersion": "v1.32.0"}, "lacks"),
        ({}, "lacks"),
    ],
)
def test_versions_are_compared_as_numbers(told: Object, level: str) -> None:
    assert version_finding(told).level == level


def test_a_crd_is_good_when_it_knows_all_our_fields_and_is_established() -> None:
    (ours, *_) = of_kind(manifests(InstallOptions()), "CustomResourceDefinition")
    established = {"conditions": [{"type": "Established", "status": "True"}]}
    assert crd_finding(ours, None).level == "lacks"
    assert crd_finding(ours, ours).detail.startswith("not established")
    assert crd_finding(ours, {**ours, "status": established}).level == "ok"
    older = yaml.safe_load(yaml.safe_dump(ours)) | {"status": established}
    schema = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["spec"]["properties"]["expose"]
    assert "v1alpha1.spec.expose" in crd_finding(ours, older).detail


def test_each_namespace_has_a_ray_of_its_own_that_runs_no_function_on_its_head() -> None:
    made = manifests(WITH_RAY)
    names = [
        (one["kind"], one["metadata"]["namespace"])
        for one in made
        if one["metadata"]["name"] in ("jupyter-faas-ray-head", "jupyter-faas-ray-worker")
        and one["kind"] in ("Deployment", "StatefulSet", "Service")
    ]
    kinds = ("Service", "Deployment", "StatefulSet")
    assert names == [(kind, namespace) for namespace in ("a", "b") for kind in kinds]
    head, worker = (ray_container(made, kind) for kind in ("Deployment", "StatefulSet"))
    assert "ray start --head" in head["command"][-1]
    assert "--num-cpus=0" in head["command"][-1]
    assert "--num-cpus=2" in worker["command"][-1]
    assert worker["resources"]["requests"]["cpu"] == "2500m"
    assert worker["resources"]["limits"]["memory"] == "4096Mi"
    assert environment(head)["FAAS_RAY_WORKER_SEATS"] == "2"
    assert environment(head)["FAAS_RAY_SEAT_MIB"] == "1792"


def test_how_many_workers_there_are_is_left_to_the_host() -> None:
    (workers, *_) = (
        one
        for one in of_kind(manifests(WITH_RAY), "StatefulSet")
        if one["metadata"]["name"] == "jupyter-faas-ray-worker"
    )
    assert "replicas" not in workers["spec"]
    assert workers["spec"]["podManagementPolicy"] == "Parallel"
    assert environment(ray_container(manifests(WITH_RAY), "Deployment")).items() >= {
        ("FAAS_RAY_WORKERS", "statefulset/jupyter-faas-ray-worker"),
        ("FAAS_RAY_MIN_WORKERS", "1"),
        ("FAAS_RAY_MAX_WORKERS", "4"),
        ("FAAS_RAY_IDLE_S", "60"),
    }


@pytest.mark.parametrize("is_kuberay", [False, True])
def test_the_head_may_scale_its_workers_and_nothing_else(is_kuberay: bool) -> None:
    options = msgspec.structs.replace(WITH_RAY, is_kuberay=is_kuberay)
    (role, _) = (
        one
        for one in of_kind(manifests(options), "Role")
        if one["metadata"]["name"] == "jupyter-faas-ray-head"
    )
    scaled = (
        ("ray.io", "rayclusters", "jupyter-faas-ray")
        if is_kuberay
        else ("apps", "statefulsets/scale", "jupyter-faas-ray-worker")
    )
    (rule,) = role["rules"]
    assert (*rule["apiGroups"], *rule["resources"], *rule["resourceNames"]) == scaled
    assert rule["verbs"] == ["get", "patch"]


def test_every_process_of_ray_shows_a_token_and_only_the_head_has_the_hosts() -> None:
    made = manifests(WITH_RAY)
    for kind, has_host_token in (("Deployment", True), ("StatefulSet", False)):
        container = ray_container(made, kind)
        assert environment(container)["RAY_AUTH_MODE"] == "token"
        keys = {
            one["name"]: one["valueFrom"]["secretKeyRef"]["key"]
            for one in container["env"]
            if "secretKeyRef" in one.get("valueFrom", {})
        }
        assert keys["RAY_AUTH_TOKEN"] == "ray.token"
        assert ("FAAS_RAY_HOST_TOKEN" in keys) is has_host_token


def test_gateways_reach_host_and_replicas_and_only_rays_own_pods_reach_ray() -> None:
    policies = {
        one["metadata"]["name"]: one["spec"]
        for one in of_kind(manifests(WITH_RAY), "NetworkPolicy")
        if one["metadata"]["namespace"] in ("a", "sys")
    }
    ours = {"matchExpressions": [{"key": "jupyter-faas.io/ray", "operator": "Exists"}]}
    of_ray = [(6379, None), (10000, 10199)]
    for name, of_gateways in (("head", (8091, None)), ("worker", (32768, 60999))):
        from_gateways, from_ray = policies[f"jupyter-faas-ray-{name}"]["ingress"]
        (gateways,) = from_gateways["from"]
        assert gateways["podSelector"]["matchLabels"] == {"jupyter-faas.io/role": "gateway"}
        assert gateways["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] == "sys"
        assert ports(from_gateways) == [of_gateways]
        assert from_ray["from"] == [{"podSelector": ours}]
        assert ports(from_ray) == of_ray
    calls = policies["jupyter-faas-gateway"]["ingress"][1]
    assert {"jupyter-faas.io/ray": "worker"} in [
        one["podSelector"]["matchLabels"] for one in calls["from"]
    ]


def test_the_ports_that_policies_name_are_those_that_ray_and_replicas_have() -> None:
    made = manifests(WITH_RAY)
    for kind in ("Deployment", "StatefulSet"):
        command = ray_container(made, kind)["command"][-1]
        told = [int(word) for word in re.findall(r"--[a-z-]+-port=(\d+)", command)]
        assert sorted(told) == told
        assert (told[0], told[-1], len(told)) == (10000, 10199, 8)
        (spec, *_) = (
            spec for spec in pod_specs(made) if ray_container(made, kind) in spec["containers"]
        )
        assert spec["securityContext"]["sysctls"] == [
            {"name": "net.ipv4.ip_local_port_range", "value": "32768 60999"}
        ]


def test_what_is_written_for_kuberay_is_a_ray_cluster_with_the_same_pods() -> None:
    plain, kuberay = (
        manifests(msgspec.structs.replace(WITH_RAY, is_kuberay=is_kuberay))
        for is_kuberay in (False, True)
    )
    cluster, other = of_kind(kuberay, "RayCluster")
    assert (cluster["metadata"]["namespace"], other["metadata"]["namespace"]) == ("a", "b")
    assert refused(cluster["spec"]) == []
    assert cluster["metadata"]["annotations"] == {"ray.io/overwrite-container-cmd": "true"}
    head = cluster["spec"]["headGroupSpec"]["template"]["spec"]
    (group,) = cluster["spec"]["workerGroupSpecs"]
    assert head["containers"][0]["command"] == ray_container(plain, "Deployment")["command"]
    assert environment(head["containers"][0])["FAAS_RAY_WORKERS"] == "raycluster/jupyter-faas-ray"
    assert group["template"]["spec"]["containers"] == [ray_container(plain, "StatefulSet")]
    assert (group["minReplicas"], group["maxReplicas"]) == (1, 4)
    names = {one["metadata"]["name"] for one in of_kind(kuberay, "StatefulSet")}
    assert names == {"jupyter-faas-blobs"}


def test_the_look_at_ray_clusters_finds_what_kuberay_would_refuse() -> None:
    assert refused({"headGroupSpec": {"template": {}, "size": 1}, "workerGroupSpecs": {}}) == [
        "spec.headGroupSpec.rayStartParams: missing",
        "spec.headGroupSpec.size: unknown",
        "spec.workerGroupSpecs: no array",
    ]


@pytest.mark.parametrize("is_kuberay", [False, True])
def test_removal_takes_ray_of_every_namespace_with_its_tokens(is_kuberay: bool) -> None:
    options = msgspec.structs.replace(WITH_RAY, is_kuberay=is_kuberay)
    doomed = {(one.kind, one.name, one.namespace) for one in plan(options, keeps_crds=True)}
    written = {
        (one["kind"], one["metadata"]["name"], one["metadata"]["namespace"])
        for one in manifests(options)
        if "ray" in one["metadata"]["name"]
    }
    assert written <= doomed
    assert {("Secret", RAY_NAME, name) for name in ("a", "b")} <= doomed
    kinds = {kind for kind, _, _ in doomed}
    assert ("RayCluster" in kinds) is is_kuberay


def ray_container(objects: list[Object], kind: str) -> Object:
    """Return the container of the head (a Deployment) or the workers (a StatefulSet)."""
    (first, *_) = (
        one for one in of_kind(objects, kind) if one["metadata"]["name"].startswith(RAY_NAME)
    )
    (container,) = first["spec"]["template"]["spec"]["containers"]
    return dict(container)


def environment(container: Object) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container["env"] if "value" in one}


def ports(rule: Object) -> list[tuple[int, int | None]]:
    return [(one["port"], one.get("endPort")) for one in rule["ports"]]


class Listed:
    """A cluster that can be asked what there is of a kind, by namespace."""

    def __init__(self, **there: list[str]) -> None:
        self.there = there

    async def get(self, path: str, **_query: str) -> Any:
        found = self.there.get(path.rpartition("/")[2], [])
        return {"items": [{"metadata": {"name": "x", "namespace": one}} for one in found]}


async def test_the_kinds_stay_while_anything_else_needs_them() -> None:
    options = InstallOptions(namespaces=("a", "b"), system_namespace="system")
    alone = Listed(deployments=["system"], functions=["a", "b", "b"])
    assert await others(alone, options) == []  # type: ignore[arg-type]  # a stand-in
    beside = Listed(deployments=["system", "second"], functions=["a", "c"])
    assert await others(beside, options) == [  # type: ignore[arg-type]  # a stand-in
        "the gateways of second",
        "the functions of c",
    ]


class Left(Listed):
    """A cluster whose system namespace somebody has deleted."""

    async def get(self, path: str, **query: str) -> Any:
        if "/namespaces/" in path:
            raise KubeError(404, "NotFound", "not found")
        listed = await super().get(path, **query)
        for one in listed["items"]:
            one["subjects"] = [{"namespace": "other" if "other" in str(one) else "system"}]
        return listed

    async def find(self, _path: str) -> None:
        return None


async def test_what_is_left_is_found_when_the_gateways_were_deleted_first() -> None:
    left = Left(rolebindings=["a", "b", "of-other"])
    options = await installed(left, "system")  # type: ignore[arg-type]  # a stand-in
    assert options.namespaces == ("a", "b")
    with pytest.raises(KubeError):
        await installed(Left(), "system")  # type: ignore[arg-type]  # a stand-in


def test_removal_leaves_namespaces_of_functions_and_takes_the_crds_last() -> None:
    doomed = plan(FULL, keeps_crds=False)
    named = [(one.kind, one.name) for one in doomed]
    assert [name for kind, name in named if kind == "Namespace"] == ["sys"]
    kinds = [kind for kind, _ in named]
    assert kinds.index("Deployment") < kinds.index("Role") < kinds.index("Namespace")
    assert kinds.index("Namespace") < kinds.index("CustomResourceDefinition")
    kept = [one.kind for one in plan(FULL, keeps_crds=True)]
    assert "CustomResourceDefinition" not in kept
    assert named.count(("ConfigMap", TRUST_CONFIG)) == 2
