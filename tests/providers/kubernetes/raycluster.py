"""What KubeRay 1.x accepts as a RayCluster, as far as we write one; and a look for what it refuses.

The shape of `ray.io/v1` (ray-project/kuberay, ray-operator/apis/ray/v1/raycluster_types.go): which
fields there are, which must be there. Templates are those of Kubernetes' own pods, which a cluster
checks better than a copy of its schema would.
"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

TEXT: Object = {"type": "string"}
YES: Object = {"type": "boolean"}
COUNT: Object = {"type": "integer", "format": "int32"}
ANY: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
TEXTS: Object = {"type": "object", "additionalProperties": TEXT}


def record(required: tuple[str, ...], **fields: Object) -> Object:
    return {"type": "object", "properties": fields, "required": [*required]}


HEAD = record(
    ("rayStartParams", "template"),
    rayStartParams=TEXTS,
    template=ANY,
    headService=ANY,
    serviceType=TEXT,
    enableIngress=YES,
)
WORKERS = record(
    ("groupName", "maxReplicas", "minReplicas", "rayStartParams", "template"),
    groupName=TEXT,
    replicas={**COUNT, "default": 0},
    minReplicas={**COUNT, "default": 0},
    maxReplicas={**COUNT, "default": 2147483647},
    idleTimeoutSeconds=COUNT,
    numOfHosts={**COUNT, "default": 1},
    suspend=YES,
    rayStartParams=TEXTS,
    template=ANY,
    scaleStrategy={
        "type": "object",
        "properties": {"workersToDelete": {"type": "array", "items": TEXT}},
    },
)
SPEC = record(
    ("headGroupSpec",),
    headGroupSpec=HEAD,
    workerGroupSpecs={"type": "array", "items": WORKERS},
    rayVersion=TEXT,
    suspend=YES,
    managedBy=TEXT,
    enableInTreeAutoscaling=YES,
    autoscalerOptions=ANY,
    headServiceAnnotations=TEXTS,
    gcsFaultToleranceOptions=ANY,
)
CRD: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "rayclusters.ray.io"},
    "spec": {
        "group": "ray.io",
        "scope": "Namespaced",
        "names": {
            "kind": "RayCluster",
            "listKind": "RayClusterList",
            "plural": "rayclusters",
            "singular": "raycluster",
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},  # and no `scale`
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": SPEC, "status": ANY},
                    }
                },
            }
        ],
    },
}


def refused(value: Any, schema: Object = SPEC, where: str = "spec") -> list[str]:
    """Return what a strict reader of `schema` refuses of a value."""
    kinds = {"string": str, "boolean": bool, "integer": int, "array": list, "object": dict}
    if not isinstance(value, kinds[schema["type"]]):
        return [f"{where}: no {schema['type']}"]
    found = [f"{where}.{name}: missing" for name in schema.get("required", ()) if name not in value]
    if schema["type"] == "array":
        for number, one in enumerate(value):
            found += refused(one, schema["items"], f"{where}[{number}]")
    elif schema["type"] == "object" and schema is not ANY:
        for name, one in value.items():
            part = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            found += refused(one, part, f"{where}.{name}") if part else [f"{where}.{name}: unknown"]
    return found
