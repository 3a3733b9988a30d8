"""Maps at the gateway: which function and revision is meant; everything else is the driver's.

A map is one exchange: inputs and outcomes pass through at the same time, as bytes, each way with
back-pressure. The gateway adds to the order what it knows of the function; it reads nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

from jupyter_faas.core.errors import (
    FaasError,
    GatewayLost,
    GatewayUnavailable,
    InvalidSpec,
    NotImplementedYet,
)
from jupyter_faas.core.mapping import ENGINES, HEADER, PATH, MapFunction, MapOrder, Seating
from jupyter_faas.core.model import Kind, RevisionState
from jupyter_faas.gateway import heads, problems
from jupyter_faas.gateway.endings import failure_of
from jupyter_faas.wire.exchange import Exchange
from jupyter_faas.wire.heads import (
    BODYLESS_STATUSES,
    STATUS_LINES,
    encode_head,
    encode_request,
    end_to_end,
)
from jupyter_faas.wire.upstream import Upstream, UpstreamConnection

if TYPE_CHECKING:
    from jupyter_faas.gateway.entries import RevisionEntry
    from jupyter_faas.gateway.registry import Registry

PREFIX = PATH.encode()
_LOOK_S = 2.0
_CONNECT_TRIES, _CONNECT_PAUSE_S = 20, 0.05
_log = logging.getLogger(__name__)
_HEADER = HEADER.lower()
_PASSED = (b"faas-parent", b"faas-depth", b"faas-deadline-ms", b"traceparent")
_STREAMS = frozenset({Kind.GENERATOR, Kind.ASYNC_GENERATOR})
_order = msgspec.json.Decoder(MapOrder).decode
_json = msgspec.json.Encoder().encode


class Host(Protocol):
    """Has the driver."""

    @property
    def running_address(self) -> str | None:
        """Where the driver listens; None: there is none."""

    async def address(self) -> str:
        """Return where the driver listens; starts it if need be."""

    async def close(self) -> None:
        """End it."""


class Maps:
    """Passes maps on to the driver.

    Args:
        registry: Finds functions.
        namespace: Of requests that name none.
    """

    def __init__(self, registry: Registry, namespace: str) -> None:
        self._registry = registry
        self._namespace = namespace
        self._tasks: set[asyncio.Task[None]] = set()
        self.host: Host | None = None
        """Set by the composition root; None: this gateway runs no maps."""
        self.seating: Callable[[RevisionEntry], Seating | None] = lambda _entry: None
        """What it takes to run a revision on Ray; None: it cannot."""
        self.passing: set[MapPassage] = set()
        self.begun = 0
        self._has_unfinished: Callable[[], bool] = lambda: False
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, exchange: Exchange, namespace: str = "") -> None:
        """Take a request of somebody who may call functions of this namespace."""
        if self.host is None:
            raise NotImplementedYet("This gateway runs no maps: call the function for each input.")
        is_new = exchange.path == PREFIX and exchange.method == b"POST"
        headers = [(name, value) for name, value in exchange.headers if name in _PASSED]
        if is_new:
            order = self._filled(exchange, namespace or self._namespace)
            headers.append((HEADER, _json(order)))
            self.begun += 1
        passage = MapPassage(exchange, headers, self.passing.discard, self._send, is_map=is_new)
        self.passing.add(passage)
        exchange.receiver = passage
        exchange.pause_body()
        self._send(passage)

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
        return self._has_unfinished()

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

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_LOOK_S, self._look)
        if self.host is not None and self._has_unfinished():
            self.begun += 1  # it is used: this gateway is not to leave
            task = loop.create_task(self._ensure(self.host))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ensure(self, host: Host) -> None:
        try:
            await host.address()
        except (FaasError, OSError):
            _log.exception("the process that runs maps does not start")

    async def close(self) -> None:
        """Cut what is under way and end the driver."""
        if self._timer is not None:
            self._timer.cancel()
        for passage in tuple(self.passing):
            passage.cut()
        if self.host is not None:
            await self.host.close()

    def _filled(self, exchange: Exchange, namespace: str) -> MapOrder:
        """Return the order with its revision, and what that is."""
        try:
            order = _order(exchange.header(_HEADER, b""))
        except msgspec.MsgspecError as error:
            raise InvalidSpec(f"{HEADER.decode()} says what to map, as JSON: {error}.") from error
        if order.engine not in ENGINES:
            raise InvalidSpec(f"engine={order.engine!r}: allowed is one of {', '.join(ENGINES)}.")
        entry = self._revision(exchange, namespace, order)
        spec = entry.revision.spec
        kind = spec.code.methods.get(order.method or "", spec.code.kind)
        if kind in _STREAMS:
            raise InvalidSpec(f"`{order.function}` yields: a map needs a function that returns.")
        scaling = entry.function.function.settings.scaling
        of = MapFunction(
            revision_id=entry.revision.id,
            kind=kind,
            timeout_s=spec.timeout_s,
            max_inputs=spec.max_inputs,
            max_containers=max(1, scaling.max_containers),
            memory_mib=spec.resources.memory_mib,
            retries=spec.retries,
            idempotent=spec.idempotent,
            seating=None if order.engine == "replicas" else self.seating(entry),
        )
        return msgspec.structs.replace(order, namespace=namespace, revision=entry.number, of=of)

    def _revision(self, exchange: Exchange, namespace: str, order: MapOrder) -> RevisionEntry:
        function = self._registry.get(namespace, order.function)
        if order.revision is None:
            entry = function.route(None)
        else:
            entry = self._registry.get_revision(function, order.revision)
        if entry.revision.state is RevisionState.FAILED:
            raise failure_of(entry)
        seen = exchange.header(b"faas-seen")
        if seen is not None:
            self._registry.check_seen(entry, heads.revision_number(seen))
        return entry

    def _send(self, passage: MapPassage) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(passage))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, passage: MapPassage) -> None:
        assert self.host is not None
        for tries_left in range(_CONNECT_TRIES - 1, -1, -1):
            try:
                upstream = Upstream(await self.host.address())
                connection = await upstream.connect()
            except FaasError as error:
                passage.refuse(error)
                return
            except OSError as error:
                if not tries_left:
                    detail = f"The process that runs maps does not answer: {error}."
                    passage.refuse(GatewayUnavailable(detail, retry_after_s=1.0))
                await asyncio.sleep(_CONNECT_PAUSE_S)  # it ends: the next one is started then
            else:
                passage.begin(connection, upstream.authority)
                return


class MapPassage:
    """One request on its way to the driver, and its answer back, both at the same time.

    Args:
        exchange: The caller's.
        headers: For the driver.
        on_over: Told when it has ended.
        again: Sends it once more.
        is_map: It is a map itself, not a question about maps.
    """

    def __init__(
        self,
        exchange: Exchange,
        headers: list[tuple[bytes, bytes]],
        on_over: Callable[[MapPassage], None],
        again: Callable[[MapPassage], None],
        *,
        is_map: bool,
    ) -> None:
        self.is_map = is_map
        self._exchange = exchange
        self._headers = headers
        self._on_over = on_over
        self._again = again
        self._is_repeatable = exchange.method == b"GET"
        self._connection: UpstreamConnection | None = None
        self._early: list[bytes] = []
        self._is_whole = False
        self._is_started = False
        self._is_over = False

    def begin(self, connection: UpstreamConnection, authority: bytes) -> None:
        """Send the head, and what has come of the body."""
        if self._is_over:
            connection.close()
            return
        exchange = self._exchange
        self._connection = connection
        length = None if exchange.has_body else 0
        head = encode_request(exchange.method, exchange.target, authority, self._headers, length)
        connection.send(head, self, owed_bytes=-1 if exchange.has_body else 0)
        for data in self._early:
            connection.write(data)
        self._early = []
        if self._is_whole:
            connection.write_end()
        exchange.resume_body()

    def refuse(self, error: FaasError) -> None:
        """It does not get to the driver."""
        if self._is_over:
            return
        exchange = self._exchange
        self._finish()
        exchange.respond(*problems.answer(error))

    def cut(self) -> None:
        """End it at once."""
        if not self._is_over:
            exchange = self._exchange
            self._finish()
            exchange.abort()

    # -- the caller's side

    def on_body(self, data: bytes) -> None:
        """Pass inputs on."""
        connection = self._connection
        if connection is None:
            self._early.append(data)
            return
        connection.write(data)
        if not connection.is_writable:
            self._exchange.pause_body()

    def on_body_end(self) -> None:
        """The inputs are whole."""
        self._is_whole = True
        if self._connection is not None:
            self._connection.write_end()

    def on_gone(self) -> None:
        """The caller has left: the driver sees it from its connection."""
        self._finish()

    def on_writable(self) -> None:
        """The caller takes more."""
        if self._connection is not None:
            self._connection.resume_reading()

    # -- the driver's side

    def on_answer_head(
        self, status: int, headers: list[tuple[bytes, bytes]], content_length: int | None
    ) -> None:
        """The driver answers."""
        self._is_started = True
        line = STATUS_LINES.get(status, STATUS_LINES[502])
        length = -1 if status in BODYLESS_STATUSES else content_length
        self._exchange.raw_start(encode_head(line, end_to_end(headers)), length)

    def on_answer_body(self, data: bytes) -> None:
        """Pass outcomes on."""
        self._exchange.write(data)
        if not self._exchange.is_writable and self._connection is not None:
            self._connection.pause_reading()

    def on_answer_end(self) -> None:
        """The answer is whole."""
        exchange = self._exchange
        self._finish()
        exchange.finish()

    def on_answer_lost(self, exc: Exception | None) -> None:
        """The driver is gone."""
        if self._is_over:
            return
        if self._is_repeatable and not self._is_started:
            self._is_repeatable = False
            self._connection = None
            self._again(self)
            return
        exchange, is_started = self._exchange, self._is_started
        self._finish()
        if is_started:
            exchange.abort()
        else:
            lost = GatewayLost("The process that runs maps went away before it answered.")
            exchange.respond(*problems.answer(lost))

    def on_upstream_writable(self) -> None:
        """The driver takes more inputs."""
        if not self._is_over:
            self._exchange.resume_body()

    def _finish(self) -> None:
        self._is_over = True
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._exchange.receiver = None
        self._on_over(self)
