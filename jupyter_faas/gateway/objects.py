"""An object store: S3, Google Cloud Storage, Azure, or a directory that all nodes see.

The only module that knows obstore. Where, and with which credentials, it reads from the URL and
the environment, as the tools of those stores do (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`, …).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_faas.core.errors import InvalidSpec, ProviderError
from jupyter_faas.wire.heads import Buffer

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMES = ("s3", "gs", "az", "file")
_NO_BUCKET = "NoSuchBucket"
_LISTED, _STREAMED_BYTES = 1000, 1 << 20


class Found(NamedTuple):
    """An object that is listed."""

    path: str
    at: float
    """When it was written, seconds since the epoch."""
    size: int


class Objects:
    """The objects below a URL. What fails is a `ProviderError` that says what is kept there.

    Args:
        url: `s3://BUCKET/PREFIX`, `gs://…`, `az://CONTAINER/PREFIX` or `file:///DIRECTORY`.
        what: What is kept there, as a sentence begins.
        patience_s: For connecting, and for all tries of one request that fail.

    Raises:
        InvalidSpec: The URL or the environment cannot be understood, or obstore is not installed.
    """

    def __init__(self, url: str, what: str, patience_s: float = 30.0) -> None:
        self.url = url
        self._what = what
        self._store = _opened(url, timedelta(seconds=patience_s))

    async def get(self, path: str) -> bytes | None:
        """Return an object, or None."""
        import obstore  # noqa: PLC0415 - only where there is an object store

        with self._translated():
            try:
                found = await obstore.get_async(self._store, path)
                return bytes(await found.bytes_async())
            except FileNotFoundError as error:
                if _NO_BUCKET in str(error):
                    raise
                return None

    async def fetch(self, path: str, to: Path) -> bool:
        """Write an object to a file, a piece at a time; False: there is none."""
        import obstore  # noqa: PLC0415 - as above

        with self._translated():
            try:
                found = await obstore.get_async(self._store, path)
            except FileNotFoundError:
                return False
            with to.open("wb") as out:
                async for piece in found.stream(min_chunk_size=_STREAMED_BYTES):
                    out.write(piece)
        return True

    async def head(self, path: str) -> Found | None:
        """Return what is known of an object, or None."""
        import obstore  # noqa: PLC0415 - as above

        with self._translated():
            try:
                return _found(await obstore.head_async(self._store, path))
            except FileNotFoundError:
                return None

    async def put(self, path: str, content: Buffer | Path) -> None:
        """Write an object, whole or not at all; durable when it returns."""
        import obstore  # noqa: PLC0415 - as above

        with self._translated():
            await obstore.put_async(self._store, path, content)

    async def create(self, path: str, content: bytes) -> bool:
        """Write an object that is not there yet; False: it is.

        If that fails it may have been written all the same.
        """
        import obstore  # noqa: PLC0415 - as above
        from obstore.exceptions import AlreadyExistsError, PreconditionError  # noqa: PLC0415 - above

        with self._translated():
            try:
                await obstore.put_async(self._store, path, content, mode="create")
            except (AlreadyExistsError, PreconditionError, FileExistsError):
                return False
        return True

    async def below(self, prefix: str, after: str | None = None) -> AsyncIterator[list[Found]]:
        """Yield what is below a prefix, many at once, in no order.

        Args:
            prefix: Ends with `/`; or empty.
            after: Only paths that are greater.
        """
        import obstore  # noqa: PLC0415 - as above

        with self._translated():
            listed = obstore.list(self._store, prefix or None, offset=after, chunk_size=_LISTED)
            async for batch in listed:
                yield [_found(one) for one in batch]

    async def delete(self, paths: Sequence[str]) -> None:
        """Delete objects."""
        import obstore  # noqa: PLC0415 - as above

        if paths:
            with self._translated():
                await obstore.delete_async(self._store, list(paths))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from obstore.exceptions import BaseError  # noqa: PLC0415 - as above

        try:
            yield
        except (BaseError, OSError) as error:
            raise ProviderError(f"{self._what} in {self.url}: {_short(error)}") from error


def _found(one: Any) -> Found:
    return Found(one["path"], one["last_modified"].timestamp(), one["size"])


def _opened(url: str, patience: timedelta) -> Any:
    """Return obstore's store of a URL.

    Raises:
        InvalidSpec: See `Objects`.
    """
    try:
        from obstore.exceptions import BaseError  # noqa: PLC0415 - as above
        from obstore.store import from_url  # noqa: PLC0415 - as above
    except ImportError as error:
        raise InvalidSpec(
            f"FAAS_BLOB_URL={url} needs obstore: pip install 'jupyter_faas[objects]'."
        ) from error
    retry: Any = {"max_retries": 5, "retry_timeout": patience}
    client: Any = {"connect_timeout": patience, "allow_http": True}  # as AWS_ENDPOINT says
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
