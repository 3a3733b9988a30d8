"""Maps where there are several gateways: a map is at its function's owner, and all are seen by all.

A new map is passed on to the owner of its function, whose driver runs it; its id begins with that
gateway's prefix, so that what is asked of it later finds the way. It stays there when the function
changes hands: its chunks are calls, and go to whoever owns the function then. A list is asked of
every gateway.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Any, NamedTuple

import msgspec

from jupyter_faas.core.errors import FaasError
from jupyter_faas.core.ids import gateway_of
from jupyter_faas.core.mapping import MapOrder
from jupyter_faas.core.ownership import Target
from jupyter_faas.gateway import problems
from jupyter_faas.gateway.forwarding import FORWARDED, PROOF, SAID_BY_PEERS, is_forwarded
from jupyter_faas.gateway.map_passage import MapPassage
from jupyter_faas.gateway.maps import PREFIX, Maps
from jupyter_faas.gateway.peers import Peer, Peers
from jupyter_faas.wire.answered import answered
from jupyter_faas.wire.background import Background
from jupyter_faas.wire.exchange import Exchange
from jupyter_faas.wire.heads import end_to_end
from jupyter_faas.wire.upstream import AnswerLost, request

LIST_S = 5.0
"""A gateway that has not told its maps within so long is left out."""
_MOST_TRIES = 5
_OURS = SAID_BY_PEERS | {b"host", b"expect"}
"""Headers that are said anew."""
_JSON = [(b"Content-Type", b"application/json")]
_log = logging.getLogger(__name__)
_states = msgspec.json.Decoder(dict[str, list[dict[str, Any]]]).decode


class _Asked(NamedTuple):
    """A request about maps."""

    exchange: Exchange
    namespace: str
    order: MapOrder | None
    target: Target | None


class MapPeers:
    """See `maps.Others`.

    Args:
        maps: This gateway's.
        peers: Who owns what.
        prefix: Of the ids that are made here.
        token: Of the gateways among themselves.
    """

    def __init__(self, maps: Maps, peers: Peers, prefix: str, token: str) -> None:
        self._maps = maps
        self._peers = peers
        self._prefix = prefix
        self._background = Background("an answer")
        self._passed_on = ((FORWARDED, b"1"), (PROOF, token.encode()))

    def new_id(self) -> str:
        """Return an id for a map that tells which gateway has it."""
        return f"{self._prefix}-map-{secrets.token_hex(4)}"

    def take(
        self,
        exchange: Exchange,
        namespace: str,
        order: MapOrder | None,
        target: Target | None,
    ) -> bool:
        """Take a request that is not for this gateway's driver; False: it is."""
        if order is not None:
            target = (namespace, order.function)
        return self._take(_Asked(exchange, namespace, order, target), _MOST_TRIES)

    def _take(self, asked: _Asked, tries_left: int) -> bool:
        exchange = asked.exchange
        if exchange.path == PREFIX and exchange.method == b"GET":
            self._list(exchange, asked.namespace)
            return True
        if is_forwarded(exchange):
            return False
        peer = self._peer(exchange, asked.target)
        if peer is None:
            return False
        self._pass_on(asked, peer, tries_left)
        return True

    def _peer(self, exchange: Exchange, target: Target | None) -> Peer | None:
        if target is not None:
            return self._peers.owner_of(target)
        return self._peers.maker_of(gateway_of(map_id(exchange)))

    def _pass_on(self, asked: _Asked, peer: Peer, tries_left: int) -> None:
        exchange = asked.exchange
        kept = [pair for pair in end_to_end(exchange.headers) if pair[0] not in _OURS]
        headers = [*kept, *self._passed_on]

        async def to() -> str:
            return peer.address

        def on_refused(passage: MapPassage, _error: OSError) -> bool:
            """Nobody listens there: it is gone, and its functions are another's."""
            self._peers.suspect(peer)
            if not tries_left:
                return False
            early = passage.give_back()
            if early is not None:
                self._again(asked, tries_left - 1)
                _hand_over(exchange, early, is_whole=passage.is_whole)
            return True

        is_map = asked.order is not None
        self._maps.send(exchange, headers, to, is_map=is_map, on_refused=on_refused)

    def _again(self, asked: _Asked, tries_left: int) -> None:
        exchange, kept = asked.exchange, self._maps.kept
        try:
            if asked.order is None and asked.target is not None and kept is not None:
                kept.take(exchange, asked.namespace, map_id(exchange))  # to be held, if it is ours
            elif not self._take(asked, tries_left):
                self._maps.take_here(exchange, asked.namespace, asked.order)
        except FaasError as error:
            exchange.respond(*problems.answer(error))

    def _list(self, exchange: Exchange, namespace: str) -> None:
        is_all = not is_forwarded(exchange)
        header = exchange.header(b"authorization", b"")
        work = answered(exchange, lambda: self._answer_list(exchange, namespace, header, is_all))
        self._background.run(work)

    async def _answer_list(
        self, exchange: Exchange, namespace: str, authorization: bytes, is_all: bool
    ) -> None:
        own = self._maps.driver_address()
        asked = [] if own is None else [_told(own, "/v1/maps", ())]
        if is_all:
            headers = ((b"Authorization", authorization), *self._passed_on)
            target = f"/v1/maps?namespace={namespace}"
            asked += [_told(peer.address, target, headers) for peer in self._peers.all()]
        kept = self._maps.kept if is_all else None
        written = [] if kept is None else await kept.states(namespace)
        found = {one["id"]: one for one in written}
        for states in await asyncio.gather(*asked):
            found |= {one["id"]: one for one in states if one["namespace"] == namespace}
        if not exchange.is_over:
            body = msgspec.json.encode({"maps": list(found.values())})
            exchange.respond(200, _JSON, body)


def map_id(exchange: Exchange) -> str:
    """Return the id of the map that a request is about."""
    return exchange.path[len(PREFIX) + 1 :].partition(b"/")[0].decode("latin-1")


def _hand_over(exchange: Exchange, early: list[bytes], *, is_whole: bool) -> None:
    """Give what has come of a body to who receives it now."""
    receiver = exchange.receiver
    if receiver is None or exchange.is_over:
        return
    for piece in early:
        receiver.on_body(piece)
    if is_whole:
        receiver.on_body_end()


async def _told(
    address: str, target: str, headers: tuple[tuple[bytes, bytes], ...]
) -> list[dict[str, Any]]:
    """Return the maps that a driver or a gateway tells of; none if it does not."""
    try:
        answer = await request(address, "GET", target, headers, timeout_s=LIST_S)
        return _states(answer.body)["maps"]
    except (OSError, AnswerLost, TimeoutError, msgspec.MsgspecError, KeyError) as error:
        _log.warning("the maps at %s are not told: %s", address, error)
        return []
