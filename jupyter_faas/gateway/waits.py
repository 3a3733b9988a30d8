"""Whoever waits for a revision to be ready or failed; nothing is kept while nobody does."""

from __future__ import annotations

import asyncio

from jupyter_faas.gateway.entries import RevisionEntry


class RevisionWaits:
    """Waits of all revisions of one gateway."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self, entry: RevisionEntry, timeout_s: float) -> None:
        """Return when a revision is not pending any more or removed, or after `timeout_s`."""
        if not entry.is_pending or entry.is_removed or timeout_s <= 0:
            return
        future = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(entry.key, [])
        waiting.append(future)
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            return
        finally:
            waiting.remove(future)
            if not waiting:
                self._waiting.pop(entry.key, None)

    def wake(self, entry: RevisionEntry) -> None:
        """Let everybody look who waits for a revision."""
        for future in self._waiting.get(entry.key, ()):
            if not future.done():
                future.set_result(None)
