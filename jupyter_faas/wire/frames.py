"""Frames: the one binary envelope between worker and front, and in framed HTTP answers.

A frame is a 16-byte header and a body:

    kind u8 · stream u8 · flags u16 · tag u32 · length u64     (little endian)

`tag` names a call on a multiplexed channel (0 in an HTTP answer). `stream` is 1 stdout, 2 stderr,
3 display for LOG. Sans-I/O: `FrameReader` is fed bytes and gives whole frames; a large body is
copied once, into the memory that is handed out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

HEADER = struct.Struct("<BBHIQ")
MAX_FRAME_BYTES = 1 << 40
_LARGE_BYTES = 64 * 1024

STDOUT, STDERR, DISPLAY = 1, 2, 3
CRASH = 4
"""Of a chunk's answer: the dump of a crash, for the function's log where nobody else has it."""
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
    PROGRESS = 21
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

    A small body is `bytes`. A large one is copied once, as it arrives, into a `bytearray` of its
    own that is then handed out: nothing is allocated because a header merely announces it.

    Args:
        max_bytes: Largest body accepted; more is a `FrameError`, before it is buffered.
    """

    __slots__ = ("_body", "_header", "_held", "_max_bytes")

    def __init__(self, max_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max_bytes = max_bytes
        self._held = b""  # the beginning of a small frame
        self._header: tuple[int, int, int, int, int] | None = None  # of the large one coming in
        self._body = bytearray()

    @property
    def is_empty(self) -> bool:
        """Whether the stream may end here: no part of a frame is held."""
        return not self._held and self._header is None

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[Frame]:
        """Yield every frame that is complete with `data`; iterate to the end before the next feed.

        Raises:
            FrameError: A header announces more than `max_bytes`.
        """
        at = 0
        if self._header is not None:
            at = self._fill(data, 0)
            if len(self._body) < self._header[4]:
                return
            yield self._take_large()
        elif self._held:
            data, self._held = self._held + data, b""
        size = len(data)
        while size - at >= HEADER.size:
            kind, stream, flags, tag, length = header = HEADER.unpack_from(data, at)
            if length > self._max_bytes:
                raise FrameError(f"a frame of {length} bytes; at most {self._max_bytes} accepted")
            end = at + HEADER.size + length
            if end <= size:
                yield Frame(kind, bytes(data[at + HEADER.size : end]), tag, stream, flags)
                at = end
            elif length > _LARGE_BYTES:
                self._header = header
                self._fill(data, at + HEADER.size)
                return
            else:
                break
        if at < size:
            self._held = bytes(data[at:])

    def _fill(self, data: bytes | bytearray | memoryview, at: int) -> int:
        """Add to the large body what `data` has of it from `at`; return where that ends."""
        assert self._header is not None
        end = min(len(data), at + self._header[4] - len(self._body))
        self._body += data if at == 0 and end == len(data) else memoryview(data)[at:end]
        return end

    def _take_large(self) -> Frame:
        assert self._header is not None
        kind, stream, flags, tag, _ = self._header
        body, self._body, self._header = self._body, bytearray(), None
        return Frame(kind, body, tag, stream, flags)
