"""HTTP/1.1, server side: the front door of the gateway and of the runner's front.

One `HttpServerProtocol` per connection gives each request to the app as an `Exchange`, as soon as
its head is there. The app answers on the exchange; body and fate of the connection come to the
exchange's `receiver`. One exchange is active at a time: pipelined requests wait, and reading stops
while they do. Nothing here parses a body, makes a task or logs a request.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import cast

from jupyter_faas.core.errors import BadRequest, FaasError, InternalError
from jupyter_faas.wire.exchange import Exchange, IllegalStep, Receiver
from jupyter_faas.wire.heads import CONTINUE
from jupyter_faas.wire.limits import Limits
from jupyter_faas.wire.problems import problem_answer
from jupyter_faas.wire.reader import RequestReader
from jupyter_faas.wire.sockets import has_peer_left, tune

__all__ = ["Exchange", "HttpServerProtocol", "IllegalStep", "Limits", "Receiver"]

OnHead = Callable[[Exchange], None]
_LIMITS = Limits()
_PEER_CHECK_S = 0.1
_logger = logging.getLogger(__name__)


class HttpServerProtocol(RequestReader, asyncio.Protocol):
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
        "_head_timer",
        "_idle_timer",
        "_is_app_paused",
        "_is_last",
        "_is_next_running",
        "_is_reading",
        "_on_head",
        "_peer_timer",
        "_refusal",
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
        super().__init__(limits)
        self._on_head = on_head
        self._connections = connections
        self._active: Exchange | None = None  # the app has it and has not finished
        self._backlog: deque[Exchange] = deque()  # pipelined, complete or not
        self._is_next_running = False
        self._refusal: FaasError | None = None  # the answer after the backlog, then close
        self._drained_bytes = 0
        self._is_app_paused = False
        self._is_last = False  # the next answer closes
        self._is_reading = True
        self._at_work = True  # something happened since the idle timer last looked
        self._head_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._peer_timer: asyncio.TimerHandle | None = None
        self.is_writable = True
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)

    def retire(self) -> None:
        """Close as soon as nothing is in flight: now, or after the answer being made."""
        if self._active is None:
            self._close()
        else:
            self._active.keep_alive = False

    def wind_down(self) -> None:
        """Close after the next answer, whenever it is made: the client goes elsewhere then.

        Unlike `retire` an idle connection stays open, so that nobody's request meets its end.
        """
        self._is_last = True
        if self._active is not None and not self._active.is_started:
            self._active.keep_alive = False

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
        """Parse; time a head that is not complete."""
        self.feed(data)
        if self._is_in_head:
            if self._head_timer is None:
                self._head_timer = _later(self._limits.head_timeout_s, self._head_is_late)
        elif self._head_timer is not None and not self._is_deaf:
            self._head_timer.cancel()
            self._head_timer = None

    def eof_received(self) -> bool:
        """A client that sends no more is taken as gone: the transport closes."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the app of the exchange it has that the client is gone."""
        for timer in (self._head_timer, self._idle_timer, self._peer_timer):
            if timer is not None:
                timer.cancel()
        self._head_timer = self._idle_timer = self._peer_timer = None
        if self._connections is not None:
            self._connections.discard(self)
        self._backlog.clear()
        self._refusal = None
        self.let_go()
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

    # -- the reader's calls

    def on_request(self, exchange: Exchange) -> None:
        """Give it to the app, or let it wait for the one before."""
        self._at_work = True
        if self._is_last:
            exchange.keep_alive = False
        if self._active is None and not self._backlog:
            self._begin(exchange)
        else:
            exchange.held = []
            self._backlog.append(exchange)
            self._choose_reading()

    def on_request_body(self, exchange: Exchange, data: bytes) -> None:
        """Give it to the app, keep it while the exchange waits, drop it after the answer."""
        if exchange is self._active:
            if exchange.receiver is not None:
                try:
                    exchange.receiver.on_body(data)
                except Exception:
                    self._answer_failure(exchange)
        elif exchange.held is not None:
            exchange.held.append(data)
        else:
            self._drained_bytes += len(data)
            if self._drained_bytes > self._limits.drain_bytes:
                self._linger()

    def on_request_end(self, exchange: Exchange) -> None:
        """Tell the app; after an early answer, go on."""
        if exchange is self._active:
            if exchange.receiver is not None:
                try:
                    exchange.receiver.on_body_end()
                except Exception:
                    self._answer_failure(exchange)
        elif exchange.held is None:
            self._next()

    def on_refused(self, error: BadRequest, broken: Exchange | None) -> None:
        """Answer after everything that came before it, then close."""
        if broken is not None and broken is self._active:
            self._active = None
            is_started = broken.is_started
            broken.lose()
            if is_started:
                self.transport.abort()
                return
        elif broken is not None and broken in self._backlog:
            self._backlog.remove(broken)
        if self._active is None and not self._backlog:
            self._answer_refusal(error)
        else:
            self._refusal = error

    def on_defect(self, error: BaseException | None) -> None:
        """Cut the connection: its state is not known any more."""
        _logger.error("the server itself failed", exc_info=error)
        self.transport.abort()

    # -- the exchange's calls

    def keeps_alive(self, exchange: Exchange) -> bool:
        """Whether the rest of the body is small enough to be read away after the answer."""
        if exchange.waits_for_continue:
            return False
        return exchange.content_length is None or self._left_bytes <= self._limits.drain_bytes

    def body_wanted(self, exchange: Exchange, is_wanted: bool) -> None:
        """Read on, or stop reading, for the active exchange."""
        if exchange is self._active:
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

    # -- one exchange after the other

    def _begin(self, exchange: Exchange) -> None:
        self._active = exchange
        try:
            self._on_head(exchange)
        except Exception:
            self._answer_failure(exchange)
        if exchange.waits_for_continue and exchange is self._active and not self._is_app_paused:
            self._send_continue(exchange)

    def _answer_failure(self, exchange: Exchange) -> None:
        """The app raised: 500 if the answer has not been started, else cut."""
        _logger.exception("the app failed on %r %r", exchange.method, exchange.path)
        exchange.keep_alive = False
        if exchange.is_over:
            self.transport.abort()
        elif exchange.is_started:
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
            self._answer_refusal(self._refusal)

    def _replay(self, exchange: Exchange, held: list[bytes]) -> None:
        for data in held:
            if exchange is self._active:
                self.on_request_body(exchange, data)
        if exchange.is_body_complete and exchange is self._active:
            self.on_request_end(exchange)

    # -- time

    def _watch_idle(self) -> None:
        if self._limits.idle_timeout_s is None:
            return
        if not self._at_work and self._active is None and self._receiving is None:
            self.transport.close()
        else:
            self._at_work = False
            self._idle_timer = _later(self._limits.idle_timeout_s, self._watch_idle)

    def _head_is_late(self) -> None:
        timeout_s = self._limits.head_timeout_s
        self._head_timer = None
        if self._is_reading:
            self.refuse(408, f"The head did not arrive within {timeout_s:g} s.")
        else:  # it cannot arrive: requests before it are not answered yet
            self._head_timer = _later(timeout_s, self._head_is_late)

    def _choose_reading(self) -> None:
        is_wanted = not self._is_app_paused and not self._backlog
        if is_wanted == self._is_reading or self.transport.is_closing():
            return
        self._is_reading = is_wanted
        if is_wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()
            if self._peer_timer is None:
                self._peer_timer = _later(_PEER_CHECK_S, self._watch_peer)

    def _watch_peer(self) -> None:
        """A connection that is not read does not tell that its client left: look now and then."""
        self._peer_timer = None
        if self._is_reading or self.transport.is_closing():
            return
        if has_peer_left(self.transport):
            self.transport.abort()
        else:
            self._peer_timer = _later(_PEER_CHECK_S, self._watch_peer)

    # -- ending

    def _answer_refusal(self, error: FaasError) -> None:
        self._refusal = None
        last = Exchange(self, b"", b"", [])
        last.keep_alive = False
        last.has_body = True  # of unknown extent: lingering lets the answer arrive
        last.respond(*problem_answer(error))

    def _close(self) -> None:
        self.deafen()
        self._backlog.clear()
        self.transport.close()

    def _linger(self) -> None:
        """Send what is left, then read away what still comes for a while.

        Closing with unread bytes would reset the connection, and the client might never see its
        answer (RFC 9112 section 9.6).
        """
        self.deafen()
        self._backlog.clear()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self._head_timer is not None:
            self._head_timer.cancel()
        self._head_timer = _later(self._limits.linger_s, self.transport.abort)


def _later(delay_s: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(delay_s, callback)
