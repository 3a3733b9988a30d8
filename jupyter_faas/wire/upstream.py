"""The kept-alive connections to one replica, and whole requests for control traffic.

The hot path takes an idle connection (`Upstream.take`), sends a call on it (`wire.connection`) and
gives it back; nothing there awaits.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from jupyter_faas.wire.address import Address, parse_address
from jupyter_faas.wire.connection import AnswerLost, AnswerReceiver, UpstreamConnection
from jupyter_faas.wire.heads import Buffer, Headers, encode_request

__all__ = ["Answer", "AnswerLost", "AnswerReceiver", "Upstream", "UpstreamConnection", "request"]

_MAX_IDLE = 256


class Upstream:
    """The kept-alive connections to one address, the last used first.

    Args:
        address: `unix:PATH` or `HOST:PORT`.
        max_idle: Idle connections kept; one more is closed.
    """

    __slots__ = ("_idle", "_is_closed", "_max_idle", "address", "authority")

    def __init__(self, address: str, *, max_idle: int = _MAX_IDLE) -> None:
        self.address: Address = parse_address(address)
        self.authority = self.address.authority
        self._max_idle = max_idle
        self._idle: list[UpstreamConnection] = []
        self._is_closed = False

    def take(self) -> UpstreamConnection | None:
        """Return an idle connection, or None: then `connect`."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_idle:
                return connection
        return None

    async def connect(self) -> UpstreamConnection:
        """Return a new connection.

        Raises:
            OSError: Nobody listens there (any more), or whoever does has ended meanwhile: a
                connection that is returned can be sent on at once.
        """
        loop = asyncio.get_running_loop()
        address = self.address
        if address.kind == "unix":
            _, connection = await loop.create_unix_connection(self._new, address.path)
        else:
            is_tls = True if address.kind == "tls" else None
            _, connection = await loop.create_connection(
                self._new, address.host, address.port, ssl=is_tls
            )
        if not connection.is_idle:
            raise ConnectionResetError(errno.ECONNRESET, "closed as soon as it was made")
        return connection

    async def connect_ahead(self) -> None:
        """Have one more connection ready; without an error if nobody listens there."""
        with suppress(OSError):
            self.give_back(await self.connect())

    def give_back(self, connection: UpstreamConnection) -> None:
        """Keep a connection for the next call if it can serve one."""
        if not connection.is_idle:
            return
        if self._is_closed or len(self._idle) >= self._max_idle:
            connection.close()
        else:
            self._idle.append(connection)

    def close(self) -> None:
        """Close the idle connections; those in use close when they are given back."""
        self._is_closed = True
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _new(self) -> UpstreamConnection:
        return UpstreamConnection(self._forget)

    def _forget(self, connection: UpstreamConnection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """Return the value of the first header with this lower-case name."""
        return next((value.strip() for key, value in self.headers if key == name), None)


async def request(
    upstream: Upstream | str,
    method: str,
    target: str,
    headers: Headers = (),
    body: Buffer | Sequence[Buffer] = b"",
    *,
    timeout_s: float | None,
) -> Answer:
    """Send one request and return its whole answer: for control traffic, not for calls.

    Args:
        upstream: An address (a connection for this one request), or an `Upstream` whose
            connections are used and kept.
        method: Upper case.
        target: Path and query.
        headers: Without Host and framing.
        body: Bytes, or buffers to send one after the other without joining them.
        timeout_s: Seconds for everything, connecting included; None waits for ever.

    Raises:
        TimeoutError: It took longer.
        AnswerLost: The answer was cut.
        OSError: Nobody listens there.
    """
    async with asyncio.timeout(timeout_s):
        pool = Upstream(upstream) if isinstance(upstream, str) else upstream
        connection = pool.take() or await pool.connect()
        try:
            answer = await _exchange(connection, pool.authority, method, target, headers, body)
        except BaseException:
            connection.close()
            raise
        if pool is upstream:
            pool.give_back(connection)
        else:
            connection.close()
        return answer


async def _exchange(
    connection: UpstreamConnection,
    authority: bytes,
    method: str,
    target: str,
    headers: Headers,
    body: Buffer | Sequence[Buffer],
) -> Answer:
    parts = [body] if isinstance(body, Buffer) else body
    length = sum(len(part) for part in parts)
    head = encode_request(method.encode(), target.encode(), authority, headers, length)
    gathered = _Gathered()
    connection.send(head, gathered, owed_bytes=length, is_head_request=method == "HEAD")
    for part in parts:
        connection.write(part)
    return await gathered.done


class _Gathered:
    """Receives a whole answer."""

    def __init__(self) -> None:
        self.done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []

    def on_answer_head(
        self, status: int, headers: list[tuple[bytes, bytes]], content_length: int | None
    ) -> None:
        self._status, self._headers = status, headers

    def on_answer_body(self, data: bytes) -> None:
        self._parts.append(data)

    def on_answer_end(self) -> None:
        if not self.done.done():
            self.done.set_result(Answer(self._status, self._headers, b"".join(self._parts)))

    def on_answer_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            lost = AnswerLost("the connection was closed before the answer was complete")
            lost.__cause__ = exc
            self.done.set_exception(lost)

    def on_upstream_writable(self) -> None:
        """Everything has been handed over already."""
