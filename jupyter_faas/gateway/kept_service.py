"""What the blobs service keeps beside packages: accepted calls, maps that outlast their callers.

    POST /v1/kept/{operation}    `Asked` → what the operation gives, both msgpack (wire/kept.py)

The operations are methods of `SqliteKept` and, as `map_…`, of `SqliteKeptMaps`; what makes them
last is a volume or an object store (`keeping.py`). The service judges who holds what: a gateway
that another one sees, or that has asked for something a moment ago, is there. Calls that have not
begun go over at once; what has begun only when its gateway has been silent for a while, since
nothing must be told lost, or run twice, that runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from jupyter_faas.core.errors import BadRequest
from jupyter_faas.gateway.keeping import Keeping
from jupyter_faas.gateway.store.kept_base import STARTED, KeptAnswer, KeptCall
from jupyter_faas.gateway.store.kept_maps import MapPlace
from jupyter_faas.wire.kept import Asked

SILENCE_S = 3.0
"""A gateway with something to run asks each second; one silent for so long does not run it."""
_MOST_HOLDERS = 1024
_OF_MAPS = "map_"
_asked = msgspec.msgpack.Decoder(Asked).decode
_encode = msgspec.msgpack.Encoder().encode


class KeptService:
    """Serves what is kept of one installation.

    Args:
        keeping: What is kept.
        clock: Monotonic seconds.
    """

    def __init__(self, keeping: Keeping, clock: Callable[[], float]) -> None:
        self._keeping = keeping
        self._clock = clock
        self._began_s = clock()
        self._heard_s: dict[str, float] = {}

    async def answer(self, operation: str, body: bytes) -> bytes:
        """Return the answer to a request.

        Raises:
            BadRequest: It cannot be read.
            ProviderError: The disk, or the object store.
        """
        types = _VALUES.get(operation)
        if types is None:
            raise BadRequest("There is no such operation on what is kept.", status=404)
        try:
            asked = _asked(body)
            values = [
                msgspec.msgpack.decode(value, type=kind)
                for kind, value in zip(types, asked.values, strict=True)
            ]
        except (msgspec.MsgspecError, ValueError) as error:
            raise BadRequest(f"The request cannot be read: {error}.") from error
        self._hear(asked.holder)
        return _encode(await self._do(operation, asked, values))

    async def _do(self, operation: str, asked: Asked, values: list[Any]) -> Any:
        there = frozenset(asked.there)

        def is_held(holder: str, state: int = STARTED) -> bool:
            return holder in there or (state == STARTED and self._is_heard(holder))

        if operation.startswith(_OF_MAPS):
            maps = self._keeping.maps(asked.holder, is_held)
            return await getattr(maps, operation.removeprefix(_OF_MAPS))(*values)
        kept = self._keeping.calls(asked.holder, is_held)
        if operation == "take":
            wanted = {tuple(place) for place in values[0]}
            return await kept.take(lambda *place: place in wanted, again=values[1])
        if operation == "end":
            return await kept.end(values[0], values[1], is_told=values[2])
        return await getattr(kept, operation)(*values)

    def _hear(self, holder: str) -> None:
        if len(self._heard_s) >= _MOST_HOLDERS:
            oldest = min(self._heard_s, key=self._heard_s.__getitem__)
            del self._heard_s[oldest]
        self._heard_s[holder] = self._clock()

    def _is_heard(self, holder: str) -> bool:
        return self._clock() - self._heard_s.get(holder, self._began_s) < SILENCE_S


_VALUES: dict[str, tuple[Any, ...]] = {
    "add": (KeptCall, bytes),
    "note_started": (str,),
    "end": (str, KeptAnswer, bool),
    "note_told": (str,),
    "find": (str,),
    "body": (str,),
    "answer": (str,),
    "open_places": (),
    "take": (list[tuple[str, str]], bool),
    "let_go": (list[str],),
    "drop": (float,),
    "map_begin": (MapPlace, float, bytes),
    "map_write": (str, int, int, int, bytes),
    "map_mark": (str, int, int | None, bytes | None, bytes, float),
    "map_take": (str,),
    "map_let_go": (str,),
    "map_head": (str,),
    "map_read": (str, int, int),
    "map_cut": (str, int, int),
    "map_open_maps": (),
    "map_place": (str,),
    "map_states": (str,),
    "map_drop": (list[str],),
    "map_sweep": (float, float),
}
