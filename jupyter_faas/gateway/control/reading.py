"""Reads what a request says: path, query, JSON body. Whatever is wrong is named."""

from __future__ import annotations

import re
from math import isnan, nan
from typing import TYPE_CHECKING, TypeVar

import msgspec

from jupyter_faas.core.errors import BadRequest, InvalidSpec, PayloadTooLarge
from jupyter_faas.core.names import check_name

if TYPE_CHECKING:
    from starlette.requests import Request

    from jupyter_faas.gateway.control.parts import Parts

T = TypeVar("T")

MAX_JSON_BYTES = 4 << 20
"""Largest JSON body; code travels as a blob."""

_PATH = re.compile(r" - at `\$\.?(.*)`$")
_TRUE = frozenset({"", "1", "true", "yes", "on"})


async def json_body(request: Request, kind: type[T], *, default: T | None = None) -> T:
    """Return the JSON body as a value of `kind`.

    Args:
        request: Its body has not been read.
        kind: What msgspec can decode.
        default: Returned for an empty body.

    Raises:
        BadRequest: No JSON.
        InvalidSpec: JSON that does not fit; the text names the field and what is expected.
        PayloadTooLarge: More than `MAX_JSON_BYTES`.
    """
    body = await _bounded(request)
    if not body and default is not None:
        return default
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise InvalidSpec(_explained(str(error))) from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"The body is no JSON: {error}.") from None


def namespace_of(request: Request, parts: Parts) -> str:
    """Return the namespace a request is about.

    Raises:
        InvalidSpec: It is no DNS label.
    """
    return check_name(request.query_params.get("namespace") or parts.settings.namespace)


def flag(request: Request, name: str) -> bool:
    """Return whether a query parameter is given and not `0`, `false` or the like."""
    value = request.query_params.get(name)
    return value is not None and value.lower() in _TRUE


def number(request: Request, name: str, default: float, low: float, high: float) -> float:
    """Return a number from the query, brought into [low, high].

    Raises:
        BadRequest: It is no number.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = nan
    if isnan(value):
        raise BadRequest(f"{name}={text!r} in the query is no number.")
    return min(high, max(low, value))


async def _bounded(request: Request) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_JSON_BYTES:
            raise PayloadTooLarge(
                f"A JSON body may have {MAX_JSON_BYTES} bytes here; this one has more."
            )
        chunks.append(chunk)
    return b"".join(chunks)


def _explained(message: str) -> str:
    """Turn msgspec's message into one that names the field first."""
    found = _PATH.search(message)
    where = found.group(1) if found else ""
    what = message[: found.start()] if found else message
    return f"{where or 'The body'}: {what[:1].lower()}{what[1:]}."
