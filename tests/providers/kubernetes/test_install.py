"""What is installed: least privilege, restricted, equal to what lies in the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from jupyter_faas.cli.cluster_yaml import to_yaml
from jupyter_faas.cli.install import HEADER
from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.providers.kubernetes.install import InstallOptions, manifests
from jupyter_faas.providers.kubernetes.install.check import crd_finding, version_finding
from jupyter_faas.providers.kubernetes.install.gateway import GATEWAY_ENV, gateway_env
from jupyter_faas.providers.kubernetes.install.options import Egress, check
from jupyter_faas.providers.kubernetes.install.removal import plan
from jupyter_faas.providers.kubernetes.names import GATEWAY_NAME, KEYS_SECRET, TRUST_CONFIG

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


def test_what_is_printed_reads_back_as_it_was() -> None:
    objects = manifests(FULL)
    text = to_yaml(objects)
    assert list(yaml.safe_load_all(text)) == objects
    assert "&id" not in text


def test_no_role_has_a_wildcard_and_no_secret_is_printed() -> None:
    objects = manifests(FULL)
    for role in of_kind(objects, "Role") + of_kind(objects, "ClusterRole"):
        for rule in role["rules"]:
            assert "*" not in rule["apiGroups"] + rule["resources"] + rule["verbs"]
    assert of_kind(objects, "Secret") == []


def test_the_gateway_may_change_one_secret_and_read_no_list_of_them() -> None:
    for role in of_kind(manifests(FULL), "Role"):
        for rule in role["rules"]:
            if "secrets" not in rule["resources"]:
                continue
            assert not {"list", "watch", "delete"} & set(rule["verbs"])
            if {"patch", "update"} & set(rule["verbs"]):
                assert rule["resourceNames"] == [KEYS_SECRET]


def test_the_trust_of_runners_is_the_only_config_map_that_can_be_changed() -> None:
    for role in of_kind(manifests(FULL), "Role"):
        for rule in role["rules"]:
            if "configmaps" in rule["resources"] and rule["verbs"] != ["create"]:
                assert rule["resourceNames"] == [TRUST_CONFIG]


def test_both_kinds_of_namespace_are_restricted() -> None:
    for namespace in of_kind(manifests(FULL), "Namespace"):
        labels = namespace["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_every_pod_is_restricted_and_only_gateways_have_a_token() -> None:
    for spec in pod_specs(manifests(FULL)):
        assert spec["securityContext"]["runAsNonRoot"]
        is_gateway = spec.get("serviceAccountName") == "jupyter-faas-gateway"
        assert spec["automountServiceAccountToken"] is is_gateway
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
    given = [one["name"] for one in gateway_env(InstallOptions(domain="a.b", blob_url="none"))]
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
