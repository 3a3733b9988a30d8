"""An append-only file of numbered bodies: what a kept map was given, and what came of it.

    index u64 · kind u8 · 7 × 0 · length u64 · body

Written by one process. What a crash has left of a last record is cut off when the file is opened.
Where each index lies is kept in memory, 8 bytes for each; the newest record of an index counts.
"""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from jupyter_faas.core.sections import Buffer

_HEAD = struct.Struct("<QB7xQ")
GONE = 255
"""Kind of a record that takes an earlier one of its index back."""
_TOGETHER_BYTES = 1 << 20
"""So much is copied to be written at once."""


class Record(NamedTuple):
    """One body, and the index it has."""

    at: int
    kind: int
    body: bytes


class Ledger:
    """One file.

    Args:
        path: Made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._at: array[int] = array("Q")  # offset + 1 by index; 0: there is none
        self._kinds = bytearray()
        self._ever = bytearray()  # a bit for each kind of record that an index has ever had
        self._numbers = [0] * 256  # of indices, by the kind of their record
        self._ever_numbers = [0] * 256  # by those bits
        self._end = 0
        self._is_dirty = False
        self.count = 0
        """Indices that have a record."""
        self.found_size = os.fstat(self._fd).st_size
        """Bytes the file had when it was opened, a torn last record included."""
        self._scan()

    @property
    def size(self) -> int:
        """Bytes of all records."""
        return self._end

    def raw(self, at: int, length: int) -> bytes:
        """Return a piece of the file that is there."""
        return self._pread(length, at)

    def __contains__(self, index: int) -> bool:
        return index < len(self._at) and self._at[index] > 0

    def __len__(self) -> int:
        """One more than the largest index that was ever written."""
        return len(self._at)

    def kind(self, index: int) -> int:
        """Return the kind of a record that is there."""
        return self._kinds[index]

    def ever(self, *kinds: int) -> int:
        """Return how many indices have, or had, a record of one of some kinds, below 8."""
        wanted = sum(1 << kind for kind in kinds)
        return sum(number for bits, number in enumerate(self._ever_numbers) if bits & wanted)

    def number(self, kind: int) -> int:
        """Return how many indices have a record of a kind."""
        return self._numbers[kind]

    def of_kind(self, kind: int) -> Iterator[int]:
        """Yield the indices whose record is of a kind, in order."""
        for index in range(len(self._at)):
            if self._at[index] and self._kinds[index] == kind:
                yield index

    def add(self, index: int, kind: int, body: Buffer) -> None:
        """Append a record.

        Raises:
            OSError: The disk is full or gone.
        """
        self._append([_HEAD.pack(index, kind, len(body)), body])
        self._note(index, kind, self._end)
        self._end += _HEAD.size + len(body)

    def extend(self, records: Iterable[tuple[int, int, Buffer]]) -> None:
        """Append records (index, kind, body), with one write if they are small.

        Raises:
            OSError: The disk is full or gone.
        """
        told = list(records)
        if sum(len(body) for _, _, body in told) > _TOGETHER_BYTES:
            for index, kind, body in told:
                self.add(index, kind, body)
        elif told:
            parts: list[Buffer] = []
            for index, kind, body in told:
                parts += (_HEAD.pack(index, kind, len(body)), body)
            self._append([b"".join(parts)])
            for index, kind, body in told:
                self._note(index, kind, self._end)
                self._end += _HEAD.size + len(body)

    def read(self, index: int) -> Record:
        """Return a record that is there."""
        offset = self._at[index] - 1
        _, kind, length = _HEAD.unpack(os.pread(self._fd, _HEAD.size, offset))
        return Record(index, kind, self._pread(length, offset + _HEAD.size))

    def sync(self) -> None:
        """Have all that was added on the disk: a power cut does not undo it."""
        if self._is_dirty:
            os.fdatasync(self._fd)
            self._is_dirty = False

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _append(self, parts: list[Buffer]) -> None:
        size = sum(map(len, parts))
        sent = os.pwritev(self._fd, parts, self._end)
        while sent < size:  # a signal, or more than one call may write
            rest = b"".join(parts)[sent:]
            sent += os.pwrite(self._fd, rest, self._end + sent)
        self._is_dirty = True

    def _pread(self, length: int, offset: int) -> bytes:
        body = os.pread(self._fd, length, offset)
        while len(body) < length:
            more = os.pread(self._fd, length - len(body), offset + len(body))
            if not more:
                raise OSError("a ledger is shorter than it was")
            body += more
        return body

    def _note(self, index: int, kind: int, offset: int) -> None:
        while len(self._at) <= index:
            self._at.append(0)
            self._kinds.append(0)
            self._ever.append(0)
            self._ever_numbers[0] += 1
        was_there = self._at[index] > 0
        if was_there:
            self._numbers[self._kinds[index]] -= 1
        self._at[index] = 0 if kind == GONE else offset + 1
        self._kinds[index] = kind
        if kind != GONE:
            self._numbers[kind] += 1
            self._ever_numbers[self._ever[index]] -= 1
            self._ever[index] |= 1 << kind
            self._ever_numbers[self._ever[index]] += 1
        self.count += (kind != GONE) - was_there

    def _scan(self) -> None:
        size = os.fstat(self._fd).st_size
        offset = 0
        while offset + _HEAD.size <= size:
            index, kind, length = _HEAD.unpack(os.pread(self._fd, _HEAD.size, offset))
            if offset + _HEAD.size + length > size:
                break
            self._note(index, kind, offset)
            offset += _HEAD.size + length
        self._end = offset
        os.ftruncate(self._fd, offset)
