"""Bodies as they arrive: small ones in memory, large ones straight into a memfd.

The front's own memory stays flat: what has arrived is written on at once, and its pages belong
to the memfd, which the worker maps. A digest can be computed on the way.
"""

from __future__ import annotations

import hashlib
import os

from jupyter_faas.core.errors import PayloadTooLarge
from jupyter_faas.runner.channel import MEMFD_BYTES

MIB = 1 << 20


class Body:
    """One body, complete or coming in.

    Args:
        limit_bytes: More is `PayloadTooLarge`.
        has_digest: Compute the sha256 on the way.
    """

    __slots__ = ("_chunks", "_digest", "_limit_bytes", "fd", "size")

    def __init__(self, limit_bytes: int, *, has_digest: bool = False) -> None:
        self._chunks: list[bytes] = []
        self._limit_bytes = limit_bytes
        self._digest = hashlib.sha256() if has_digest else None
        self.fd = -1
        """The memfd, once the body is large."""
        self.size = 0

    def expect(self, size: int | None) -> None:
        """Get ready for a body of this announced size.

        Raises:
            PayloadTooLarge: It is larger than may be.
        """
        if size is None:
            return
        self._check(size)
        if size >= MEMFD_BYTES:
            self._open()

    def add(self, data: bytes) -> None:
        """Take the next piece.

        Raises:
            PayloadTooLarge: With it the body is larger than may be.
        """
        self.size += len(data)
        self._check(self.size)
        if self._digest is not None:
            self._digest.update(data)
        if self.fd < 0:
            self._chunks.append(data)
            if self.size < MEMFD_BYTES:
                return
            data = self.take_bytes()
            self._open()
        _write_all(self.fd, data)

    def take_bytes(self) -> bytes:
        """Return a small body, joined; what is held here is let go."""
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks = []
        return data

    def hand_over(self) -> int:
        """Return the memfd; from now on it is the caller's to close."""
        fd, self.fd = self.fd, -1
        return fd

    def share(self) -> int:
        """Return another descriptor of the memfd, the caller's to close."""
        return os.dup(self.fd)

    def hexdigest(self) -> str:
        """Return the sha256 of all that was added."""
        assert self._digest is not None
        return self._digest.hexdigest()

    def close(self) -> None:
        """Let go of everything."""
        self._chunks = []
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _open(self) -> None:
        if self.fd < 0:
            self.fd = os.memfd_create("faas-body", os.MFD_CLOEXEC)

    def _check(self, size: int) -> None:
        if size > self._limit_bytes:
            raise PayloadTooLarge(
                f"The body has {size / MIB:,.1f} MiB or more; this function may take "
                f"{self._limit_bytes // MIB:,} MiB (its `memory=`)."
            )


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
