"""What the items of a kept map have printed: a file of LOG frames as they came, up to a bound.

The first of it is kept: what went wrong is mostly said early, and what has been read stays where
it was. What a crash has left of a last frame is cut off when the file is opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from jupyter_faas.core.sections import Buffer
from jupyter_faas.wire.frames import HEADER, STDERR, FrameKind, encode_header

MOST_BYTES = 4 << 20
FULL = b"\n(More was printed than the 4 MiB that are kept of a map.)\n"


class Printed(NamedTuple):
    """One frame of the file."""

    item: int
    """Index of the item that printed it."""
    frame: bytes
    end: int
    """Where the next one begins."""


class Prints:
    """One file.

    Args:
        path: Made if it is not there.
        most_bytes: So much of it is kept.
    """

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._most = most_bytes
        self._end = self.found_size = os.fstat(self._fd).st_size
        """Bytes the file had when it was opened, a torn last frame included."""
        self._end = max((one.end for one in self.since(0)), default=0)
        os.ftruncate(self._fd, self._end)

    @property
    def size(self) -> int:
        """Bytes of all frames."""
        return self._end

    def raw(self, at: int, length: int) -> bytes:
        """Return a piece of the file that is there."""
        return os.pread(self._fd, length, at)

    @property
    def is_full(self) -> bool:
        """Whether nothing more is kept."""
        return self._end >= self._most

    def add(self, parts: Sequence[Buffer]) -> None:
        """Append a LOG frame, or, the first time there is no room for one, that this is so."""
        if self.is_full:
            return
        frame = b"".join(parts)
        if self._end + len(frame) > self._most:
            tag = HEADER.unpack_from(frame)[3]
            frame = encode_header(FrameKind.LOG, len(FULL), stream=STDERR, tag=tag) + FULL
            self._most = self._end
        os.pwrite(self._fd, frame, self._end)
        self._end += len(frame)

    def since(self, offset: int) -> Iterator[Printed]:
        """Yield the frames from an offset on."""
        while offset + HEADER.size <= self._end:
            _, _, _, tag, length = HEADER.unpack(os.pread(self._fd, HEADER.size, offset))
            end = offset + HEADER.size + length
            if end > self._end:
                return
            yield Printed(max(0, tag - 1), os.pread(self._fd, end - offset, offset), end)
            offset = end

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
