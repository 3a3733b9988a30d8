"""The CRDs say what the model says, and nothing that Kubernetes would drop."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from jupyter_faas.core.model import FunctionSettings, RevisionSpec, Scaling, wire_name
from jupyter_faas.providers.kubernetes.crds import crds, function_crd, revision_crd
from jupyter_faas.providers.kubernetes.objects import FunctionSpecObject, ScalingObject


def version_of(crd: dict[str, Any]) -> dict[str, Any]:
    return crd["spec"]["versions"][0]


def spec_of(crd: dict[str, Any]) -> dict[str, Any]:
    return version_of(crd)["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]


def walk(part: Any) -> list[dict[str, Any]]:
    """Return every dict below, itself first."""
    if isinstance(part, list):
        return [one for item in part for one in walk(item)]
    if not isinstance(part, dict):
        return []
    return [part, *(one for value in part.values() for one in walk(value))]


@pytest.mark.parametrize("crd", crds(), ids=lambda crd: crd["spec"]["names"]["kind"])
def test_no_schema_has_what_kubernetes_refuses(crd: dict[str, Any]) -> None:
    for part in walk(version_of(crd)["schema"]):
        assert not part.keys() & {"$ref", "anyOf", "title"}


def test_every_setting_of_a_revision_and_a_function_can_be_written() -> None:
    ours = spec_of(function_crd())
    scaling = ours["scaling"]["properties"]
    # `place` is a directory of one machine; `max_inputs` stands beside the other numbers of load.
    for name in set(RevisionSpec.__struct_fields__) - {"place", "max_inputs"}:
        assert wire_name(name) in ours
    for name in set(FunctionSettings.__struct_fields__) - {"scaling"}:
        assert wire_name(name) in ours
    for name in {*Scaling.__struct_fields__, "max_inputs"}:
        assert wire_name(name) in scaling


def test_defaults_are_those_of_the_model() -> None:
    def scalars(kind: type[msgspec.Struct]) -> dict[str, Any]:
        found = {field.name: field.default for field in msgspec.structs.fields(kind)}
        return {k: v for k, v in found.items() if isinstance(v, (bool, int, float, str))}

    model = scalars(RevisionSpec) | scalars(FunctionSettings) | scalars(Scaling)
    ours = scalars(FunctionSpecObject) | scalars(ScalingObject)
    assert {name: value for name, value in ours.items() if model.get(name) != value} == {}


def test_the_floor_that_kubectl_scale_sets_is_always_there() -> None:
    scale = version_of(function_crd())["subresources"]["scale"]
    assert scale["specReplicasPath"] == ".spec.scaling.minContainers"
    assert spec_of(function_crd())["scaling"]["default"]["minContainers"] == 0


def test_a_revision_keeps_fields_that_this_version_does_not_know() -> None:
    kept = spec_of(revision_crd())
    assert kept["revision"]["x-kubernetes-preserve-unknown-fields"]
    assert "properties" not in kept["revision"]


def test_every_rule_says_what_to_write() -> None:
    rules = [
        rule
        for crd in crds()
        for part in walk(version_of(crd)["schema"])
        for rule in part.get("x-kubernetes-validations", [])
        if isinstance(rule, dict)
    ]
    assert len(rules) >= 12
    assert all(len(rule["message"]) > 20 for rule in rules)


def test_names_on_the_wire_are_written_out() -> None:
    assert "scaledownWindowSeconds" in spec_of(function_crd())["scaling"]["properties"]
    assert "timeoutSeconds" in spec_of(function_crd())
