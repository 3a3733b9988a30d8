"""What one gateway of several does for all of them, now and then: the one that leads.

Each chore finds out anew what there is to do, so it does not matter who did it last, nor if two
gateways did it at once for a moment.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Chore = Callable[[], Awaitable[object]]

_log = logging.getLogger(__name__)


class Chores:
    """Does chores while this gateway leads.

    Args:
        leads: Whether it does now.
        chores: Name → what to do.
        every_s: How often.
    """

    def __init__(
        self, leads: Callable[[], bool], chores: Mapping[str, Chore], every_s: float
    ) -> None:
        self._leads = leads
        self._chores = chores
        self._every_s = every_s
        self._task: asyncio.Task[Any] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def close(self) -> None:
        """Stop, in the middle if it must be."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def round(self) -> None:
        """Do all of them once, as long as this gateway leads; one that fails stops no other."""
        for name, chore in self._chores.items():
            if not self._leads():
                return
            try:
                await chore()
            except Exception:
                _log.exception("a chore failed: %s", name)

    async def _follow(self) -> None:
        while True:
            await self.round()
            await asyncio.sleep(self._every_s)
