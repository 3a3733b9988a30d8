"""What a kept-alive connection says again need not be parsed again.

A client mostly repeats its request's head to the byte, and a front the head of its answers up to
the run time. llhttp parses the first one, strictly; when the same bytes come again at the start of
a message, with the whole body in the same read, what they mean is known (a parser is a function
of its bytes). Everything else goes the way it always went. Measured on one warm call, without
system calls: 25 µs without this, 13 µs with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol

import httptools

from jupyter_faas.gateway.heads import Answer, read_answer
from jupyter_faas.wire.exchange import DONE, OPEN, Connection, Exchange
from jupyter_faas.wire.heads import BODYLESS_STATUSES
from jupyter_faas.wire.server import HttpServerProtocol
from jupyter_faas.wire.upstream import AnswerReceiver, Upstream, UpstreamConnection

MAX_HEAD_BYTES = 4096
"""Longer heads are parsed each time."""

_HEAD_ENDS = b"\r\n\r\n"
_RUN_MS_LINE = b"\r\nFaas-Run-Ms: "
_TAIL = re.compile(rb"Faas-Run-Ms: (\d{1,12}\.\d{1,6})\r\nContent-Length: (\d{1,7})\r\n\r\n")


class KnownHead:
    """A request's head that was parsed before on this connection.

    Attributes:
        head: Its bytes, up to and with the empty line.
        size: Of a whole request with it: head and body.
        memo: What the app keeps about it; begins as None.
    """

    __slots__ = ("exchange", "head", "memo", "size")

    def __init__(self, head: bytes, exchange: Exchange) -> None:
        self.head = head
        self.exchange = exchange
        self.size = len(head) + (exchange.content_length or 0)
        self.memo: Any = None


class RepeatedExchange(Exchange):
    """An exchange whose head was known. Its body is complete from the beginning."""

    __slots__ = ()

    def __init__(self, connection: Connection, like: Exchange) -> None:
        # Not super().__init__(): every attribute is set once.
        self._connection = connection
        self._state = OPEN
        self._joined = None
        self._joined_bytes = 0
        self._left_bytes = 0
        self._writes_chunks = False
        self.method = like.method
        self.target = like.target
        self.headers = like.headers
        self.receiver = None
        self.held = None
        self.is_body_complete = True
        self.path = like.path
        self.query = like.query
        self.version = like.version
        self.content_length = like.content_length
        self.is_chunked = self.waits_for_continue = False
        self.has_body = like.has_body
        self.keep_alive = True

    def respond_whole(self, answer: bytes) -> None:
        """Send an answer that is ready to its last byte; only while `keep_alive` holds."""
        self._state = DONE
        self._connection.transport.write(answer)
        self._connection.answered(self)


TakeRepeated = Callable[[RepeatedExchange, KnownHead, bytes], bool]


class RepeatingServer(HttpServerProtocol):
    """The server side of a connection that remembers its last head.

    Args:
        on_head: As ever.
        take: Given a repeated request whole; False: it is given to `on_head` as ever.
        connections: As ever.
    """

    __slots__ = ("_known", "_newest", "_take")

    def __init__(
        self,
        on_head: Callable[[Exchange], None],
        take: TakeRepeated,
        *,
        connections: set[HttpServerProtocol] | None = None,
    ) -> None:
        super().__init__(on_head, connections=connections)
        self._take = take
        self._known: KnownHead | None = None
        self._newest: Exchange | None = None

    def data_received(self, data: bytes) -> None:
        """Give a repeated request on; everything else is parsed."""
        known = self._known
        if (
            self._active is not None
            or self._receiving is not None
            or self._is_in_head
            or self._is_deaf
        ):
            super().data_received(data)  # In the middle of something.
        elif known is None or len(data) != known.size or not data.startswith(known.head):
            self._parse(data)
        else:
            exchange = self._active = RepeatedExchange(self, known.exchange)
            self._at_work = True
            try:
                if self._take(exchange, known, data[len(known.head) :]):
                    return
            except Exception:
                self._answer_failure(exchange)
                return
            self._active = None
            super().data_received(data)

    def wind_down(self) -> None:
        """Close after the next answer; that request is parsed again."""
        self._known = None
        super().wind_down()

    def on_request(self, exchange: Exchange) -> None:
        """Remember who came, to learn from."""
        self._newest = exchange
        super().on_request(exchange)

    def _parse(self, data: bytes) -> None:
        self._newest = None
        super().data_received(data)
        exchange = self._newest
        if exchange is not None and self._receiving is None:
            self._learn(data, exchange)

    def _learn(self, data: bytes, exchange: Exchange) -> None:
        """Keep the head if `data` was exactly one request that may come like this again."""
        self._newest = None
        ends = data.find(_HEAD_ENDS) + len(_HEAD_ENDS)
        is_whole = ends + (exchange.content_length or 0) == len(data)
        is_plain = exchange.keep_alive and not exchange.is_chunked and exchange.version == "1.1"
        waits = b"expect" in (pair[0] for pair in exchange.headers)
        if is_whole and is_plain and not waits and ends <= MAX_HEAD_BYTES and not self._is_deaf:
            self._known = KnownHead(data[:ends], exchange_like(exchange))
        else:
            self._known = None


def exchange_like(exchange: Exchange) -> Exchange:
    """Return a copy that holds what the head said and nothing of the request's life."""
    like = RepeatedExchange(exchange._connection, exchange)
    # The connection keeps the copy: it must not keep the connection.
    del like._connection
    return like


