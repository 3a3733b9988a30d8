"""Sections: how payloads and packages lie in bytes: large buffers are never joined or copied.

    b"FPL1" · u32 count · count × u64 length · then each section, every one on a 64-byte boundary

(little endian). Writers get a list of buffers to send in order, readers slice one buffer. The
alignment lets numpy use a received buffer in place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

Buffer = bytes | bytearray | memoryview

MAGIC = b"FPL1"
ALIGNMENT = 64
SMALL_BYTES = 64 * 1024
"""Up to this size all sections are joined into one buffer: fewer system calls."""

_COUNT = struct.Struct("<4sI")
_MAX_SECTIONS = 1 << 24
_ONE = struct.Struct("<4sIQ48x")
"""The head of a single section, up to its boundary."""


class SectionError(ValueError):
    """The bytes are no sections, or end too early."""


def pack(sections: Sequence[Sequence[Buffer]]) -> list[Buffer]:
    """Return the buffers to send, in order, for sections that are each given as chunks.

    Nothing large is copied: chunks are passed on as they are.
    """
    lengths = [sum(_size(chunk) for chunk in chunks) for chunks in sections]
    head = _COUNT.pack(MAGIC, len(lengths)) + struct.pack(f"<{len(lengths)}Q", *lengths)
    parts: list[Buffer] = [head + _padding(len(head))]
    for chunks, length in zip(sections, lengths, strict=True):
        parts.extend(chunk for chunk in chunks if _size(chunk))
        if padding := _padding(length):
            parts.append(padding)
    if sum(lengths) <= SMALL_BYTES:
        return [b"".join(parts)]
    return parts


def pack_small(section: bytes) -> list[Buffer]:
    """Return `pack([[section]])`, faster: for one small section."""
    size = len(section)
    return [b"".join((_ONE.pack(MAGIC, 1, size), section, _padding(size)))]


def unpack_small(source: Buffer) -> Buffer | None:
    """Return the one section of a source made by `pack_small`; None: it is something else."""
    size = len(source)
    if size < _ONE.size:
        return None
    magic, count, length = _ONE.unpack_from(source)
    if magic != MAGIC or count != 1 or _ONE.size + length > size:
        return None
    return source[_ONE.size : _ONE.size + length]


def unpack(source: Buffer) -> list[memoryview]:
    """Return views on the sections of `source`; they are as writable as it is.

    Raises:
        SectionError: Wrong magic, or fewer bytes than the head announces.
    """
    view = memoryview(source).cast("B")
    if len(view) < _COUNT.size:
        raise SectionError(f"{len(view)} bytes are no payload")
    magic, count = _COUNT.unpack_from(view)
    if magic != MAGIC or count > _MAX_SECTIONS or len(view) < _COUNT.size + 8 * count:
        raise SectionError(f"no payload: it starts with {bytes(view[:8])!r}")
    lengths = struct.unpack_from(f"<{count}Q", view, _COUNT.size)
    at = _aligned(_COUNT.size + 8 * count)
    sections = []
    for length in lengths:
        if at + length > len(view):
            raise SectionError(f"cut short: {at + length} bytes announced, {len(view)} there")
        sections.append(view[at : at + length])
        at = _aligned(at + length)
    return sections


def total_bytes(parts: Iterable[Buffer]) -> int:
    """Return how many bytes the parts have together."""
    return sum(_size(part) for part in parts)


def _size(chunk: Buffer) -> int:
    return chunk.nbytes if isinstance(chunk, memoryview) else len(chunk)


def _aligned(at: int) -> int:
    return -(-at // ALIGNMENT) * ALIGNMENT


def _padding(length: int) -> bytes:
    return bytes(-length % ALIGNMENT)
