"""What is asked of a gateway's control API about functions, as typed values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec

from jupyter_faas.client.plan import Known
from jupyter_faas.client.views import Replica, Revision, Scaling
from jupyter_faas.core import model
from jupyter_faas.core.errors import FunctionNotFound

if TYPE_CHECKING:
    from jupyter_faas.client.gateway import Gateway, Parts

MAX_WAIT_S = 30.0
"""One request waits so long; a longer wait is several."""

SMALL_BLOB_BYTES = 64 * 1024
"""Up to here uploading is cheaper than asking whether it is there."""


class Inventory(model.Value, frozen=True, kw_only=True):
    """What runners of one environment can import."""

    python: str
    modules: dict[str, str] = {}
    """Distribution name (normalised) → version."""
    top_level: tuple[str, ...] = ()
    """Importable top-level modules of those distributions."""


class FunctionView(model.Function, frozen=True, kw_only=True):
    """A function as the gateway shows it: with its revisions and replicas."""

    revisions: tuple[Revision, ...] = ()
    """Newest first."""
    replicas: tuple[Replica, ...] = ()


def functions(gateway: Gateway) -> list[model.Function]:
    """Return all functions of the namespace."""
    return msgspec.convert(_items(gateway, "/v1/functions", "functions"), list[model.Function])


def known(gateway: Gateway, name: str) -> Known | None:
    """Return what the gateway has under a name; None: nothing."""
    try:
        view: FunctionView = gateway.ask("GET", _path(name), result=FunctionView)
    except FunctionNotFound:
        return None
    return Known(function=view, revisions=view.revisions, replicas=view.replicas)


def settled(gateway: Gateway, name: str, number: int, timeout_s: float) -> Revision:
    """Return a revision once it is ready or failed, or as it is after `timeout_s`."""
    while True:
        wait_s = min(max(timeout_s, 0.0), MAX_WAIT_S)
        path = f"{_path(name, 'revisions')}/{number}?wait_s={wait_s:g}"
        revision: Revision = gateway.ask("GET", path, result=Revision)
        timeout_s -= wait_s
        if revision.state is not model.RevisionState.PENDING or timeout_s <= 0:
            return revision


def replicas(gateway: Gateway, name: str) -> list[Replica]:
    """Return the replicas of a function."""
    return msgspec.convert(_items(gateway, _path(name, "replicas"), "replicas"), list[Replica])


def deploy(gateway: Gateway, name: str, request: model.DeployRequest) -> model.DeployAnswer:
    """Make code that has been uploaded what answers to a name.

    Raises:
        NameTaken: Another notebook has deployed the name since.
    """
    answer: model.DeployAnswer = gateway.ask(
        "PUT", _path(name), body=request, result=model.DeployAnswer
    )
    return answer


def upload(gateway: Gateway, digest: str, parts: Parts, size_bytes: int) -> bool:
    """Store a package at the gateway; False: it was there already."""
    path = f"/v1/blobs/{digest}"
    if size_bytes > SMALL_BLOB_BYTES and _has_blob(gateway, path):
        return False
    headers = ((b"Content-Type", b"application/octet-stream"),)
    gateway.exchange("PUT", gateway.control_path(path), headers, parts)
    return True


def inventory(gateway: Gateway, python: str, interpreter: str) -> Inventory:
    """Return what runners of this Python have installed."""
    query = urlencode({"python": python, "interpreter": interpreter})
    found: Inventory = gateway.ask("GET", f"/v1/inventory?{query}", result=Inventory)
    return found


def rollback(gateway: Gateway, name: str, to: int | None) -> Revision:
    """Give all traffic to the previous live revision, or a named one."""
    body = {} if to is None else {"revision": to}
    answer = gateway.ask("POST", _path(name, "rollback"), body=body, result=dict[str, Any])
    return msgspec.convert(answer.get("revision", answer), Revision)


def set_traffic(gateway: Gateway, name: str, weights: Mapping[int, int]) -> dict[int, int]:
    """Set weights by revision number; return them."""
    body = {"traffic": {str(number): weight for number, weight in weights.items()}}
    function = gateway.ask("PUT", _path(name, "traffic"), body=body, result=model.Function)
    return dict(function.traffic)


def set_scaling(gateway: Gateway, name: str, scaling: model.Scaling) -> Scaling:
    """Set how many replicas a function may have; return the full setting."""
    answer = gateway.ask("PATCH", _path(name, "scaling"), body=scaling, result=model.Function)
    return msgspec.convert(msgspec.to_builtins(answer.settings.scaling), Scaling)


def delete(gateway: Gateway, name: str) -> None:
    """Remove a function, its revisions and replicas."""
    gateway.ask("DELETE", _path(name))


def _has_blob(gateway: Gateway, path: str) -> bool:
    connection, response = gateway.open("HEAD", gateway.control_path(path), ())
    response.read()
    gateway.release(connection)
    return response.status == 200


def _items(gateway: Gateway, path: str, key: str) -> Any:
    answer = gateway.ask("GET", path, result=Any)
    return answer[key] if isinstance(answer, dict) else answer


def _path(name: str, rest: str = "") -> str:
    return f"/v1/functions/{quote(name, safe='')}" + (f"/{rest}" if rest else "")


def logs(gateway: Gateway, name: str, tail: int) -> list[str]:
    """Return the last lines a function printed."""
    pieces = _items(gateway, f"{_path(name, 'logs')}?tail={tail}", "lines")
    return [str(piece["text"]).removesuffix("\n") for piece in pieces]


def follow_logs(gateway: Gateway, name: str, tail: int) -> Iterator[str]:
    """Yield the last lines and then each further one as it is printed."""
    for piece in follow(gateway, f"{_path(name, 'logs')}?tail={tail}&follow=1"):
        if "text" in piece:
            yield str(piece["text"]).removesuffix("\n")


def events(gateway: Gateway, name: str) -> list[dict[str, Any]]:
    """Return what happened to a function lately, oldest first."""
    found: list[dict[str, Any]] = _items(gateway, _path(name, "events"), "events")
    return found


def follow(gateway: Gateway, path: str) -> Iterator[dict[str, Any]]:
    """Yield the values of a stream of JSON lines until it ends; leaving closes it."""
    connection, response = gateway.open("GET", gateway.control_path(path), ())
    held = b""
    try:
        for chunk in response.iter_body():
            *lines, held = (held + bytes(chunk)).split(b"\n")
            for line in lines:
                if line.strip():
                    yield msgspec.json.decode(line, type=dict[str, Any])
    finally:
        connection.close()
