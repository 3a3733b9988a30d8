"""What is asked of a gateway's control API about functions, as typed values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec

from jupyter_faas.client import answers
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

    state: str = ""
    reason: str = ""
    scaled: dict[str, Any] | None = None
    """The last decision of the autoscaler: revision, before, after, reason, at."""
    revisions: tuple[Revision, ...] = ()
    """Newest first."""
    replicas: tuple[Replica, ...] = ()


def functions(gateway: Gateway) -> list[FunctionView]:
    """Return all functions of the namespace."""
    answer = gateway.ask("GET", "/v1/functions", result=dict[str, list[FunctionView]])
    found: list[FunctionView] = answer["functions"]
    return found


def known(gateway: Gateway, name: str) -> Known | None:
    """Return what the gateway has under a name; None: nothing."""
    try:
        view: FunctionView = gateway.ask("GET", _path(name), result=FunctionView)
    except FunctionNotFound:
        return None
    return Known(function=view, revisions=view.revisions, replicas=view.replicas)


def shown(gateway: Gateway, name: str) -> FunctionView:
    """Return a function as the gateway shows it.

    Raises:
        FunctionNotFound: It is not deployed.
    """
    view: FunctionView = gateway.ask("GET", _path(name), result=FunctionView)
    return view


def settled(gateway: Gateway, name: str, number: int, timeout_s: float) -> Revision:
    """Return a revision once it is ready or failed, or as it is after `timeout_s`."""
    while True:
        wait_s = min(max(timeout_s, 0.0), MAX_WAIT_S)
        path = f"{_path(name, 'revisions')}/{number}?wait_s={wait_s:g}"
        revision: Revision = gateway.ask("GET", path, result=Revision)
        timeout_s -= wait_s
        if revision.state is not model.RevisionState.PENDING or timeout_s <= 0:
            return revision


def pending_reason(gateway: Gateway, name: str, number: int) -> str:
    """Return what a replica of a revision that is not ready waits for; empty: not known."""
    answer = gateway.ask("GET", _path(name, "replicas"), result=dict[str, list[Replica]])
    starting = model.ReplicaState.STARTING
    reasons = [
        replica.reason
        for replica in answer["replicas"]
        if replica.revision == number and replica.state is starting and replica.reason
    ]
    return reasons[0] if reasons else ""


def raw(gateway: Gateway, name: str) -> dict[str, Any]:
    """Return all that the gateway shows of a function, as plain JSON.

    Raises:
        FunctionNotFound: It is not deployed.
    """
    view: dict[str, Any] = gateway.ask("GET", _path(name), result=dict[str, Any])
    return view


def calls(gateway: Gateway, name: str, limit: int) -> list[dict[str, Any]]:
    """Return the newest ended invocations of a function, as plain JSON, newest first."""
    path = f"{_path(name, 'invocations')}?limit={limit}"
    found = gateway.ask("GET", path, result=dict[str, list[dict[str, Any]]])
    return list(found["invocations"])


def first_start(gateway: Gateway, name: str, number: int) -> Replica | None:
    """Return the first replica of a revision, which knows how it came to be; None: it is gone."""
    answer = gateway.ask("GET", _path(name, "replicas"), result=dict[str, list[Replica]])
    found = [one for one in answer["replicas"] if one.revision == number and one.start_ms]
    return min(found, key=lambda one: one.started_at, default=None)


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
    """Return what runners of this Python, and of this interpreter if one is given, have."""
    wanted = {"python": python, "interpreter": interpreter}
    query = urlencode({name: value for name, value in wanted.items() if value})
    found: Inventory = gateway.ask("GET", f"/v1/inventory?{query}", result=Inventory)
    return found


def rollback(gateway: Gateway, name: str, to: int | None) -> Revision:
    """Give all traffic to the previous live revision, or a named one."""
    body = {} if to is None else {"to": to}
    revision: Revision = gateway.ask("POST", _path(name, "rollback"), body=body, result=Revision)
    return revision


def set_traffic(gateway: Gateway, name: str, weights: Mapping[int, int]) -> dict[int, int]:
    """Set weights by revision number; return them."""
    body = {"traffic": {str(number): weight for number, weight in weights.items()}}
    function = gateway.ask("PUT", _path(name, "traffic"), body=body, result=model.Function)
    return dict(function.traffic)


def set_scaling(gateway: Gateway, name: str, changes: Mapping[str, Any]) -> Scaling:
    """Change some fields of `Scaling`; return the full setting."""
    body = {model.wire_name(field): value for field, value in changes.items()}
    scaling: Scaling = gateway.ask("PATCH", _path(name, "scaling"), body=body, result=Scaling)
    return scaling


def delete(gateway: Gateway, name: str) -> None:
    """Remove a function, its revisions and replicas."""
    gateway.ask("DELETE", _path(name))


def logs(gateway: Gateway, name: str, tail: int) -> list[str]:
    """Return the last lines a function printed."""
    return list(_lines(_pieces(gateway, f"{_path(name, 'logs')}?tail={tail}")))


def follow_logs(gateway: Gateway, name: str, tail: int) -> Iterator[str]:
    """Yield the last lines and then each further one as it is printed."""
    yield from _lines(_pieces(gateway, f"{_path(name, 'logs')}?tail={tail}&follow=1"))


def call_logs(gateway: Gateway, id: str, tail: int) -> list[str]:
    """Return the last lines that one call printed."""
    return list(_lines(_pieces(gateway, f"/v1/invocations/{id}/logs?tail={tail}")))


def follow_call_logs(gateway: Gateway, id: str, tail: int) -> Iterator[str]:
    """Yield the last lines of one call and then each further one, until it has ended."""
    yield from _lines(_pieces(gateway, f"/v1/invocations/{id}/logs?tail={tail}&follow=1"))


def _pieces(gateway: Gateway, path: str) -> Iterator[dict[str, Any]]:
    """Yield the values of a stream of JSON lines until it ends; leaving closes it."""
    connection, response = gateway.open("GET", gateway.control_path(path), ())
    held = b""
    try:
        if response.status >= 400:
            raise answers.problem_of(response.status, response.headers, response.read())
        for chunk in response.iter_body():
            *lines, held = (held + bytes(chunk)).split(b"\n")
            for line in lines:
                if line.strip():
                    yield msgspec.json.decode(line, type=dict[str, Any])
    finally:
        connection.close()


def _lines(pieces: Iterator[dict[str, Any]]) -> Iterator[str]:
    """Yield whole lines of pieces that may hold several or part of one, by replica and stream."""
    held: dict[tuple[str, str, str], str] = {}
    for piece in pieces:
        source = (piece["replica"], piece["invocation"], piece["stream"])
        *lines, rest = (held.pop(source, "") + piece["text"]).split("\n")
        yield from lines
        if rest:
            held[source] = rest
    yield from held.values()


def _has_blob(gateway: Gateway, path: str) -> bool:
    connection, response = gateway.open("HEAD", gateway.control_path(path), ())
    response.read()
    gateway.release(connection)
    return response.status == 200


def _path(name: str, rest: str = "") -> str:
    return f"/v1/functions/{quote(name, safe='')}" + (f"/{rest}" if rest else "")
