"""One request about maps on its way to who has them, and its answer back, both at the same time."""

from __future__ import annotations

from collections.abc import Callable

from jupyter_faas.core.errors import FaasError, GatewayLost
from jupyter_faas.gateway import problems
from jupyter_faas.wire.exchange import Exchange
from jupyter_faas.wire.heads import (
    BODYLESS_STATUSES,
    LAST_CHUNK,
    STATUS_LINES,
    encode_chunk,
    encode_head,
    encode_request,
    end_to_end,
)
from jupyter_faas.wire.upstream import UpstreamConnection


class MapPassage:
    """One request on its way, and its answer back.

    Args:
        exchange: The caller's.
        headers: For who has the maps: the driver, or another gateway.
        on_over: Told when it has ended.
        again: Sends it once more.
        is_map: It is a map itself, not a question about maps.
    """

    def __init__(
        self,
        exchange: Exchange,
        headers: list[tuple[bytes, bytes]],
        on_over: Callable[[MapPassage], None],
        again: Callable[[MapPassage], None],
        *,
        is_map: bool,
    ) -> None:
        self.is_map = is_map
        self._exchange = exchange
        self._headers = headers
        self._on_over = on_over
        self._again = again
        self._is_repeatable = exchange.method == b"GET"
        self._connection: UpstreamConnection | None = None
        self._early: list[bytes] = []
        self._is_whole = False
        self._is_started = False
        self._is_over = False
        exchange.join_pieces()

    def begin(self, connection: UpstreamConnection, authority: bytes) -> None:
        """Send the head, and what has come of the body."""
        if self._is_over:
            connection.close()
            return
        exchange = self._exchange
        self._connection = connection
        length = None if exchange.has_body else 0
        head = encode_request(exchange.method, exchange.target, authority, self._headers, length)
        parts = [head, *map(encode_chunk, self._early)]
        self._early = []
        is_whole = self._is_whole or not exchange.has_body
        if is_whole and exchange.has_body:
            parts.append(LAST_CHUNK)
        connection.send(b"".join(parts), self, owed_bytes=0 if is_whole else -1)
        exchange.resume_body()

    def give_back(self) -> list[bytes] | None:
        """Let go of a request of which nothing was sent; None: its caller has left.

        Whoever takes its exchange next is given these pieces of its body, and its end if that has
        come (`is_whole`).
        """
        if self._is_over:
            return None
        early, self._early = self._early, []
        self._finish()
        return early

    @property
    def is_whole(self) -> bool:
        """Whether its body has come to its end."""
        return self._is_whole

    def refuse(self, error: FaasError) -> None:
        """It gets nowhere."""
        if self._is_over:
            return
        exchange = self._exchange
        self._finish()
        exchange.respond(*problems.answer(error))

    def cut(self) -> None:
        """End it at once."""
        if not self._is_over:
            exchange = self._exchange
            self._finish()
            exchange.abort()

    # -- the caller's side

    def on_body(self, data: bytes) -> None:
        """Pass inputs on."""
        connection = self._connection
        if connection is None:
            self._early.append(data)
            return
        connection.write(data)
        if not connection.is_writable:
            self._exchange.pause_body()

    def on_body_end(self) -> None:
        """The inputs are whole."""
        self._is_whole = True
        if self._connection is not None:
            self._connection.write_end()

    def on_gone(self) -> None:
        """The caller has left: the other side sees it from its connection."""
        self._finish()

    def on_writable(self) -> None:
        """The caller takes more."""
        if self._connection is not None:
            self._connection.resume_reading()

    # -- the other side

    def on_answer_head(
        self, status: int, headers: list[tuple[bytes, bytes]], content_length: int | None
    ) -> None:
        """It is answered."""
        self._is_started = True
        line = STATUS_LINES.get(status, STATUS_LINES[502])
        length = -1 if status in BODYLESS_STATUSES else content_length
        self._exchange.raw_start(encode_head(line, end_to_end(headers)), length)

    def on_answer_body(self, data: bytes) -> None:
        """Pass outcomes on."""
        self._exchange.write(data)
        if not self._exchange.is_writable and self._connection is not None:
            self._connection.pause_reading()

    def on_answer_end(self) -> None:
        """The answer is whole."""
        exchange = self._exchange
        self._finish()
        exchange.finish()

    def on_answer_lost(self, exc: Exception | None) -> None:
        """Who has the maps is gone."""
        if self._is_over:
            return
        if self._is_repeatable and not self._is_started:
            self._is_repeatable = False
            self._connection = None
            self._again(self)
            return
        exchange, is_started = self._exchange, self._is_started
        self._finish()
        if is_started:
            exchange.abort()
        else:
            lost = GatewayLost("What runs maps went away before it answered.")
            exchange.respond(*problems.answer(lost))

    def on_continue(self) -> None:
        """Nobody was asked whether the body is wanted."""

    def on_upstream_writable(self) -> None:
        """More inputs are taken."""
        if not self._is_over:
            self._exchange.resume_body()

    def _finish(self) -> None:
        self._is_over = True
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._exchange.receiver = None
        self._on_over(self)
