"""The upstream of bench/proxy.py: a front that answers every call at once.

`python -m bench.peers.front_stub SOCKET`: the requests of a gateway to a front, no code behind.
"""

from __future__ import annotations

import asyncio
import sys

import msgspec
import uvloop

from jupyter_faas.core.specialisation import Hello, Specialisation
from jupyter_faas.wire.exchange import Exchange
from jupyter_faas.wire.server import HttpServerProtocol

_HEADERS = [(b"Content-Type", b"application/json"), (b"Faas-Run-Ms", b"0.010")]


class _Body:
    """Takes a request's body, then answers."""

    __slots__ = ("exchange", "pieces")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.pieces: list[bytes] = []

    def on_body(self, data: bytes) -> None:
        self.pieces.append(data)

    def on_body_end(self) -> None:
        if self.exchange.path == b"/v1/specialise":
            self.exchange.respond(200, [], _hello(b"".join(self.pieces)))
        else:
            self.exchange.respond(200, _HEADERS, b"6")

    def on_gone(self) -> None:
        pass

    def on_writable(self) -> None:
        pass


def _hello(body: bytes) -> bytes:
    size = int.from_bytes(body[:4], "little")
    told = msgspec.msgpack.decode(body[4 : 4 + size], type=Specialisation)
    return msgspec.json.encode(
        Hello(version="bench", python="3", state="ready", replica=told.replica)
    )


def _on_head(exchange: Exchange) -> None:
    if exchange.path == b"/v1/watch":
        exchange.start(200)
    else:
        exchange.receiver = _Body(exchange)


async def main(path: str) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(lambda: HttpServerProtocol(_on_head), path)
    print("listening", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
