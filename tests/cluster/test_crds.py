"""Functions as objects: what kubectl tells, what it may change, and how bad ones are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from jupyter_faas.providers.kubernetes.crds import crds
from tests.cluster.conftest import Kubectl, KubectlFailed

CODE = {"source": "def hello(): return 1", "entry": "hello", "python": "3.11"}

Object = dict[str, Any]


@pytest.fixture(scope="module")
def namespace(kubectl: Kubectl, new_namespace: Callable[..., str]) -> str:
    """A namespace that no gateway looks at."""
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": crds()})
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=listed)
    for crd in crds():
        name = crd["metadata"]["name"]
        kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=30s")
    return new_namespace("crd")


def an_object(kind: str, name: str, spec: Object) -> str:
    return json.dumps(
        {
            "apiVersion": "jupyter-faas.io/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        }
    )


def test_kubectl_explains_gets_and_scales_a_function(kubectl: Kubectl, namespace: str) -> None:
    kubectl(
        "-n", namespace, "apply", "-f", "-", stdin=an_object("Function", "hello", {"code": CODE})
    )
    assert "Python source" in kubectl("explain", "fn.spec.code")
    columns = kubectl("-n", namespace, "get", "fn").splitlines()[0].split("  ")
    shown = [column.strip() for column in columns if column.strip()]
    assert shown == ["NAME", "READY", "REVISION", "REPLICAS", "IN FLIGHT", "AGE"]
    kubectl("-n", namespace, "scale", "fn/hello", "--replicas=3")
    path = "jsonpath={.spec.scaling.minContainers} {.metadata.generation}"
    assert kubectl("-n", namespace, "get", "fn", "hello", "-o", path) == "3 2"
    with pytest.raises(KubectlFailed, match="must not be above `maxContainers`"):
        kubectl("-n", namespace, "scale", "fn/hello", "--replicas=30")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"code": {"python": "3.11"}}, "exactly one of `source`"),
        ({"code": {**CODE, "digest": f"sha256:{'0' * 64}"}}, "exactly one of `source`"),
        ({"code": {"digest": "sha256:1", "python": "3.11"}}, "64 hex digits"),
        ({"code": {"source": "x"}}, "spec.code.python: Required value"),
        ({"traffic": [{"revision": 1, "percent": 50}]}, "must sum to 100"),
        ({"traffic": [{"revision": 1, "percent": 50}] * 2}, "names a revision twice"),
        ({"traffic": [{"latest": True, "percent": 50}] * 2}, "names a revision twice"),
        ({"traffic": [{"percent": 100}]}, "names a `revision` by number"),
        ({"volumes": {"data": "claim"}}, "are absolute"),
        ({"schedule": {"cron": "* * * * *"}}, "`schedule` cannot be used yet"),
        ({"schedule": {"periodSeconds": 60}}, "`schedule` cannot be used yet"),
        ({"scaling": {"minContainers": 4, "maxContainers": 2}}, "must not be above"),
        ({"resources": {"cpu": "lots"}}, "in cores or thousandths"),
        ({"resources": {"memory": "2GB"}}, "is written `256Mi`"),
        ({"timeoutSeconds": 0}, "greater than 0"),
        ({"expose": "door"}, 'supported values: "service"'),
        ({"timeout": 3}, "timeout"),
    ],
)
def test_a_bad_function_is_refused_with_a_sentence_that_helps(
    change: Object, says: str, kubectl: Kubectl, namespace: str
) -> None:
    bad = an_object("Function", "bad", {"code": CODE, **change})
    with pytest.raises(KubectlFailed) as caught:
        kubectl("-n", namespace, "create", "--validate=strict", "-f", "-", stdin=bad)
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["a.b", "a" * 64])
def test_a_name_must_be_a_dns_label(name: str, kubectl: Kubectl, namespace: str) -> None:
    with pytest.raises(KubectlFailed, match="1 to 63 lower-case letters"):
        kubectl(
            "-n", namespace, "create", "-f", "-", stdin=an_object("Function", name, {"code": CODE})
        )


@pytest.mark.parametrize(
    "change", [{"id": "other"}, {"revision": {"code": {"fresh": 2}}}, {"revision": None}]
)
def test_a_revision_never_changes(change: Object, kubectl: Kubectl, namespace: str) -> None:
    spec = {"function": "hello", "number": 1, "id": "f" * 64, "revision": {"code": {"fresh": 1}}}
    kubectl(
        "-n", namespace, "apply", "-f", "-", stdin=an_object("FunctionRevision", "hello-1", spec)
    )
    patch = json.dumps({"spec": change})
    with pytest.raises(KubectlFailed, match=r"a revision never changes|Required value"):
        kubectl("-n", namespace, "patch", "fnrev", "hello-1", "--type=merge", "-p", patch)


def test_fields_of_a_newer_version_are_kept(kubectl: Kubectl, namespace: str) -> None:
    spec = {"function": "hello", "number": 2, "id": "e" * 64, "revision": {"new": {"deep": [1]}}}
    kubectl(
        "-n", namespace, "apply", "-f", "-", stdin=an_object("FunctionRevision", "hello-2", spec)
    )
    path = "jsonpath={.spec.revision.new.deep[0]}"
    assert kubectl("-n", namespace, "get", "fnrev", "hello-2", "-o", path) == "1"
