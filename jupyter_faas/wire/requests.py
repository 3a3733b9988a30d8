"""Judging the head of a request: pure decisions of the server side.

llhttp (httptools) has already refused what is not HTTP/1.x to the letter: bare LF, folded lines,
NUL or space in names, Content-Length together with Transfer-Encoding, signs and lists in
Content-Length. What is judged here is what llhttp leaves to its user.
"""

from __future__ import annotations

from typing import NamedTuple

from jupyter_faas.wire.heads import Headers

_TOLD = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect", b"connection"})


class BadHead(ValueError):
    """A request that is refused from its head: `status` and a sentence."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Framing(NamedTuple):
    """How long a request's body is, and whether its sender waits to be asked for it."""

    content_length: int | None
    is_chunked: bool
    expects_continue: bool


NO_BODY = Framing(None, False, False)


def told(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return the few headers that say how a request is to be read."""
    return [pair for pair in headers if pair[0] in _TOLD]


def framing(told: Headers, version: str) -> Framing:
    """Return how the body of a request is framed (RFC 9112 section 6).

    Args:
        told: What `told` returned: names in lower case, as llhttp gave them.
        version: `1.0` or `1.1`.

    Raises:
        BadHead: Another version, no or two Host headers on 1.1, a transfer coding other than
            `chunked`, or any on 1.0 (a smuggling vector, RFC 9112 section 6.1).
    """
    if version not in {"1.0", "1.1"}:
        raise BadHead(505, f"HTTP/{version} is not spoken here; HTTP/1.1 is.")
    hosts = sum(1 for name, _ in told if name == b"host")
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        raise BadHead(400, f"A request has one Host header; this one has {hosts}.")
    length, is_chunked, expects = None, False, False
    for name, value in told:
        if name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            is_chunked = _is_chunked(value, version)
        elif name == b"expect":
            expects = version == "1.1" and value.strip().lower() == b"100-continue"
    return Framing(length, is_chunked, expects)


def _is_chunked(value: bytes, version: str) -> bool:
    if version == "1.0":
        raise BadHead(400, "HTTP/1.0 has no Transfer-Encoding.")
    if value.strip().lower() != b"chunked":
        raise BadHead(501, "The only transfer coding understood is `chunked`.")
    return True


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Return (path, query) of a request target, percent-encoding left as it came.

    An absolute-form target (what a proxy gets) is reduced to its path; `*` stays.

    Raises:
        BadHead: Neither of these forms, or it holds a fragment.
    """
    if b"#" in target:
        raise BadHead(400, "A request target has no fragment.")
    if not target.startswith(b"/") and target != b"*":
        target = _origin_form(target)
    path, _, query = target.partition(b"?")
    return path, query


def _origin_form(target: bytes) -> bytes:
    scheme, found, rest = target.partition(b"://")
    if not found or scheme.lower() not in {b"http", b"https"}:
        raise BadHead(400, "A request target starts with `/`.")
    authority_ends = min((i for i in (rest.find(b"/"), rest.find(b"?")) if i >= 0), default=-1)
    if authority_ends < 0:
        return b"/"
    origin = rest[authority_ends:]
    return origin if origin.startswith(b"/") else b"/" + origin
