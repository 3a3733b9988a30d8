"""Listens to one front for as long as it lives: `GET /v1/watch`, frames in chunks.

LOG lines go to the logs, ENDED to the calls (a lease ends), STATE and USAGE to the fleet. The end
of this connection is how the gateway learns first that a replica is gone.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import msgspec

from jupyter_faas.core.errors import ProviderError
from jupyter_faas.core.specialisation import CallEnd, Hello
from jupyter_faas.gateway.replica import Replica
from jupyter_faas.wire.frames import Frame, FrameError, FrameKind, FrameReader
from jupyter_faas.wire.upstream import UpstreamConnection

MAX_FRAME_BYTES = 4 << 20
"""A front has no reason to say more at once; what is larger ends the link."""


class Listener(Protocol):
    """Who is told what a front says."""

    def on_log(self, replica: Replica, stream: int, invocation_id: str, text: bytes) -> None:
        """Output of the user's code; the id is empty if it belongs to no invocation."""

    def on_ended(self, replica: Replica, end: CallEnd) -> None:
        """The code of a call has ended."""

    def on_state(self, replica: Replica, hello: Hello) -> None:
        """The front's state has changed."""

    def on_usage(self, replica: Replica, usage: dict[str, Any]) -> None:
        """What the replica uses."""

    def on_cut(self, replica: Replica, detail: str) -> None:
        """The link has ended; said once."""


class Link:
    """The watch stream of one replica.

    Args:
        replica: Specialised.
        listener: Told everything, from the loop.
    """

    __slots__ = ("_connection", "_is_cut", "_listener", "_opened", "_reader", "_replica")

    def __init__(self, replica: Replica, listener: Listener) -> None:
        self._replica = replica
        self._listener = listener
        self._reader = FrameReader(MAX_FRAME_BYTES)
        self._connection: UpstreamConnection | None = None
        self._opened: asyncio.Future[None] | None = None
        self._is_cut = False

    async def open(self) -> None:
        """Ask for the stream; returns when the front has begun it.

        Raises:
            ProviderError: The front refuses, or is gone.
        """
        upstream = self._replica.upstream
        assert upstream is not None
        self._opened = asyncio.get_running_loop().create_future()
        head = b"GET /v1/watch HTTP/1.1\r\nHost: runner\r\nFaas-Secret: %b\r\n\r\n"
        try:
            # A connection of its own: it is never idle again.
            self._connection = upstream.take() or await upstream.connect()
            self._connection.send(head % self._replica.secret.encode("ascii"), self)
        except OSError as error:
            raise ProviderError(f"The replica cannot be watched: {error}") from error
        await self._opened

    def close(self) -> None:
        """Stop listening; the listener is not told."""
        self._is_cut = True
        if self._connection is not None:
            self._connection.close()

    def on_answer_head(
        self, status: int, headers: list[tuple[bytes, bytes]], content_length: int | None
    ) -> None:
        """The stream begins, or is refused."""
        assert self._opened is not None
        if self._opened.done():
            return
        if status == 200:
            self._opened.set_result(None)
        else:
            self._opened.set_exception(
                ProviderError(f"The replica refused to be watched: HTTP {status}.")
            )

    def on_answer_body(self, data: bytes) -> None:
        """A piece of the stream."""
        try:
            for frame in self._reader.feed(data):
                self._tell(frame)
        except (FrameError, msgspec.MsgspecError, IndexError) as error:
            self._cut(f"what it says cannot be read: {error}")

    def on_answer_end(self) -> None:
        """The front has ended in order."""
        self._cut("")

    def on_answer_lost(self, exc: Exception | None) -> None:
        """The front has ended."""
        self._cut(str(exc or ""))

    def on_upstream_writable(self) -> None:
        """Nothing is written here."""

    def _tell(self, frame: Frame) -> None:
        if self._is_cut:
            return
        replica, listener = self._replica, self._listener
        if frame.kind == FrameKind.ENDED:
            listener.on_ended(replica, msgspec.msgpack.decode(frame.body, type=CallEnd))
        elif frame.kind == FrameKind.LOG:
            body = bytes(frame.body)
            size = body[0]
            name = body[1 : 1 + size].decode("ascii", "replace")
            listener.on_log(replica, frame.stream, name, body[1 + size :])
        elif frame.kind == FrameKind.STATE:
            listener.on_state(replica, msgspec.msgpack.decode(frame.body, type=Hello))
        elif frame.kind == FrameKind.USAGE:
            listener.on_usage(replica, msgspec.msgpack.decode(frame.body, type=dict))

    def _cut(self, detail: str) -> None:
        if self._is_cut:
            return
        self.close()
        if self._opened is not None and not self._opened.done():
            self._opened.set_exception(ProviderError("The replica ended while it started."))
        else:
            self._listener.on_cut(self._replica, detail)
