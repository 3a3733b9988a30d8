"""Packages in an object store: S3, Google Cloud Storage, Azure, or a directory that all nodes see.

The only module that knows obstore. Where, and with which credentials, it reads from the URL and
the environment, as the tools of those stores do (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`, …). Each
installation needs a prefix of its own: what none of its revisions names is deleted there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from jupyter_faas.core.errors import InvalidSpec, ProviderError
from jupyter_faas.gateway.blobs import UNREFERENCED_KEPT_S
from jupyter_faas.wire.heads import Buffer

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMES = ("s3", "gs", "az", "file")
FRESH_S = UNREFERENCED_KEPT_S / 2
"""A package that is wanted again and was written longer ago than this is written anew."""

_PACKAGE = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}")
_NO_BUCKET = "NoSuchBucket"
_TIMEOUT = timedelta(seconds=30)
"""For connecting, and for all tries of one request that fail."""


class ObjectBlobs:
    """See `cluster_blobs.Backing`.

    Args:
        url: `s3://BUCKET/PREFIX`, `gs://…`, `az://CONTAINER/PREFIX` or `file:///DIRECTORY`.
        wall_clock: Seconds since the epoch.

    Raises:
        InvalidSpec: The URL or the environment cannot be understood, or obstore is not installed.
    """

    def __init__(self, url: str, wall_clock: Callable[[], float]) -> None:
        self._url = url
        self._wall_clock = wall_clock
        self._store = _opened(url)

    async def get(self, digest: str) -> bytes | None:
        """Return a blob, or None."""
        import obstore  # noqa: PLC0415 - only where packages are in an object store

        with self._translated():
            try:
                found = await obstore.get_async(self._store, _path(digest))
                return bytes(await found.bytes_async())
            except FileNotFoundError as error:
                if _NO_BUCKET in str(error):
                    raise
                return None

    async def has(self, digest: str) -> bool:
        """Return whether a blob is there and will not be let go of soon."""
        import obstore  # noqa: PLC0415 - as above

        with self._translated():
            try:
                found = await obstore.head_async(self._store, _path(digest))
            except FileNotFoundError:
                return False
        return found["last_modified"] > self._before(FRESH_S)

    async def put(self, digest: str, blob: Buffer) -> None:
        """Keep a blob; durable when it returns."""
        import obstore  # noqa: PLC0415 - as above

        with self._translated():
            await obstore.put_async(self._store, _path(digest), blob)

    async def collect(self, referenced: Collection[str]) -> None:
        """Let go of what is not among these and was not wanted for an hour."""
        import obstore  # noqa: PLC0415 - as above

        kept, before = frozenset(referenced), self._before(UNREFERENCED_KEPT_S)
        with self._translated():
            async for batch in obstore.list(self._store):
                gone = [
                    one["path"]
                    for one in batch
                    if _PACKAGE.fullmatch(one["path"])
                    and one["path"][3:] not in kept
                    and one["last_modified"] < before
                ]
                if gone:
                    await obstore.delete_async(self._store, gone)

    def close(self) -> None:
        """Nothing is held open."""

    def _before(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(self._wall_clock() - seconds, UTC)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from obstore.exceptions import BaseError  # noqa: PLC0415 - as above

        try:
            yield
        except (BaseError, OSError) as error:
            raise ProviderError(f"Packages in {self._url}: {_short(error)}") from error


def _path(digest: str) -> str:
    return f"{digest[:2]}/{digest}"


def _opened(url: str) -> Any:
    """Return obstore's store of a URL.

    Raises:
        InvalidSpec: See `ObjectBlobs`.
    """
    try:
        from obstore.exceptions import BaseError  # noqa: PLC0415 - as above
        from obstore.store import from_url  # noqa: PLC0415 - as above
    except ImportError as error:
        raise InvalidSpec(
            f"FAAS_BLOB_URL={url} needs obstore: pip install 'jupyter_faas[objects]'."
        ) from error
    retry: Any = {"max_retries": 5, "retry_timeout": _TIMEOUT}
    client: Any = {"connect_timeout": _TIMEOUT, "allow_http": True}  # as AWS_ENDPOINT says
    try:
        if url.startswith("file:"):
            return from_url(url, mkdir=True)
        return from_url(url, retry_config=retry, client_options=client)
    except (BaseError, ValueError) as error:
        raise InvalidSpec(f"FAAS_BLOB_URL={url} cannot be used: {_short(error)}") from error


def _short(error: Exception) -> str:
    """Return what an error says first: the rest is the source code of a library, and XML."""
    said = str(error).partition("\n\nDebug source:")[0]
    if _NO_BUCKET in said:
        return "there is no such bucket"
    text = " ".join(said.split())
    return text if len(text) <= 300 else text[:299] + "…"
