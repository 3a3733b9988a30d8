"""The two CustomResourceDefinitions, made from the types of `objects.py`. Pure, plain dicts.

What a schema cannot say is said by CEL rules; each has a message that tells what to write instead.
`jupyter-faas install` prints them; a gateway checks that the cluster has what it needs.

Source:
    Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions":
    validation rules, scale subresource, defaulting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jupyter_faas.providers.kubernetes.names import FUNCTIONS, GROUP, REVISIONS, VERSION
from jupyter_faas.providers.kubernetes.objects import (
    MAX_PACKAGE_CHARACTERS,
    MAX_SOURCE_CHARACTERS,
    FunctionSpecObject,
    FunctionStatusObject,
    RevisionSpecObject,
    RevisionStatusObject,
)
from jupyter_faas.providers.kubernetes.schema import Schema, structural_schema

Rule = tuple[str, str]
"""A CEL expression that must hold, and the sentence if it does not."""

_NAME: Rule = (
    "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')",
    "a function's name has 1 to 63 lower-case letters, digits and `-`, and starts and ends with a "
    "letter or digit",
)
_FUNCTION_RULES: dict[str, tuple[Rule, ...]] = {
    "code": (
        (
            "has(self.source) != has(self.digest)",
            "write exactly one of `source` (Python code) and `digest` (of an uploaded package)",
        ),
        (
            "!has(self.digest) || self.digest.matches('^sha256:[0-9a-f]{64}$')",
            "`digest` is `sha256:` and 64 hex digits",
        ),
    ),
    "scaling": (
        (
            "self.minContainers <= self.maxContainers",
            "`minContainers` must not be above `maxContainers`: raise `maxContainers` first",
        ),
    ),
    "traffic": (
        (
            "self.size() == 0 || self.map(t, t.percent).sum() == 100",
            "the percents of `traffic` must sum to 100",
        ),
        (
            "self.all(t, has(t.revision) != (has(t.latest) && t.latest))",
            "each entry of `traffic` names a `revision` by number, or says `latest: true`",
        ),
        (
            "self.all(t, self.exists_one(u, has(u.revision) == has(t.revision)"
            " && (!has(t.revision) || u.revision == t.revision)))",
            "`traffic` names a revision twice",
        ),
    ),
    "volumes": (
        ("self.all(path, path.startsWith('/'))", "the paths of `volumes` are absolute: `/data`"),
    ),
    "schedule": (
        (
            "!has(self.cron) && !has(self.periodSeconds)",
            "`schedule` cannot be used yet: let a CronJob call the function",
        ),
    ),
}
_CPU: Rule = (
    "string(self).matches('^[0-9]+([.][0-9]+)?m?$')",
    'an amount of CPU is written in cores or thousandths: `2`, `"0.5"`, `100m`',
)
_MEMORY: Rule = (
    "string(self).matches('^[0-9]+([.][0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?$')",
    "an amount of memory is written `256Mi` or `2Gi`, or in bytes",
)
_QUANTITIES = {"cpu": _CPU, "cpuLimit": _CPU, "memory": _MEMORY, "memoryRequest": _MEMORY}
_IMMUTABLE: Rule = ("self == oldSelf", "a revision never changes: change its Function instead")
_COLUMNS = (
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', 0),
    ("Revision", "string", ".status.latestRevision", 0),
    ("Replicas", "integer", ".status.replicas", 0),
    ("In flight", "integer", ".status.inFlight", 0),
    ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', 1),
    ("URL", "string", ".status.url", 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)
_REVISION_COLUMNS = (
    ("Function", "string", ".spec.function", 0),
    ("Number", "integer", ".spec.number", 0),
    ("State", "string", ".status.state", 0),
    ("Reason", "string", ".status.reason", 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)


def crds() -> list[dict[str, Any]]:
    """Return both CustomResourceDefinitions."""
    return [function_crd(), revision_crd()]


def function_crd() -> dict[str, Any]:
    """Return the definition of `Function`: what people write, scale and watch."""
    return _definition(
        "Function",
        FUNCTIONS,
        ("fn",),
        _root("A remote callable.", _function_spec(), _function_status(), (_NAME,)),
        columns=_COLUMNS,
        subresources={
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.scaling.minContainers",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
    )


def revision_crd() -> dict[str, Any]:
    """Return the definition of `FunctionRevision`: written by gateways, for people to read."""
    spec = structural_schema(RevisionSpecObject, with_defaults=False)
    spec["properties"]["package"]["maxLength"] = MAX_PACKAGE_CHARACTERS
    _add_rules(spec, (_IMMUTABLE,))
    status = structural_schema(RevisionStatusObject, with_defaults=False)
    return _definition(
        "FunctionRevision",
        REVISIONS,
        ("fnrev",),
        _root("One version of a Function.", spec, status),
        columns=_REVISION_COLUMNS,
        subresources={"status": {}},
    )


def _function_spec() -> Schema:
    spec = structural_schema(FunctionSpecObject)
    parts = spec["properties"]
    parts["code"]["properties"]["source"]["maxLength"] = MAX_SOURCE_CHARACTERS
    # A scale subresource whose path is absent cannot be patched: `scaling` is always there. Written
    # out because rules are tried on a default before the defaults inside it are filled in.
    parts["scaling"]["default"] = {
        name: part["default"]
        for name, part in parts["scaling"]["properties"].items()
        if "default" in part
    }
    for field, rules in _FUNCTION_RULES.items():
        _add_rules(parts[field], rules)
    for field, rule in _QUANTITIES.items():
        _add_rules(parts["resources"]["properties"][field], (rule,))
    return spec


def _function_status() -> Schema:
    status = structural_schema(FunctionStatusObject, with_defaults=False)
    status["properties"]["conditions"] |= {
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    }
    return status


def _add_rules(schema: Schema, rules: Sequence[Rule]) -> None:
    schema["x-kubernetes-validations"] = [
        {"rule": rule, "message": message} for rule, message in rules
    ]


def _root(meaning: str, spec: Schema, status: Schema, rules: Sequence[Rule] = ()) -> Schema:
    root: Schema = {
        "description": meaning,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
    }
    if rules:
        _add_rules(root, rules)
    return root


def _definition(
    kind: str,
    plural: str,
    short_names: Sequence[str],
    schema: Schema,
    *,
    columns: Sequence[tuple[str, str, str, int]],
    subresources: dict[str, Any],
) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": list(short_names),
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": subresources,
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path, "priority": priority}
                        for name, kind, path, priority in columns
                    ],
                }
            ],
        },
    }
