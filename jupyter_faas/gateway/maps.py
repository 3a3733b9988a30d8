"""Maps at the gateway: which function and revision is meant; everything else is the driver's.

A map is one exchange: inputs and outcomes pass through at the same time, as bytes, each way with
back-pressure. The gateway adds to the order what it knows of the function; it reads nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_faas.core.errors import (
    FaasError,
    GatewayUnavailable,
    InternalError,
    NotImplementedYet,
)
from jupyter_faas.core.mapping import HEADER, KEPT_PREFIX, PATH, MapOrder, Seating
from jupyter_faas.core.ownership import Target
from jupyter_faas.gateway.map_orders import filled, read_order, revision_of
from jupyter_faas.gateway.map_passage import MapPassage
from jupyter_faas.wire.background import Background
from jupyter_faas.wire.exchange import Exchange
from jupyter_faas.wire.upstream import Upstream

if TYPE_CHECKING:
    from jupyter_faas.gateway.entries import RevisionEntry
    from jupyter_faas.gateway.registry import Registry

PREFIX = PATH.encode()
_LOOK_S = 2.0
_CONNECT_TRIES, _CONNECT_PAUSE_S = 20, 0.05
_log = logging.getLogger(__name__)
_PASSED = (b"faas-parent", b"faas-depth", b"faas-deadline-ms", b"traceparent")

Headers = list[tuple[bytes, bytes]]


class Host(Protocol):
    """Has the driver."""

    @property
    def running_address(self) -> str | None:
        """Where the driver listens; None: there is none."""

    async def address(self) -> str:
        """Return where the driver listens; starts it if need be."""

    async def close(self) -> None:
        """End it."""


class Others(Protocol):
    """The other gateways' maps, where there are several; see `map_peers.py`."""

    def take(
        self,
        exchange: Exchange,
        namespace: str,
        order: MapOrder | None,
        target: Target | None,
    ) -> bool:
        """Take a request that is not for this gateway's driver; False: it is.

        Args:
            exchange: The request.
            namespace: That was asked for.
            order: Of a new map.
            target: The function of a kept one.
        """

    def new_id(self) -> str:
        """Return an id for a map that tells which gateway has it."""


class Kept(Protocol):
    """The kept maps of a cluster; see `kept_maps.py`."""

    @property
    def is_busy(self) -> bool:
        """Whether there is one here that has not ended."""

    def take(self, exchange: Exchange, namespace: str, id: str) -> None:
        """Take a request about one of them."""

    def look_now(self) -> None:
        """Functions have changed hands."""

    async def states(self, namespace: str) -> list[dict[str, Any]]:
        """Return how those of a namespace go."""


