"""The two ends of bench/http.py: a server that answers at once, and a bare forwarder.

`python -m bench.peers.wire_stub answer SOCKET` listens there and on a port of its own choice,
`… forward SOCKET` listens on a port and forwards everything to SOCKET. Both print their port.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

import uvloop

from jupyter_faas.wire.exchange import Exchange
from jupyter_faas.wire.heads import encode_request, end_to_end
from jupyter_faas.wire.server import HttpServerProtocol
from jupyter_faas.wire.upstream import Upstream, UpstreamConnection

_HEADERS = [(b"Content-Type", b"text/plain")]


class Sink:
    """Counts a body, then answers."""

    __slots__ = ("exchange", "size")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.size = 0

    def on_body(self, data: bytes) -> None:
        """Count."""
        self.size += len(data)

    def on_body_end(self) -> None:
        """Answer with the size."""
        self.exchange.respond(200, _HEADERS, b"%d" % self.size)

    def on_gone(self) -> None:
        """Nothing to end."""

    def on_writable(self) -> None:
        """Answers are small."""


class Forwarded:
    """One exchange and the call it became: nothing but forwarding, with back-pressure."""

    __slots__ = ("body", "connection", "exchange", "head", "upstream")

    def __init__(self, exchange: Exchange, upstream: Upstream) -> None:
        self.exchange = exchange
        self.upstream = upstream
        self.connection: UpstreamConnection | None = None
        self.head = encode_request(
            exchange.method,
            exchange.target,
            upstream.authority,
            [pair for pair in end_to_end(exchange.headers) if pair[0] != b"host"],
            exchange.content_length or 0,
        )
        self.body = b""
        exchange.receiver = self

    def begin(self, connection: UpstreamConnection) -> None:
        """Send what is there."""
        self.connection = connection
        length = self.exchange.content_length or 0
        joined = self.head + self.body
        connection.send(joined, self, owed_bytes=length - len(self.body))

    def on_body(self, data: bytes) -> None:
        """Forward; hold what is small enough to travel with the head."""
        if self.connection is not None:
            self.connection.write(data)
            if not self.connection.is_writable:
                self.exchange.pause_body()
        elif self.body or len(data) < (self.exchange.content_length or 0):
            self.body += data
            self.send()
        else:
            self.body = data

    def on_body_end(self) -> None:
        """Send what has no body, or came whole."""
        if self.connection is None:
            self.send()

    def send(self) -> None:
        """Send on an idle connection, or a new one."""
        connection = self.upstream.take()
        if connection is not None:
            self.begin(connection)
        else:
            self.exchange.pause_body()
            asyncio.get_running_loop().create_task(self.connect())

    async def connect(self) -> None:
        """Open a connection."""
        self.begin(await self.upstream.connect())
        self.exchange.resume_body()

    def on_gone(self) -> None:
        """The client left."""
        if self.connection is not None:
            self.connection.close()

    def on_writable(self) -> None:
        """Read on."""
        assert self.connection is not None
        self.connection.resume_reading()

    def on_upstream_writable(self) -> None:
        """Read on."""
        self.exchange.resume_body()

    def on_answer_head(
        self, status: int, headers: list[tuple[bytes, bytes]], content_length: int | None
    ) -> None:
        """Begin the answer."""
        self.exchange.start(status, end_to_end(headers), content_length)

    def on_answer_body(self, data: bytes) -> None:
        """Forward."""
        self.exchange.write(data)
        if not self.exchange.is_writable:
            assert self.connection is not None
            self.connection.pause_reading()

    def on_answer_end(self) -> None:
        """Done."""
        self.exchange.finish()
        assert self.connection is not None
        self.upstream.give_back(self.connection)

    def on_answer_lost(self, exc: Exception | None) -> None:
        """Cut as well."""
        self.exchange.abort()


def answer(exchange: Exchange) -> None:
    """Answer at once what has no body."""
    if exchange.has_body:
        exchange.receiver = Sink(exchange)
    else:
        exchange.respond(200, _HEADERS, b"6")


async def main(role: str, socket: str) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    app: Callable[[Exchange], object] = answer
    listening = []  # a server nobody holds stops to listen
    if role == "answer":
        behind = await loop.create_unix_server(lambda: HttpServerProtocol(app), socket)
        listening.append(behind)
    else:
        upstream = Upstream(f"unix:{socket}")
        app = lambda exchange: Forwarded(exchange, upstream)  # noqa: E731
    server = await loop.create_server(lambda: HttpServerProtocol(app), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:3]))
