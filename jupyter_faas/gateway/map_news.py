"""How maps go, as events: asked of the driver while there is one at work, told when it has changed.

The gateway reads nothing of a map that passes through it; this is the driver's word, a few times a
second, and only what has changed.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from jupyter_faas.gateway.events import EventLog
from jupyter_faas.gateway.maps import Maps
from jupyter_faas.wire.upstream import AnswerLost, request

EVERY_S = 0.5
_TIMEOUT_S = 5.0
State = dict[str, Any]
_states = msgspec.json.Decoder(dict[str, list[State]]).decode
_MOVING = ("workers", "slowest", "rate")
"""What changes all the time is told along, and is no news by itself."""


class MapNews:
    """Publishes `map` events of one gateway.

    Args:
        maps: Says whether there is something to ask, and where.
        events: Where to.
    """

    def __init__(self, maps: Maps, events: EventLog) -> None:
        self._maps = maps
        self._events = events
        self._known: dict[str, State] = {}
        self._task: asyncio.Task[None] | None = None

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
        return [one for one in self._known.values() if one["namespace"] == namespace]

    async def look(self) -> None:
        """Ask, and tell what has changed."""
        address = self._maps.driver_address()
        if address is None:
            return
        try:
            answer = await request(address, "GET", "/v1/maps", timeout_s=_TIMEOUT_S)
            states = _states(answer.body)["maps"]
        except (OSError, AnswerLost, TimeoutError, msgspec.MsgspecError, KeyError):
            return  # it ends just now; what it leaves running the next one tells
        for state in states:
            before = self._known.get(state["id"])
            if before is None or _essence(before) != _essence(state):
                self._publish(state)
        self._known = {state["id"]: state for state in states}

    async def _watch(self) -> None:
        has_looked = True
        while True:
            await asyncio.sleep(EVERY_S)
            is_at_work = self._maps.is_busy or self._maps.is_keeping
            if is_at_work or not has_looked:
                await self.look()
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
