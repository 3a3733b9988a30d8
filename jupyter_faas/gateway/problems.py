"""Errors as answers of the gateway: the wire's problem documents, with the headers of its door."""

from __future__ import annotations

from jupyter_faas.core.errors import FaasError
from jupyter_faas.wire.problems import problem_answer

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]

_CHALLENGE = (b"WWW-Authenticate", b'Bearer realm="jupyter_faas"')
_ALLOWED = (b"Allow", b"POST")


def answer(error: FaasError, invocation_id: bytes | None = None) -> Answer:
    """Return status, headers and body that tell a caller of `error`.

    Args:
        error: Its `Retry-After`, fault and status go into the head.
        invocation_id: The invocation it ended, if there is one already.
    """
    if invocation_id is not None:
        error.invocation_id = invocation_id.decode("ascii")
    status, headers, body = problem_answer(error)
    if invocation_id is not None:
        headers.append((b"Faas-Invocation-Id", invocation_id))
    if status == 401:
        headers.append(_CHALLENGE)
    elif status == 405:
        headers.append(_ALLOWED)
    return status, headers, body
