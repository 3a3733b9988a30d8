"""Work that nobody waits for, and that is not forgotten either.

asyncio holds a running task by a weak reference only, and an error in one that nobody awaits is
told when it is collected, if ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Background:
    """Tasks of one owner.

    Args:
        what: What the log says has failed, if one fails; empty: whoever began it looks itself.
    """

    def __init__(self, what: str = "") -> None:
        self._what = what
        self._tasks: set[asyncio.Task[Any]] = set()

    def run(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin to do something."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ran)
        return task

    async def ended(self) -> None:
        """Wait until all that has begun by now has ended, however."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def cancel(self) -> None:
        """Cancel what has not ended."""
        for task in tuple(self._tasks):
            task.cancel()

    async def close(self) -> None:
        """Cancel what has not ended, and wait until it has."""
        self.cancel()
        await self.ended()

    def _ran(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and self._what:
            _log.error("%s failed", self._what, exc_info=error)
