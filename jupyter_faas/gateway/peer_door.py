"""What other gateways ask of this one: the link on which they hear what happens here.

`GET /v1/peers/link` is a stream of server-sent events: `starting` as long as this gateway is not
ready, then `hello` with its id and the prefix of its invocation ids, `snapshot` of the functions it
owns, its own events as they come, a comment each second, `leaving` once when it takes nothing new.
With `?calls=1` the single
calls alone. `GET /v1/peers/blobs/{sha256}` gives a package that was uploaded here. Only who has
the gateways' own token is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from jupyter_faas.core.errors import (
    BadRequest,
    EventsGone,
    FaasError,
    GatewayUnavailable,
    Unauthorized,
)
from jupyter_faas.core.ownership import Member
from jupyter_faas.gateway import problems
from jupyter_faas.gateway.blobs import Blobs
from jupyter_faas.gateway.events import Event, EventLog
from jupyter_faas.gateway.peers import Peers
from jupyter_faas.wire.answered import answered
from jupyter_faas.wire.exchange import Exchange
from jupyter_faas.wire.sse import KEEP_ALIVE, encode_event
from jupyter_faas.wire.tokens import is_bearer

PREFIX = b"/v1/peers/"
_BLOBS = PREFIX + b"blobs/"

HEARTBEAT_S = 1.0
PAUSE_S = 0.02
"""Between two batches of events."""

_HEAD = [(b"Content-Type", b"text/event-stream"), (b"Cache-Control", b"no-store")]


class PeerDoor:
    """Answers other gateways.

    Args:
        peers: Told of gateways that have opened a link.
        events: What is said.
        snapshot: Returns what is shown of the functions this gateway owns.
        blobs: Packages that are here.
        prefix: Of the invocation ids made here.
        token: Of the gateways among themselves.
    """

    def __init__(
        self,
        peers: Peers,
        events: EventLog,
        snapshot: Callable[[], dict[str, Any]],
        blobs: Blobs,
        *,
        prefix: str,
        token: str,
    ) -> None:
        self._is_open = False
        self._opened = asyncio.Event()
        self._peers = peers
        self._events = events
        self._snapshot = snapshot
        self._blobs = blobs
        self._prefix = prefix
        self._token = token.encode()
        self._speaking: set[_Outlet] = set()
        self._tasks: dict[_Outlet, asyncio.Task[None]] = {}

    def __call__(self, exchange: Exchange) -> None:
        """Take a request below `/v1/peers/`."""
        try:
            self._take(exchange)
        except FaasError as error:
            exchange.respond(*problems.answer(error))

    def open(self) -> None:
        """This gateway is ready: tell those that wait for it."""
        self._is_open = True
        self._opened.set()

    def say_leaving(self) -> None:
        """Tell all peers at once that this gateway takes nothing new, new links neither."""
        self._is_open = False
        for outlet in self._speaking:
            outlet.write(encode_event(b"{}", event="leaving"))

    async def close(self) -> None:
        """End all links."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _take(self, exchange: Exchange) -> None:
        if not is_bearer(exchange.header(b"authorization"), self._token):
            raise Unauthorized("Only gateways of this installation are answered here.")
        if exchange.method == b"GET" and exchange.path.startswith(_BLOBS):
            digest = exchange.path[len(_BLOBS) :].decode("ascii", "replace")
            self._run(exchange, lambda outlet: self._give(outlet, digest))
        elif exchange.method == b"GET" and exchange.path == PREFIX + b"link":
            self._link(exchange)
        else:
            raise BadRequest("Gateways do not ask one another for this.", status=404)

    def _run(
        self, exchange: Exchange, work: Callable[[_Outlet], Coroutine[Any, Any, None]]
    ) -> None:
        outlet = exchange.receiver = _Outlet(exchange)
        task = self._tasks[outlet] = asyncio.get_running_loop().create_task(
            answered(exchange, lambda: work(outlet))
        )
        task.add_done_callback(lambda _: self._tasks.pop(outlet, None))

    async def _give(self, outlet: _Outlet, digest: str) -> None:
        exchange = outlet.exchange
        content = await self._blobs.read(digest)
        size_bytes = self._blobs.size_bytes(digest)
        if content is None or size_bytes is None:
            raise BadRequest("There is no such package here.", status=404)
        exchange.start(200, (), size_bytes)
        async for piece in content:
            outlet.write(piece)
            await outlet.writable()
        exchange.finish()

    def _link(self, exchange: Exchange) -> None:
        if self._opened.is_set() and not self._is_open:
            raise GatewayUnavailable("The gateway is leaving.", retry_after_s=1.0)
        self._run(exchange, self._calls if exchange.query == b"calls=1" else self._speak)
        address = exchange.header(b"faas-peer-address", b"").decode("ascii", "replace")
        id = exchange.header(b"faas-peer", b"").decode("ascii", "replace")
        self._peers.heard_of(Member(id, address))

    async def _speak(self, outlet: _Outlet) -> None:
        outlet.exchange.start(200, _HEAD)
        if not self._opened.is_set():
            outlet.write(encode_event(b"{}", event="starting"))
            await self._until_open(outlet)
        events = self._events
        leave = events.add_reader(with_calls=False, is_peer=True)
        hello = {
            "id": self._peers.own.id,
            "prefix": self._prefix,
            "isLeaving": self._peers.is_leaving,
        }
        outlet.write(encode_event(msgspec.json.encode(hello), event="hello"))
        self._speaking.add(outlet)
        seq = -1
        try:
            while not outlet.is_gone:
                reached = events.seq
                outlet.write(self._batch(seq))
                seq = reached
                await outlet.writable()
                await asyncio.sleep(PAUSE_S)
                if not await events.wait(seq, HEARTBEAT_S):
                    outlet.write(KEEP_ALIVE)
        finally:
            leave()
            self._speaking.discard(outlet)
            outlet.exchange.abort()

    async def _until_open(self, outlet: _Outlet) -> None:
        while not self._opened.is_set() and not outlet.is_gone:
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._opened.wait()
            except TimeoutError:
                outlet.write(KEEP_ALIVE)

    def _batch(self, seq: int) -> bytes:
        try:
            if seq < 0:
                raise EventsGone("nothing was told yet")
            events = self._events.since(seq)
        except EventsGone:
            return encode_event(msgspec.json.encode(self._snapshot()), event="snapshot")
        return b"".join(_encoded(event) for event in events if not event.origin)

    async def _calls(self, outlet: _Outlet) -> None:
        events = self._events
        leave = events.add_reader(with_calls=True, is_peer=True)
        outlet.exchange.start(200, _HEAD)
        seq = events.seq
        try:
            while not outlet.is_gone:
                reached = events.seq
                fresh = events.calls_since(seq)
                outlet.write(b"".join(_encoded(one) for one in fresh if not one.origin))
                seq = reached
                await outlet.writable()
                await asyncio.sleep(PAUSE_S)
                if not await events.wait(seq, HEARTBEAT_S):
                    outlet.write(KEEP_ALIVE)
        finally:
            leave()
            outlet.exchange.abort()


def _encoded(event: Event) -> bytes:
    said = {
        "namespace": event.namespace,
        "function": event.function,
        "id": event.id,
        "at": event.at,
        "value": event.shown,
    }
    return encode_event(msgspec.json.encode(said), event=event.kind)


class _Outlet:
    """The receiver of a link's exchange: knows whether the peer listens still."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.is_gone = False
        self._moved = asyncio.Event()

    def write(self, data: bytes) -> None:
        if not self.is_gone and data:
            self.exchange.write(data)

    async def writable(self) -> None:
        while not self.exchange.is_writable and not self.is_gone:
            self._moved.clear()
            await self._moved.wait()

    def on_body(self, data: bytes) -> None:
        pass

    def on_body_end(self) -> None:
        pass

    def on_gone(self) -> None:
        self.is_gone = True
        self._moved.set()

    def on_writable(self) -> None:
        self._moved.set()
