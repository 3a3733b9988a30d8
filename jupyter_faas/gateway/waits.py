"""Whoever waits for a revision to be ready or failed, or for a function to be heard of.

Nothing is kept while nobody waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from jupyter_faas.gateway.entries import RevisionEntry


class Waits:
    """Waits for something to happen to what a key names."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[asyncio.Future[None]]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    async def until_woken(self, key: Hashable, timeout_s: float) -> None:
        """Return when `wake_all` is called for `key`, or after `timeout_s`."""
        future = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(key, [])
        waiting.append(future)
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            return
        finally:
            waiting.remove(future)
            if not waiting:
                self._waiting.pop(key, None)

    def wake_all(self, key: Hashable) -> None:
        """Let everybody look who waits for `key`."""
        for future in self._waiting.get(key, ()):
            if not future.done():
                future.set_result(None)


class RevisionWaits(Waits):
    """Waits of all revisions of one gateway."""

    async def wait(self, entry: RevisionEntry, timeout_s: float) -> None:
        """Return when a revision is not pending any more or removed, or after `timeout_s`."""
        if entry.is_pending and not entry.is_removed and timeout_s > 0:
            await self.until_woken(entry.key, timeout_s)

    def wake(self, entry: RevisionEntry) -> None:
        """Let everybody look who waits for a revision."""
        self.wake_all(entry.key)
