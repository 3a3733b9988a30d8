"""Packages in an object store.

Each installation needs a prefix of its own: what none of its revisions names is deleted there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from jupyter_faas.gateway.blobs import UNREFERENCED_KEPT_S
from jupyter_faas.gateway.objects import Objects
from jupyter_faas.wire.heads import Buffer

FRESH_S = UNREFERENCED_KEPT_S / 2
"""A package that is wanted again and was written longer ago than this is written anew."""

_PACKAGE = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}")


class ObjectBlobs:
    """See `cluster_blobs.Backing`.

    Args:
        url: See `Objects`.
        wall_clock: Seconds since the epoch.

    Raises:
        InvalidSpec: The URL or the environment cannot be understood, or obstore is not installed.
    """

    def __init__(self, url: str, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._objects = Objects(url, "Packages")

    async def get(self, digest: str) -> bytes | None:
        """Return a blob, or None."""
        return await self._objects.get(_path(digest))

    async def has(self, digest: str) -> bool:
        """Return whether a blob is there and will not be let go of soon."""
        found = await self._objects.head(_path(digest))
        return found is not None and found.at > self._wall_clock() - FRESH_S

    async def put(self, digest: str, blob: Buffer) -> None:
        """Keep a blob; durable when it returns."""
        await self._objects.put(_path(digest), blob)

    async def collect(self, referenced: Collection[str]) -> None:
        """Let go of what is not among these and was not wanted for an hour."""
        kept, before = frozenset(referenced), self._wall_clock() - UNREFERENCED_KEPT_S
        async for batch in self._objects.below(""):
            await self._objects.delete(
                [
                    one.path
                    for one in batch
                    if _PACKAGE.fullmatch(one.path) and one.path[3:] not in kept and one.at < before
                ]
            )

    def close(self) -> None:
        """Nothing is held open."""


def _path(digest: str) -> str:
    return f"{digest[:2]}/{digest}"
