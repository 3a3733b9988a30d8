"""Packages that another gateway has: asked for on the gateways' own paths, streamed to disk.

A client uploads to whichever gateway it reaches, and deploys through the function's owner. Blobs
are named by what is in them, so it does not matter who gives one; what comes is checked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from jupyter_faas.core.errors import FaasError
from jupyter_faas.gateway.blobs import Blobs
from jupyter_faas.gateway.peers import Peer, Peers
from jupyter_faas.wire.connection import AnswerLost, UpstreamConnection
from jupyter_faas.wire.heads import encode_request

SILENCE_S = 10.0
"""A peer that gives nothing for so long is asked no more."""

_HELD_PIECES = 16
_log = logging.getLogger(__name__)


class PeerBlobs:
    """Fetches packages from other gateways.

    Args:
        peers: Who is asked.
        blobs: Where they go.
        token: Of the gateways among themselves.
    """

    def __init__(self, peers: Peers, blobs: Blobs, token: str) -> None:
        self._peers = peers
        self._blobs = blobs
        self._token = token.encode()

    async def fetch(self, digest: str) -> bool:
        """Have a package here, if any gateway has it; False: none does."""
        if self._blobs.size_bytes(digest) is not None:
            return True
        for peer in self._peers.all():
            try:
                await self._fetch(peer, digest)
            except (OSError, TimeoutError, FaasError) as error:
                _log.info("package %s does not come from %s: %s", digest[:12], peer.id, error)
            else:
                return True
        return False

    async def _fetch(self, peer: Peer, digest: str) -> None:
        headers = [(b"Authorization", b"Bearer " + self._token)]
        target = b"/v1/peers/blobs/" + digest.encode()
        head = encode_request(b"GET", target, peer.upstream.authority, headers)
        async with asyncio.timeout(SILENCE_S):
            connection = await peer.upstream.connect()
        coming = _Coming(connection)
        try:
            connection.send(head, coming)
            await self._blobs.put(digest, coming.pieces())
        finally:
            connection.close()


class _Coming:
    """Receives an answer as an iterator, with back-pressure."""

    def __init__(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        self._pieces: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body.

        Raises:
            AnswerLost: It is refused, or cut.
            TimeoutError: Nothing came for too long.
        """
        while True:
            async with asyncio.timeout(SILENCE_S):
                piece = await self._pieces.get()
            if piece is None:
                return
            if isinstance(piece, Exception):
                raise piece
            yield piece
            if self._pieces.qsize() < _HELD_PIECES:
                self._connection.resume_reading()

    def on_answer_head(
        self, status: int, headers: list[tuple[bytes, bytes]], content_length: int | None
    ) -> None:
        """The blob begins, or is not there."""
        if status != 200:
            self._pieces.put_nowait(AnswerLost(f"HTTP {status}"))

    def on_answer_body(self, data: bytes) -> None:
        """A piece of it."""
        self._pieces.put_nowait(data)
        if self._pieces.qsize() > _HELD_PIECES:
            self._connection.pause_reading()

    def on_answer_end(self) -> None:
        """It is whole."""
        self._pieces.put_nowait(None)

    def on_answer_lost(self, exc: Exception | None) -> None:
        """It was cut."""
        self._pieces.put_nowait(AnswerLost(str(exc or "it was cut")))

    def on_upstream_writable(self) -> None:
        """Nothing is written here."""