class KnownAnswer:
    """The head of an answer that this connection brings again and again.

    Attributes:
        status: HTTP status.
        answer: What its headers say, except for the run time.
        size: Of the bytes that are the same each time, up to the run time's line.
        memo: What the receiver keeps about it; begins empty.
    """

    __slots__ = ("answer", "memo", "size", "status")

    def __init__(self, status: int, answer: Answer, size: int) -> None:
        self.status = status
        self.answer = answer
        self.size = size
        self.memo = b""


class WholeAnswerReceiver(AnswerReceiver, Protocol):
    """A receiver that takes a repeated answer at once."""

    def on_whole_answer(self, known: KnownAnswer, run_ms: bytes, data: bytes) -> None:
        """An answer that is whole, with head, body and end in `data`.

        From `known.size` on it is exactly `Faas-Run-Ms`, `Content-Length`, an empty line, the body.
        """


class RepeatingConnection(UpstreamConnection):
    """The client side of a connection that remembers the last answer's head."""

    __slots__ = ("_is_fresh", "_known", "_prefix")

    def __init__(self, on_closed: Callable[[UpstreamConnection], None]) -> None:
        super().__init__(on_closed)
        self._prefix = b""
        self._known: KnownAnswer | None = None
        self._is_fresh = False

    def call(self, request: bytes, receiver: WholeAnswerReceiver) -> None:
        """Send a whole request on an idle connection that was just taken."""
        self._receiver = receiver
        self._owed_bytes = 0
        self._is_head_request = False
        self._is_fresh = True
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Give a repeated answer on; everything else is parsed."""
        if not self._is_fresh:
            super().data_received(data)
            return
        self._is_fresh = False
        tail = _TAIL.match(data, len(self._prefix)) if data.startswith(self._prefix) else None
        if tail is None or tail.end() + int(tail[2]) != len(data):
            super().data_received(data)
            self._note(data)
        elif self._known is None:
            super().data_received(data)
            self._learn(data)
        elif self._receiver is not None:
            receiver, self._receiver = self._receiver, None
            receiver.on_whole_answer(self._known, tail[1], data)  # type: ignore[attr-defined]

    def _note(self, data: bytes) -> None:
        """Keep what comes before the run time: it may be seen again."""
        self._known = None
        begins = data.find(_RUN_MS_LINE, 0, MAX_HEAD_BYTES) + 2
        self._prefix = data[:begins] if begins > 1 else b""

    def _learn(self, data: bytes) -> None:
        """The same for the second time, and well parsed: the third need not be."""
        if not self._is_kept:
            return
        collected = _HeadCollector()
        parser = httptools.HttpResponseParser(collected)
        parser.feed_data(data)
        status = parser.get_status_code()
        answer = read_answer(collected.headers)
        is_plain = not (answer.is_busy or answer.is_running or collected.is_chunked)
        if is_plain and status >= 200 and status not in BODYLESS_STATUSES:
            self._known = KnownAnswer(status, answer, len(self._prefix))


class _HeadCollector:
    """What a parser says of one head, once more."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    @property
    def is_chunked(self) -> bool:
        return any(name == b"transfer-encoding" for name, _ in self.headers)


class RepeatingUpstream(Upstream):
    """Connections to one front that remember its answers' heads."""

    __slots__ = ()

    def take(self) -> RepeatingConnection | None:
        """Return an idle connection, or None: then `connect`."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if not connection.transport.is_closing():
                return connection  # type: ignore[return-value]  # - this pool makes no others
        return None

    async def connect(self) -> RepeatingConnection:
        """Return a new connection.

        Raises:
            OSError: Nobody listens there (any more).
        """
        connection = await super().connect()
        assert isinstance(connection, RepeatingConnection)
        return connection

    def keep(self, connection: UpstreamConnection) -> None:
        """Keep a connection whose answer was whole; whether it still is open is seen by `take`."""
        if len(self._idle) < self._max_idle and not self._is_closed:
            self._idle.append(connection)
        else:
            connection.close()

    def _new(self) -> RepeatingConnection:
        return RepeatingConnection(self._forget)
