"""Frames: the one binary envelope between worker and front, and in framed HTTP answers.

A frame is a 16-byte header and a body:

    kind u8 · stream u8 · flags u16 · tag u32 · length u64     (little endian)

`tag` names a call on a multiplexed channel (0 in an HTTP answer). `stream` is 1 stdout, 2 stderr,
3 display for LOG. Sans-I/O: `FrameReader` is fed bytes and gives whole frames; a large body is
handed out as it is, without being joined twice.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

HEADER = struct.Struct("<BBHIQ")
MAX_FRAME_BYTES = 1 << 40

STDOUT, STDERR, DISPLAY = 1, 2, 3
CONTENT_TYPE = "application/vnd.faas.pickle"


class FrameKind(IntEnum):
    """What a frame says. 1-15 towards the worker, 16-31 towards the caller, 32- about a replica."""

    CALL = 1
    CANCEL = 2
    CREDIT = 3
    LOG = 16
    ITEM = 17
    RESULT = 18
    ERROR = 19
    END = 20
    ENDED = 32
    STATE = 33
    USAGE = 34


class Frame(NamedTuple):
    """One frame. `body` may be a memoryview on memory that stays valid as long as it is held."""

    kind: int
    body: bytes | bytearray | memoryview = b""
    tag: int = 0
    stream: int = 0
    flags: int = 0


class FrameError(ValueError):
    """The bytes are no frames, or one is larger than the reader accepts."""


def encode_header(
    kind: int, length: int, *, tag: int = 0, stream: int = 0, flags: int = 0
) -> bytes:
    """Return the 16 header bytes of a frame whose body has `length` bytes."""
    return HEADER.pack(kind, stream, flags, tag, length)


def encode(frame: Frame) -> bytes:
    """Return header and body joined; for small bodies only (it copies)."""
    head = HEADER.pack(frame.kind, frame.stream, frame.flags, frame.tag, len(frame.body))
    return head + frame.body


class FrameReader:
    """Cuts a byte stream into frames.

    Args:
        max_bytes: Largest body accepted; more is a `FrameError`, before it is buffered.
    """

    def __init__(self, max_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._need = HEADER.size

    @property
    def is_empty(self) -> bool:
        """Whether the stream may end here: no part of a frame is held."""
        return not self._buffer

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[Frame]:
        """Yield every frame that is complete with `data`.

        Raises:
            FrameError: A header announces more than `max_bytes`.
        """
        self._buffer += data
        if len(self._buffer) < self._need:
            return
        start = 0
        while len(self._buffer) - start >= HEADER.size:
            kind, stream, flags, tag, length = HEADER.unpack_from(self._buffer, start)
            if length > self._max_bytes:
                raise FrameError(f"a frame of {length} bytes; at most {self._max_bytes} accepted")
            end = start + HEADER.size + length
            if end > len(self._buffer):
                break
            body = bytes(memoryview(self._buffer)[start + HEADER.size : end])
            yield Frame(kind, body, tag, stream, flags)
            start = end
        rest = len(self._buffer) - start
        self._need = HEADER.size
        if rest >= HEADER.size:
            self._need += HEADER.unpack_from(self._buffer, start)[4]
        del self._buffer[:start]
