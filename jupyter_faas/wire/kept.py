"""How gateways and their drivers talk to the service that keeps calls and maps for all of them.

One request an operation: `POST /v1/kept/{operation}`, msgpack `Asked` → msgpack. Everything may be
asked twice, so that a service that restarts is waited for. What the operations are says the
service (gateway/kept_service.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from jupyter_faas.core.errors import BadRequest, FaasError, ProviderError
from jupyter_faas.wire.heads import Buffer, Headers
from jupyter_faas.wire.problems import read_problem
from jupyter_faas.wire.upstream import Answer, AnswerLost, Upstream, request

T = TypeVar("T")
PATH = "/v1/kept/"
MOST_BYTES = 64 << 20
"""Largest body, answer or piece of a map that is kept."""
TRIES, RETRY_S = 8, 0.5
"""How often, and after how long, a service that cannot be reached is asked again."""
TIMEOUT_S = 120.0
"""For one exchange, however large."""
_encode = msgspec.msgpack.Encoder().encode


class Asked(msgspec.Struct, array_like=True):
    """Who asks for something."""

    holder: str
    """Prefix of the ids that the gateway process makes."""
    there: list[str]
    """Those of the gateways it has a link to."""
    values: list[msgspec.Raw]
    """What the operation is given."""


class MapHead(msgspec.Struct, array_like=True):
    """What is kept of a map, less what it was given and what came of it."""

    namespace: str
    function: str
    at: float
    """When it began, seconds since the epoch."""
    order: bytes
    total: int | None
    """Number of inputs; None: its caller had not sent all."""
    ended: bytes | None
    """How it ended (JSON)."""
    turn: int = 0
    """How often it has changed hands."""


class LinkTo(msgspec.Struct):
    """What a driver is told of the service."""

    address: str
    key: str
    holder: str


class KeptLink:
    """The way to the service.

    Args:
        address: `HOST:PORT`.
        key: What gateways show it, in hex.
        holder: Prefix of the ids that this gateway process makes.
    """

    def __init__(self, address: str, key: str, holder: str = "") -> None:
        self.holder = holder
        self.there: Callable[[], list[str]] = list
        """Returns the prefixes of the gateways there is a link to."""
        self._address, self._key = address, key
        self._upstream = Upstream(address, max_idle=8)
        self._headers = [(b"Authorization", f"Bearer {key}".encode())]

    def told(self) -> LinkTo:
        """Return what this gateway's driver is told, which asks in its name."""
        return LinkTo(self._address, self._key, self.holder)

    async def ask(self, operation: str, gives: type[T], *values: Any, tries: int = TRIES) -> T:
        """Return what an operation gives.

        Args:
            operation: Its name.
            gives: Type of the answer.
            *values: What it is given.
            tries: How often it is asked if the service is away.

        Raises:
            ProviderError: The service is away, or its disk fails.
            BadRequest: What was asked for cannot be.
        """
        raw = [msgspec.Raw(_encode(value)) for value in values]
        body = _encode(Asked(self.holder, self.there(), raw))
        answer = await patient_request(
            self._upstream, "POST", f"{PATH}{operation}", self._headers, body, tries=tries
        )
        return msgspec.msgpack.decode(checked(answer).body, type=gives)

    async def find(self, operation: str, gives: type[T], *values: Any) -> T | None:
        """Return what an operation gives that may give nothing; see `ask`."""
        found: T | None = await self.ask(operation, gives | None, *values)  # type: ignore[arg-type]  # mypy knows no type of a union
        return found

    def close(self) -> None:
        """Close the connections."""
        self._upstream.close()


async def patient_request(
    upstream: Upstream,
    method: str,
    path: str,
    headers: Headers,
    body: Buffer = b"",
    *,
    tries: int = TRIES,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """Return the answer of a service that may be restarting: it is asked again.

    Raises:
        ProviderError: It does not answer.
    """
    while True:
        tries -= 1
        try:
            return await request(upstream, method, path, headers, body, timeout_s=timeout_s)
        except (OSError, TimeoutError, AnswerLost) as error:
            if tries <= 0 or isinstance(error, TimeoutError):
                raise ProviderError(f"The blobs service does not answer: {error}") from error
        await asyncio.sleep(RETRY_S)


def checked(answer: Answer) -> Answer:
    """Return an answer that is none of a failure.

    Raises:
        BadRequest: What was asked for cannot be.
        ProviderError: Any other reason.
    """
    if answer.status >= 400:
        error: FaasError = read_problem(answer.status, answer.body)
        if isinstance(error, BadRequest):
            raise error
        raise ProviderError(f"The blobs service refuses: {error.detail}")
    return answer
