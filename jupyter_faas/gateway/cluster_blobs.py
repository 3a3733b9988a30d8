"""Packages on a cluster: this disk is a cache of what revisions and the blobs service hold.

A small package lies in its FunctionRevision from the deploy on; until then it is on the disk of
the gateway that it was uploaded to. A larger one goes to the blobs service or an object store
(`object_blobs.py`) before the upload is answered. Whatever is fetched stays on this disk for the
next cold start.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Protocol

from jupyter_faas.core.errors import BadRequest, ProviderError
from jupyter_faas.gateway.blobs import Blobs
from jupyter_faas.gateway.store.packing import MAX_INLINE_BYTES, packed
from jupyter_faas.wire.heads import Buffer

_ZLIB_BYTES = 1024
"""More than what compressing adds at worst to so small a package."""


class Backing(Protocol):
    """Keeps blobs for all gateways. All methods raise `ProviderError` when it is away."""

    async def get(self, digest: str) -> bytes | None:
        """Return a blob, or None."""

    async def has(self, digest: str) -> bool:
        """Return whether a blob is there; if so, it stays for an hour though nobody names it."""

    async def put(self, digest: str, blob: Buffer) -> None:
        """Keep a blob; durable when it returns."""

    async def collect(self, referenced: Collection[str]) -> None:
        """Let go of what is not among these and was not wanted for an hour."""


class ClusterBlobs(Blobs):
    """See `Blobs`.

    Args:
        root: Directory of the cache.
        backing: Keeps them for all gateways; None: only small ones can be deployed.
        max_bytes: Largest blob accepted.
    """

    def __init__(self, root: Path, backing: Backing | None, max_bytes: int = 1 << 30) -> None:
        super().__init__(root, max_bytes)
        self._backing = backing
        self.inside: Callable[[str], Awaitable[bytes | None]] | None = None
        """Returns the package that lies in a revision object; the store's."""

    async def has(self, digest: str, size_bytes: int | None = None) -> bool:
        """Return whether a blob can be had here, from wherever it can be.

        A small one lies in a revision or nowhere: the backing is not asked for it.
        """
        if self.size_bytes(digest) is not None:
            return True
        if size_bytes is not None and size_bytes <= MAX_INLINE_BYTES - _ZLIB_BYTES:
            return self.inside is not None and await self.inside(digest) is not None
        return await self.fetch(digest) is not None

    async def fetch(self, digest: str) -> bytes | None:
        """Return a blob, from this disk or from where it is kept.

        Raises:
            ProviderError: It is not on this disk, and what may hold it is away.
        """
        blob = await super().fetch(digest)
        if blob is not None:
            return blob
        if self.inside is not None:
            blob = await self.inside(digest)
        if blob is None and self._backing is not None:
            blob = await self._backing.get(digest)
        if blob is not None:
            await self._cache(digest, blob)
        return blob

    async def share(self, digest: str) -> None:
        """See to it that the backing has a blob that is here, if no revision can hold it.

        Raises:
            ProviderError: The backing is away, or there is none.
        """
        blob = await super().view(digest)
        if blob is None or packed(blob) is not None:
            return
        if self._backing is None:
            raise ProviderError(
                f"A package of {len(blob)} bytes needs a blobs service, and this installation has "
                "none."
            )
        if not await self._backing.has(digest):
            await self._backing.put(digest, blob)

    async def _cache(self, digest: str, blob: bytes) -> None:
        try:
            await self.keep(digest, blob)
        except BadRequest as error:
            raise ProviderError(
                f"What is kept of the package {digest[:12]}… is not that package: deploy it again."
            ) from error

    async def collect(self, referenced: Collection[str], now: float) -> int:
        """Remove what nothing refers to, here and in the backing."""
        if self._backing is not None:
            await self._backing.collect(referenced)
        return await super().collect(referenced, now)
