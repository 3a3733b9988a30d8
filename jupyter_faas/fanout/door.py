"""The driver's HTTP: maps come in as streams, and are looked at and ended by their ids.

    POST /v1/maps             Faas-Map: order; body: frames ITEM (batch of inputs) … END
                              ERROR (a line) before END, or without: inputs that broke off
                              → frames ITEM (batch of outcomes), LOG, PROGRESS … END | ERROR END
                              a kept one: → 202 MapState, when all inputs are on disk
    GET /v1/maps              → {maps: [MapState]}; ?used=1&heard=N: and {used: MapUses}
    GET|DELETE /v1/maps/{id}  → MapState; ends it
    GET  …/results?from=&failed=1   of a kept one: frames LOG, ITEM … PROGRESS END, as they come
    GET  …/logs?follow=1            of a kept one: frames LOG … PROGRESS END
    POST …/retry                    of a kept one: what failed runs again → MapState
    POST …/release                  of a kept one, with Faas-Release: it goes to another driver

Inputs and outcomes flow at the same time over one connection; closing it ends the map. It listens
where only the gateway can connect: who may map what has been judged there. `Faas-Namespace` says
that nothing of another namespace is to be shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec

from jupyter_faas.core import batch
from jupyter_faas.core.errors import (
    BadRequest,
    FaasError,
    InvalidSpec,
    InvocationCancelled,
    InvocationNotFound,
    ProviderError,
)
from jupyter_faas.core.mapping import (
    HEADER,
    KEPT_PREFIX,
    PATH,
    TRIES_HEADER,
    MapOrder,
    most_tries,
)
from jupyter_faas.core.sections import Buffer
from jupyter_faas.fanout.base import Caller
from jupyter_faas.fanout.kept_streams import Intake, Outlet, Wanted, no_room, told_line
from jupyter_faas.wire.answered import answered
from jupyter_faas.wire.background import Background
from jupyter_faas.wire.frames import CONTENT_TYPE, FrameKind, FrameReader
from jupyter_faas.wire.problems import problem_answer
from jupyter_faas.wire.server import Exchange

if TYPE_CHECKING:
    from jupyter_faas.fanout.driver import Driver
    from jupyter_faas.fanout.run import Run
    from jupyter_faas.fanout.shelf import Shelf

_KEPT = {"is_ordered": False, "stops_at_error": False, "wants_results": True}
_ONE = f"{PATH}/".encode()
_ALL = PATH.encode()
_KEPT_PATH = f"{PATH}/{KEPT_PREFIX}".encode()
_RELEASE = b"faas-release"
"""Said by the gateway: another one is to have the map."""
_HEADER = HEADER.lower()
_JOIN_BYTES = 256 << 10
_JSON = [(b"Content-Type", b"application/json")]
_FRAMED = [(b"Content-Type", CONTENT_TYPE.encode())]
_NESTED = ((b"faas-parent", b"Faas-Parent"), (b"faas-depth", b"Faas-Depth"), (b"traceparent",) * 2)

_order = msgspec.json.Decoder(MapOrder).decode
_json = msgspec.json.Encoder().encode


class Door:
    """Answers the gateway.

    Args:
        driver: Has the maps.
        shelf: Has those that are kept.
    """

    def __init__(self, driver: Driver, shelf: Shelf) -> None:
        self._driver = driver
        self._shelf = shelf
        self._background = Background("an answer about maps")

    def __call__(self, exchange: Exchange) -> None:
        """Take a request."""
        try:
            self._route(exchange, exchange.method, exchange.path)
        except FaasError as error:
            exchange.respond(*problem_answer(error))

    def _route(
        self, exchange: Exchange, method: bytes, path: bytes, *, is_looked_up: bool = False
    ) -> None:
        if path == _ALL and method == b"POST":
            self._begin(exchange)
        elif path == _ALL and method == b"GET":
            kept = self._shelf.maps
            others = [run for run in self._driver.runs if run.id not in kept]
            maps = [one.status() for one in kept.values()]
            maps += [one.status() for one in others]
            told: dict[str, Any] = {"maps": maps}
            used, _, heard = exchange.query.partition(b"&heard=")
            if used == b"used=1":
                told["used"] = self._driver.usages.told(self._shelf.tallies(), int(heard or 0))
            exchange.respond(200, _JSON, _json(told))
        elif path.startswith(_ONE) and self._is_kept(exchange, method, path[len(_ONE) :]):
            pass
        elif path.startswith(_KEPT_PATH) and self._shelf.link is not None and not is_looked_up:
            self._look_up(exchange, path[len(_ONE) :].partition(b"/")[0].decode("latin-1"))
        elif path.startswith(_ONE) and method in (b"GET", b"DELETE"):
            run = self._driver.find(path[len(_ONE) :].decode("latin-1"))
            _check_place(exchange, run.order, run.id)
            if method == b"DELETE":
                run.fail(InvocationCancelled("The map was cancelled."))
            exchange.respond(200, _JSON, _json(run.status()))
        else:
            raise BadRequest("A driver has no such path or method.", status=404)

    def _begin(self, exchange: Exchange) -> None:
        try:
            order = _order(exchange.header(_HEADER, b""))
        except msgspec.MsgspecError as error:
            raise InvalidSpec(f"What is to be mapped cannot be read: {error}.") from error
        if order.is_kept:
            try:
                kept = self._shelf.begin(msgspec.structs.replace(order, **_KEPT))
            except OSError as error:
                raise no_room("The map", error) from error
            exchange.receiver = Intake(exchange, kept, self._shelf)
            return
        run = self._driver.begin(order, self._caller(exchange))
        exchange.receiver = MapStream(exchange, run)

    def _is_kept(self, exchange: Exchange, method: bytes, rest: bytes) -> bool:
        """Serve what is asked of a kept map; False: it is about no kept map."""
        id, _, part = rest.decode("latin-1").partition("/")
        kept = self._shelf.maps.get(id)
        if kept is None:
            return False
        _check_place(exchange, kept.order, id)
        if method == b"GET" and part in ("results", "logs"):
            Outlet(exchange, kept, _wanted(part, exchange.query.decode("latin-1")))
            return True
        if (method, part) == (b"POST", "retry"):
            kept.retry_failed()
        elif (method, part) == (b"DELETE", ""):
            kept.cancel()
            if not kept.is_end_written:
                raise ProviderError(
                    "The map is stopped, but there is no room to write that down: until there is, "
                    "a gateway that starts anew goes on with it.",
                    status=507,
                )
        elif (method, part) == (b"POST", "release") and exchange.header(_RELEASE) is not None:
            self._shelf.begin_release(id)
        elif (method, part) != (b"GET", ""):
            raise BadRequest("A kept map has no such path or method.", status=404)
        exchange.respond(200, _JSON, _json(kept.status()))
        return True

    def _look_up(self, exchange: Exchange, id: str) -> None:
        """Serve what is asked of a kept map that another driver has had, if there is one."""
        exchange.receiver = LookUp()

        async def look() -> None:
            await self._shelf.fetch(id)
            exchange.receiver = None
            if not exchange.is_over:
                self._route(exchange, exchange.method, exchange.path, is_looked_up=True)

        self._background.run(answered(exchange, look))

    def _caller(self, exchange: Exchange) -> Caller:
        told = dict(exchange.headers)
        nested = tuple((name, told[key]) for key, name in _NESTED if key in told)
        left = told.get(b"faas-deadline-ms", b"")
        until_s = self._driver.now_s() + int(left) / 1000 if left.isdigit() else None
        return Caller(nested, until_s)


def _wanted(part: str, query: str) -> Wanted:
    """Read what is asked for of a kept map.

    Raises:
        BadRequest: A number in the query is none.
    """
    asked = parse_qs(query)

    def number(name: str, default: int = 0) -> int:
        text = asked.get(name, [str(default)])[0]
        if not (text.isascii() and text.isdigit()):
            raise BadRequest(f"{name}={text!r} in the query is no number from 0 on.")
        return int(text)

    first = number("from")
    return Wanted(
        first=first,
        only_failed="failed" in asked,
        only_prints=part == "logs",
        prints_first=number("prints", first),
        said=number("said"),
        follows=part == "results" or "follow" in asked,
    )


def _check_place(exchange: Exchange, order: MapOrder, id: str) -> None:
    namespace = exchange.header(b"faas-namespace")
    if namespace is not None and namespace.decode("latin-1") != order.namespace:
        raise InvocationNotFound(f"No map {id} is known here (any more).")


class LookUp:
    """Receives for a request whose map is being fetched; such requests have no body."""

    def on_body(self, data: bytes) -> None:
        """There is none."""

    def on_body_end(self) -> None:
        """There is none."""

    def on_gone(self) -> None:
        """The map is fetched all the same."""

    def on_writable(self) -> None:
        """Nothing is written."""


class MapStream:
    """One map's connection: inputs come, outcomes go. It is the receiver and the sink.

    Args:
        exchange: The request.
        run: The map.
    """

    def __init__(self, exchange: Exchange, run: Run) -> None:
        self._exchange = exchange
        self._run = run
        self._reader = FrameReader()
        self._is_paused = self._is_closed = False
        self._broken = ""
        run.sink = self
        run.on_room = self._on_room
        number = str(run.order.revision).encode()
        tries = b"%d" % most_tries(run.order.of.idempotent if run.order.of else False)
        told = [
            (b"Faas-Map-Id", run.id.encode()),
            (b"Faas-Revision", number),
            (TRIES_HEADER, tries),
        ]
        exchange.join_pieces()
        exchange.start(200, [*_FRAMED, *told])

    # -- inputs

    def on_body(self, data: bytes) -> None:
        """Take inputs."""
        try:
            for frame in self._reader.feed(data):
                if frame.kind == FrameKind.ITEM:
                    self._run.take(list[Buffer](batch.unpack(frame.body)[1]))
                elif frame.kind == FrameKind.ERROR:
                    self._broken = told_line(frame.body)
                elif frame.kind == FrameKind.END:
                    self._is_closed = True
                    self._run.close_inputs(self._broken)
        except ValueError as error:
            self._run.fail(BadRequest(f"The inputs cannot be read: {error}."))
            return
        if not self._run.chunks.wants_inputs and not self._is_paused and not self._run.is_over:
            self._is_paused = True
            self._exchange.pause_body()

    def on_body_end(self) -> None:
        """The body is whole: without END the caller has broken off."""
        if not self._is_closed:
            self._run.cancel()
            self._exchange.abort()

    def on_gone(self) -> None:
        """The caller has left."""
        self._run.cancel()

    def _on_room(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._exchange.resume_body()

    # -- outcomes

    def on_writable(self) -> None:
        """The caller takes more."""
        self._run.pump()

    @property
    def is_writable(self) -> bool:
        """Whether the caller keeps up."""
        return self._exchange.is_writable

    def write(self, parts: list[Buffer]) -> None:
        """Send a frame."""
        if sum(map(len, parts)) <= _JOIN_BYTES:
            self._exchange.write(b"".join(parts))
            return
        for part in parts:
            self._exchange.write(part)

    def finish(self) -> None:
        """End the answer."""
        self._exchange.receiver = None
        if not self._exchange.is_over:
            self._exchange.finish()
