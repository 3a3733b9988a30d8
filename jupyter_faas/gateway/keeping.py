"""Where the calls and maps of a cluster are kept: on the volume of the blobs service.

A `Keeping` is the door to a medium: `OnVolume` here, `InBucket` in an object store
(`bucket/keeping.py`). Both are the same tables; what differs is what makes a change last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from jupyter_faas.gateway.store.kept import SqliteKept
from jupyter_faas.gateway.store.kept_maps import SqliteKeptMaps
from jupyter_faas.gateway.store.sqlite import SqliteStore

IsHeld = Callable[[str, int], bool]
"""Whether one who holds a call in a state is there to run it."""


class Keeping(Protocol):
    """A medium. What its calls and maps return is durable; what fails is a `ProviderError`."""

    is_lost: asyncio.Event
    """This one is of no use any more: it is made anew, unless another process keeps them now."""

    @property
    def is_taken(self) -> bool:
        """Whether another process keeps them now."""

    async def open(self) -> None:
        """Have it ready.

        Raises:
            ProviderError: It cannot be read.
            InvalidSpec: It cannot be used for this.
        """

    async def close(self) -> None:
        """Let go of it."""

    def calls(self, holder: str, is_held: IsHeld) -> SqliteKept:
        """Return the calls, as a gateway sees them."""

    def maps(self, holder: str, is_held: Callable[[str], bool]) -> SqliteKeptMaps:
        """Return the maps, as a gateway sees them."""


class OnVolume:
    """See `Keeping`.

    Args:
        database: The file.
        wall_clock: Seconds since the epoch.
    """

    def __init__(self, database: Path, wall_clock: Callable[[], float]) -> None:
        self._store = SqliteStore(database, wall_clock)
        self.is_lost = asyncio.Event()
        self.is_taken = False

    async def open(self) -> None:
        """Open the file."""
        await self._store.open()

    async def close(self) -> None:
        """Close it."""
        await self._store.close()

    def calls(self, holder: str, is_held: IsHeld) -> SqliteKept:
        """Return the calls, as a gateway sees them."""
        return SqliteKept(self._store.work, holder, is_held)

    def maps(self, holder: str, is_held: Callable[[str], bool]) -> SqliteKeptMaps:
        """Return the maps, as a gateway sees them."""
        return SqliteKeptMaps(self._store.work, holder, is_held)
