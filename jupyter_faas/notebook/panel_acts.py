"""What a panel does at the gateway for a page without our server extension."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from jupyter_faas.client import connect
from jupyter_faas.core.errors import BadRequest, FaasError, status_of, to_problem

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PATH = re.compile(r"(?:v1|function|async-function)/[\w./%?&=,:~-]+", re.ASCII)
_TIMEOUT_S = 20.0
"""The kernel is busy meanwhile."""


def act(content: Mapping[str, Any]) -> dict[str, Any]:
    """Do what a page asks for and return the answer to it; it starts a gateway if need be."""
    answer: dict[str, Any] = {"type": "answer", "id": content.get("id"), "headers": {}}
    if "view" in content:
        answer["view"] = content["view"]
    try:
        status, body = _asked(content)
    except FaasError as error:
        status, body = status_of(error), to_problem(error)
    except (OSError, msgspec.MsgspecError) as error:
        status, body = 0, str(error)
    return {**answer, "status": status, "body": body}


def _asked(content: Mapping[str, Any]) -> tuple[int, Any]:
    method, path, body = content.get("method"), str(content.get("path")), content.get("body")
    if method not in _METHODS or not _PATH.fullmatch(path) or ".." in path:
        raise BadRequest(f"{method} {path}: a panel does not do that.")
    gateway = connect.gateway()
    is_control = path.startswith("v1/")
    target = gateway.control_path(f"/{path}") if is_control else f"/{path}"
    headers = ((b"Content-Type", b"application/json"),) if body is not None else ()
    parts = (msgspec.json.encode(body),) if body is not None else ()
    connection, response = gateway.open(method, target, headers, parts, timeout_s=_TIMEOUT_S)
    try:
        said = response.read()
    except BaseException:
        connection.close()
        raise
    gateway.release(connection)
    return response.status, _read(said)


def _read(said: bytes) -> Any:
    if not said:
        return None
    try:
        return msgspec.json.decode(said)
    except msgspec.DecodeError:
        return said.decode("utf-8", "replace")
