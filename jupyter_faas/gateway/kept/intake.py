"""Takes a request for a kept call: its body whole, what its head says, bounded and checked."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from jupyter_faas.core.errors import BadRequest, FaasError
from jupyter_faas.gateway import heads, problems
from jupyter_faas.gateway.endings import too_large
from jupyter_faas.gateway.store.kept_base import KeptCall
from jupyter_faas.wire.exchange import Exchange

_KEPT = frozenset(
    (
        b"accept",
        b"content-encoding",
        b"content-type",
        b"faas-depth",
        b"faas-method",
        b"faas-revision",
        b"faas-route-key",
        b"faas-seen",
        b"traceparent",
        b"tracestate",
    )
)
_MOST_TEXT = 2048


def read_call(exchange: Exchange, id: str, namespace: str, name: str, now: float) -> KeptCall:
    """Return what a request asks for.

    Args:
        exchange: Its head.
        id: For it, unless it brings one.
        namespace: Of the function.
        name: Of the function.
        now: Wall clock, seconds since the epoch.

    Raises:
        BadRequest: Something in its head cannot be used.
    """
    if exchange.method != b"POST":
        raise BadRequest("A function is called with POST.", status=405)
    told = dict(exchange.headers)
    chosen = told.get(b"faas-invocation-id")
    if chosen is not None:
        id = heads.invocation_id(chosen).decode()
    given = told.get(b"faas-deadline-ms")
    return KeptCall(
        id=id,
        namespace=namespace,
        function=name,
        accepted_at=now,
        headers=[(key, value) for key, value in exchange.headers if key in _KEPT],
        deadline_at=0.0 if given is None else now + heads.deadline_ms(given) / 1000,
        callback_url=_callback(told.get(b"x-callback-url")),
        key=_text(told.get(b"idempotency-key"), "Idempotency-Key"),
    )


class Intake:
    """Receives the body of a request.

    Args:
        exchange: Not answered yet.
        max_bytes: Largest body taken.
        then: Gets the whole body.
    """

    __slots__ = ("_exchange", "_max_bytes", "_parts", "_size", "_then")

    def __init__(self, exchange: Exchange, max_bytes: int, then: Callable[[bytes], None]) -> None:
        self._exchange = exchange
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._size = 0
        self._then = then
        exchange.receiver = self

    def on_body(self, data: bytes) -> None:
        """The next piece."""
        self._parts.append(data)
        self._size += len(data)
        if self._size > self._max_bytes:
            self._refuse(too_large(self._size, self._max_bytes))

    def on_body_end(self) -> None:
        """It is whole."""
        self._exchange.receiver = None
        parts, self._parts = self._parts, []
        self._then(b"".join(parts))

    def on_gone(self) -> None:
        """The client left: nothing was accepted."""
        self._parts = []

    def on_writable(self) -> None:
        """Nothing is written here."""

    def _refuse(self, error: FaasError) -> None:
        self._parts = []
        self._exchange.receiver = None
        self._exchange.respond(*problems.answer(error))


def _callback(value: bytes | None) -> str:
    text = _text(value, "X-Callback-Url")
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise BadRequest("X-Callback-Url must be an http or https address.")
    return text


def _text(value: bytes | None, name: str) -> str:
    if value is None:
        return ""
    text = value.strip()
    if not text or len(text) > _MOST_TEXT or not (text.isascii() and text.decode().isprintable()):
        raise BadRequest(f"{name} must be 1 to {_MOST_TEXT} printable ASCII characters.")
    return text.decode()
