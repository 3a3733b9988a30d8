"""The way of an answer from another gateway to its caller, and what a forward knows on it.

Base of `Forwarding`, as `Passage` is of `Invocation`: a small answer is one write, a larger one or
one without a length is passed on as it comes, with back-pressure. What is to be done about an
answer that is none is left to `Forwarding`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from jupyter_faas.core.errors import FaasError, GatewayUnavailable
from jupyter_faas.core.ownership import Target
from jupyter_faas.gateway import problems
from jupyter_faas.gateway.passage import BUFFER_BYTES, FOREVER
from jupyter_faas.gateway.repeats import RepeatedExchange
from jupyter_faas.wire.heads import (
    BODYLESS_STATUSES,
    STATUS_LINES,
    encode_head,
    end_to_end,
)

if TYPE_CHECKING:
    from jupyter_faas.gateway.forward import Forwarder
    from jupyter_faas.gateway.peer_connection import PeerConnection
    from jupyter_faas.gateway.peers import Peer
    from jupyter_faas.wire.exchange import Exchange

LEAVING = b"faas-leaving"
"""On a 503: the gateway is on its way out and has not taken the request."""


class Relay(ABC):
    """A request that another gateway is to serve, and its answer.

    Args:
        forwarder: Shared by all.
        exchange: The caller's request and answer.
        peer: To whom it goes.
        target: The function it is about; None: only `peer` can answer.
        head: Request line and header lines for the peer, without framing and deadline.
    """

    __slots__ = (
        "_body",
        "_connection",
        "_forwarder",
        "_head",
        "_is_kept",
        "_is_sent",
        "_is_streaming",
        "_is_wanted",
        "_is_whole",
        "_last_s",
        "_parts",
        "_refused",
        "_size_bytes",
        "_status",
        "_target",
        "_tries",
        "exchange",
        "is_over",
        "limit_s",
        "peer",
    )

    def __init__(
        self,
        forwarder: Forwarder,
        exchange: Exchange,
        peer: Peer,
        target: Target | None,
        head: bytes,
    ) -> None:
        self.exchange = exchange
        self.peer = peer
        self.is_over = False
        self.limit_s = FOREVER
        self._forwarder = forwarder
        self._target = target
        self._head = head
        self._body: list[bytes] = []
        self._size_bytes = 0  # of the body that was read
        self._is_kept = True  # all of it that was read is in _body
        self._is_whole = exchange.is_body_complete
        self._is_sent = self._is_wanted = self._is_streaming = False
        self._refused = False
        self._connection: PeerConnection | None = None
        self._parts: list[bytes] = []
        self._status = 0
        self._tries = 0
        self._last_s = forwarder.clock()

    @abstractmethod
    def _again_or(self, error: FaasError) -> None:
        """Give it to whoever owns the function now; if that cannot be, fail."""

    def on_answer_head(
        self, status: int, headers: list[tuple[bytes, bytes]], content_length: int | None
    ) -> None:
        """The peer answers."""
        if self.is_over:
            return
        self._refused = status == 503 and any(name == LEAVING for name, _ in headers)
        if self._refused:
            return
        self._status = status
        line = STATUS_LINES.get(status, STATUS_LINES[502])
        head = encode_head(line, end_to_end(headers))
        if self.exchange.method == b"HEAD" or status in BODYLESS_STATUSES:
            self._stream(head, content_length if status not in BODYLESS_STATUSES else -1)
        elif content_length is None or content_length > BUFFER_BYTES:
            self._stream(head, content_length)
        else:
            self._parts = [head]

    def on_answer_body(self, data: bytes) -> None:
        """A piece of the peer's answer."""
        if self._is_streaming:
            self.exchange.write(data)
            if not self.exchange.is_writable and self._connection is not None:
                self._connection.pause_reading()
        elif self._parts:
            self._parts.append(data)

    def on_answer_end(self) -> None:
        """The peer's answer is whole."""
        connection, self._connection = self._connection, None
        if connection is None or self.is_over:
            return
        if self._refused:
            connection.close()
            self._forwarder.peers.on_leaving(self.peer)
            self._again_or(GatewayUnavailable("The gateway is leaving.", retry_after_s=1.0))
            return
        if self._is_sent and (self._is_whole or not self.exchange.has_body):
            self.peer.upstream.give_back(connection)
        else:
            connection.close()
        exchange, parts = self.exchange, self._parts
        self._finish()
        if self._is_streaming:
            exchange.finish()
        else:
            body = parts[1] if len(parts) == 2 else b"".join(parts[1:])
            exchange.respond_raw(parts[0], body, status=self._status)

    def on_whole_answer(self, status: int, data: bytes) -> None:
        """The peer's answer, all at once, with lines that were seen before."""
        connection, self._connection = self._connection, None
        if connection is None or self.is_over:
            return
        self.peer.upstream.give_back(connection)
        exchange = self.exchange
        self._finish()
        if type(exchange) is RepeatedExchange and exchange.keep_alive:
            exchange.respond_whole(data)
        else:
            head, _, body = data.partition(b"\r\n\r\n")
            exchange.respond_raw(head[: head.rindex(b"Content-Length")], body, status=status)

    def on_writable(self) -> None:
        """The caller takes more of the answer."""
        if self._connection is not None:
            self._connection.resume_reading()

    # -- ends -----------------------------------------------------------------------------------

    def _stream(self, head: bytes, content_length: int | None) -> None:
        self._body, self._is_kept = [], False
        self._is_streaming = True
        self.exchange.raw_start(head, content_length)

    def _fail(self, error: FaasError) -> None:
        exchange = self.exchange
        is_streaming = self._is_streaming
        self._end()
        if is_streaming:
            exchange.abort()
        else:
            exchange.respond(*problems.answer(error))

    def _end(self) -> None:
        """Nobody waits for the answer."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._finish()

    def _finish(self) -> None:
        self.is_over = True
        self._body, self._parts = [], []
        self.exchange.receiver = None
        self._forwarder.done(self)  # type: ignore[arg-type]  # its only kind
