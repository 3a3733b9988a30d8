"""The door of the gateway: every request on either listener comes in here.

Invocation paths are served in the protocol, health without a token, everything else by the
control API behind a small ASGI bridge, which is loaded after the gateway listens.
"""

from __future__ import annotations

from collections.abc import Callable

from jupyter_faas.core.errors import (
    BadRequest,
    FaasError,
    FunctionNotFound,
    GatewayUnavailable,
    NotImplementedYet,
)
from jupyter_faas.gateway import problems
from jupyter_faas.gateway.auth import Authority, Grant
from jupyter_faas.gateway.calls import Calls
from jupyter_faas.gateway.repeats import KnownHead, RepeatedExchange
from jupyter_faas.wire.exchange import Exchange

CALL_PREFIX = b"/function/"
ASYNC_PREFIX = b"/async-function/"
_MOST_PATHS = 4096
_TEXT = [(b"Content-Type", b"text/plain; charset=utf-8")]
_METRICS = [(b"Content-Type", b"text/plain; version=0.0.4; charset=utf-8")]

Target = tuple[str, str]


class Door:
    """Sends each request where it belongs.

    Args:
        calls: Serves invocation paths.
        authority: Judges tokens for all others.
        namespace: What `/function/{name}` looks in.
        domain: `{function}.{domain}` as Host is a call of that function; empty: off.
        metrics: Returns the page of `/metrics`.
    """

    def __init__(
        self,
        calls: Calls,
        authority: Authority,
        *,
        namespace: str,
        domain: str,
        metrics: Callable[[], bytes],
    ) -> None:
        self._calls = calls
        self._authority = authority
        self._namespace = namespace
        self._domain = b"." + domain.lower().encode("ascii") if domain else b""
        self._metrics = metrics
        self._targets: dict[bytes, Target] = {}
        self.is_ready = False
        """What `/readyz` says."""
        self.control: Callable[[Exchange], object] | None = None
        """The control API, once it is loaded."""
        self.load_control: Callable[[], None] = lambda: None
        """Loads it now, for a request that came first."""

    def __call__(self, exchange: Exchange) -> None:
        """Take a request."""
        path = exchange.path
        target = self._targets.get(path)
        if self._domain:
            target = self._target_of_host(exchange) or target
        if target is not None:
            self._calls(exchange, target[0], target[1])
            return
        try:
            self._other(exchange, path)
        except FaasError as error:
            exchange.respond(*problems.answer(error))

    def repeated(self, exchange: RepeatedExchange, known: KnownHead, body: bytes) -> bool:
        """Take a request whose head was seen before; False: it has to go the long way."""
        plan = known.memo
        if plan is None:
            target = None if self._domain else self._targets.get(exchange.path)
            found = None if target is None else self._calls.plan(exchange, *target)
            plan = known.memo = found or False
        return plan is not False and self._calls.repeat(exchange, plan, body)

    def _other(self, exchange: Exchange, path: bytes) -> None:
        if path.startswith(CALL_PREFIX):
            self._call(exchange, path)
        elif path in (b"/healthz", b"/readyz"):
            self._health(exchange, path)
        else:
            self._authorise(exchange, Grant.ALL)
            self._guarded(exchange, path)

    def _call(self, exchange: Exchange, path: bytes) -> None:
        target = self._target_of_path(path)
        if target is not None:
            self._calls(exchange, *target)
            return
        self._authorise(exchange, Grant.CALLS)
        raise FunctionNotFound(
            "A function is called at /function/{name} or /function/{namespace}/{name}."
        )

    def _authorise(self, exchange: Exchange, wanted: Grant) -> None:
        refusal = self._authority.refusal(exchange.header(b"authorization"), wanted)
        if refusal is not None:
            raise refusal

    def _guarded(self, exchange: Exchange, path: bytes) -> None:
        if path == b"/metrics":
            exchange.respond(200, _METRICS, self._metrics())
        elif path.startswith(ASYNC_PREFIX):
            raise NotImplementedYet(
                "Calls that are kept are not built yet: POST to /function/ and wait for the answer."
            )
        else:
            if self.control is None:
                self.load_control()
            if self.control is None:
                raise GatewayUnavailable("The gateway is still starting.", retry_after_s=1.0)
            self.control(exchange)

    def _health(self, exchange: Exchange, path: bytes) -> None:
        if path == b"/readyz" and not self.is_ready:
            raise GatewayUnavailable("The gateway is not ready.", retry_after_s=1.0)
        exchange.respond(200, _TEXT, b"ok\n")

    def _target_of_path(self, path: bytes) -> Target | None:
        """Return (namespace, name) of `/function/{name}` or `/function/{namespace}/{name}`."""
        parts = path[len(CALL_PREFIX) :].decode("ascii", "replace").split("/")
        if len(parts) > 2 or not all(parts):
            return None
        namespace, name = parts if len(parts) == 2 else (self._namespace, parts[0])
        if len(self._targets) < _MOST_PATHS:
            self._targets[path] = (namespace, name)
        return namespace, name

    def _target_of_host(self, exchange: Exchange) -> Target | None:
        host = (exchange.header(b"host") or b"").lower().partition(b":")[0]
        if not host.endswith(self._domain):
            return None
        name = host[: -len(self._domain)].decode("ascii", "replace")
        if "." in name:
            raise BadRequest(f"`{name}` is no function's name.")
        return self._namespace, name
