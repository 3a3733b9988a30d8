"""One request whose body goes out while its answer comes in, for coroutines: twin of `duplex`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from jupyter_faas.core.errors import GatewayLost
from jupyter_faas.wire.address import parse_address
from jupyter_faas.wire.aio_stream import Stream, open_stream
from jupyter_faas.wire.answers import (
    MAX_HEAD_BYTES,
    AnswerHead,
    BadAnswer,
    ChunkedDecoder,
    parse_answer_head,
)
from jupyter_faas.wire.heads import LAST_CHUNK, Buffer, Headers, encode_request


class AsyncDuplex:
    """A request with a chunked body; made by `open`."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._decoder: ChunkedDecoder | None = None
        self._left_bytes = 0
        self._received = b""

    @classmethod
    async def open(
        cls, address: str, target: str, headers: Headers, *, connect_timeout_s: float
    ) -> AsyncDuplex:
        """Connect and send the head.

        Raises:
            GatewayUnavailable: Nobody accepts there; nothing was sent.
        """
        where = parse_address(address)
        stream = await open_stream(where, connect_timeout_s)
        path = (where.prefix + target).encode()
        head = encode_request(b"POST", path, where.authority, headers, None)
        await stream.send(head, ())
        return cls(stream)

    async def send(self, parts: Sequence[Buffer]) -> bool:
        """Send a piece of the body, as fast as the gateway takes it."""
        size = b"%x\r\n" % sum(map(len, parts))
        return await self._stream.send(size, (*parts, b"\r\n"))

    async def end(self) -> None:
        """End the body."""
        await self._stream.send(LAST_CHUNK, ())

    async def receive_head(self) -> AnswerHead:
        """Wait for the head of the answer.

        Raises:
            GatewayLost: The connection was cut, or what comes is no answer.
        """
        received = await self._stream.receive()
        while b"\r\n\r\n" not in received:
            if len(received) > MAX_HEAD_BYTES:
                raise GatewayLost("The head of the answer does not end.")
            received += await self._stream.receive()
        block, _, self._received = received.partition(b"\r\n\r\n")
        try:
            head = parse_answer_head(block)
        except BadAnswer as error:
            raise GatewayLost(f"The answer cannot be read: {error}.") from error
        self._decoder = ChunkedDecoder() if head.content_length is None else None
        self._left_bytes = head.content_length or 0
        return head

    async def receive(self) -> list[bytes] | None:
        """Return what has come of the body; None at its end.

        Raises:
            GatewayLost: The connection was cut before it.
        """
        decoder = self._decoder
        if decoder.is_complete if decoder is not None else not self._left_bytes:
            return None
        data, self._received = self._received, b""
        if not data:
            data = await self._stream.receive()
        if decoder is None:
            data = data[: self._left_bytes]
            self._left_bytes -= len(data)
            return [data]
        try:
            return list(decoder.feed(data))
        except BadAnswer as error:
            raise GatewayLost(f"The answer cannot be read: {error}.") from error

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body to its end."""
        while (pieces := await self.receive()) is not None:
            for piece in pieces:
                yield piece

    def cut(self) -> None:
        """Close at once."""
        self._stream.cut()
