"""One request and its answer, as an app sees them.

The answer goes open → streaming → done; every other order is an error of the app. If the client
goes away first the exchange is gone: what the app then writes is dropped silently, because it
cannot know yet. A stream that is not finished is cut, so that it never looks complete.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Protocol, overload

from jupyter_faas.wire.heads import (
    BODYLESS_STATUSES,
    CHUNKED_LINE,
    JOIN_BELOW_BYTES,
    LAST_CHUNK,
    STATUS_LINES,
    Buffer,
    Headers,
    encode_chunk,
    encode_head,
)

OPEN, STREAMING, DONE, GONE = range(4)
_HEAD_ENDS = b"\r\n"
_CLOSE_LINE = b"Connection: close\r\n"
_KEEP_LINE = b"Connection: keep-alive\r\n"


class Receiver(Protocol):
    """What an app gives an exchange to get the body and the fate of the connection."""

    def on_body(self, data: bytes) -> None:
        """Take the next piece of the body; also called up to one read after `pause_body`."""

    def on_body_end(self) -> None:
        """The body is complete; said once, also for a request without a body."""

    def on_gone(self) -> None:
        """The client left, or broke its body, before the answer was finished; the last word."""

    def on_writable(self) -> None:
        """The answer may go on after `is_writable` was false."""


class Connection(ABC):
    """What an exchange needs of the connection it came in on."""

    __slots__ = ()
    transport: asyncio.Transport
    is_writable: bool

    @abstractmethod
    def answered(self, exchange: Exchange) -> None:
        """The answer is complete as far as the app is concerned."""

    @abstractmethod
    def body_wanted(self, exchange: Exchange, is_wanted: bool) -> None:
        """Read on, or stop reading."""

    @abstractmethod
    def keeps_alive(self, exchange: Exchange) -> bool:
        """Whether the connection can serve another request if the answer ended now."""


class IllegalStep(RuntimeError):
    """An app answered twice, or wrote before it started."""


class Exchange:
    """One request and its answer.

    Attributes:
        method: Upper-case method.
        target: The request target as it was sent.
        path: Its path, percent-encoding left as it came.
        query: What follows `?`, without it.
        headers: Names in lower case, in order.
        content_length: Bytes of the body if announced, else None.
        is_chunked: The body comes in chunks.
        has_body: A body follows (announced length above zero, or chunks).
        keep_alive: The client would use the connection again.
        receiver: Set by the app in `on_head`; None drops the body.
    """

    __slots__ = (
        "_connection",
        "_joined",
        "_joined_bytes",
        "_left_bytes",
        "_state",
        "_writes_chunks",
        "content_length",
        "has_body",
        "headers",
        "held",
        "is_body_complete",
        "is_chunked",
        "keep_alive",
        "method",
        "path",
        "query",
        "receiver",
        "target",
        "version",
        "waits_for_continue",
    )

    def __init__(
        self,
        connection: Connection,
        method: bytes,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
    ) -> None:
        self._connection = connection
        self._state = OPEN
        self._joined: list[Buffer] | None = None
        self._joined_bytes = 0
        self._left_bytes = 0
        self._writes_chunks = False
        self.method = method
        self.target = target
        self.headers = headers
        self.receiver: Receiver | None = None
        self.held: list[bytes] | None = None
        self.is_body_complete = False
        # The connection fills in what the head says.
        self.path = self.query = b""
        self.version = "1.1"
        self.content_length: int | None = None
        self.is_chunked = self.has_body = self.waits_for_continue = False
        self.keep_alive = True

    @overload
    def header(self, name: bytes) -> bytes | None: ...
    @overload
    def header(self, name: bytes, default: bytes) -> bytes: ...
    def header(self, name: bytes, default: bytes | None = None) -> bytes | None:
        """Return the value of the first header with this lower-case name, blanks trimmed."""
        for pair in self.headers:
            if pair[0] == name:
                return pair[1].strip()
        return default

    @property
    def is_writable(self) -> bool:
        """Whether `write` should go on; when it becomes true again, `on_writable` is called."""
        return self._connection.is_writable

    @property
    def is_started(self) -> bool:
        """Whether a part of the answer has been sent."""
        return self._state in (STREAMING, DONE)

    @property
    def is_over(self) -> bool:
        """Whether nothing can be written any more: answered, cut or the client has left."""
        return self._state >= DONE

    def pause_body(self) -> None:
        """Read no more of the body until `resume_body`; what was read already still comes."""
        self._connection.body_wanted(self, False)

    def resume_body(self) -> None:
        """Read on."""
        self._connection.body_wanted(self, True)

    def join_pieces(self) -> None:
        """From here on what is written in one round of the loop leaves as one.

        Each write is a system call that wakes the reader up: with an answer of many small pieces
        that costs more than to make them.
        """
        if self._joined is None:
            self._joined = []

    def respond(self, status: int, headers: Headers = (), body: Buffer = b"") -> None:
        """Send a whole answer.

        Args:
            status: 200 to 599.
            headers: Without framing and `Connection`: those are the server's to say.
            body: Ignored for HEAD, 204 and 304; `Content-Length` still says its size for HEAD.

        Raises:
            IllegalHeader: A header holds a line break.
            IllegalStep: An answer has been started.
        """
        self.respond_raw(encode_head(STATUS_LINES[status], headers), body, status=status)

    def respond_raw(self, head: bytes, body: Buffer = b"", *, status: int = 200) -> None:
        """Send a whole answer whose status line and header lines (CRLF-ended) are ready-made."""
        if self._state != OPEN:
            return self._wrong_step("respond")
        connection, length = self._connection, len(body)
        is_plain = self.keep_alive and self.version == "1.1"
        if not is_plain or (self.has_body and not self.is_body_complete):
            head += self._connection_line(is_last=True)
        if status in BODYLESS_STATUSES:
            head, body = head + _HEAD_ENDS, b""
        elif self.method == b"HEAD":
            head, body = b"%bContent-Length: %d\r\n\r\n" % (head, length), b""
        elif length <= JOIN_BELOW_BYTES:
            head = b"".join((head, b"Content-Length: %d\r\n\r\n" % length, body))
            body = b""
        else:
            head = b"%bContent-Length: %d\r\n\r\n" % (head, length)
        self._state = DONE
        if body:
            connection.transport.writelines((head, body))
        else:
            connection.transport.write(head)
        connection.answered(self)

    def start(self, status: int, headers: Headers = (), content_length: int | None = None) -> None:
        """Send the head of an answer; `write` and `finish` follow.

        Args:
            status: 200 to 599.
            headers: Without framing and `Connection`.
            content_length: Bytes that will be written; None sends chunks (HTTP/1.0: to the end
                of the connection).

        Raises:
            IllegalHeader: A header holds a line break.
            IllegalStep: An answer has been started.
        """
        head = encode_head(STATUS_LINES[status], headers)
        if status in BODYLESS_STATUSES:
            content_length = -1
        self.raw_start(head, content_length)

    def raw_start(self, head: bytes, content_length: int | None = None) -> None:
        """Like `start`, with ready-made status line and header lines, each ended by CRLF.

        Framing lines must not be in `head`. A `content_length` of -1 means: no body at all.
        """
        if self._state != OPEN:
            return self._wrong_step("start")
        framing = b""
        if content_length is None:
            self._left_bytes = -1
            if self.version == "1.1":
                framing, self._writes_chunks = CHUNKED_LINE, True
            else:
                self.keep_alive = False
        elif content_length >= 0:
            framing = b"Content-Length: %d\r\n" % content_length
            self._left_bytes = content_length
        if self.method == b"HEAD":
            self._left_bytes, self._writes_chunks = -1, False
        self._state = STREAMING
        line = self._connection_line(is_last=False)
        self._send(b"%b%b%b\r\n" % (head, framing, line))

    def write(self, data: Buffer) -> None:
        """Send a piece of the body; a large piece is handed over without copying.

        Raises:
            IllegalStep: Not between `start` and `finish`, or more than `content_length` bytes;
                in the latter case the connection has been cut.
        """
        if self._state != STREAMING:
            return self._wrong_step("write")
        size = len(data)
        if not size or self.method == b"HEAD":
            return None
        if self._writes_chunks:
            if size <= JOIN_BELOW_BYTES:
                self._send(encode_chunk(data))
            else:
                self._send(b"%x\r\n" % size, data, _HEAD_ENDS)
            return None
        if self._left_bytes >= 0:
            self._left_bytes -= size
            if self._left_bytes < 0:
                self.abort()
                raise IllegalStep("more bytes were written than content_length had announced")
        self._send(data)
        return None

    def finish(self) -> None:
        """End the answer; one with bytes missing is cut instead.

        Raises:
            IllegalStep: Not started, or finished before.
        """
        if self._state != STREAMING:
            return self._wrong_step("finish")
        if self._left_bytes > 0:
            return self.abort()
        if self._writes_chunks:
            self._send(LAST_CHUNK)
        self._send_joined()
        self._state = DONE
        self._connection.answered(self)
        return None

    def abort(self) -> None:
        """Cut the connection without a terminator: a broken stream never looks complete."""
        if self._state < DONE:
            self._send_joined()
            self._state = DONE
            self._connection.transport.abort()

    def lose(self) -> None:
        """The connection says that the client has left. Not for apps."""
        if self._state < DONE:
            self._state = GONE
            if self.receiver is not None:
                self.receiver.on_gone()

    def _send(self, *parts: Buffer) -> None:
        joined = self._joined
        if joined is None:
            self._connection.transport.writelines(parts)
            return
        if not joined:
            asyncio.get_running_loop().call_soon(self._send_joined)
        joined += parts
        self._joined_bytes += sum(map(len, parts))
        if self._joined_bytes > JOIN_BELOW_BYTES:
            self._send_joined()

    def _send_joined(self) -> None:
        joined = self._joined
        if joined and self._state < DONE:
            self._joined, self._joined_bytes = [], 0
            self._connection.transport.writelines(joined)

    def _connection_line(self, *, is_last: bool) -> bytes:
        if is_last and self.has_body and not self.is_body_complete:
            self.keep_alive = self.keep_alive and self._connection.keeps_alive(self)
        if not self.keep_alive:
            return _CLOSE_LINE
        return b"" if self.version == "1.1" else _KEEP_LINE

    def _wrong_step(self, step: str) -> None:
        if self._state != GONE:
            raise IllegalStep(f"{step}: the answer is {('open', 'streaming', 'done')[self._state]}")
