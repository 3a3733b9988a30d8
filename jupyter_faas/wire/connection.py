"""One kept-alive connection to a replica, client side of HTTP/1.1 on the gateway's loop.

Callback style, no task per call: `send` takes a head and a receiver, and the answer comes piece by
piece as it is read. An answer that is cut is `on_answer_lost`, never `on_answer_end`; one without
a length and without chunks is refused, because its end could not be told from a cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

import httptools

from jupyter_faas.wire.heads import (
    BODYLESS_STATUSES,
    JOIN_BELOW_BYTES,
    LAST_CHUNK,
    Buffer,
    encode_chunk,
)
from jupyter_faas.wire.sockets import tune

_WRITE_HIGH_BYTES = 256 * 1024
_SOCKET_BUFFER_BYTES = 1024 * 1024
_MAX_HEADERS = 200


class AnswerLost(ConnectionError):
    """The connection ended, or said something that is not HTTP, before the answer was complete."""


class AnswerReceiver(Protocol):
    """What a caller gives `send` to get the answer."""

    def on_answer_head(
        self, status: int, headers: list[tuple[bytes, bytes]], content_length: int | None
    ) -> None:
        """Take status and headers (names in lower case); `content_length` is None for chunks."""

    def on_answer_body(self, data: bytes) -> None:
        """Take the next piece of the body."""

    def on_answer_end(self) -> None:
        """The answer is complete; the connection is idle again, or closed if not kept alive."""

    def on_answer_lost(self, exc: Exception | None) -> None:
        """The answer was cut; said once, instead of the end."""

    def on_upstream_writable(self) -> None:
        """The request may go on after `is_writable` was false."""


class UpstreamConnection(asyncio.Protocol):
    """One connection to a replica; one call at a time.

    Args:
        on_closed: Told when the connection has gone, idle or not.
    """

    __slots__ = (
        "_headers",
        "_is_chunked",
        "_is_complete",
        "_is_head_request",
        "_is_in_head",
        "_is_kept",
        "_is_lost",
        "_is_reading",
        "_left_bytes",
        "_on_closed",
        "_owed_bytes",
        "_parser",
        "_receiver",
        "_skips_parser",
        "is_writable",
        "transport",
    )

    def __init__(self, on_closed: Callable[[UpstreamConnection], None] | None = None) -> None:
        self._on_closed = on_closed
        self._parser = httptools.HttpResponseParser(self)
        self._receiver: AnswerReceiver | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._is_in_head = True
        self._is_complete = False
        self._is_kept = True
        self._is_lost = False
        self._is_head_request = False
        self._is_chunked = False
        self._is_reading = True
        self._owed_bytes = 0  # of the request's body; -1: chunks until `write_end`
        self._left_bytes = 0  # of an answer's body of known length
        self._skips_parser = False
        self.is_writable = True
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)

    # -- what a caller does

    @property
    def is_idle(self) -> bool:
        """Whether a call can be sent now."""
        return self._receiver is None and self._is_kept and not self.transport.is_closing()

    def send(
        self,
        head: bytes,
        receiver: AnswerReceiver,
        *,
        owed_bytes: int = 0,
        is_head_request: bool = False,
    ) -> None:
        """Send a request's head, with as much of the body as the caller joined to it.

        Args:
            head: Complete head (`encode_request`) and the first part of the body.
            receiver: Gets the answer.
            owed_bytes: Bytes of the body that `write` will bring; -1: `write` frames chunks and
                `write_end` ends them. If the answer ends before, the connection is not kept.
            is_head_request: The answer has no body whatever it announces.

        Raises:
            AnswerLost: The connection is not idle; nothing was sent.
        """
        if not self.is_idle:
            raise AnswerLost("the connection is busy or closed")
        self._receiver = receiver
        self._owed_bytes = owed_bytes
        self._is_head_request = is_head_request
        self.transport.write(head)

    def write(self, data: Buffer) -> None:
        """Send a piece of the request's body; dropped if the answer has ended already."""
        if self._receiver is None or not len(data):
            return
        if self._owed_bytes >= 0:
            self._owed_bytes = max(0, self._owed_bytes - len(data))
            self.transport.write(data)
        elif len(data) <= JOIN_BELOW_BYTES:
            self.transport.write(encode_chunk(data))
        else:
            self.transport.writelines((b"%x\r\n" % len(data), data, b"\r\n"))

    def write_end(self) -> None:
        """End a chunked request body."""
        if self._receiver is not None and self._owed_bytes < 0:
            self._owed_bytes = 0
            self.transport.write(LAST_CHUNK)

    def pause_reading(self) -> None:
        """Read no more of the answer; up to one read may still come."""
        if self._is_reading and not self.transport.is_closing():
            self._is_reading = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if not self._is_reading and not self.transport.is_closing():
            self._is_reading = True
            self.transport.resume_reading()

    def close(self) -> None:
        """Cut the connection; a receiver that waits for an answer is not told."""
        self._receiver = None
        self._is_kept = False
        self._abort()

    # -- the transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set buffer sizes."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=_WRITE_HIGH_BYTES)
        tune(transport, _SOCKET_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        """Parse; a body that is counted goes to the receiver as it is."""
        if self._receiver is None:
            return self.close()  # nobody asked
        if self._skips_parser:
            return self._receive_counted(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._is_complete:
                return self._lose(error.__context__ or error)
            self._is_kept = False  # more than one answer: this one is whole, the rest is not ours
        if self._is_complete:
            self._finish()
        elif self._left_bytes:
            self._skips_parser = True
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the receiver of an answer that is not complete."""
        self._is_lost = True
        self._lose(exc)
        self._parser = cast(httptools.HttpResponseParser, None)  # it holds this connection
        if self._on_closed is not None:
            self._on_closed(self)

    def pause_writing(self) -> None:
        """The replica reads slower than the caller writes."""
        self.is_writable = False

    def resume_writing(self) -> None:
        """Unsent bytes have drained."""
        self.is_writable = True
        if self._receiver is not None:
            self._receiver.on_upstream_writable()

    # -- the parser's calls

    def on_message_begin(self) -> None:
        """The first byte of an answer."""
        if self._is_complete:
            raise AnswerLost("bytes follow the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line; after the head it is a trailer, and dropped."""
        if self._is_in_head:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Give status and headers to the receiver; interim answers (1xx) come before, without."""
        parser, headers = self._parser, self._headers
        status = parser.get_status_code()
        if status < 200:
            self._headers = []
            self.on_interim(status)
            return
        self._is_in_head = False
        self._headers = []
        self._is_kept = parser.should_keep_alive()
        length = self._read_framing(status, headers)
        receiver = self._receiver
        if receiver is not None:
            receiver.on_answer_head(status, headers, length)

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        if self._left_bytes:
            self._left_bytes -= len(data)
        if self._receiver is not None:
            self._receiver.on_answer_body(data)

    def on_message_complete(self) -> None:
        """The answer is complete; the receiver hears of it when the parser has returned."""
        if not self._is_in_head:
            self._is_complete = True

    def on_interim(self, status: int) -> None:
        """An interim answer (1xx) has come; to be overridden by who waits for one."""

    # -- inside

    def _read_framing(self, status: int, headers: list[tuple[bytes, bytes]]) -> int | None:
        if len(headers) > _MAX_HEADERS:
            raise AnswerLost(f"more than {_MAX_HEADERS} headers")
        length, is_chunked = None, False
        for name, value in headers:
            if name == b"content-length":
                length = int(value)
            elif name == b"transfer-encoding":
                is_chunked = value.strip().lower() == b"chunked"
        if self._is_head_request or status in BODYLESS_STATUSES:
            self._is_kept = self._is_kept and not length and not is_chunked
            self._is_complete = True
            return 0 if length is None else length
        if length is None and not is_chunked:
            raise AnswerLost("the answer has neither a length nor chunks")
        self._left_bytes = length or 0
        return length

    def _receive_counted(self, data: bytes) -> None:
        left, size = self._left_bytes, len(data)
        if size < left:
            return self.on_body(data)
        self._skips_parser = False
        self._parser = httptools.HttpResponseParser(self)
        self.on_body(data if size == left else data[:left])
        self._is_kept = self._is_kept and size == left
        return self._finish()

    def _finish(self) -> None:
        receiver, self._receiver = self._receiver, None
        self._is_complete = False
        self._is_in_head = True
        self._left_bytes = 0
        if not self._is_kept or self._owed_bytes:
            self._is_kept = False
            self.transport.close()
        self.resume_reading()
        if receiver is not None:
            receiver.on_answer_end()

    def _lose(self, error: BaseException | None) -> None:
        receiver, self._receiver = self._receiver, None
        self._is_kept = False
        self._abort()
        if receiver is not None:
            receiver.on_answer_lost(error if isinstance(error, Exception) else None)

    def _abort(self) -> None:
        if not self._is_lost:  # asyncio fails on a transport that is gone
            self.transport.abort()
