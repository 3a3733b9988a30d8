"""Errors as HTTP answers: RFC 9457 problem documents, the same from every process."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from jupyter_faas.core.errors import (
    CapacityError,
    FaasError,
    InternalError,
    from_problem,
    status_of,
    to_problem,
)

CONTENT_TYPE = b"application/problem+json"


def problem_answer(error: FaasError) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers (type, fault, `Retry-After` for capacity) and body of an error."""
    headers = [(b"Content-Type", CONTENT_TYPE), (b"Faas-Fault", error.fault.encode())]
    if isinstance(error, CapacityError):
        headers.append((b"Retry-After", b"%d" % max(1, math.ceil(error.retry_after_s))))
    return status_of(error), headers, msgspec.json.encode(to_problem(error), enc_hook=str)


def read_problem(status: int, body: bytes | bytearray | memoryview) -> FaasError:
    """Rebuild the error of an answer; one that is no problem document becomes `InternalError`."""
    try:
        problem: Any = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        problem = None
    if isinstance(problem, dict) and "code" in problem:
        return from_problem(problem)
    text = bytes(body[:500]).decode("utf-8", "replace")
    return InternalError(f"HTTP {status} without a problem document: {text!r}", status=status)
