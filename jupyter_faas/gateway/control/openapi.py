"""The OpenAPI document: paths as a table, schemas from the model types."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import msgspec

from jupyter_faas.core.model import (
    DeployAnswer,
    DeployRequest,
    Function,
    InvocationRecord,
    ReplicaStatus,
    Revision,
    Scaling,
)
from jupyter_faas.core.version import VERSION
from jupyter_faas.providers.base import Inventory

_MODELS = (
    DeployRequest,
    DeployAnswer,
    Function,
    Revision,
    ReplicaStatus,
    InvocationRecord,
    Scaling,
    Inventory,
)


class _Operation(NamedTuple):
    method: str
    path: str
    summary: str
    body: str = ""
    """Schema of the body, or a media type."""
    answer: str = ""
    """Schema of the 200 answer, or a media type."""
    query: tuple[str, ...] = ()


_FUNCTION = "/v1/functions/{name}"
_ANY = "application/json"
_BYTES = "application/octet-stream"
_LINES = "application/jsonl"
_FRAMES = "application/vnd.faas.pickle"
_OPERATIONS = (
    _Operation("post", "/function/{name}", "Call a function.", _ANY, _ANY),
    _Operation("post", "/function/{namespace}/{name}", "Call a function.", _ANY, _ANY),
    _Operation("post", "/async-function/{name}", "Call later: kept until it has run.", _ANY),
    _Operation("put", "/v1/blobs/{sha256}", "Store a package.", _BYTES, _ANY),
    _Operation("get", "/v1/blobs/{sha256}", "Read a package.", answer=_BYTES),
    _Operation("head", "/v1/blobs/{sha256}", "Is a package here?"),
    _Operation("get", "/v1/functions", "List functions.", answer=_ANY),
    _Operation("put", _FUNCTION, "Deploy a revision.", "DeployRequest", "DeployAnswer"),
    _Operation("get", _FUNCTION, "One function, its revisions and replicas.", answer="Function"),
    _Operation("delete", _FUNCTION, "Remove a function.", answer=_ANY),
    _Operation("get", f"{_FUNCTION}/revisions", "Revisions, newest first.", answer=_ANY),
    _Operation(
        "get",
        f"{_FUNCTION}/revisions/{{number}}",
        "One revision, at once or when it is ready or failed.",
        answer="Revision",
        query=("wait_s",),
    ),
    _Operation("get", f"{_FUNCTION}/replicas", "Replicas.", answer=_ANY),
    _Operation("get", f"{_FUNCTION}/invocations", "Newest ended calls.", answer=_ANY),
    _Operation("post", f"{_FUNCTION}/rollback", "Go back to a revision.", _ANY, "Revision"),
    _Operation("put", f"{_FUNCTION}/traffic", "Divide traffic.", _ANY, "Function"),
    _Operation("patch", f"{_FUNCTION}/scaling", "Change limits, live.", "Scaling", "Scaling"),
    _Operation(
        "get",
        f"{_FUNCTION}/logs",
        "What it printed, as JSON lines.",
        answer=_LINES,
        query=("follow", "tail", "invocation"),
    ),
    _Operation("get", "/v1/invocations/{id}", "One invocation.", answer="InvocationRecord"),
    _Operation("delete", "/v1/invocations/{id}", "Cancel an invocation.", answer=_ANY),
    _Operation("get", "/v1/invocations/{id}/result", "501 for calls that are not kept."),
    _Operation(
        "get",
        "/v1/invocations/{id}/logs",
        "What it printed, as JSON lines.",
        answer=_LINES,
        query=("follow", "tail"),
    ),
    _Operation("post", "/v1/maps", "Map a function: inputs in, outcomes out.", _FRAMES, _FRAMES),
    _Operation("get", "/v1/maps", "Maps that run, and the last ones.", answer=_ANY),
    _Operation("get", "/v1/maps/{id}", "How a map goes.", answer=_ANY),
    _Operation("delete", "/v1/maps/{id}", "End a map.", answer=_ANY),
    _Operation("get", "/v1/state", "Everything, with epoch and seq.", answer=_ANY),
    _Operation(
        "get",
        "/v1/events",
        "What happens, as Server-Sent Events.",
        answer="text/event-stream",
        query=("since", "functions", "max_hz", "calls"),
    ),
    _Operation(
        "get",
        "/v1/inventory",
        "What runners can import.",
        answer="Inventory",
        query=("python", "interpreter"),
    ),
    _Operation("get", "/healthz", "Is the process alive?", answer="text/plain"),
    _Operation("get", "/readyz", "May calls be sent?", answer="text/plain"),
    _Operation("get", "/metrics", "Prometheus metrics.", answer="text/plain"),
    _Operation("get", "/openapi.json", "This document.", answer=_ANY),
)


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of a gateway."""
    _, schemas = msgspec.json.schema_components(_MODELS, ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for operation in _OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "jupyter_faas gateway", "version": VERSION},
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Problem": _PROBLEM},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"bearer": []}],
    }


def _described(operation: _Operation) -> dict[str, Any]:
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    answer: dict[str, Any] = {"description": "As asked."}
    if operation.answer:
        answer["content"] = _content(operation.answer)
    described: dict[str, Any] = {
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": {
            "200": answer,
            "default": {
                "description": "What went wrong (RFC 9457).",
                "content": {"application/problem+json": problem},
            },
        },
    }
    if operation.body:
        described["requestBody"] = {"content": _content(operation.body)}
    if operation.path in ("/healthz", "/readyz"):
        described["security"] = []
    return described


def _parameters(operation: _Operation) -> list[dict[str, Any]]:
    text = {"schema": {"type": "string"}}
    parts = operation.path.split("/")
    names = [part[1:-1] for part in parts if part.startswith("{")]
    in_path = [{"name": name, "in": "path", "required": True, **text} for name in names]
    query = list(operation.query)
    if operation.path.startswith("/v1/") and "{sha256}" not in operation.path:
        query.append("namespace")
    return in_path + [{"name": name, "in": "query", **text} for name in query]


def _content(kind: str) -> dict[str, Any]:
    if "/" in kind:
        return {kind: {}}
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind}"}}}


_PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem document.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "Machine-readable; stable."},
        "invocation_id": {"type": "string"},
    },
}
