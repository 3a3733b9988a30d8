"""The door of the gateway: every request on either listener comes in here.

Invocation paths are served in the protocol, health without a token, everything else by the
control API behind a small ASGI bridge, which is loaded after the gateway listens. Where there are
several gateways, what is about a function of another one is passed on to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from jupyter_faas.core.errors import (
    BadRequest,
    FaasError,
    FunctionNotFound,
    GatewayUnavailable,
    NotImplementedYet,
)
from jupyter_faas.core.ids import gateway_of
from jupyter_faas.gateway import maps, problems
from jupyter_faas.gateway.acts import NOTHING, Act, act_of, call_of
from jupyter_faas.gateway.auth import Judge
from jupyter_faas.gateway.call_plan import Plan
from jupyter_faas.gateway.calls import Calls
from jupyter_faas.gateway.forwarding import is_forwarded, known_since, take_away_unproven
from jupyter_faas.gateway.held import Held
from jupyter_faas.gateway.hosts import Hosts, Target
from jupyter_faas.gateway.repeats import KnownHead, RepeatedExchange
from jupyter_faas.wire.exchange import Exchange

if TYPE_CHECKING:
    from jupyter_faas.gateway.forward import Forwarder
    from jupyter_faas.gateway.peers import Owners, Peer
    from jupyter_faas.gateway.registry import Registry

CALL_PREFIX = b"/function/"
ASYNC_PREFIX = b"/async-function/"
HEALTH = (b"/healthz", b"/readyz")
_MOST_PATHS = 4096
_TEXT = [(b"Content-Type", b"text/plain; charset=utf-8")]
_METRICS = [(b"Content-Type", b"text/plain; version=0.0.4; charset=utf-8")]
_FUNCTIONS = b"/v1/functions/"
_INVOCATIONS = b"/v1/invocations/"
_PEERS = b"/v1/peers/"
_LEAVING = [(b"Faas-Leaving", b"1")]
LATE_S = 2.0
"""So long a request waits for its function's owner to hear what another gateway has heard."""


