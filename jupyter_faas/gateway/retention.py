"""Removes packages that no revision names any more: soon after the start, then every ten minutes.

A package just uploaded for a deploy that has not come yet is safe: only what was not touched for
an hour goes (see `Blobs.collect`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from jupyter_faas.core.errors import FaasError
from jupyter_faas.gateway.blobs import Blobs
from jupyter_faas.gateway.registry import Registry

FIRST_S = 60.0
EVERY_S = 600.0

_log = logging.getLogger(__name__)


class Housekeeper:
    """Looks after the blobs of one gateway.

    Args:
        blobs: Where packages are.
        registry: Whose revisions name them.
        wall_clock: Seconds since the epoch, as file times are.
    """

    def __init__(self, blobs: Blobs, registry: Registry, wall_clock: Callable[[], float]) -> None:
        self._blobs = blobs
        self._registry = registry
        self._wall_clock = wall_clock
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._arm(FIRST_S)

    async def close(self) -> None:
        """Stop, after a round that is under way."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()

    async def clean(self) -> int:
        """Remove what nothing refers to now; return how many files are gone."""
        return await self._blobs.collect(self.referenced(), self._wall_clock())

    def referenced(self) -> set[str]:
        """Return the digests that revisions name."""
        return {
            revision.revision.spec.code.digest
            for function in self._registry.functions()
            for revision in function.revisions.values()
        }

    def _arm(self, delay_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._begin)

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._round())

    async def _round(self) -> None:
        try:
            await self.clean()
        except FaasError as error:
            _log.warning("packages could not be cleaned up: %s", error.detail)
        self._arm(EVERY_S)
