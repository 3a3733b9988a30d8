"""Heads and chunks of HTTP/1.1 messages as bytes: what both sides write.

Sans-I/O. Nothing that comes from outside can start a second header line or a second message: a
CR, LF or NUL in a header is an error here, never on the wire (response splitting, RFC 9112
section 11.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

Headers = Sequence[tuple[bytes, bytes]]
Buffer = bytes | bytearray | memoryview

LAST_CHUNK = b"0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED_LINE = b"Transfer-Encoding: chunked\r\n"
JOIN_BELOW_BYTES = 64 * 1024
"""Pieces up to this size are copied into one write; larger ones are handed over as they are."""

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Header names that end at this hop (RFC 9110 section 7.6.1)."""


class IllegalHeader(ValueError):
    """A header name or value would break out of its line, or names what the server itself says."""


def _status_line(code: int) -> bytes:
    try:
        phrase = HTTPStatus(code).phrase
    except ValueError:
        phrase = {499: "Client Closed Request"}.get(code, "Status")
    return f"HTTP/1.1 {code} {phrase}".encode("ascii")


STATUS_LINES: dict[int, bytes] = {code: _status_line(code) for code in range(100, 600)}
BODYLESS_STATUSES = frozenset({*range(100, 200), 204, 304})


_USUALLY_WITH_BODY = frozenset({b"POST", b"PUT", b"PATCH"})


def encode_head(first_line: bytes, headers: Headers, first_lines: int = 1) -> bytes:
    """Return the first line and all headers, each ended by CRLF, without the empty line.

    Args:
        first_line: Without its CRLF.
        headers: Names and values.
        first_lines: How many lines `first_line` is made of.

    Raises:
        IllegalHeader: A name or value holds CR, LF or NUL.
    """
    head = b"\r\n".join([first_line, *map(b": ".join, headers), b""])
    lines = len(headers) + first_lines
    if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head:
        raise IllegalHeader("a header holds a line break or a NUL")
    return head


def encode_chunk(data: Buffer) -> bytes:
    """Return one chunk of a chunked body, framing included; `data` must not be empty."""
    return b"".join((b"%x\r\n" % len(data), data, b"\r\n"))


def end_to_end(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return the headers that a proxy passes on: hop-by-hop ones and those they name left out.

    `Content-Length` is left out too: whoever writes the next head frames the body itself.
    """
    dropped: set[bytes] = set()
    for name, value in headers:
        if name == b"connection":
            dropped.update(token.strip().lower() for token in value.split(b","))
    return [
        pair
        for pair in headers
        if pair[0] not in HOP_BY_HOP and pair[0] != b"content-length" and pair[0] not in dropped
    ]


def encode_request(
    method: bytes,
    target: bytes,
    authority: bytes,
    headers: Headers,
    content_length: int | None = 0,
) -> bytes:
    """Return the whole head of a request, the empty line included.

    Args:
        method: Upper case.
        target: Path and query, percent-encoded.
        authority: Value of Host.
        headers: Without Host and framing.
        content_length: Bytes of the body that follows; None announces chunks. Zero is said only
            for methods that usually have a body.

    Raises:
        IllegalHeader: A space, line break or NUL where there may be none.
    """
    if b" " in target or b" " in method:
        raise IllegalHeader("a request target holds a space")
    head = encode_head(b"%b %b HTTP/1.1\r\nHost: %b" % (method, target, authority), headers, 2)
    if content_length is None:
        return b"%b%b\r\n" % (head, CHUNKED_LINE)
    if content_length or method in _USUALLY_WITH_BODY:
        return b"%bContent-Length: %d\r\n\r\n" % (head, content_length)
    return head + b"\r\n"


def as_pairs(headers: Headers | Mapping[str, str]) -> Headers:
    """Return headers given as text the way they are written."""
    if isinstance(headers, Mapping):
        return [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]
    return headers
