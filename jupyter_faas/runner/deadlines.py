"""One timer for the deadlines of all calls of a replica.

A timer of its own, set and cancelled, would cost a call more than reading its head does. Nearly
all calls end long before their time, so this one is set for the earliest deadline and rings
seldom: then it looks at the calls there are. Used by `replica.py` and `invocation.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

NEVER = float("inf")
_EARLY_S = 0.0005
"""A loop's timer may ring so much before its time."""


class Timed(Protocol):
    """What has a deadline."""

    until_s: float
    """On the loop's clock; may be moved to a later time at any moment."""

    def on_time(self) -> None:
        """`until_s` has come; moves it to a later time, or to `NEVER`."""


class Deadlines:
    """Tells calls when their time has come.

    Args:
        loop: Its clock and timers are used.
        calls: Those there are at any time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, calls: Mapping[int, Timed]) -> None:
        self._loop = loop
        self._calls = calls
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_s = NEVER

    def watch(self, until_s: float) -> None:
        """See to it that the calls are looked at by then."""
        if until_s >= self._alarm_s:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_s = until_s
        self._alarm = self._loop.call_at(until_s, self._ring)

    def _ring(self) -> None:
        self._alarm, self._alarm_s = None, NEVER
        now_s = self._loop.time() + _EARLY_S
        for call in tuple(self._calls.values()):
            if call.until_s <= now_s:
                call.on_time()
        self.watch(min((call.until_s for call in self._calls.values()), default=NEVER))
