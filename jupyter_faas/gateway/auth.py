"""Who may do what with a bearer token: everything, calls only, or nothing.

Embedded there are two tokens: the user's, and one derived from it that replicas have in their
environment and that opens invocation paths alone. Comparison takes the same time for any wrong
token of one length. Tokens are never logged nor put in an error.
"""

from __future__ import annotations

import hashlib
import hmac
from enum import IntEnum

from jupyter_faas.core.errors import FaasError, Forbidden, Unauthorized


class Grant(IntEnum):
    """What a token opens; a higher grant includes the lower ones."""

    NONE = 0
    CALLS = 1
    ALL = 2


def call_token(token: str) -> str:
    """Return the call-only token that belongs to a user's token; the same after a restart."""
    return hmac.new(token.encode(), b"faas: calls only", hashlib.sha256).hexdigest()


class Authority:
    """Judges `Authorization` headers of one gateway.

    Args:
        token: The user's bearer token, not empty.
    """

    __slots__ = ("_all", "_calls", "calls_token")

    def __init__(self, token: str) -> None:
        self.calls_token = call_token(token)
        self._all = token.encode()
        self._calls = self.calls_token.encode()

    def grant(self, header: bytes | None) -> Grant:
        """Return what the value of an `Authorization` header opens."""
        if header is None or header[:7].lower() != b"bearer ":
            return Grant.NONE
        token = header[7:].strip()
        if hmac.compare_digest(token, self._all):
            return Grant.ALL
        if hmac.compare_digest(token, self._calls):
            return Grant.CALLS
        return Grant.NONE

    def refusal(self, header: bytes | None, wanted: Grant) -> FaasError | None:
        """Return why a header does not open what needs `wanted`; None: it does."""
        grant = self.grant(header)
        if grant >= wanted:
            return None
        if grant is Grant.CALLS:
            return Forbidden("This token may call functions and nothing else.")
        if header is None:
            return Unauthorized(
                "No token: send `Authorization: Bearer …`; `jupyter-faas auth-header` prints it."
            )
        return Unauthorized("The token is wrong; `jupyter-faas auth-header` prints the right one.")
