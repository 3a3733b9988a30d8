"""The link to another gateway: one connection on which it says what happens at its side.

While the link is open the peer is there; a process that ends cuts it at once, one that hangs is
silent for too long. What comes is the peer's own events (functions, replicas, counts …): they are
told to `Elsewhere`. Single calls come on a second link, only while a reader here wants them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from jupyter_faas.core.errors import FaasError
from jupyter_faas.gateway.peers import Peer, Peers
from jupyter_faas.wire.connection import AnswerLost
from jupyter_faas.wire.heads import encode_request
from jupyter_faas.wire.sse import Event, EventDecoder

CONNECT_S = 2.0
SILENCE_S = 6.0
"""A peer says something each second; one that is silent for so long hangs."""

_LOOK_S = 1.0
_log = logging.getLogger(__name__)


class Hearer(Protocol):
    """Who is told what peers say."""

    def on_event(self, peer: Peer, kind: str, said: dict[str, Any]) -> None:
        """A peer says that something has happened there."""

    def on_gone(self, peer: Peer) -> None:
        """A peer is not there any more, and what it said is not so."""


class PeerLinks:
    """Holds the links of one gateway.

    Args:
        peers: Told when a link opens and when its peer leaves.
        hearer: Told everything else.
        token: Of the gateways among themselves.
        clock: Monotonic seconds.
    """

    def __init__(
        self, peers: Peers, hearer: Hearer, token: str, clock: Callable[[], float]
    ) -> None:
        self._peers = peers
        self._hearer = hearer
        self._token = token.encode()
        self._clock = clock
        self._wants_calls = False
        self._calls: dict[Peer, asyncio.Task[None]] = {}

    async def follow(self, peer: Peer) -> None:
        """Hold the link to a peer until it ends."""
        await self._read(peer, b"/v1/peers/link", lambda event: self._take(peer, event))

    def on_gone(self, peer: Peer) -> None:
        """A peer is not up any more."""
        task = self._calls.pop(peer, None)
        if task is not None:
            task.cancel()
        self._hearer.on_gone(peer)

    def want_calls(self, is_wanted: bool) -> None:
        """Have peers tell of single calls, or not any more."""
        self._wants_calls = is_wanted
        for task in self._calls.values():
            task.cancel()
        self._calls.clear()
        for peer in self._peers.all() if is_wanted else ():
            self._hear_calls(peer)

    def close(self) -> None:
        """Hear no more calls; the links themselves end with `Peers.close`."""
        self.want_calls(False)

    def _hear_calls(self, peer: Peer) -> None:
        work = self._read(peer, b"/v1/peers/link?calls=1", lambda event: self._take(peer, event))
        self._calls[peer] = asyncio.get_running_loop().create_task(work)

    async def _read(self, peer: Peer, target: bytes, tell: Callable[[Event], None]) -> None:
        own = self._peers.own
        headers = [
            (b"Authorization", b"Bearer " + self._token),
            (b"Faas-Peer", own.id.encode()),
            (b"Faas-Peer-Address", own.address.encode()),
        ]
        head = encode_request(b"GET", target, peer.upstream.authority, headers)
        reader = _Reader(tell, self._clock)
        try:
            async with asyncio.timeout(CONNECT_S):
                connection = await peer.upstream.connect()
        except (OSError, TimeoutError):
            return
        try:
            connection.send(head, reader)
            await reader.ended(SILENCE_S)
        except (OSError, ValueError, FaasError) as error:
            _log.info("the link to gateway %s has ended: %s", peer.id, error)
        finally:
            connection.close()

    def _take(self, peer: Peer, event: Event) -> None:
        said = msgspec.json.decode(event.data)
        if event.event == "hello":
            if said["id"] != peer.id:
                raise AnswerLost(f"at {peer.address} is {said['id']}")
            self._peers.on_open(peer, said["prefix"], is_leaving=said["isLeaving"])
            if self._wants_calls and peer not in self._calls:
                self._hear_calls(peer)
        elif event.event == "starting":
            self._peers.on_starting(peer)
        elif event.event == "leaving":
            self._peers.on_leaving(peer)
        else:
            self._hearer.on_event(peer, event.event, said)


class _Reader:
    """Receives one stream of events."""

    def __init__(self, tell: Callable[[Event], None], clock: Callable[[], float]) -> None:
        self._tell = tell
        self._clock = clock
        self._decoder = EventDecoder()
        self._heard_s = clock()
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ended(self, silence_s: float) -> None:
        """Wait for the end.

        Raises:
            AnswerLost: The peer refuses, was cut, or has been silent for `silence_s`.
            ValueError: It cannot be understood.
        """
        while not (await asyncio.wait((self._end,), timeout=_LOOK_S))[0]:
            if self._clock() - self._heard_s > silence_s:
                raise AnswerLost(f"it has said nothing for {silence_s:g} s")
        self._end.result()

    def on_answer_head(
        self, status: int, headers: list[tuple[bytes, bytes]], content_length: int | None
    ) -> None:
        """The stream begins, or is refused."""
        if status != 200:
            self._stop(AnswerLost(f"HTTP {status}"))

    def on_answer_body(self, data: bytes) -> None:
        """A piece of the stream."""
        self._heard_s = self._clock()
        if self._end.done():
            return
        try:
            for event in self._decoder.feed(data):
                self._tell(event)
        except (ValueError, KeyError, TypeError, OSError, msgspec.MsgspecError) as error:
            self._stop(ValueError(f"what it says cannot be read: {error!r}"))

    def on_answer_end(self) -> None:
        """The peer has ended the stream."""
        self._stop(AnswerLost("it has ended"))

    def on_answer_lost(self, exc: Exception | None) -> None:
        """The peer has ended."""
        self._stop(AnswerLost(str(exc or "it was cut")))

    def on_upstream_writable(self) -> None:
        """Nothing is written here."""

    def on_continue(self) -> None:
        """Nothing is written here."""

    def _stop(self, error: Exception) -> None:
        if not self._end.done():
            self._end.set_exception(error)
            self._end.exception()  # Looked at, even if nobody waits any more.
