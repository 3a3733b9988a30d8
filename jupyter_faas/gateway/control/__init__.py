"""The control API: everything but calls, as a Starlette application.

`control_app(parts)` makes it. The door of the gateway has checked the token (everything here
needs a full one) and serves calls, health and metrics itself. Starlette is imported when the
application is made, which is after the gateway listens.

Values have the wire names of the model (`core/model.py`), every field written out; errors are
RFC 9457 problem documents. `?namespace=` names another namespace than the gateway's own.

| request | body → answer |
|---|---|
| `PUT /v1/blobs/{sha256}` | the bytes → 201 (200: was there) `{digest, sizeBytes}` |
| `GET`, `HEAD` of it | → the bytes |
| `PUT /v1/functions/{name}` | `DeployRequest` → 201 (200: known code) `DeployAnswer` |
| `GET /v1/functions` | → `{functions: [FunctionView]}` |
| `GET /v1/functions/{name}` | → `FunctionView` with `revisions`, `replicas`, `inFlight`, `queued` |
| `DELETE /v1/functions/{name}` | → `{deleted: true}` |
| `GET …/revisions` | → `{revisions: [RevisionView]}`, newest first |
| `GET …/revisions/{n}?wait_s=` | → `RevisionView`, when it is ready or failed, or after `wait_s` |
| `GET …/replicas` | → `{replicas: [ReplicaStatus]}` |
| `POST …/rollback` | `{to: n}` or `{}` → `RevisionView` |
| `PUT …/traffic` | `{traffic: {"3": 90, "4": 10}}` → `FunctionView` with that traffic |
| `PATCH …/scaling` | some fields of `Scaling` → `Scaling` and `FunctionView` in one object |
| `GET …/logs?follow&tail=&invocation=` | → JSON lines `LogLine` |
| `GET /v1/invocations/{id}` | → `InvocationRecord` with `state`: queued, running or ended |
| `GET /v1/invocations/{id}/logs?follow&tail=` | → JSON lines `LogLine` |
| `GET /v1/invocations/{id}/result` | 501: answers of ordinary calls are not kept |
| `DELETE /v1/invocations/{id}` | → `{cancelled}`: false if it had ended before |
| `GET /v1/state` | → `{epoch, seq, version, provider, …, functions, revisions, replicas, maps}` |
| `GET /v1/events?since=&functions=a,b&max_hz=&calls=1` | → SSE; 410: read the state anew |
| `GET /v1/inventory?python=&interpreter=` | → `Inventory` |
| `GET /openapi.json` | → OpenAPI 3.1 |

`FunctionView` is `Function` with `state` (ready, pending, failed), `reason`, `url`,
`replicaCounts` by state, `counts` and `scaled` (the last decision of the autoscaler).
`RevisionView` is `Revision` with `weight`, `isLive` and `changes` (phrases); the state has a
revision's `number`, `id`, `state`, `reason`, `createdAt` and `origin` only. `LogLine` is `{seq,
at, revision, replica, invocation, stream, text}`; `text` is a piece as it was written, which may
hold several lines or part of one. An event is `{seq, at, namespace, function, id, value}` under
one of the kinds map, function, deleted, revision, replica, scaling, counts, call, snapshot; its SSE
id is `{epoch}.{seq}`, which `since` and `Last-Event-ID` take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def control_app(parts: Any) -> ASGIApp:
    """Return the application.

    Args:
        parts: The gateway's parts; see `control/parts.py`.
    """
    from jupyter_faas.gateway.control.app import make_app  # noqa: PLC0415 — Starlette: 120 ms

    return make_app(parts)
