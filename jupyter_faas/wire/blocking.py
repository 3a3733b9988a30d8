"""HTTP/1.1, client side for threads: the synchronous face of a notebook.

One `BlockingConnection` per thread; one call at a time. The warm call is one system call to look
whether the gateway has closed, one to send and usually one to receive. Large bodies are sent from
the buffers they are in and received into one piece of memory.

Time limits are the kernel's (SO_RCVTIMEO): a socket with a Python timeout would poll before each
call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import get_ident

from jupyter_faas.core.errors import GatewayLost
from jupyter_faas.wire.address import parse_address
from jupyter_faas.wire.answers import (
    MAX_HEAD_BYTES,
    AnswerHead,
    BadAnswer,
    ChunkedDecoder,
    parse_answer_head,
)
from jupyter_faas.wire.channel import Channel, Unsent, open_channel
from jupyter_faas.wire.heads import (
    JOIN_BELOW_BYTES,
    Buffer,
    Headers,
    as_pairs,
    encode_request,
)

_RECV_BYTES = 64 * 1024
_STREAM_RECV_BYTES = 256 * 1024


class BlockingConnection:
    """A kept-alive connection to a gateway, opened when it is first needed.

    Args:
        address: `unix:PATH`, `http://HOST:PORT` or `https://HOST:PORT`.
        connect_timeout_s: Seconds until a gateway that does not accept is unavailable.
        clock: Monotonic seconds.
    """

    __slots__ = ("_channel", "_clock", "_connect_timeout_s", "_owner", "_response", "address")

    def __init__(
        self,
        address: str,
        *,
        connect_timeout_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = parse_address(address)
        self._connect_timeout_s = connect_timeout_s
        self._clock = clock
        self._channel: Channel | None = None
        self._response: Response | None = None  # not read to its end yet
        self._owner = 0  # the thread in a call

    def request(
        self,
        method: str,
        target: str,
        headers: Headers | Mapping[str, str] = (),
        body: Sequence[Buffer] = (),
        *,
        timeout_s: float | None = None,
    ) -> Response:
        """Send a request and return as soon as the head of its answer is here.

        An answer of this connection that has not been read to its end is cut.

        Args:
            method: Upper case.
            target: Path and query, percent-encoded.
            headers: Without Host and framing; a mapping of text, or pairs of bytes.
            body: Byte buffers to send one after the other, not copied if they are large.
            timeout_s: Seconds until the answer is complete; None waits for ever.

        Raises:
            GatewayUnavailable: Nobody accepts there; nothing was sent.
            GatewayLost: The connection was cut after something had been sent.
            TimeoutError: No answer in time; the connection is closed.
        """
        encoded = encode_request(
            method.encode("ascii"),
            (self.address.prefix + target).encode("ascii"),
            self.address.authority,
            as_pairs(headers),
            sum(map(len, body)),
        )
        deadline_s = None if timeout_s is None else self._clock() + timeout_s
        self._owner = get_ident()
        try:
            channel, is_sent = self._send(encoded, body, timeout_s)
            head, received = _receive_head(channel, is_head_request=method == "HEAD")
            response = Response(self, channel, head, received, deadline_s)
        except BadAnswer as error:
            self._drop()
            raise GatewayLost(f"The answer cannot be read: {error}.") from error
        except BaseException:
            self._drop()
            raise
        self._response = response
        response.is_kept = response.is_kept and is_sent
        if response.is_complete:
            self._release(response)
        return response

    def close(self) -> None:
        """Cut what is going on and close; from another thread, this wakes up the one in a call.

        A later `request` opens a new connection.
        """
        channel = self._channel
        if channel is None:
            return
        channel.cut()
        if self._owner in (0, get_ident()):
            self._drop()

    # -- inside

    def _send(
        self, head: bytes, body: Sequence[Buffer], timeout_s: float | None
    ) -> tuple[Channel, bool]:
        """Send everything; False with it if the gateway stopped reading: it may have refused."""
        parts: Sequence[Buffer] = (head, *body) if body else (head,)
        if len(parts) > 1 and sum(map(len, parts)) <= JOIN_BELOW_BYTES:
            parts = (b"".join(parts),)
        channel = self._ready_channel()
        channel.limit(timeout_s)
        try:
            return channel, channel.send(parts)
        except Unsent:
            if not channel.is_reused:
                return channel, False
        # Closed between the look and the first byte: nothing was accepted, so nothing has run.
        self._drop()
        channel = self._ready_channel()
        channel.limit(timeout_s)
        return channel, channel.send(parts)

    def _ready_channel(self) -> Channel:
        if self._response is not None:
            self._drop()
        channel = self._channel
        if channel is not None:
            if not channel.is_stale():
                return channel
            self._drop()
        self._owner = get_ident()
        self._channel = channel = open_channel(self.address, self._connect_timeout_s)
        return channel

    def _release(self, response: Response) -> None:
        self._response = None
        self._owner = 0
        if not response.is_kept:
            self._drop()
        elif self._channel is not None:
            self._channel.is_reused = True

    def _drop(self) -> None:
        channel, self._channel = self._channel, None
        self._response = None
        self._owner = 0
        if channel is not None:
            channel.close()


class Response:
    """An answer whose head is here; its body is read by `read` or `iter_body`.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
        content_length: Bytes of the body; None: not known before its end.
        is_complete: The whole body has been received and agrees with its framing.
        is_kept: The connection can be used again after the body.
    """

    __slots__ = (
        "_channel",
        "_connection",
        "_deadline_s",
        "_decoder",
        "_left_bytes",
        "_ready",
        "content_length",
        "headers",
        "is_complete",
        "is_kept",
        "status",
    )

    def __init__(
        self,
        connection: BlockingConnection,
        channel: Channel,
        head: AnswerHead,
        received: bytes,
        deadline_s: float | None,
    ) -> None:
        self.status, self.headers, self.content_length, self.is_kept = head
        self._connection = connection
        self._channel = channel
        self._deadline_s = deadline_s
        self._ready: list[bytes] = []  # received and not yet read
        self._decoder = ChunkedDecoder() if head.content_length is None else None
        self._left_bytes = head.content_length or 0
        self.is_complete = False
        self._take(received)

    def read(self) -> bytes:
        """Return the rest of the body; a large one of known length is received in one piece.

        Raises:
            GatewayLost: The answer was cut.
            TimeoutError: It took longer than the request's `timeout_s`.
        """
        while not self.is_complete:
            if self._decoder is None:
                self._receive(self._left_bytes, is_whole=True)
            else:
                self._receive(_STREAM_RECV_BYTES)
        ready, self._ready = self._ready, []
        return ready[0] if len(ready) == 1 else b"".join(ready)

    def iter_body(self) -> Iterator[bytes]:
        """Yield the body piece by piece as it arrives; leaving the loop early cuts the call.

        Raises:
            GatewayLost: The answer was cut.
            TimeoutError: It took longer than the request's `timeout_s`.
        """
        try:
            while True:
                ready, self._ready = self._ready, []
                yield from ready
                if self.is_complete and not self._ready:
                    return
                self._receive(_STREAM_RECV_BYTES)
        finally:
            self.close()

    def close(self) -> None:
        """Cut the connection unless the answer is complete: the gateway sees its caller leave."""
        if self._connection._response is self:
            self._connection._drop()

    def _receive(self, size: int, *, is_whole: bool = False) -> None:
        connection, channel = self._connection, self._channel
        if connection._response is not self:
            raise GatewayLost("The answer was abandoned before its end.")
        connection._owner = get_ident()
        try:
            if self._deadline_s is not None:
                channel.limit(self._deadline_s - connection._clock())
            if is_whole:
                self._take(channel.receive_large(size))
            else:
                self._take(channel.receive(size))
        except BadAnswer as error:
            connection._drop()
            raise GatewayLost(f"The answer cannot be read: {error}.") from error
        except BaseException:
            connection._drop()
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


def _receive_head(channel: Channel, *, is_head_request: bool) -> tuple[AnswerHead, bytes]:
    """Return the head of the answer, and what came of the body with it; 1xx are skipped."""
    received = channel.receive(_RECV_BYTES)
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
        received += channel.receive(_RECV_BYTES)
