"""Heads of proxied calls, both ways, as plain functions on header lists.

Towards the front only what it reads is sent: credentials, cookies and hop-by-hop headers never
reach a function (RFC 9110 section 7.6.1). Towards the caller nothing that came from a replica is
trusted: internal and hop-by-hop headers are dropped, the rest is bounded.
"""

from __future__ import annotations

from typing import NamedTuple

from jupyter_faas.core.errors import BadRequest
from jupyter_faas.core.names import is_invocation_id
from jupyter_faas.wire import detail

_MOST_ANCESTRY_BYTES = 2048
MAX_DEADLINE_MS = 7 * 24 * 3_600_000
"""A week; longer deadlines are cut to it."""

MAX_ANSWER_HEADERS = 64
MAX_ANSWER_HEADER_BYTES = 16 * 1024

_FORWARDED = (
    (b"content-type", b"Content-Type: %b\r\n"),
    (b"accept", b"Accept: %b\r\n"),
    (b"faas-method", b"Faas-Method: %b\r\n"),
    (b"traceparent", b"traceparent: %b\r\n"),
    (b"tracestate", b"tracestate: %b\r\n"),
    (b"content-encoding", b"Content-Encoding: %b\r\n"),
)

_RUN_MS, _FAULT, _CODE, _DETAIL, _RUNNING, _BUSY, _CONNECTION, _DROP = range(1, 9)
_MEANING = {
    b"faas-run-ms": _RUN_MS,
    b"faas-fault": _FAULT,
    b"faas-code": _CODE,
    b"faas-detail": _DETAIL,
    b"faas-running": _RUNNING,
    b"faas-busy": _BUSY,
    b"connection": _CONNECTION,
} | dict.fromkeys(
    (
        b"content-length",
        b"transfer-encoding",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"upgrade",
        b"server",
        b"faas-secret",
        b"faas-invocation-id",
        b"faas-revision",
        b"faas-revision-id",
        b"faas-cold-start",
        b"faas-queue-ms",
    ),
    _DROP,
)
_FAULTS = frozenset((b"user", b"platform", b"capacity"))


def forwarded(headers: dict[bytes, bytes]) -> bytes:
    """Return the header lines of a call that the front is told."""
    lines = b""
    for name, pattern in _FORWARDED:
        value = headers.get(name)
        if value is not None:
            lines += pattern % value
    return lines


def deadline_ms(value: bytes) -> int:
    """Return the remaining time a caller gives, in milliseconds.

    Raises:
        BadRequest: It is no whole number of milliseconds.
    """
    text = value.strip()
    if not text.isdigit() or len(text) > 18:
        raise BadRequest("Faas-Deadline-Ms must be a whole number of milliseconds, 0 or more.")
    return min(int(text), MAX_DEADLINE_MS)


def depth(value: bytes) -> int:
    """Return how deep the call is nested that a caller makes this one in.

    Raises:
        BadRequest: It is no small number.
    """
    if not value.isdigit() or len(value) > 3:
        raise BadRequest("Faas-Depth must be a number of nested calls.")
    return int(value)


def ancestry(value: bytes) -> tuple[bytes, ...]:
    """Return the invocations that a call is made in, the nearest first.

    Raises:
        BadRequest: It is no list of ids.
    """
    if len(value) > _MOST_ANCESTRY_BYTES:
        raise BadRequest("Faas-Parent names too many invocations.")
    found = tuple(one.strip() for one in value.split(b","))
    for one in found:
        invocation_id(one)
    return found


def invocation_id(value: bytes) -> bytes:
    """Return the id a caller has chosen.

    Raises:
        BadRequest: It has characters that an id cannot have.
    """
    if not is_invocation_id(value.decode("latin-1")):
        raise BadRequest(
            "Faas-Invocation-Id must be 1 to 64 letters, digits, `.`, `_` or `-`, "
            "the first a letter or digit."
        )
    return value


def revision_number(value: bytes) -> int:
    """Return the revision a caller pins.

    Raises:
        BadRequest: It is no revision number.
    """
    if not value.isdigit() or not 0 < len(value) < 10:
        raise BadRequest("Faas-Revision and Faas-Seen must be a revision's number: 1, 2, 3 …")
    return int(value)


class Answer(NamedTuple):
    """What a front's answer head says, checked."""

    lines: bytes
    """Header lines for the caller: end to end, without the ones the gateway writes itself."""
    run_ms: float = -1.0
    """How long the code ran; -1: not said."""
    fault: str = ""
    code: str = ""
    """Error code of a failure, if said."""
    is_running: bool = False
    """The code has not ended with this answer; ENDED will say when."""
    is_busy: bool = False
    detail: str = ""
    """What a failure was, if said: a sentence, then a traceback."""


def read_answer(headers: list[tuple[bytes, bytes]]) -> Answer:
    """Sort the headers of a front's answer into what is meant for whom.

    Args:
        headers: Names in lower case, values without line breaks (the parser sees to both).
    """
    kept: list[tuple[bytes, bytes]] = []
    run_ms, fault, is_running, is_busy = -1.0, "", False, False
    said: dict[int, bytes] = {}
    for pair in headers:
        name, value = pair
        meaning = _MEANING.get(name)
        if meaning is None:
            kept.append(pair)
        elif meaning == _RUN_MS:
            run_ms = _milliseconds(value)
        elif meaning == _FAULT:
            fault = value.decode() if value in _FAULTS else "platform"
        elif meaning == _RUNNING:
            is_running = value == b"1"
        elif meaning == _BUSY:
            is_busy = value == b"1"
        else:
            said[meaning] = value
    if named := said.get(_CONNECTION):
        kept = _without(kept, named)
    code = said.get(_CODE, b"")[:64].decode("ascii", "replace")
    why = detail.read(said[_DETAIL]) if _DETAIL in said else ""
    return Answer(_lines(kept), run_ms, fault, code, is_running, is_busy, why)


def _without(headers: list[tuple[bytes, bytes]], connection: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers without those that the value of `Connection` declares hop-by-hop."""
    named = {word.strip().lower() for word in connection.split(b",")}
    return [pair for pair in headers if pair[0] not in named]


def _lines(headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return the header lines, as many as fit the limits."""
    if len(headers) == 1 and len(headers[0][1]) < 1024:
        return b"%b: %b\r\n" % headers[0]
    lines, size = [], 0
    for pair in headers[:MAX_ANSWER_HEADERS]:
        line = b"%b: %b\r\n" % pair
        size += len(line)
        if size > MAX_ANSWER_HEADER_BYTES:
            break
        lines.append(line)
    return b"".join(lines)


def _milliseconds(value: bytes) -> float:
    try:
        number = float(value[:32])
    except ValueError:
        return -1.0
    return number if 0.0 <= number < 1e12 else -1.0
