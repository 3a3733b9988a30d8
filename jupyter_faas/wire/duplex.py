"""One request whose body goes out while its answer comes in: what a map speaks, for threads.

A connection of its own: one thread sends chunks, another one reads; `cut` wakes up both. Over TLS,
whose sessions know no two threads at once, both take turns.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Sequence

from jupyter_faas.core.errors import GatewayLost
from jupyter_faas.wire.address import Address, parse_address
from jupyter_faas.wire.answers import (
    MAX_HEAD_BYTES,
    AnswerHead,
    BadAnswer,
    ChunkedDecoder,
    parse_answer_head,
)
from jupyter_faas.wire.channel import CLOSED, TlsChannel, Unsent, open_channel
from jupyter_faas.wire.heads import JOIN_BELOW_BYTES, LAST_CHUNK, Buffer, Headers, encode_request

_RECV_BYTES = 256 * 1024


class Duplex:
    """A request with a chunked body, begun at once.

    Args:
        address: As for `BlockingConnection`.
        target: Path and query.
        headers: Without Host and framing.
        first: Of the body, if some is here already.
        is_whole: `first` is all of it.
        connect_timeout_s: Seconds until a gateway that does not accept is unavailable.

    Raises:
        GatewayUnavailable: Nobody accepts there; nothing was sent.
        GatewayLost: It went away at once.
    """

    def __init__(
        self,
        address: str,
        target: str,
        headers: Headers,
        first: bytes = b"",
        *,
        is_whole: bool = False,
        connect_timeout_s: float = 5.0,
    ) -> None:
        where: Address = parse_address(address)
        channel = open_channel(where, connect_timeout_s)
        self._channel = _TurnTaking(channel) if isinstance(channel, TlsChannel) else channel
        self._decoder: ChunkedDecoder | None = None
        self._left_bytes = 0
        self._received = b""
        head = encode_request(
            b"POST", (where.prefix + target).encode(), where.authority, headers, None
        )
        body = _chunk([first]) if first else []
        self._write([head, *body, *([LAST_CHUNK] if is_whole else [])])

    def send(self, parts: Sequence[Buffer]) -> bool:
        """Send a piece of the body; False: the gateway takes no more, its answer says why."""
        return self._write(_chunk(parts))

    def end(self) -> None:
        """End the body."""
        self._write([LAST_CHUNK])

    def receive_head(self) -> AnswerHead:
        """Wait for the head of the answer.

        Raises:
            GatewayLost: The connection was cut, or what comes is no answer.
        """
        received = self._channel.receive(_RECV_BYTES)
        while b"\r\n\r\n" not in received:
            if len(received) > MAX_HEAD_BYTES:
                raise GatewayLost("The head of the answer does not end.")
            received += self._channel.receive(_RECV_BYTES)
        block, _, self._received = received.partition(b"\r\n\r\n")
        try:
            head = parse_answer_head(block)
        except BadAnswer as error:
            raise GatewayLost(f"The answer cannot be read: {error}.") from error
        self._decoder = ChunkedDecoder() if head.content_length is None else None
        self._left_bytes = head.content_length or 0
        return head

    def receive(self) -> list[bytes] | None:
        """Return what has come of the body; None at its end.

        Raises:
            GatewayLost: The connection was cut before it.
        """
        decoder = self._decoder
        if decoder is not None and decoder.is_complete:
            return None
        if decoder is None and not self._left_bytes:
            return None
        data, self._received = self._received, b""
        if not data:
            data = self._channel.receive(_RECV_BYTES)
        if decoder is None:
            data = data[: self._left_bytes]
            self._left_bytes -= len(data)
            return [data]
        try:
            return list(decoder.feed(data))
        except BadAnswer as error:
            raise GatewayLost(f"The answer cannot be read: {error}.") from error

    def cut(self) -> None:
        """End both directions, from any thread."""
        self._channel.cut()

    def close(self) -> None:
        """Close the socket; nobody uses it any more."""
        self._channel.close()

    def _write(self, parts: list[Buffer]) -> bool:
        if sum(map(len, parts)) <= JOIN_BELOW_BYTES:
            parts = [b"".join(parts)]
        try:
            return self._channel.send(parts)
        except (Unsent, OSError):
            return False


class _TurnTaking:
    """A TLS channel used by two threads: never both inside at once, and neither waits inside."""

    def __init__(self, channel: TlsChannel) -> None:
        self._channel = channel
        self._sock = channel._tls
        self._sock.setblocking(False)
        self._lock = threading.Lock()

    def send(self, parts: Sequence[Buffer]) -> bool:
        for part in parts:
            view = memoryview(part)
            while view:
                sent = self._try_send(view)
                if sent < 0:
                    return False
                view = view[sent:]
        return True

    def receive(self, size: int) -> bytes:
        while True:
            try:
                with self._lock:
                    data = self._sock.recv(size)
            except OSError as error:
                if not _would_wait(error):
                    raise GatewayLost(CLOSED) from error
                select.select([self._sock], [], [])
                continue
            if not data:
                raise GatewayLost(CLOSED)
            return data

    def cut(self) -> None:
        self._channel.cut()

    def close(self) -> None:
        self._channel.close()

    def _try_send(self, view: memoryview) -> int:
        """Return how much was sent; -1: no more can be."""
        try:
            with self._lock:
                return self._sock.send(view)
        except OSError as error:
            if not _would_wait(error):
                return -1
            select.select([], [self._sock], [])
            return 0


def _would_wait(error: OSError) -> bool:
    return type(error).__name__ in ("SSLWantReadError", "SSLWantWriteError")


def _chunk(parts: Sequence[Buffer]) -> list[Buffer]:
    return [b"%x\r\n" % sum(map(len, parts)), *parts, b"\r\n"]
