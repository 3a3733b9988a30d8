"""Reading answers without a parser library: what the notebook's side of the wire needs.

Sans-I/O and strict: what is not exactly an HTTP/1.1 answer with a length or chunks is a
`BadAnswer`, never a guess. Small on purpose: importing the client imports this and no C extension.
"""

from __future__ import annotations

from typing import NamedTuple

from jupyter_faas.wire.heads import BODYLESS_STATUSES

MAX_HEAD_BYTES = 64 * 1024
_MAX_LINE_BYTES = 4096
_HEX_DIGITS = b"0123456789abcdefABCDEF"
_NOT_IN_NAMES = frozenset(' \t"(),/:;<=>?@[\\]{}\0')


class BadAnswer(ConnectionError):
    """The other side does not speak HTTP/1.1 as it must; the connection cannot be used on."""


class AnswerHead(NamedTuple):
    """Status, headers and framing of an answer."""

    status: int
    headers: dict[str, str]
    """Names in lower case; repeated ones joined by `, `."""
    content_length: int | None
    """Bytes of the body; None: chunks."""
    is_kept: bool
    """Whether the connection may be used again once the body has been read."""


def parse_answer_head(block: bytes, *, is_head_request: bool = False) -> AnswerHead:
    """Read the head of an answer.

    Args:
        block: Status line and header lines, without the empty line at the end.
        is_head_request: The answer has no body whatever it announces.

    Raises:
        BadAnswer: Malformed, or its body has neither a length nor chunks.
    """
    lines = block.decode("latin-1").split("\r\n")
    status, version = _status_line(lines[0])
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or "\n" in line or not _NOT_IN_NAMES.isdisjoint(name):
            raise BadAnswer(f"not a header line: {line[:80]!r}")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    options = headers.get("connection", "").lower()
    is_kept = "close" not in options and (version == "1" or "keep-alive" in options)
    if is_head_request or status in BODYLESS_STATUSES:
        return AnswerHead(status, headers, 0, is_kept)
    return AnswerHead(status, headers, _content_length(headers), is_kept)


def _status_line(line: str) -> tuple[int, str]:
    version, status = line[7:8], line[9:12]
    if line[:7] != "HTTP/1." or version not in {"0", "1"} or line[8:9] != " ":
        raise BadAnswer(f"not an HTTP/1.1 answer: {line[:80]!r}")
    if not (status.isascii() and status.isdigit()) or len(status) < 3 or line[12:13] not in "  ":
        raise BadAnswer(f"not a status line: {line[:80]!r}")
    return int(status), version


def _content_length(headers: dict[str, str]) -> int | None:
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if coding is not None:
        if length is not None or coding.lower() != "chunked":
            raise BadAnswer(f"framing not understood: length {length!r}, coding {coding!r}")
        return None
    if length is None or not (length.isascii() and length.isdigit()):
        raise BadAnswer(f"the answer has no usable length: {length!r}")
    return int(length)


class ChunkedDecoder:
    """Takes the chunk framing off a body (RFC 9112 section 7.1); trailers are dropped."""

    __slots__ = ("_held", "_left_bytes", "_reads", "is_complete", "rest")

    def __init__(self) -> None:
        self._held = b""  # the beginning of a line whose end is not here yet
        self._left_bytes = 0  # of the chunk being read
        self._reads = _SIZE
        self.is_complete = False
        self.rest = b""
        """What came after the body's end: nothing, if the other side behaves."""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the pieces of the body in `data`, not joined.

        Raises:
            BadAnswer: The framing is broken.
        """
        if self._held:
            data, self._held = self._held + data, b""
        pieces: list[bytes] = []
        at = 0
        while not self.is_complete and at < len(data):
            if self._reads == _BYTES:
                at = self._take_bytes(data, at, pieces)
                continue
            end = data.find(b"\r\n", at)
            if end < 0:
                self._hold(data[at:])
                return pieces
            self._take_line(data[at:end])
            at = end + 2
        if self.is_complete:
            self.rest += data[at:]
        return pieces

    def _take_bytes(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        end = min(len(data), at + self._left_bytes)
        pieces.append(data[at:end])
        self._left_bytes -= end - at
        if not self._left_bytes:
            self._reads = _BYTES_END
        return end

    def _take_line(self, line: bytes) -> None:
        if self._reads == _SIZE:
            size = line.partition(b";")[0].rstrip(b" \t")
            if not size or len(size) > 16 or size.strip(_HEX_DIGITS):
                raise BadAnswer(f"not a chunk size: {line[:40]!r}")
            self._left_bytes = int(size, 16)
            self._reads = _BYTES if self._left_bytes else _TRAILER
        elif self._reads == _BYTES_END:
            if line:
                raise BadAnswer("a chunk is longer than its size")
            self._reads = _SIZE
        elif not line:
            self.is_complete = True

    def _hold(self, data: bytes) -> None:
        limit = 1 if self._reads == _BYTES_END else _MAX_LINE_BYTES
        if len(data) > limit or (limit == 1 and data != b"\r"):
            raise BadAnswer("a line of the chunk framing does not end")
        self._held = data


_SIZE, _BYTES, _BYTES_END, _TRAILER = range(4)