class Door:
    """Sends each request where it belongs.

    Args:
        calls: Serves invocation paths.
        authority: Judges tokens for all others.
        registry: Knows which functions there are.
        namespace: What `/function/{name}` looks in.
        domain: `{function}.{domain}` as Host is a call of that function; empty: off.
        namespaces: Where functions have Services whose name as Host does the same.
        metrics: Returns the page of `/metrics`.
    """

    def __init__(
        self,
        calls: Calls,
        authority: Judge,
        *,
        registry: Registry,
        namespace: str,
        domain: str,
        namespaces: Collection[str] = (),
        metrics: Callable[[], bytes],
    ) -> None:
        self._calls = calls
        self._authority = authority
        self._registry = registry
        self._namespace = namespace
        self._hosts = Hosts(namespace, domain, namespaces)
        self._metrics = metrics
        self.maps: Callable[[Exchange, str], None] = _no_maps
        """Serves `/v1/maps`, in a namespace."""
        self._targets: dict[bytes, Target] = {}
        self.is_ready = False
        """What `/readyz` says."""
        self.control: Callable[[Exchange], object] | None = None
        """The control API, once it is loaded."""
        self.load_control: Callable[[], None] = lambda: None
        """Loads it now, for a request that came first."""
        self.owners: Owners | None = None
        """Which gateway each function belongs to; None: this one has all."""
        self.forwarder: Forwarder | None = None
        self.peer_token: bytes | None = None
        """What other gateways show; None: there are none."""
        self.peer_door: Callable[[Exchange], object] | None = None
        """Answers other gateways."""
        self.kept: Callable[[Exchange, str, str], None] = self._not_kept
        """Takes calls that are kept."""
        self.place_of_kept: Callable[[str], Awaitable[Target | None]] | None = None
        """Returns the function of a kept call, by its id; None: calls are kept by this gateway."""
        self.is_leaving = False
        """What other gateways pass on is not taken any more."""

    def __call__(self, exchange: Exchange) -> None:
        """Take a request."""
        if self.peer_token is not None:
            take_away_unproven(exchange, self.peer_token)
        path = exchange.path
        target = self._targets.get(path)
        try:
            if self._hosts:
                target = self._target_of_host(exchange) or target
            if target is not None:
                if self.owners is None or not self._pass_on(exchange, target, self.owners[target]):
                    self._calls(exchange, target[0], target[1])
                return
            self._other(exchange, path)
        except FaasError as error:
            exchange.respond(*problems.answer(error))

    def repeated(self, exchange: RepeatedExchange, known: KnownHead, body: bytes) -> bool:
        """Take a request whose head was seen before; False: it has to go the long way."""
        plan = known.memo
        if plan is None:
            plan = known.memo = self._plan(exchange) or False
        if plan is False:
            return False
        if self.owners is not None:
            target = (plan.namespace, plan.name)
            peer = self.owners[target]
            if peer is not None and self._pass_on(exchange, target, peer, (body,), plan):
                return True
        if self._calls.repeat(exchange, plan, body):
            return True
        known.memo = None  # what was known of its token may be known again after the long way
        return False

    def _plan(self, exchange: Exchange) -> Plan | None:
        """Return what there is to know of a head that may come again; None: go the long way."""
        try:
            # The head is known to its last byte: what its Host means does not change either.
            target = self._target_of_host(exchange) if self._hosts else None
            target = target or self._targets.get(exchange.path)
            return None if target is None else self._calls.plan(exchange, *target)
        except FaasError:
            return None  # the long way says what is wrong with it

    def calls_only(self, exchange: Exchange) -> None:
        """Take a request on the listener for replicas: calls, new maps, health, nothing else."""
        path = exchange.path
        is_map = path == maps.PREFIX and exchange.method == b"POST"
        if is_map or path.startswith((CALL_PREFIX, ASYNC_PREFIX)) or path in HEALTH:
            self(exchange)
            return
        elsewhere = BadRequest("This port takes calls of functions and nothing else.", status=404)
        exchange.respond(*problems.answer(elsewhere))

    def serve_here(self, exchange: Exchange) -> None:
        """Serve a request in this gateway, whoever owns the function."""
        owners, self.owners = self.owners, None
        try:
            self(exchange)
        finally:
            self.owners = owners

    def _pass_on(
        self,
        exchange: Exchange,
        target: Target | None,
        peer: Peer | None,
        body: tuple[bytes, ...] = (),
        plan: Plan | None = None,
    ) -> bool:
        """Forward a request to its owner; False: it is to be served here."""
        if peer is None and target is not None and not self._registry.has(*target):
            made_at = known_since(exchange)
            if made_at is not None and self._registry.is_late(*target, made_at):
                heard = self._registry.heard(*target, LATE_S)
                Held(exchange, heard, lambda: self._end_here(exchange))
                return True
            if not self._registry.knows(*target):
                peer = self._may_know(exchange, target)
        if peer is None or self.forwarder is None:
            return False
        if is_forwarded(exchange):
            if not self.is_leaving:
                return False  # Once is enough: whoever is right, it ends here.
            self._end_here(exchange)
            return True
        head = b""
        if plan is not None:
            head = plan.forwarded = plan.forwarded or self.forwarder.head_of(exchange, target)
        self.forwarder.take(exchange, peer, target, head=head, body=body)
        return True

    def _end_here(self, exchange: Exchange) -> None:
        """Serve what another gateway has passed on, or tell it that this one takes nothing more."""
        if self.is_leaving:
            exchange.respond(503, _LEAVING)
        else:
            self.serve_here(exchange)

    def _may_know(self, exchange: Exchange, target: Target) -> Peer | None:
        """Return who is asked about a function that this gateway owns and has not heard of.

        One that does not see yet that this gateway is there has taken the function for its own,
        and may have deployed it a moment ago. A deploy itself stays here.
        """
        is_asked = exchange.method == b"GET" or not exchange.path.startswith(b"/v1/")
        if self.forwarder is None or not is_asked:
            return None
        return self.forwarder.peers.next_owner(target)

    def _other(self, exchange: Exchange, path: bytes) -> None:
        if path.startswith(CALL_PREFIX):
            self._call(exchange, path)
        elif path.startswith(ASYNC_PREFIX):
            self._keep(exchange, path)
        elif path in HEALTH:
            self._health(exchange, path)
        elif path.startswith(_PEERS) and self.peer_door is not None:
            self.peer_door(exchange)
        elif self.owners is not None and self._pass_on_control(exchange, path):
            pass
        else:
            self._control(exchange, path)

    def _call(self, exchange: Exchange, path: bytes) -> None:
        target = self._target_of_path(path)
        if target is not None:
            if self.owners is None or not self._pass_on(exchange, target, self.owners[target]):
                self._calls(exchange, *target)
            return
        self._permitted(exchange, call_of(self._namespace), _no_function)

    def _keep(self, exchange: Exchange, path: bytes) -> None:
        target = self._split(path[len(ASYNC_PREFIX) :])
        if (
            target is None
            or self.owners is None
            or not self._pass_on(exchange, target, self.owners[target])
        ):
            self._control(exchange, path)

    def _control(self, exchange: Exchange, path: bytes) -> None:
        """Serve what is neither a call nor health, if the bearer may do it."""
        target = (path, exchange.query)
        act = act_of(exchange.method, target, self._namespace, self._registry.has)
        if act is None and self._authority.is_namespaced:
            # What the table does not know nobody has permitted, whatever might answer to it.
            self._permitted(exchange, NOTHING, _no_path)
        else:
            self._permitted(exchange, act or NOTHING, lambda: self._guarded(exchange, path))

    def _permitted(self, exchange: Exchange, act: Act, then: Callable[[], None]) -> None:
        """Go on with `then` if the bearer may do this: now, or when that is known."""
        header = exchange.header(b"authorization")
        if self._authority.judge(header, act) is not None:
            then()
        else:
            Held(exchange, self._authority.review(header, act), then)

    def _guarded(self, exchange: Exchange, path: bytes) -> None:
        if path == b"/metrics":
            exchange.respond(200, _METRICS, self._metrics())
        elif path == maps.PREFIX or path.startswith(maps.PREFIX + b"/"):
            asked = parse_qs(exchange.query.decode("latin-1")).get("namespace", ("",))
            self.maps(exchange, asked[0])
        elif path.startswith(ASYNC_PREFIX):
            target = self._split(path[len(ASYNC_PREFIX) :])
            if target is None:
                _no_function()
            else:
                self.kept(exchange, *target)
        elif path.startswith(_INVOCATIONS) and self._may_be_elsewhere(exchange):
            self._find_kept(exchange, path)
        else:
            self._to_control(exchange)

    def _to_control(self, exchange: Exchange) -> None:
        if self.control is None:
            self.load_control()
        if self.control is None:
            raise GatewayUnavailable("The gateway is still starting.", retry_after_s=1.0)
        self.control(exchange)

    def _may_be_elsewhere(self, exchange: Exchange) -> bool:
        is_alone = self.owners is None or self.place_of_kept is None
        return not is_alone and not is_forwarded(exchange)

    def _find_kept(self, exchange: Exchange, path: bytes) -> None:
        """Pass on what is asked of a kept call to who has it: the owner of its function."""
        id = path[len(_INVOCATIONS) :].partition(b"/")[0].decode("ascii", "replace")
        found: list[Target | None] = []

        async def look() -> None:
            assert self.place_of_kept is not None
            try:
                found.append(await self.place_of_kept(id))
            except FaasError:
                found.append(None)  # what is known here of other calls is told all the same

        def then() -> None:
            (target,) = found
            if (
                target is None
                or self.owners is None
                or not self._pass_on(exchange, target, self.owners[target])
            ):
                self._to_control(exchange)

        Held(exchange, look(), then)

    @staticmethod
    def _not_kept(_exchange: Exchange, _namespace: str, _name: str) -> None:
        raise NotImplementedYet(
            "This gateway keeps no calls, having no blobs service: POST to /function/ and wait "
            "for the answer."
        )

    def _pass_on_control(self, exchange: Exchange, path: bytes) -> bool:
        """Forward what is about a function or an invocation of another gateway."""
        assert self.owners is not None
        if path.startswith(_FUNCTIONS):
            name = path[len(_FUNCTIONS) :].partition(b"/")[0].decode("ascii", "replace")
            asked = parse_qs(exchange.query.decode("latin-1")).get("namespace", ())
            target = (asked[0] if asked else self._namespace, name)
            return self._pass_on(exchange, target, self.owners[target])
        if path.startswith(_INVOCATIONS) and self.forwarder is not None:
            id = path[len(_INVOCATIONS) :].partition(b"/")[0].decode("ascii", "replace")
            maker = self.forwarder.peers.maker_of(gateway_of(id))
            return self._pass_on(exchange, None, maker)
        return False

    def _health(self, exchange: Exchange, path: bytes) -> None:
        if path == b"/readyz" and not self.is_ready:
            raise GatewayUnavailable("The gateway is not ready.", retry_after_s=1.0)
        exchange.respond(200, _TEXT, b"ok\n")

    def _target_of_path(self, path: bytes) -> Target | None:
        """Return (namespace, name) of `/function/{name}` or `/function/{namespace}/{name}`."""
        target = self._split(path[len(CALL_PREFIX) :])
        if target is not None and len(self._targets) < _MOST_PATHS:
            self._targets[path] = target
        return target

    def _split(self, rest: bytes) -> Target | None:
        parts = rest.decode("ascii", "replace").split("/")
        if len(parts) > 2 or not all(parts):
            return None
        return (parts[0], parts[1]) if len(parts) == 2 else (self._namespace, parts[0])

    def _target_of_host(self, exchange: Exchange) -> Target | None:
        return self._hosts.target(exchange.header(b"host") or b"")


def _no_function() -> None:
    raise FunctionNotFound(
        "A function is called at /function/{name} or /function/{namespace}/{name}."
    )


def _no_maps(_exchange: Exchange, _namespace: str) -> None:
    raise NotImplementedYet("This gateway runs no maps: call the function for each input.")


def _no_path() -> None:
    raise BadRequest(
        "There is no such path or method here; /openapi.json lists those there are.", status=404
    )