class Maps:
    """Passes maps on to the driver.

    Args:
        registry: Finds functions.
        namespace: Of requests that name none.
        is_namespaced: Whoever asks is shown the maps of the namespace that was asked for alone.
    """

    def __init__(self, registry: Registry, namespace: str, *, is_namespaced: bool = False) -> None:
        self._registry = registry
        self._namespace = namespace
        self._is_namespaced = is_namespaced
        self._background = Background("a request about maps")
        self.host: Host | None = None
        """Set by the composition root; None: this gateway runs no maps."""
        self.others: Others | None = None
        """Where there are several gateways."""
        self.kept: Kept | None = None
        """Where kept maps are shared by several gateways."""
        self.seating: Callable[[RevisionEntry], Seating | None] = lambda _entry: None
        """What it takes to run a revision on Ray; None: there is none here."""
        self.prepare: Callable[[RevisionEntry], Awaitable[None]] | None = None
        """Has what a map of a revision needs here, before its driver hears of it."""
        self.passing: set[MapPassage] = set()
        self.begun = 0
        self._has_unfinished: Callable[[], bool] = lambda: False
        self._timer: asyncio.TimerHandle | None = None
        self._drained: asyncio.Future[None] | None = None

    def __call__(self, exchange: Exchange, namespace: str = "") -> None:
        """Take a request of somebody who may call functions of this namespace."""
        if self.host is None:
            raise NotImplementedYet("This gateway runs no maps: call the function for each input.")
        namespace = namespace or self._namespace
        is_new = exchange.path == PREFIX and exchange.method == b"POST"
        order = read_order(exchange) if is_new else None
        id = exchange.path[len(PREFIX) + 1 :].partition(b"/")[0].decode("latin-1")
        if self.kept is not None and id.startswith(KEPT_PREFIX):
            self.kept.take(exchange, namespace, id)
        else:
            self.go(exchange, namespace, order, None)

    def go(
        self, exchange: Exchange, namespace: str, order: MapOrder | None, target: Target | None
    ) -> None:
        """Have a request go where it belongs; see `Others.take`."""
        if self.others is None or not self.others.take(exchange, namespace, order, target):
            self.take_here(exchange, namespace, order)

    def take_here(self, exchange: Exchange, namespace: str, order: MapOrder | None) -> None:
        """Take a request for this gateway's driver; with an `order`: a new map."""
        assert self.host is not None
        headers = [(name, value) for name, value in exchange.headers if name in _PASSED]
        if self._is_namespaced:
            headers.append((b"Faas-Namespace", namespace.encode()))
        to: Callable[[], Awaitable[str]] = self.host.address
        if order is not None:
            entry = revision_of(order, exchange, namespace, self._registry)
            headers.append((HEADER, self._filled(entry, namespace, order)))
            to = partial(self._prepared, self.host, entry)
        if exchange.method == b"POST":
            self.begun += 1  # a map, or one whose failed items run again
        self.send(exchange, headers, to, is_map=order is not None)

    @property
    def is_busy(self) -> bool:
        """Whether a map is under way."""
        return any(passage.is_map for passage in self.passing)

    async def warm(self) -> None:
        """Start the driver before the first map."""
        if self.host is not None:
            await self.host.address()

    @property
    def is_keeping(self) -> bool:
        """Whether a kept map has not ended."""
        return self._has_unfinished() if self.kept is None else self.kept.is_busy

    def driver_address(self) -> str | None:
        """Return where the driver listens; None: there is none."""
        return None if self.host is None else self.host.running_address

    def keep_going(self, has_unfinished: Callable[[], bool]) -> None:
        """See to it that kept maps go on: after a start, and after a driver has gone.

        Args:
            has_unfinished: Whether there is one that has not ended; asked now and then.
        """
        self._has_unfinished = has_unfinished
        self._look()

    async def drained(self) -> None:
        """Wait until no map is under way."""
        if self.is_busy:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    async def close(self) -> None:
        """Cut what is under way and end the driver."""
        if self._timer is not None:
            self._timer.cancel()
        for passage in tuple(self.passing):
            passage.cut()
        if self.host is not None:
            await self.host.close()

    def send(
        self,
        exchange: Exchange,
        headers: Headers,
        to: Callable[[], Awaitable[str]],
        *,
        is_map: bool,
        on_refused: Callable[[MapPassage, OSError], bool] = lambda _passage, _error: False,
    ) -> None:
        """Pass a request on.

        Args:
            exchange: Nobody receives for it.
            headers: What is said of it there.
            to: Returns where that is.
            is_map: It is a map itself.
            on_refused: Hears that nobody listens there; True: it has taken the request back.
        """
        passage = MapPassage(
            exchange,
            headers,
            self._on_over,
            lambda one: self._begin(one, to, on_refused),
            is_map=is_map,
        )
        self.passing.add(passage)
        exchange.receiver = passage
        exchange.pause_body()
        self._begin(passage, to, on_refused)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_LOOK_S, self._look)
        if self.host is not None and self._has_unfinished():
            self.begun += 1  # it is used: this gateway is not to leave
            self._background.run(self._ensure(self.host))

    async def _ensure(self, host: Host) -> None:
        try:
            await host.address()
        except (FaasError, OSError):
            _log.exception("the process that runs maps does not start")

    def _on_over(self, passage: MapPassage) -> None:
        self.passing.discard(passage)
        if self._drained is not None and not self.is_busy and not self._drained.done():
            self._drained.set_result(None)

    async def _prepared(self, host: Host, entry: RevisionEntry) -> str:
        if self.prepare is not None:
            await self.prepare(entry)
        return await host.address()

    def _filled(self, entry: RevisionEntry, namespace: str, order: MapOrder) -> bytes:
        id = "" if self.others is None or order.is_kept else self.others.new_id()
        seating = None if order.engine == "replicas" else self.seating(entry)
        return filled(order, entry, namespace, id, seating)

    def _begin(
        self,
        passage: MapPassage,
        to: Callable[[], Awaitable[str]],
        on_refused: Callable[[MapPassage, OSError], bool],
    ) -> None:
        self._background.run(self._connect(passage, to, on_refused))

    async def _connect(
        self,
        passage: MapPassage,
        to: Callable[[], Awaitable[str]],
        on_refused: Callable[[MapPassage, OSError], bool],
    ) -> None:
        try:
            await self._reach(passage, to, on_refused)
        except FaasError as error:
            passage.refuse(error)
        except Exception:
            _log.exception("a request about maps gets nowhere")
            passage.refuse(InternalError("The gateway has a defect; its log has the details."))

    async def _reach(
        self,
        passage: MapPassage,
        to: Callable[[], Awaitable[str]],
        on_refused: Callable[[MapPassage, OSError], bool],
    ) -> None:
        for tries_left in range(_CONNECT_TRIES - 1, -1, -1):
            try:
                upstream = Upstream(await to())
                connection = await upstream.connect()
            except OSError as error:
                if on_refused(passage, error):
                    return
                if not tries_left:
                    detail = f"What runs maps does not answer: {error}."
                    raise GatewayUnavailable(detail, retry_after_s=1.0) from error
                await asyncio.sleep(_CONNECT_PAUSE_S)  # it ends: the next one is started then
            else:
                passage.begin(connection, upstream.authority)
                return
