"""Names of deployed functions, for who types: from a gateway that is there, within a moment."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

import msgspec

from jupyter_faas.client.embedded import running_gateway
from jupyter_faas.client.session import session
from jupyter_faas.client.state_file import load_settings
from jupyter_faas.core.errors import FaasError
from jupyter_faas.core.names import DEFAULT_NAMESPACE
from jupyter_faas.core.settings import StatePaths
from jupyter_faas.wire.blocking import BlockingConnection

MOMENT_S = 0.3
"""Typing does not wait longer."""


class Way(NamedTuple):
    """How a gateway is asked without starting it."""

    address: str
    token: str
    namespace: str


class _Named(msgspec.Struct):
    name: str


class _Listed(msgspec.Struct):
    functions: list[_Named]


def ask() -> list[str] | None:
    """Return the names the gateway knows; None: there is none, or it takes too long."""
    with contextlib.suppress(FaasError, OSError, msgspec.MsgspecError):
        way = found()
        if way is not None:
            return _ask(way)
    return None


def found() -> Way | None:
    """Return the way to the gateway of this process, or to one that would be its own."""
    gateway = session.gateway
    if gateway is not None:
        token = gateway.authorization[1].decode().removeprefix("Bearer ")
        return Way(gateway.location.address, token, gateway.namespace)
    settings = load_settings()
    space = settings.namespace if settings.namespace != DEFAULT_NAMESPACE else ""
    if settings.gateway_url.startswith(("http", "unix:")):
        return Way(settings.gateway_url.rstrip("/"), settings.gateway_token, space)
    if settings.gateway_url not in ("", "embedded"):
        return None  # reaching a cluster takes longer than a moment
    state = running_gateway(StatePaths(settings.state_dir), MOMENT_S)
    return None if state is None else Way(f"unix:{state.socket}", state.token, space)


def _ask(way: Way) -> list[str]:
    connection = BlockingConnection(way.address, connect_timeout_s=MOMENT_S)
    query = f"?namespace={way.namespace}" if way.namespace else ""
    headers = ((b"Authorization", f"Bearer {way.token}".encode()),)
    try:
        answer = connection.request("GET", f"/v1/functions{query}", headers, timeout_s=MOMENT_S)
        if answer.status != 200:
            return []
        listed = msgspec.json.decode(answer.read(), type=_Listed)
    finally:
        connection.close()
    return [one.name for one in listed.functions]
