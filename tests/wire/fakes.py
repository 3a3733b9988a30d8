"""What the tests of the wire share: a transport without a socket, apps and servers to talk to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from jupyter_faas.wire.server import Exchange, HttpServerProtocol, Limits


class FakeTransport(asyncio.Transport):
    """Records what a protocol does to its transport."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: asyncio.Protocol | None = None
        self.written = bytearray()
        self.writes = 0
        self.is_closed = False
        self.is_aborted = False
        self.is_paused = False
        self.has_eof = False

    def write(self, data):
        assert not self.is_aborted
        self.writes += 1
        self.written += data

    def writelines(self, parts):
        self.writes += 1
        for part in parts:
            self.written += part

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    def get_extra_info(self, name, default=None):
        return default

    def is_closing(self):
        return self.is_closed

    def can_write_eof(self):
        return True

    def write_eof(self):
        self.has_eof = True

    def close(self):
        self.is_closed = True

    def abort(self):
        self.is_closed = self.is_aborted = True

    def pause_reading(self):
        assert not self.is_paused
        self.is_paused = True

    def resume_reading(self):
        assert self.is_paused
        self.is_paused = False

    def take(self) -> bytes:
        """Return what was written since the last time."""
        written = bytes(self.written)
        self.written.clear()
        return written


class Recorder:
    """A receiver that remembers; answers with the size and method when the body is complete."""

    def __init__(self, exchange: Exchange, log: list | None = None, answers: bool = True) -> None:
        self.exchange = exchange
        self.events: list = log if log is not None else []
        self.body = bytearray()
        self.answers = answers
        self.is_gone = False
        self.writable = 0

    def on_body(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        assert data
        self.body += data

    def on_body_end(self) -> None:
        self.events.append((self.exchange.method, self.exchange.target, bytes(self.body)))
        if self.answers:
            self.exchange.respond(200, [], b"%d" % len(self.body))

    def on_gone(self) -> None:
        assert not self.is_gone
        self.is_gone = True
        self.events.append("gone")

    def on_writable(self) -> None:
        self.writable += 1


class Recording:
    """An app whose exchanges wait in `seen` for the test to answer them."""

    def __init__(self, *, answers: bool = False) -> None:
        self.seen: list[Exchange] = []
        self.events: list = []
        self.answers = answers

    def __call__(self, exchange: Exchange) -> None:
        exchange.receiver = Recorder(exchange, self.events, self.answers)
        self.seen.append(exchange)


def connect(
    app: Callable[[Exchange], None], *, limits: Limits = Limits(idle_timeout_s=None)
) -> tuple[HttpServerProtocol, FakeTransport]:
    """Return a server's protocol on a fake transport."""
    transport = FakeTransport()
    protocol = HttpServerProtocol(app, limits=limits)
    transport.protocol = protocol
    protocol.connection_made(transport)
    return protocol, transport


@asynccontextmanager
async def served(
    app: Callable[[Exchange], None], *, limits: Limits = Limits(), tcp: bool = False
) -> AsyncIterator[str]:
    """Serve an app on a Unix socket (or loopback) of the running loop; yield its address."""
    loop = asyncio.get_running_loop()
    open_connections: set[HttpServerProtocol] = set()

    def make() -> HttpServerProtocol:
        return HttpServerProtocol(app, limits=limits, connections=open_connections)

    with TemporaryDirectory(prefix="wire-", dir="/tmp") as directory:
        if tcp:
            server = await loop.create_server(make, "127.0.0.1", 0)
            address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        else:
            path = Path(directory) / "s"
            server = await loop.create_unix_server(make, str(path))
            address = f"unix:{path}"
        try:
            yield address
        finally:
            server.close()
            for protocol in list(open_connections):
                protocol.transport.abort()
            await asyncio.sleep(0)


async def until(predicate: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Let the loop run until the predicate holds."""
    async with asyncio.timeout(timeout_s):
        while not predicate():  # noqa: ASYNC110 - predicates over states without events
            await asyncio.sleep(0.002)
