"""One request on its way to another gateway, and its answer on the way back.

    receiving ─▶ sent ─▶ (wanted ─▶ streaming) ─▶ answering ─▶ over
        ▲          │ refused, or lost before it can have run
        └──────────┘

A body of up to `BUFFER_BYTES` is sent in one piece and kept until the answer begins, so that it
can be sent again. Of a longer one, or one of unknown length, the head goes first; the body follows
when the owner wants it (100 Continue), and from then on it is the owner that holds it back.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jupyter_faas.core.errors import (
    BadRequest,
    FaasError,
    GatewayLost,
    GatewayUnavailable,
    InvocationTimeout,
)
from jupyter_faas.gateway import heads
from jupyter_faas.gateway.passage import BUFFER_BYTES, FOREVER
from jupyter_faas.gateway.relay import Relay

if TYPE_CHECKING:
    from jupyter_faas.gateway.peer_connection import PeerConnection
    from jupyter_faas.wire.exchange import Exchange

MOST_TRIES = 5
BODY_PAUSE_S = 30.0
"""A sender that gives nothing for so long, while it is asked to, is sent away."""
LATE_S = 5.0
"""How long after its deadline an answer of the owner, which keeps it, is waited for."""

FORWARDED = b"faas-forwarded"
"""Says `1` where a gateway has passed a request on: it ends where it has come to."""

KNOWN = b"faas-known"
"""Says when the function was made, as far as the gateway knows that has passed a request on."""

PROOF = b"faas-peer-token"
"""Carries what only gateways of this installation have: without it the others say nothing."""

SAID_BY_PEERS = frozenset((FORWARDED, KNOWN, PROOF))

_SAFE = frozenset((b"GET", b"HEAD"))


class Forwarding(Relay):
    """A request that another gateway is to serve; see `Relay` for its arguments."""

    __slots__ = ()

    def begin(self, body: Sequence[bytes]) -> None:
        """Send it, or wait for the rest of a body that fits the buffer."""
        if self.limit_s == FOREVER:
            given = self.exchange.header(b"faas-deadline-ms")
            if given is not None:
                try:
                    self.limit_s = self._last_s + heads.deadline_ms(given) / 1000
                except FaasError as error:
                    self._fail(error)
                    return
        self._body = list(body)
        self._size_bytes = sum(map(len, body))
        length = self.exchange.content_length
        if self._is_whole:
            self._send()
        elif (length or 0) > BUFFER_BYTES or self._size_bytes >= BUFFER_BYTES:
            self.exchange.pause_body()
            self._send()

    # -- the caller's side ----------------------------------------------------------------------

    def on_body(self, data: bytes) -> None:
        """A piece of the caller's body."""
        if self.is_over:
            return
        self._last_s = self._forwarder.clock()
        self._size_bytes += len(data)
        connection = self._connection
        if self._is_wanted and connection is not None:
            self._is_kept = False
            self._body = []
            connection.write(data)
            if not connection.is_writable:
                self.exchange.pause_body()
            return
        self._body.append(data)
        if self._size_bytes >= BUFFER_BYTES:
            self.exchange.pause_body()
            if not self._is_sent:
                self._send()

    def on_body_end(self) -> None:
        """The caller's body is whole."""
        self._is_whole = True
        if self.is_over:
            return
        if not self._is_sent:
            self._send()
        elif self._is_wanted and self._connection is not None:
            self._connection.write_end()

    def on_gone(self) -> None:
        """The caller went away; the peer hears it from its connection."""
        self._end()

    # -- to the peer ----------------------------------------------------------------------------

    def _send(self) -> None:
        self._is_sent = True
        self._tries += 1
        connection = self.peer.upstream.take()
        if connection is None:
            self._forwarder.connect(self, self.peer)
        else:
            self.send(connection)

    def send(self, connection: PeerConnection) -> None:
        """Write the request on a connection to `peer`: whole, or its head alone."""
        head = self._head
        if self.limit_s < FOREVER:
            left_ms = int((self.limit_s - self._forwarder.clock()) * 1000)
            if left_ms <= 0:
                self.peer.upstream.give_back(connection)
                self._fail(InvocationTimeout("The caller's deadline passed on the way."))
                return
            head += b"Faas-Deadline-Ms: %d\r\n" % left_ms
        self._connection = connection
        is_head = self.exchange.method == b"HEAD"
        if self._is_whole and self._is_kept:
            self._is_wanted = True
            framing = b"\r\n"
            if self.exchange.has_body or self.exchange.content_length == 0:
                framing = b"Content-Length: %d\r\n\r\n" % self._size_bytes
            request = b"".join((head, framing, *self._body))
            if is_head:
                connection.send(request, self, is_head_request=True)
            else:
                connection.call(request, self)
            return
        length = self.exchange.content_length
        framing = b"Transfer-Encoding: chunked\r\n"
        if length is not None:
            framing = b"Content-Length: %d\r\n" % length
        owed = -1 if length is None else length
        head += framing + b"Expect: 100-continue\r\n\r\n"
        connection.send(head, self, owed_bytes=owed, is_head_request=is_head)

    def on_continue(self) -> None:
        """The owner has taken the request and wants its body."""
        connection = self._connection
        if connection is None or self._is_wanted or self.is_over:
            return
        self._is_wanted = True
        for piece in self._body:
            connection.write(piece)
        if self._is_whole:
            connection.write_end()
        elif connection.is_writable:
            self.exchange.resume_body()

    def on_upstream_writable(self) -> None:
        """The peer takes more of the body."""
        if self._is_wanted and not self.is_over:
            self.exchange.resume_body()

    # -- an answer that is none -----------------------------------------------------------------

    def on_answer_lost(self, _exc: Exception | None) -> None:
        """The connection to the peer was cut."""
        connection, self._connection = self._connection, None
        if connection is None or self.is_over:
            return
        if self._is_streaming:
            self._forwarder.lost += 1
            self._finish()
            self.exchange.abort()
        elif not self._can_have_run() or self._may_run_again():
            self._again_or(
                GatewayUnavailable(
                    "The gateway that had to serve this went away; nothing ran.",
                    retry_after_s=1.0,
                )
            )
        else:
            self._forwarder.lost += 1
            self._fail(GatewayLost("The gateway that served this went away before it answered."))

    # -- what is wrong with the peer ------------------------------------------------------------

    def on_unreachable(self, *, is_gone: bool) -> None:
        """No connection to the peer could be made: nothing was sent."""
        if self.is_over:
            return
        error = GatewayUnavailable("The gateway of this function does not answer.", retry_after_s=1)
        if is_gone:
            self._again_or(error)
        else:
            self._fail(error)

    def on_peer_gone(self) -> None:
        """The peer is taken as gone."""
        connection = self._connection
        if connection is not None:
            connection.close()
            self.on_answer_lost(None)

    def end_watching(self) -> None:
        """Cut a stream that nobody's call waits for."""
        if self._is_streaming and self.exchange.path.startswith(b"/v1/"):
            exchange = self.exchange
            self._end()
            exchange.abort()

    def check(self, now_s: float) -> None:
        """Look for a wait that has no other deadline; called a few times a second."""
        if not self._is_sent:
            if now_s > self._last_s + BODY_PAUSE_S:
                self._fail(BadRequest("The body stopped coming.", status=408))
        elif now_s > self.limit_s + LATE_S and not self._is_streaming:
            self._fail(InvocationTimeout("The gateway of this function did not answer in time."))

    def _can_have_run(self) -> bool:
        """Whether the peer has had all that it needs to begin."""
        return self._is_wanted and self._is_whole

    def _may_run_again(self) -> bool:
        if self._target is None or self.exchange.method in _SAFE:
            return self.exchange.method in _SAFE
        is_call = not self.exchange.path.startswith(b"/v1/")
        return is_call and self._forwarder.may_run_again(self._target)

    def _again_or(self, error: FaasError) -> None:
        """Give it to whoever owns the function now; if that cannot be, fail."""
        self._parts = []
        if not self._is_kept or self._target is None or self._tries >= MOST_TRIES:
            self._fail(error)
            return
        self._is_wanted = False
        peer = self._forwarder.peers.owner_of(self._target)
        if peer is None:
            self._serve_here()
        else:
            self.peer = peer
            self._send()

    def _serve_here(self) -> None:
        """The function is this gateway's now: hand over the request as if it had just come."""
        exchange, body, is_whole = self.exchange, self._body, self._is_whole
        self._finish()
        if not is_whole:
            exchange.resume_body()
        self._forwarder.serve_here(exchange)
        for piece in body:
            if exchange.receiver is not None:
                exchange.receiver.on_body(piece)
        if is_whole and exchange.receiver is not None:
            exchange.receiver.on_body_end()


def take_away_unproven(exchange: Exchange, token: bytes) -> None:
    """Take away what only gateways may say, unless who says it shows their token."""
    if any(name in SAID_BY_PEERS for name, _ in exchange.headers):
        shown = exchange.header(PROOF, b"")
        if not hmac.compare_digest(shown, token):
            kept = [pair for pair in exchange.headers if pair[0] not in SAID_BY_PEERS]
            exchange.headers = kept


def is_forwarded(exchange: Exchange) -> bool:
    """Return whether another gateway has passed this request on."""
    return exchange.header(FORWARDED) == b"1"


def known_since(exchange: Exchange) -> float | None:
    """Return when its function was made, as says the gateway that has passed this request on."""
    said = exchange.header(KNOWN)
    try:
        return float(said) if said is not None and is_forwarded(exchange) else None
    except ValueError:
        return None
