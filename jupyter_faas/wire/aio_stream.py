"""The byte stream under `wire.aio`: connecting, sending and receiving with back-pressure.

Plain asyncio; errors are translated here, as `wire.channel` does for the blocking client.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterable, Sequence
from typing import NamedTuple, cast

from jupyter_faas.core.errors import GatewayLost
from jupyter_faas.wire.address import Address
from jupyter_faas.wire.channel import CLOSED, unavailable
from jupyter_faas.wire.heads import JOIN_BELOW_BYTES, Buffer
from jupyter_faas.wire.sockets import tune

_HELD_BYTES = 1024 * 1024  # received and not taken: above it, reading stops
_PIECE_BYTES = 256 * 1024
_SOCKET_BUFFER_BYTES = 1024 * 1024


class Streamed(NamedTuple):
    """A body that comes piece by piece; its size is known before."""

    pieces: AsyncIterable[Buffer]
    size_bytes: int


class Stream(asyncio.Protocol):
    """Bytes of one connection: what has been received and not taken, and who waits for more."""

    __slots__ = (
        "_held_bytes",
        "_is_lost",
        "_is_reading",
        "_received",
        "_waiter",
        "_writable",
        "transport",
    )

    def __init__(self) -> None:
        self.transport = cast(asyncio.Transport, None)
        self._received: deque[bytes] = deque()
        self._held_bytes = 0
        self._is_reading = True
        self._is_lost = False
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set buffer sizes."""
        self.transport = cast(asyncio.Transport, transport)
        tune(transport, _SOCKET_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        """Keep it until it is taken; too much stops reading."""
        self._received.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > _HELD_BYTES and self._is_reading:
            self._is_reading = False
            self.transport.pause_reading()
        _wake(self._waiter)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits."""
        self._is_lost = True
        _wake(self._waiter)
        _wake(self._writable)

    def pause_writing(self) -> None:
        """The gateway reads slower than this side writes."""
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Unsent bytes have drained."""
        _wake(self._writable)
        self._writable = None

    def is_reusable(self) -> bool:
        """Return whether another request can be sent: open, and nothing unasked for has come."""
        return not (self._is_lost or self._received or self.transport.is_closing())

    async def send(self, head: bytes, body: Sequence[Buffer]) -> bool:
        """Send everything; False if the gateway stopped reading: it may have refused."""
        if sum(map(len, body)) <= JOIN_BELOW_BYTES:
            self.transport.write(b"".join((head, *body)))
            return True
        self.transport.write(head)
        for part in body:
            view = memoryview(part)
            for start in range(0, len(view), _PIECE_BYTES):
                if self._is_lost:
                    return False
                # In pieces: asyncio would copy what the kernel does not take at once.
                self.transport.write(view[start : start + _PIECE_BYTES])
                if self._writable is not None:
                    await self._writable
        return not self._is_lost

    async def send_streamed(self, head: bytes, pieces: AsyncIterable[Buffer]) -> bool:
        """Send what comes as it comes; False if the gateway stopped reading."""
        self.transport.write(head)
        async for piece in pieces:
            if self._is_lost:
                return False
            self.transport.write(piece)
            if self._writable is not None:
                await self._writable
        return not self._is_lost

    async def receive(self) -> bytes:
        """Return the next bytes.

        Raises:
            GatewayLost: There are none any more.
        """
        while not self._received:
            if self._is_lost:
                raise GatewayLost(CLOSED)
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        data = self._received.popleft()
        self._held_bytes -= len(data)
        if not self._is_reading and not self._received and not self._is_lost:
            self._is_reading = True
            self.transport.resume_reading()
        return data

    def cut(self) -> None:
        """Close at once; the gateway sees its caller leave."""
        if not self._is_lost:
            # A kernel may have closed its loop before its connections.
            with contextlib.suppress(RuntimeError):
                self.transport.abort()


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


async def open_stream(address: Address, timeout_s: float) -> Stream:
    """Connect.

    Raises:
        GatewayUnavailable: Nobody accepts there within `timeout_s` seconds; says what to do.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            if address.kind == "unix":
                _, stream = await loop.create_unix_connection(Stream, address.path)
            else:
                is_tls = True if address.kind == "tls" else None
                _, stream = await loop.create_connection(
                    Stream, address.host, address.port, ssl=is_tls
                )
    except OSError as error:
        raise unavailable(address, error, timeout_s) from error
    return stream
