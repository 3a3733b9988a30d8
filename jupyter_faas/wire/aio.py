"""HTTP/1.1, client side for coroutines: the `.aio` face of a notebook.

Plain asyncio on whatever loop is running (a kernel's, a script's); nothing here needs uvloop or
httptools. The surface is that of `wire.blocking`. Cancelling a coroutine that waits here closes
its connection: the gateway sees its caller leave and cancels the call.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import cast

from jupyter_faas.core.errors import GatewayLost
from jupyter_faas.wire.address import Address, parse_address
from jupyter_faas.wire.answers import (
    MAX_HEAD_BYTES,
    AnswerHead,
    BadAnswer,
    ChunkedDecoder,
    parse_answer_head,
)
from jupyter_faas.wire.channel import CLOSED, unavailable
from jupyter_faas.wire.heads import (
    JOIN_BELOW_BYTES,
    Buffer,
    Headers,
    as_pairs,
    encode_request,
)
from jupyter_faas.wire.sockets import tune

_HELD_BYTES = 1024 * 1024  # received and not taken: above it, reading stops
_PIECE_BYTES = 256 * 1024
_SOCKET_BUFFER_BYTES = 1024 * 1024


class AsyncConnection:
    """A kept-alive connection to a gateway, opened when it is first needed; one call at a time.

    Args:
        address: `unix:PATH`, `http://HOST:PORT` or `https://HOST:PORT`.
        connect_timeout_s: Seconds until a gateway that does not accept is unavailable.
    """

    __slots__ = ("_connect_timeout_s", "_is_busy", "_response", "_stream", "address")

    def __init__(self, address: str, *, connect_timeout_s: float = 5.0) -> None:
        self.address = parse_address(address)
        self._connect_timeout_s = connect_timeout_s
        self._stream: _Stream | None = None
        self._response: AsyncResponse | None = None
        self._is_busy = False

    @property
    def is_idle(self) -> bool:
        """Whether a call can be sent without cutting another one."""
        return not self._is_busy and self._response is None

    async def request(
        self,
        method: str,
        target: str,
        headers: Headers | Mapping[str, str] = (),
        body: Sequence[Buffer] = (),
        *,
        timeout_s: float | None = None,
    ) -> AsyncResponse:
        """Send a request and return as soon as the head of its answer is here.

        An answer of this connection that has not been read to its end is cut. Arguments and
        errors are those of `BlockingConnection.request`.

        Raises:
            GatewayUnavailable: Nobody accepts there; nothing was sent.
            GatewayLost: The connection was cut after something had been sent.
            TimeoutError: No answer in time; the connection is closed.
            RuntimeError: Another coroutine is in a request on this connection.
        """
        if self._is_busy:
            raise RuntimeError("one call at a time on a connection")
        encoded = encode_request(
            method.encode("ascii"),
            (self.address.prefix + target).encode("ascii"),
            self.address.authority,
            as_pairs(headers),
            sum(map(len, body)),
        )
        loop = asyncio.get_running_loop()
        deadline_s = None if timeout_s is None else loop.time() + timeout_s
        self._is_busy = True
        try:
            async with asyncio.timeout_at(deadline_s):
                stream = await self._ready_stream()
                is_sent = await stream.send(encoded, body)
                head, received = await _receive_head(stream, is_head_request=method == "HEAD")
            response = AsyncResponse(self, stream, head, received, deadline_s)
        except BadAnswer as error:
            self.close()
            raise GatewayLost(f"The answer cannot be read: {error}.") from error
        except BaseException:
            self.close()
            raise
        finally:
            self._is_busy = False
        self._response = response
        response.is_kept = response.is_kept and is_sent
        if response.is_complete:
            self._release(response)
        return response

    def close(self) -> None:
        """Cut what is going on and close; a later `request` opens a new connection."""
        stream, self._stream = self._stream, None
        self._response = None
        if stream is not None:
            stream.cut()

    async def _ready_stream(self) -> _Stream:
        if self._response is not None:
            self.close()
        if self._stream is not None:
            if self._stream.is_reusable():
                return self._stream
            self.close()
        self._stream = await _open_stream(self.address, self._connect_timeout_s)
        return self._stream

    def _release(self, response: AsyncResponse) -> None:
        self._response = None
        if not response.is_kept:
            self.close()


class AsyncResponse:
    """An answer whose head is here; its body is read by `read` or `iter_body`.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
        content_length: Bytes of the body; None: not known before its end.
        is_complete: The whole body has been received and agrees with its framing.
        is_kept: The connection can be used again after the body.
    """

    __slots__ = (
        "_connection",
        "_deadline_s",
        "_decoder",
        "_left_bytes",
        "_ready",
        "_stream",
        "content_length",
        "headers",
        "is_complete",
        "is_kept",
        "status",
    )

    def __init__(
        self,
        connection: AsyncConnection,
        stream: _Stream,
        head: AnswerHead,
        received: bytes,
        deadline_s: float | None,
    ) -> None:
        self.status, self.headers, self.content_length, self.is_kept = head
        self._connection = connection
        self._stream = stream
        self._deadline_s = deadline_s
        self._ready: list[bytes] = []
        self._decoder = ChunkedDecoder() if head.content_length is None else None
        self._left_bytes = head.content_length or 0
        self.is_complete = False
        self._take(received)

    async def read(self) -> bytes:
        """Return the rest of the body.

        Raises:
            GatewayLost: The answer was cut.
            TimeoutError: It took longer than the request's `timeout_s`.
        """
        while not self.is_complete:
            await self._receive()
        ready, self._ready = self._ready, []
        return ready[0] if len(ready) == 1 else b"".join(ready)

    async def iter_body(self) -> AsyncIterator[bytes]:
        """Yield the body piece by piece as it arrives; leaving the loop early cuts the call.

        Raises:
            GatewayLost: The answer was cut.
            TimeoutError: It took longer than the request's `timeout_s`.
        """
        try:
            while True:
                ready, self._ready = self._ready, []
                for piece in ready:
                    yield piece
                if self.is_complete and not self._ready:
                    return
                await self._receive()
        finally:
            self.close()

    def close(self) -> None:
        """Cut the connection unless the answer is complete: the gateway sees its caller leave."""
        if self._connection._response is self:
            self._connection.close()

    async def _receive(self) -> None:
        connection = self._connection
        if connection._response is not self:
            raise GatewayLost("The answer was abandoned before its end.")
        try:
            async with asyncio.timeout_at(self._deadline_s):
                self._take(await self._stream.receive())
        except BadAnswer as error:
            connection.close()
            raise GatewayLost(f"The answer cannot be read: {error}.") from error
        except BaseException:
            connection.close()
            raise
        if self.is_complete:
            connection._release(self)

    def _take(self, received: bytes) -> None:
        if self._decoder is not None:
            if received:
                self._ready += self._decoder.feed(received)
            if self._decoder.is_complete:
                self.is_complete = True
                self.is_kept = self.is_kept and not self._decoder.rest
            return
        surplus = len(received) - self._left_bytes
        if surplus > 0:
            received = received[:-surplus]
            self.is_kept = False
        if received:
            self._ready.append(received)
        self._left_bytes -= len(received)
        self.is_complete = not self._left_bytes


class _Stream(asyncio.Protocol):
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
        self.transport = cast(asyncio.Transport, transport)
        tune(transport, _SOCKET_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        self._received.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > _HELD_BYTES and self._is_reading:
            self._is_reading = False
            self.transport.pause_reading()
        _wake(self._waiter)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        _wake(self._waiter)
        _wake(self._writable)

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        _wake(self._writable)
        self._writable = None

    def is_reusable(self) -> bool:
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
        if not self._is_lost:
            # A kernel may have closed its loop before its connections.
            with contextlib.suppress(RuntimeError):
                self.transport.abort()


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


async def _open_stream(address: Address, timeout_s: float) -> _Stream:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            if address.kind == "unix":
                _, stream = await loop.create_unix_connection(_Stream, address.path)
            else:
                is_tls = True if address.kind == "tls" else None
                _, stream = await loop.create_connection(
                    _Stream, address.host, address.port, ssl=is_tls
                )
    except OSError as error:
        raise unavailable(address, error, timeout_s) from error
    return stream


async def _receive_head(stream: _Stream, *, is_head_request: bool) -> tuple[AnswerHead, bytes]:
    """Return the head of the answer, and what came of the body with it; 1xx are skipped."""
    received = await stream.receive()
    while True:
        end = received.find(b"\r\n\r\n")
        if end >= 0:
            head = parse_answer_head(received[:end], is_head_request=is_head_request)
            received = received[end + 4 :]
            if head.status >= 200:
                return head, received
            continue
        if len(received) > MAX_HEAD_BYTES:
            raise BadAnswer("the head of the answer does not end")
        received += await stream.receive()
