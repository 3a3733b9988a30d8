"""When an embedded gateway that nobody uses may leave. Asked by its composition root.

Use is: a call in flight or queued, a call or a change since the last look, replicas that a floor
(`min_containers`) keeps alive. Watching (status, events, logs, metrics) is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple


class Use(NamedTuple):
    """What is seen of a gateway's use at one moment."""

    is_busy: bool
    """Something is in flight or queued, or a floor keeps replicas alive."""
    activity: int
    """Counts calls and changes; only whether it has changed matters."""


class IdlePolicy:
    """Decides when a gateway has been unused for long enough. Pure: the time is an argument.

    Args:
        idle_exit_s: Seconds without use; 0 is never.
        now_s: Monotonic seconds, when the gateway became ready.
    """

    def __init__(self, idle_exit_s: float, now_s: float) -> None:
        self._idle_exit_s = idle_exit_s
        self._used_at_s = now_s
        self._activity = -1

    def may_leave(self, use: Use, now_s: float) -> bool:
        """Return whether nothing has been used for `idle_exit_s` seconds."""
        if use.is_busy or use.activity != self._activity:
            self._activity = use.activity
            self._used_at_s = now_s
        return 0 < self._idle_exit_s <= now_s - self._used_at_s


async def unused(
    idle_exit_s: float, look: Callable[[], Use], monotonic_s: Callable[[], float]
) -> None:
    """Return once a gateway has been unused for `idle_exit_s` seconds; never if that is 0.

    Args:
        idle_exit_s: Seconds without use; looked at often enough to be at most a tenth late.
        look: What is seen of the gateway's use now.
        monotonic_s: The gateway's clock.
    """
    if idle_exit_s == 0:
        await asyncio.get_running_loop().create_future()  # until it is cancelled: nobody looks
    policy = IdlePolicy(idle_exit_s, monotonic_s())
    pause_s = min(5.0, max(0.02, idle_exit_s / 10))
    # Looked at, not told: being told would cost every call something.
    while not policy.may_leave(look(), monotonic_s()):  # noqa: ASYNC110
        await asyncio.sleep(pause_s)
