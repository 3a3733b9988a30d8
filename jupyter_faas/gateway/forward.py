"""Passes a request on to the gateway that owns its function, once, and the answer back.

Raw both ways, with back-pressure, over kept-alive connections; hop-by-hop headers end here, the
caller's token goes along: the owner judges it. `Faas-Forwarded: 1`, beside the gateways' own
token, says that it is not to be passed on again. As long as nothing can have run it is tried again:
a peer that refuses the connection is taken as gone, and the next owner (or this gateway itself) has
it at once.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from jupyter_faas.core.ownership import Target
from jupyter_faas.gateway.forwarding import SAID_BY_PEERS, Forwarding
from jupyter_faas.gateway.peers import Peer, Peers
from jupyter_faas.wire.background import Background
from jupyter_faas.wire.heads import encode_head, end_to_end

if TYPE_CHECKING:
    from jupyter_faas.wire.exchange import Exchange

_GONE = frozenset(
    {
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.ENOENT,
    }
)
"""What says that nobody is there."""
CONNECT_S = 2.0
CHECK_S = 0.5

_OURS = SAID_BY_PEERS | {b"expect", b"faas-deadline-ms"}
"""Headers that are said anew, or are this hop's."""


class Forwarder:
    """Everything that is on its way to another gateway.

    Args:
        peers: Who owns what.
        serve_here: Serves a request in this gateway, whoever owns the function.
        may_run_again: Whether a function is idempotent.
        made_at: When a function was made; None: this gateway knows of none.
        token: Of the gateways among themselves.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        peers: Peers,
        serve_here: Callable[[Exchange], None],
        may_run_again: Callable[[Target], bool],
        made_at: Callable[[Target], float | None],
        token: str,
        clock: Callable[[], float],
    ) -> None:
        self.peers = peers
        self.serve_here = serve_here
        self.may_run_again = may_run_again
        self.made_at = made_at
        self._token = token.encode()
        self.clock = clock
        self.active: set[Forwarding] = set()
        self.forwarded = 0
        """Requests passed on since the start."""
        self.lost = 0
        """Those whose gateway went away before it answered."""
        self._connecting = Background("a connection to a gateway")
        self._timer: asyncio.TimerHandle | None = None
        self._drained: asyncio.Future[None] | None = None

    def take(
        self,
        exchange: Exchange,
        peer: Peer,
        target: Target | None,
        *,
        head: bytes = b"",
        body: Sequence[bytes] = (),
        limit_s: float | None = None,
    ) -> None:
        """Pass a request on.

        Args:
            exchange: Not answered.
            peer: To whom.
            target: The function it is about; None: it is about something of `peer` alone.
            head: `head_of` it, if that is known.
            body: What has been read of its body.
            limit_s: When its caller's patience ends; None: as its head says, from now on.
        """
        self.forwarded += 1
        head = head or self.head_of(exchange, target)
        forwarding = Forwarding(self, exchange, peer, target, head)
        if limit_s is not None:
            forwarding.limit_s = limit_s
        self.active.add(forwarding)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(CHECK_S, self._check)
        exchange.receiver = forwarding
        forwarding.begin(body)

    def head_of(self, exchange: Exchange, target: Target | None) -> bytes:
        """Return request line and headers as the owner gets them, without framing and deadline."""
        made_at = None if target is None else self.made_at(target)
        kept = [pair for pair in end_to_end(exchange.headers) if pair[0] not in _OURS]
        kept += [(b"Faas-Forwarded", b"1"), (b"Faas-Peer-Token", self._token)]
        if made_at is not None:
            kept.append((b"Faas-Known", b"%r" % made_at))
        return encode_head(b"%b %b HTTP/1.1" % (exchange.method, exchange.target), kept)

    def connect(self, forwarding: Forwarding, peer: Peer) -> None:
        """Connect to a peer; the one task a forwarded request may need."""
        self._connecting.run(self._connect(forwarding, peer))

    def done(self, forwarding: Forwarding) -> None:
        """A forwarding has ended."""
        self.active.discard(forwarding)
        if self._drained is not None and not self.active and not self._drained.done():
            self._drained.set_result(None)

    def on_gone(self, peer: Peer) -> None:
        """A peer is gone, or hangs: nobody need wait for its answers."""
        for forwarding in tuple(self.active):
            if forwarding.peer is peer:
                forwarding.on_peer_gone()

    def end_watching(self) -> None:
        """Cut streams of the control API (events, logs): their readers come back elsewhere."""
        for forwarding in tuple(self.active):
            forwarding.end_watching()

    async def drained(self) -> None:
        """Wait until nothing is on its way."""
        self._drained = asyncio.get_running_loop().create_future()
        if self.active:
            await self._drained

    def close(self) -> None:
        """Stop; what is on its way is cut with its connections."""
        if self._timer is not None:
            self._timer.cancel()
        self._connecting.cancel()

    async def _connect(self, forwarding: Forwarding, peer: Peer) -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                connection = await peer.upstream.connect()
        except TimeoutError:
            forwarding.on_unreachable(is_gone=False)
        except OSError as error:
            # Of the others some are this machine's own: descriptors or ports have run out.
            is_gone = error.errno in _GONE
            if is_gone:
                self.peers.suspect(peer)
            forwarding.on_unreachable(is_gone=is_gone)
        else:
            if forwarding.peer is peer and not forwarding.is_over:
                forwarding.send(connection)
            else:
                peer.upstream.give_back(connection)

    def _check(self) -> None:
        self._timer = None
        now_s = self.clock()
        for forwarding in tuple(self.active):
            forwarding.check(now_s)
        if self.active:
            self._timer = asyncio.get_running_loop().call_later(CHECK_S, self._check)
