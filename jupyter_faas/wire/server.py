"""HTTP/1.1, server side: the front door of the gateway and of the runner's front.

One `HttpServerProtocol` per connection parses requests (httptools) and gives each to the app as an
`Exchange`, as soon as its head is there. The app answers on the exchange; body and fate of the
connection come to the exchange's `receiver`. One exchange is active at a time: pipelined requests
wait, and reading stops while they do. Nothing here parses a body, makes a task or logs a request.

A body of known length bypasses the parser after its first packet: bytes are counted and handed
over as they were read.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import cast

import httptools

from jupyter_faas.core.errors import BadRequest, FaasError, InternalError
from jupyter_faas.wire.exchange import Exchange, IllegalStep, Receiver
from jupyter_faas.wire.heads import CONTINUE
from jupyter_faas.wire.limits import Limits
from jupyter_faas.wire.problems import problem_answer
from jupyter_faas.wire.requests import BadHead, framing, split_target
from jupyter_faas.wire.sockets import has_peer_left, tune

__all__ = ["Exchange", "HttpServerProtocol", "IllegalStep", "Limits", "Receiver"]

OnHead = Callable[[Exchange], None]
_LIMITS = Limits()
_PEER_CHECK_S = 0.1
_logger = logging.getLogger(__name__)


class HttpServerProtocol(asyncio.Protocol):
    """One connection.

    Args:
        on_head: The app: called with each exchange as soon as its head is there. It sets
            `exchange.receiver`, or answers at once. What it raises becomes a 500.
        limits: What is accepted, and how long things may take.
        connections: If given, holds this connection while it is open (for `retire` at a drain).
    """

    __slots__ = (
        "_active",
        "_at_work",
        "_backlog",
        "_connections",
        "_drained_bytes",
        "_head_bytes",
        "_head_timer",
        "_headers",
        "_idle_timer",
        "_is_app_paused",
        "_is_deaf",
        "_is_in_head",
        "_is_next_running",
        "_is_reading",
        "_left_bytes",
        "_limits",
        "_on_head",
        "_parser",
        "_peer_timer",
        "_read_bytes",
        "_receiving",
        "_refusal",
        "_skips_parser",
        "_url",
        "is_writable",
        "transport",
    )

    def __init__(
        self,
        on_head: OnHead,
        *,
        limits: Limits = _LIMITS,
        connections: set[HttpServerProtocol] | None = None,
    ) -> None:
        self._on_head = on_head
        self._connections = connections
        self._limits = limits
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._is_in_head = False  # the first byte of a head is here, its last is not
        self._head_bytes = 0  # read for it in earlier packets
        self._read_bytes = 0  # of the packet at hand
        self._receiving: Exchange | None = None  # its body is coming in
        self._left_bytes = 0  # of a body of known length
        self._skips_parser = False
        self._drained_bytes = 0
        self._active: Exchange | None = None  # the app has it and has not finished
        self._backlog: deque[Exchange] = deque()  # pipelined, complete or not
        self._is_next_running = False
        self._refusal: FaasError | None = None  # the answer after the backlog, then close
        self._is_deaf = False  # what still comes is dropped
        self._is_app_paused = False
        self._is_reading = True
        self._at_work = True  # a request came since the idle timer last looked
        self._head_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._peer_timer: asyncio.TimerHandle | None = None
        self.is_writable = True
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)

    # -- the transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set buffer sizes and start to watch for idleness."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=self._limits.write_high_bytes)
        tune(transport, self._limits.socket_buffer_bytes)
        self._watch_idle()
        if self._connections is not None:
            self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Parse; a body that is counted goes to its receiver as it is."""
        if self._skips_parser:
            return self._receive_counted(data)
        if self._is_deaf:
            return None
        self._read_bytes = len(data)
        was_in_head = self._is_in_head
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parser = httptools.HttpRequestParser(self)  # the offer is declined by ignoring it
            if rest := data[upgrade.args[0] :]:
                self.data_received(rest)
            return None
        except httptools.HttpParserError as error:
            return self._refuse_parse(error)
        if self._is_in_head or self._head_timer is not None:
            self._watch_head(len(data) if was_in_head else 0)
        elif self._left_bytes and not self._is_deaf:
            self._skips_parser = True
        return None

    def eof_received(self) -> bool:
        """A client that sends no more is taken as gone: the transport closes."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the app of every exchange it has that the client is gone."""
        self._is_deaf = True
        self._skips_parser = False
        if self._connections is not None:
            self._connections.discard(self)
        for timer in (self._head_timer, self._idle_timer, self._peer_timer):
            if timer is not None:
                timer.cancel()
        self._head_timer = self._idle_timer = self._peer_timer = None
        self._backlog.clear()
        self._parser = cast(httptools.HttpRequestParser, None)  # it holds this connection
        self._receiving = None
        exchange, self._active = self._active, None
        if exchange is not None:
            exchange.lose()

    def pause_writing(self) -> None:
        """The client reads slower than the app writes."""
        self.is_writable = False

    def resume_writing(self) -> None:
        """Unsent bytes have drained."""
        self.is_writable = True
        exchange = self._active
        if exchange is not None and exchange.receiver is not None:
            exchange.receiver.on_writable()

    # -- the parser's calls

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._is_in_head = True
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        """The target, or a part of it."""
        self._url = self._url + url if self._url else url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line; after the head it is a trailer, and dropped."""
        if self._is_in_head:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Make the exchange and give it to the app, or let it wait for the one before."""
        self._is_in_head = False
        if self._is_deaf:
            return None
        self._at_work = True
        parser, headers = self._parser, self._headers
        exchange = Exchange(self, parser.get_method(), self._url, headers)
        try:
            exchange.path, exchange.query = split_target(self._url)
            if len(headers) > self._limits.headers:
                raise BadHead(431, f"More than {self._limits.headers} headers.")
            if self._read_bytes + self._head_bytes > self._limits.head_bytes:
                self._check_size(headers)
            version = exchange.version = parser.get_http_version()
            length, is_chunked, waits = framing(headers, version)
        except BadHead as bad:
            return self._refuse(BadRequest(bad.detail, status=bad.status))
        exchange.keep_alive = parser.should_keep_alive()
        if length is not None or is_chunked:
            exchange.content_length = length
            exchange.is_chunked = is_chunked
            exchange.has_body = is_chunked or length != 0
            exchange.waits_for_continue = waits and exchange.has_body
            self._left_bytes = length or 0
        self._receiving = exchange
        if self._active is None and not self._backlog:
            return self._begin(exchange)
        exchange.held = []
        self._backlog.append(exchange)
        return self._choose_reading()

    def on_body(self, data: bytes) -> None:
        """A piece of a body."""
        exchange = self._receiving
        if exchange is None:
            return
        if self._left_bytes:
            self._left_bytes -= len(data)
        if exchange.held is not None:
            exchange.held.append(data)
        elif exchange is not self._active:
            self._drain(exchange, len(data))
        elif exchange.receiver is not None:
            exchange.receiver.on_body(data)

    def on_message_complete(self) -> None:
        """A request is complete, with its body."""
        exchange, self._receiving = self._receiving, None
        if exchange is None:
            return
        exchange.is_body_complete = True
        if not exchange.keep_alive:
            self._is_deaf = True
        if exchange is self._active:
            if exchange.receiver is not None:
                exchange.receiver.on_body_end()
        elif exchange.held is None:
            self._next()

    # -- the exchange's calls

    def keeps_alive(self, exchange: Exchange) -> bool:
        """Whether the rest of the body is small enough to be read away after the answer."""
        if exchange.waits_for_continue:
            return False
        if exchange.content_length is None:
            return True
        return self._left_bytes <= self._limits.drain_bytes

    def body_wanted(self, exchange: Exchange, is_wanted: bool) -> None:
        """Read on, or stop reading, for the active exchange."""
        if exchange is not self._active:
            return
        self._is_app_paused = not is_wanted
        if is_wanted and exchange.waits_for_continue:
            self._send_continue(exchange)
        self._choose_reading()

    def answered(self, exchange: Exchange) -> None:
        """Close, or go on with the next request once the body has been read away."""
        self._active = None
        self._at_work = True
        self._drained_bytes = 0
        if self._is_app_paused:
            self._is_app_paused = False
            self._choose_reading()
        if exchange.has_body and not exchange.is_body_complete:
            if not exchange.keep_alive or not self.keeps_alive(exchange):
                self._linger()
        elif not exchange.keep_alive:
            self._close()
        elif self._backlog or self._refusal is not None:
            self._next()

    def retire(self) -> None:
        """Close as soon as nothing is in flight: now, or after the answer being made."""
        if self._active is None:
            self._close()
        else:
            self._active.keep_alive = False

    # -- one exchange after the other

    def _begin(self, exchange: Exchange) -> None:
        self._active = exchange
        try:
            self._on_head(exchange)
        except Exception:
            _logger.exception("the app failed on %r %r", exchange.method, exchange.path)
            self._answer_failure(exchange)
        if exchange.waits_for_continue and exchange is self._active and not self._is_app_paused:
            self._send_continue(exchange)

    def _answer_failure(self, exchange: Exchange) -> None:
        exchange.keep_alive = False
        if exchange.is_started:
            exchange.abort()
        else:
            exchange.respond(*problem_answer(InternalError("The server failed; its log says how.")))

    def _send_continue(self, exchange: Exchange) -> None:
        exchange.waits_for_continue = False
        if not exchange.is_started and not exchange.is_body_complete:
            self.transport.write(CONTINUE)

    def _next(self) -> None:
        """Begin what waits; a loop, not a recursion, because apps may answer at once."""
        if self._is_next_running:
            return
        self._is_next_running = True
        while self._active is None and self._backlog:
            exchange = self._backlog.popleft()
            held, exchange.held = exchange.held or [], None
            self._begin(exchange)
            self._replay(exchange, held)
            if not exchange.is_body_complete:
                break
        self._is_next_running = False
        self._choose_reading()
        if self._active is None and not self._backlog and self._refusal is not None:
            self._send_refusal(self._refusal)

    def _replay(self, exchange: Exchange, held: list[bytes]) -> None:
        for data in held:
            if exchange is self._active and exchange.receiver is not None:
                exchange.receiver.on_body(data)
        if exchange.is_body_complete and exchange is self._active and exchange.receiver is not None:
            exchange.receiver.on_body_end()

    def _receive_counted(self, data: bytes) -> None:
        left = self._left_bytes
        size = len(data)
        if size < left:
            return self.on_body(data)
        self._skips_parser = False
        self._parser = httptools.HttpRequestParser(self)
        self.on_body(data if size == left else data[:left])
        if self._is_deaf:
            return None
        self.on_message_complete()
        if size > left:
            self.data_received(data[left:])
        return None

    # -- limits

    def _check_size(self, headers: list[tuple[bytes, bytes]]) -> None:
        size = len(self._url) + sum(len(name) + len(value) + 4 for name, value in headers)
        if size > self._limits.head_bytes:
            raise BadHead(431, f"The head is larger than {self._limits.head_bytes} bytes.")

    def _watch_head(self, size: int) -> None:
        """Count and time a head that is not complete; forget both when it is."""
        if not self._is_in_head:
            if self._head_timer is not None:
                self._head_timer.cancel()
            self._head_timer, self._head_bytes = None, 0
            return
        self._head_bytes += size
        if self._head_bytes > self._limits.head_bytes:
            detail = f"The head is larger than {self._limits.head_bytes} bytes."
            self._refuse(BadRequest(detail, status=431))
        elif self._head_timer is None:
            loop = asyncio.get_running_loop()
            self._head_timer = loop.call_later(self._limits.head_timeout_s, self._head_is_late)

    def _head_is_late(self) -> None:
        if not self._is_reading:  # it cannot arrive: requests before it are not answered yet
            loop = asyncio.get_running_loop()
            self._head_timer = loop.call_later(self._limits.head_timeout_s, self._head_is_late)
            return
        self._head_timer = None
        detail = f"The head did not arrive within {self._limits.head_timeout_s:g} s."
        self._refuse(BadRequest(detail, status=408))

    def _watch_idle(self) -> None:
        if self._limits.idle_timeout_s is None:
            return
        if not self._at_work and self._active is None and self._receiving is None:
            self.transport.close()
            return
        self._at_work = False
        loop = asyncio.get_running_loop()
        self._idle_timer = loop.call_later(self._limits.idle_timeout_s, self._watch_idle)

    # -- refusing and closing

    def _refuse_parse(self, error: Exception) -> None:
        if isinstance(error, httptools.HttpParserCallbackError):
            return self._fail_active(error)
        if self._is_deaf:
            return None
        if isinstance(error, httptools.HttpParserInvalidMethodError):
            return self._refuse(BadRequest("This method is not known.", status=501))
        return self._refuse(BadRequest(f"This is not HTTP/1.1: {error}."))

    def _fail_active(self, error: Exception) -> None:
        _logger.error("the app failed on a body", exc_info=error.__context__)
        exchange = self._active
        if exchange is None or exchange.is_over:
            self.transport.abort()
        else:
            self._answer_failure(exchange)

    def _refuse(self, error: FaasError) -> None:
        """Answer `error` after everything that came before it, then close."""
        self._is_deaf = True
        self._skips_parser = False
        self._left_bytes = 0
        broken, self._receiving = self._receiving, None
        if broken is not None and broken is self._active:
            self._refuse_body(broken, error)
        elif broken is not None and broken in self._backlog:
            self._backlog.remove(broken)
        if self._active is None and not self._backlog:
            self._send_refusal(error)
        else:
            self._refusal = error

    def _refuse_body(self, exchange: Exchange, error: FaasError) -> None:
        """The body of the active exchange cannot be read on: its app gets no more of it."""
        self._active = None
        if exchange.is_started:
            exchange.lose()
            self.transport.abort()
        else:
            exchange.lose()

    def _send_refusal(self, error: FaasError) -> None:
        self._refusal = None
        last = Exchange(self, b"", b"", [])
        last.keep_alive = False
        last.respond(*problem_answer(error))

    def _close(self) -> None:
        self._is_deaf = True
        self._skips_parser = False
        self._backlog.clear()
        self.transport.close()

    def _linger(self) -> None:
        """Send what is left, then read away what still comes for a while.

        Closing with unread bytes would reset the connection, and the client might never see its
        answer (RFC 9112 section 9.6).
        """
        self._is_deaf = True
        self._skips_parser = False
        self._receiving = None
        self._left_bytes = 0
        self._backlog.clear()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self._head_timer is not None:
            self._head_timer.cancel()
        loop = asyncio.get_running_loop()
        self._head_timer = loop.call_later(self._limits.linger_s, self.transport.abort)

    def _drain(self, exchange: Exchange, size: int) -> None:
        self._drained_bytes += size
        if self._drained_bytes > self._limits.drain_bytes:
            self._linger()

    def _choose_reading(self) -> None:
        is_wanted = not self._is_app_paused and not self._backlog
        if is_wanted == self._is_reading or self.transport.is_closing():
            return
        self._is_reading = is_wanted
        if is_wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()
            self._watch_peer()

    def _watch_peer(self) -> None:
        """A connection that is not read does not tell that its client left: look now and then."""
        self._peer_timer = None
        if self._is_reading or self.transport.is_closing():
            return
        if has_peer_left(self.transport):
            self.transport.abort()
            return
        loop = asyncio.get_running_loop()
        self._peer_timer = loop.call_later(_PEER_CHECK_S, self._watch_peer)
