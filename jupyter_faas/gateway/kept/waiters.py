"""Who waits for the end of a kept call."""

from __future__ import annotations

import asyncio


class Waiters:
    """By id of the call."""

    def __init__(self) -> None:
        self._futures: dict[str, set[asyncio.Future[None]]] = {}

    async def wait(self, id: str) -> None:
        """Wait until somebody wakes those of this call."""
        future = asyncio.get_running_loop().create_future()
        waiting = self._futures.setdefault(id, set())
        waiting.add(future)
        try:
            await future
        finally:
            waiting.discard(future)

    def wake(self, id: str) -> None:
        """It has ended, or is another gateway's."""
        for future in self._futures.pop(id, ()):
            if not future.done():
                future.set_result(None)
