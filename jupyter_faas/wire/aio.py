"""HTTP/1.1, client side for coroutines: the `.aio` face of a notebook.

Plain asyncio on whatever loop is running (a kernel's, a script's); nothing here needs uvloop or
httptools. The surface is that of `wire.blocking`. Cancelling a coroutine that waits here closes
its connection: the gateway sees its caller leave and cancels the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

from jupyter_faas.core.errors import GatewayLost
from jupyter_faas.wire.address import parse_address
from jupyter_faas.wire.aio_stream import Stream, Streamed, open_stream
from jupyter_faas.wire.answers import (
    MAX_HEAD_BYTES,
    AnswerHead,
    BadAnswer,
    ChunkedDecoder,
    parse_answer_head,
)
from jupyter_faas.wire.heads import Buffer, Headers, as_pairs, encode_request


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
        self._stream: Stream | None = None
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
        body: Sequence[Buffer] | Streamed = (),
        *,
        timeout_s: float | None = None,
    ) -> AsyncResponse:
        """Send a request and return as soon as the head of its answer is here.

        An answer of this connection that has not been read to its end is cut. Arguments and
        errors are those of `BlockingConnection.request`; a body may also come piece by piece.

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
            body.size_bytes if isinstance(body, Streamed) else sum(map(len, body)),
        )
        loop = asyncio.get_running_loop()
        deadline_s = None if timeout_s is None else loop.time() + timeout_s
        self._is_busy = True
        try:
            async with asyncio.timeout_at(deadline_s):
                stream = await self._ready_stream()
                if isinstance(body, Streamed):
                    is_sent = await stream.send_streamed(encoded, body.pieces)
                else:
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

    async def _ready_stream(self) -> Stream:
        if self._response is not None:
            self.close()
        if self._stream is not None:
            if self._stream.is_reusable():
                return self._stream
            self.close()
        self._stream = await open_stream(self.address, self._connect_timeout_s)
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
        stream: Stream,
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

    async def iter_body(self) -> AsyncGenerator[bytes, None]:
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


async def _receive_head(stream: Stream, *, is_head_request: bool) -> tuple[AnswerHead, bytes]:
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
