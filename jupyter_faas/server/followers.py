"""Single calls and logs, followed only while a page wants them, once for all pages.

Each is a task with a connection of its own, tried again while it is wished for: a function may be
deleted and come back, the gateway may be restarted. What was told already is not told again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any

import msgspec

from jupyter_faas.core.errors import EventsGone, FaasError
from jupyter_faas.server.event import Event, read_event
from jupyter_faas.server.link import MAX_HZ, SILENCE_S, opened, pieces_of
from jupyter_faas.server.place import Place
from jupyter_faas.wire.sse import Event as SseEvent
from jupyter_faas.wire.sse import EventDecoder

AGAIN_S = 1.0
"""Between two tries to follow."""
TAIL = 200
"""Records of a log that a page gets at first."""
LONGEST_LINE_BYTES = 4 << 20

_TROUBLE = (FaasError, OSError, ValueError, msgspec.MsgspecError)


class Calls:
    """Follows the single calls of some functions.

    Args:
        place: Where the gateway is.
        tell: Given each call.
    """

    def __init__(self, place: Place, tell: Callable[[Event], None]) -> None:
        self._place = place
        self._tell = tell
        self._functions: frozenset[str] = frozenset()
        self._since = ""
        self._task: asyncio.Task[None] | None = None

    def want(self, functions: Iterable[str]) -> None:
        """Follow these from now on, and no others."""
        wanted = frozenset(functions)
        if wanted == self._functions:
            return
        self._functions = wanted
        self.close()
        if wanted:
            self._task = asyncio.get_running_loop().create_task(_again(self._follow))
        else:
            self._since = ""

    def close(self) -> None:
        """Follow nothing."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _follow(self) -> None:
        gateway = await self._place.reach(may_start=False)
        since = f"&since={self._since}" if self._since else ""
        names = ",".join(sorted(self._functions))
        path = f"/v1/events?calls=1&functions={names}&max_hz={MAX_HZ}{since}"
        decoder = EventDecoder()
        try:
            async with opened(gateway, gateway.control_path(path)) as response:
                async for piece in pieces_of(response, SILENCE_S):
                    for event in decoder.feed(piece):
                        self._take(event)
        except EventsGone:
            self._since = ""

    def _take(self, event: SseEvent) -> None:
        self._since = event.id or self._since
        if event.event == "call":
            self._tell(read_event(event))


class Log:
    """Follows the log of one function.

    Args:
        place: Where the gateway is.
        function: Its name.
        tell: Given each record, a JSON object.

    Attributes:
        newest: The last records, for a page that comes later.
    """

    def __init__(self, place: Place, function: str, tell: Callable[[bytes], None]) -> None:
        self._place = place
        self._function = function
        self._tell = tell
        self._told_at = 0.0
        self.newest: deque[bytes] = deque(maxlen=TAIL)
        self._task = asyncio.get_running_loop().create_task(_again(self._follow))

    def close(self) -> None:
        """Follow no more."""
        self._task.cancel()

    async def _follow(self) -> None:
        gateway = await self._place.reach(may_start=False)
        path = gateway.control_path(f"/v1/functions/{self._function}/logs?follow=1&tail={TAIL}")
        held = b""
        async with opened(gateway, path) as response:
            async for piece in pieces_of(response, None):  # a function may be silent for hours
                *lines, held = (held + piece).split(b"\n")
                if len(held) > LONGEST_LINE_BYTES:
                    raise ValueError("a record of a log does not end")
                for line in filter(None, lines):
                    self._take(line)

    def _take(self, line: bytes) -> None:
        at = msgspec.json.decode(line, type=_Record).at
        if at > self._told_at:
            self._told_at = at
            self.newest.append(line)
            self._tell(line)


class _Record(msgspec.Struct):
    at: float


async def _again(follow: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Follow again and again: what ended may come back, until nobody wants it any more."""
    while True:
        with suppress(*_TROUBLE):  # the link tells pages how the gateway is
            await follow()
        await asyncio.sleep(AGAIN_S)
