"""How maps go, as events: asked of the driver while there is one at work, told when it has changed.

The gateway reads nothing of a map that passes through it; this is the driver's word, a few times a
second, and only what has changed. With it comes what the maps have used, for metering, and what
their items have printed where the gateway does not hear it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from jupyter_faas.core.mapping import MapPrint, MapTally, MapUse, MapUses
from jupyter_faas.gateway.events import EventLog
from jupyter_faas.gateway.maps import Maps
from jupyter_faas.wire.upstream import AnswerLost, request

EVERY_S = 0.5
_TIMEOUT_S = 5.0
LOST = "The process that runs maps went away."
State = dict[str, Any]
Meter = Callable[[Sequence[MapUse], Sequence[MapTally]], None]
_MOVING = ("workers", "slowest", "rate")
"""What changes all the time is told along, and by itself only now and then."""
_MOVING_EVERY = 4
"""So many looks."""
_log = logging.getLogger(__name__)


class _Told(msgspec.Struct):
    maps: list[State] = []
    used: MapUses = MapUses()


_told = msgspec.json.Decoder(_Told).decode


class MapNews:
    """Publishes `map` events of one gateway, and meters what maps use.

    Args:
        maps: Says whether there is something to ask, and where.
        events: Where to.
        meter: Given what maps have used since it was told last, and how far kept ones are.
        hear: Given what items have printed.
    """

    def __init__(
        self, maps: Maps, events: EventLog, meter: Meter, hear: Callable[[MapPrint], None]
    ) -> None:
        self._maps = maps
        self._events = events
        self._meter = meter
        self._hear = hear
        self._heard = 0
        self._known: dict[str, State] = {}
        self._driver = ""
        self._used: dict[tuple[str, str], MapUse] = {}
        self._looks = 0
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.elsewhere: Callable[[], list[State]] = list
        """Returns the maps of other gateways."""

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        """Stop that."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def shown(self, namespace: str) -> list[State]:
        """Return the maps of a namespace as they were last seen."""
        there = {one["id"]: one for one in (*self.elsewhere(), *self.known())}
        return [one for one in there.values() if one["namespace"] == namespace]

    def known(self) -> list[State]:
        """Return the maps of this gateway as they were last seen."""
        return list(self._known.values())

    async def look(self) -> None:
        """Ask, and tell what has changed; one at a time, an older answer never comes later."""
        async with self._lock:
            await self._look()

    async def _look(self) -> None:
        address = self._maps.driver_address()
        if address is None:
            self._lose()
            return
        try:
            target = f"/v1/maps?used=1&heard={self._heard}"
            answer = await request(address, "GET", target, timeout_s=_TIMEOUT_S)
            told = _told(answer.body)
        except (TimeoutError, msgspec.MsgspecError):
            return
        except (OSError, AnswerLost):
            self._lose()
            return
        self._take(told.maps)
        self._count(told.used)
        self._heard = told.used.last_print
        for piece in told.used.prints:
            self._hear(piece)

    def _take(self, states: list[State]) -> None:
        self._looks += 1
        is_time = self._looks % _MOVING_EVERY == 0
        for state in states:
            before = self._known.get(state["id"], {})
            if _essence(before) != _essence(state) or (is_time and before != state):
                self._publish(state)
        listed = {state["id"]: state for state in states}
        self._lose(listed)
        self._known = listed

    def _lose(self, listed: Collection[str] = ()) -> None:
        """What ran, is not kept, and is not told of any more has gone with its driver."""
        for id, state in list(self._known.items()):
            if state["state"] != "running" or state["isKept"] or id in listed:
                continue
            del self._known[id]
            self._publish({**state, "state": "failed", "note": LOST, "running": 0, "workers": []})

    def _count(self, uses: MapUses) -> None:
        if uses.driver != self._driver:
            self._driver, self._used = uses.driver, {}
        added: list[MapUse] = []
        for use in uses.functions:
            key = (use.namespace, use.function)
            before = self._used.get(key)
            if use != before:
                self._used[key] = use
                added.append(use if before is None else use.since(before))
        self._meter(added, uses.kept)

    async def _watch(self) -> None:
        has_looked, begun = True, 0
        while True:
            await asyncio.sleep(EVERY_S)
            is_new, begun = self._maps.begun != begun, self._maps.begun
            is_at_work = is_new or self._maps.is_busy or self._maps.is_keeping
            if is_at_work or not has_looked:
                try:
                    await self.look()
                except Exception:
                    _log.exception("how maps go is not told this time")
            has_looked = not is_at_work  # once more after the last one has ended

    def _publish(self, state: State) -> None:
        self._events.publish(
            "map",
            namespace=state["namespace"],
            function=state["function"],
            id=state["id"],
            value=state,
        )


def _essence(state: State) -> State:
    return {name: value for name, value in state.items() if name not in _MOVING}
