"""Deploys as any HTTP client does: a blob, then the function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from jupyter_faas.client import place
from jupyter_faas.client.options import parse_options
from jupyter_faas.core.capture import capture
from jupyter_faas.core.model import DeployRequest
from tests.e2e.gateway import Gateway


def deploy_over_http(
    gateway: Gateway, name: str, function: Callable[..., Any], **options: Any
) -> int:
    """Deploy a function without the Python client's connection; return the revision's number."""
    function.__module__ = "__main__"  # its code travels: replicas have no tests
    parsed = parse_options(options)
    code = capture(function, name=name, settings={**parsed.revision, "place": place.here()})
    code.raise_for_problems()
    blob = b"".join(bytes(part) for part in code.package.parts())
    put = gateway.request("PUT", f"/v1/blobs/{code.package.digest}", blob)
    assert put.status in (200, 201), put.body
    request = DeployRequest(
        id=code.id, revision=code.spec, settings=parsed.settings, take_over=True
    )
    body = msgspec.json.encode(request)
    answer = gateway.request(
        "PUT", f"/v1/functions/{name}", body, {"Content-Type": "application/json"}
    )
    assert answer.status in (200, 201), answer.body
    number = int(answer.json()["revision"]["number"])
    path = f"/v1/functions/{name}/revisions/{number}?wait_s=60"
    settled = gateway.request("GET", path, timeout_s=90.0).json()
    assert settled["state"] == "ready", settled
    return number
