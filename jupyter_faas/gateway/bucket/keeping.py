"""Calls and maps in an object store: the log, the large bodies, and the tidying of both."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from jupyter_faas.core.errors import FaasError
from jupyter_faas.core.ids import random_id
from jupyter_faas.gateway.bucket.bodies import ObjectBodies
from jupyter_faas.gateway.bucket.database import BucketDatabase
from jupyter_faas.gateway.bucket.log import BucketLog
from jupyter_faas.gateway.bucket.pieces import ObjectKeptMaps, used_bodies
from jupyter_faas.gateway.keeping import IsHeld
from jupyter_faas.gateway.objects import Objects
from jupyter_faas.gateway.store.kept import SqliteKept
from jupyter_faas.gateway.store.kept_maps import SqliteKeptMaps
from jupyter_faas.gateway.store.schema import MIGRATIONS

PATIENCE_S = 10.0
"""So long one request to the store is tried; whoever waits for it hears why it failed."""
TIDY_S = 1800.0
_log = logging.getLogger(__name__)


class InBucket:
    """See `Keeping`.

    Args:
        url: See `Objects`.
        copy: Of the database; a file that may be lost.
        wall_clock: Seconds since the epoch.
        patience_s: How long one request to the store is tried.

    Raises:
        InvalidSpec: The URL or the environment cannot be understood, or obstore is not installed.
    """

    def __init__(
        self,
        url: str,
        copy: Path,
        wall_clock: Callable[[], float],
        patience_s: float = PATIENCE_S,
    ) -> None:
        objects = Objects(url, "Calls and maps", patience_s)
        self._log = BucketLog(objects, random_id("w"), len(MIGRATIONS), wall_clock)
        self._database = BucketDatabase(self._log, copy)
        self._bodies = ObjectBodies(objects, wall_clock)
        self._tidying: asyncio.Task[None] | None = None
        self.is_lost = self._database.is_lost

    @property
    def is_taken(self) -> bool:
        """Whether another process keeps them now."""
        return self._database.is_taken

    async def open(self) -> None:
        """Read what is there, and be the one that writes."""
        await self._database.open()
        self._tidying = asyncio.get_running_loop().create_task(self._keep_tidy())

    async def close(self) -> None:
        """Let go of it."""
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.gather(self._tidying, return_exceptions=True)
        await self._database.close()

    def calls(self, holder: str, is_held: IsHeld) -> SqliteKept:
        """Return the calls, as a gateway sees them."""
        return SqliteKept(self._database.work, holder, is_held, self._bodies)

    def maps(self, holder: str, is_held: Callable[[str], bool]) -> SqliteKeptMaps:
        """Return the maps, as a gateway sees them."""
        return ObjectKeptMaps(self._database.work, holder, is_held, self._bodies)

    async def tidy(self) -> None:
        """Delete what nothing has needed for an hour.

        Raises:
            ProviderError: The store fails, or is somebody else's to tidy.
        """
        await self._database.be_sure()
        await self._bodies.tidy(lambda: self._database.work(used_bodies))
        await self._log.tidy()

    async def _keep_tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_S)
            try:
                await self.tidy()
            except FaasError as error:
                _log.warning("old objects stay for now: %s", error.detail)
