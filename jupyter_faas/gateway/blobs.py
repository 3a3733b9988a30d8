"""Packages as files, named by their sha256: `$state/blobs/ab/abcd…`.

A blob is written to a temporary file, checked, synced and renamed, so that a file with a right
name always has the right content. The gateway never looks inside. Disk work runs in threads.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import mmap
import os
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

from jupyter_faas.core.errors import BadRequest, FaasError, PayloadTooLarge, ProviderError
from jupyter_faas.wire.heads import Buffer

UNREFERENCED_KEPT_S = 3_600.0
"""A blob that no revision names is removed when it was not touched for so long."""

_BATCH_BYTES = 1 << 20
_AT_ONCE_BYTES = 256 << 10
"""Up to this size a file is read in the loop."""
P = ParamSpec("P")
T = TypeVar("T")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """The blob files of one gateway.

    Args:
        root: Directory; made with mode 0700 if missing.
        max_bytes: Largest blob accepted.
    """

    def __init__(self, root: Path, max_bytes: int = 1 << 30) -> None:
        self._root = root
        self._max_bytes = max_bytes

    def path(self, digest: str) -> Path:
        """Return where the blob is or would be: what `package_path` of a specialisation names.

        Raises:
            BadRequest: `digest` is no sha256 in 64 lower-case hex digits.
        """
        if not _DIGEST.fullmatch(digest):
            raise BadRequest("A blob is named by its sha256: 64 lower-case hex digits.")
        return self._root / digest[:2] / digest

    def size_bytes(self, digest: str) -> int | None:
        """Return the size of a blob, or None; marks it as wanted, so that it stays a while."""
        try:
            path = self.path(digest)
            os.utime(path)
            return path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    async def put(self, digest: str, chunks: AsyncIterator[bytes]) -> bool:
        """Store a blob as it streams in; False: it was there (the rest is not read).

        Raises:
            BadRequest: The content has another sha256.
            PayloadTooLarge: It is larger than `max_bytes`.
            ProviderError: The disk is full or cannot be written.
        """
        if self.size_bytes(digest) is not None:
            return False
        upload = _Upload(self.path(digest))
        try:
            await self._take(upload, digest, chunks)
        except BaseException:
            upload.discard()
            raise
        return True

    async def has(self, digest: str, size_bytes: int | None = None) -> bool:
        """Return whether a blob can be had here; marks it as wanted.

        Args:
            digest: Its name.
            size_bytes: As far as it is known: small ones are in fewer places.
        """
        return self.size_bytes(digest) is not None

    async def fetch(self, digest: str) -> bytes | None:
        """Return a blob whole, or None.

        Raises:
            ProviderError: It cannot be read.
        """
        size_bytes = self.size_bytes(digest)
        if size_bytes is None:
            return None
        path = self.path(digest)
        if size_bytes <= _AT_ONCE_BYTES:
            return path.read_bytes()  # From the page cache: faster than a thread is reached.
        return await _in_thread(path.read_bytes)

    async def view(self, digest: str) -> Buffer | None:
        """Return a blob to be sent; of a large one only what is on its way is in memory.

        Raises:
            ProviderError: It cannot be had.
        """
        if not await self.has(digest):
            return None
        size_bytes = self.size_bytes(digest)
        if size_bytes is None or size_bytes <= _AT_ONCE_BYTES:
            return await self.fetch(digest)
        return await _in_thread(_mapped, self.path(digest))

    async def share(self, digest: str) -> None:
        """Make an uploaded blob what all gateways can have: embedded there is one."""

    async def keep(self, digest: str, blob: bytes) -> None:
        """Store a blob that is here as a whole; see `put` for what it raises."""

        async def pieces() -> AsyncIterator[bytes]:
            yield blob

        await self.put(digest, pieces())

    async def read(self, digest: str) -> AsyncIterator[bytes] | None:
        """Return the content of a blob in pieces, or None."""
        if self.size_bytes(digest) is None:
            return None
        return _pieces(self.path(digest))

    async def collect(self, referenced: Collection[str], now: float) -> int:
        """Remove blobs that nothing refers to and that were not touched for an hour.

        Args:
            referenced: Digests that revisions name.
            now: Wall clock, seconds since the epoch.

        Returns:
            How many files are gone, leftovers of broken uploads included.
        """
        kept = frozenset(referenced)
        return await _in_thread(self._collect, kept, now - UNREFERENCED_KEPT_S)

    async def _take(self, upload: _Upload, digest: str, chunks: AsyncIterator[bytes]) -> None:
        batch: list[bytes] = []
        held = 0
        async for chunk in chunks:
            batch.append(chunk)
            held += len(chunk)
            self._check_size(upload.size_bytes + held)
            if held >= _BATCH_BYTES:
                await _in_thread(upload.write, batch)
                batch, held = [], 0
        await _in_thread(upload.finish, batch, digest)

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._max_bytes:
            raise PayloadTooLarge(
                f"The package has more than {self._max_bytes} bytes, the most this gateway takes "
                "(FAAS_MAX_BODY_BYTES)."
            )

    def _collect(self, kept: frozenset[str], older_than: float) -> int:
        removed = 0
        for path in self._files():
            try:
                if path.name not in kept and path.stat().st_mtime < older_than:
                    path.unlink()
                    removed += 1
            except FileNotFoundError:
                continue
        return removed

    def _files(self) -> Iterator[Path]:
        return self._root.glob("??/*")


class _Upload:
    """A blob on its way in. The file is made with the first bytes, in a thread."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._path: Path | None = None
        self._file: BinaryIO | None = None
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def write(self, batch: list[bytes]) -> None:
        file = self._file or self._open()
        for chunk in batch:
            self._hash.update(chunk)
            file.write(chunk)
            self.size_bytes += len(chunk)

    def finish(self, batch: list[bytes], digest: str) -> None:
        self.write(batch)
        found = self._hash.hexdigest()
        if found != digest:
            raise BadRequest(
                f"The blob is not what its name says: {self.size_bytes} bytes with sha256 {found}."
            )
        assert self._file is not None
        assert self._path is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._path, self._target)
        _sync_directory(self._target.parent)

    def discard(self) -> None:
        if self._file is not None and self._path is not None:
            with suppress(OSError):  # a full disk says so again for what is still in the buffer
                self._file.close()
            self._path.unlink(missing_ok=True)

    def _open(self) -> BinaryIO:
        folder = self._target.parent
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync_directory(folder.parent)
        # The name is no digest, so nobody reads it and `collect` removes it when left behind.
        handle, name = tempfile.mkstemp(prefix=".upload-", dir=folder)
        self._path = Path(name)
        self._file = os.fdopen(handle, "wb")
        return self._file


def _mapped(path: Path) -> memoryview:
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    file = await _in_thread(path.open, "rb")
    try:
        while piece := await _in_thread(file.read, _BATCH_BYTES):
            yield piece
    finally:
        file.close()


async def _in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except FaasError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "the disk is full" if full else error.strerror
        raise ProviderError(f"A package cannot be stored: {why}.") from error


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
