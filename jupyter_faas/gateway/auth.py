"""Who may do what with a bearer token.

`Judge` is what the gateway asks; there are two. Embedded (`Authority`) there are two tokens: the
user's, and one derived from it that replicas have in their environment and that opens invocation
paths alone. On a cluster RBAC decides (`cluster_auth.py`). Comparison takes the same time for any
wrong token of one length. Tokens are never logged nor put in an error.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable
from enum import IntEnum
from typing import Protocol

from jupyter_faas.core.errors import FaasError, Forbidden, Unauthorized
from jupyter_faas.gateway.acts import Act


class Pass:
    """What a judge has allowed, for as long as it holds without asking again.

    The judge moves `until_s` when it has asked again, so whoever keeps a pass need only look.

    Attributes:
        until_s: Monotonic seconds.
    """

    __slots__ = ("until_s",)

    def __init__(self, until_s: float) -> None:
        self.until_s = until_s


ALWAYS = Pass(float("inf"))
NEVER = Pass(float("-inf"))


class Judge(Protocol):
    """Decides what the bearer of a token may do."""

    is_namespaced: bool
    """What one may do differs by namespace: nothing of another one may be shown."""

    def judge(self, header: bytes | None, act: Act) -> Pass | None:
        """Return a pass for an act; None: not known yet, `review` finds out.

        Args:
            header: Value of `Authorization`; None: there was none.
            act: What is to be done.

        Raises:
            Unauthorized: No token, or one that is not known here.
            Forbidden: It may not; the sentence says what is missing.
        """

    def review(self, header: bytes | None, act: Act) -> Awaitable[Pass]:
        """Find out what `judge` did not know; raises what it raises.

        Raises:
            GatewayUnavailable: It cannot be found out now.
        """

    def call_token(self, namespace: str) -> str:
        """Return the token for replicas of a namespace: it calls functions and nothing else."""

    async def close(self) -> None:
        """Ask nobody any more."""


class Grant(IntEnum):
    """What a token of the embedded gateway opens; a higher grant includes the lower ones."""

    NONE = 0
    CALLS = 1
    ALL = 2


def call_token(token: str) -> str:
    """Return the call-only token that belongs to a user's token; the same after a restart."""
    return hmac.new(token.encode(), b"faas: calls only", hashlib.sha256).hexdigest()


def no_token() -> Unauthorized:
    """Return what somebody is told who sends no token."""
    return Unauthorized(
        "No token: send `Authorization: Bearer …`; `jupyter-faas auth-header` prints it."
    )


def calls_only() -> Forbidden:
    """Return what the bearer of a call token is told who wants more."""
    return Forbidden("This token may call functions and nothing else.")


class Authority:
    """Judges `Authorization` headers of one embedded gateway; knows every answer at once.

    Args:
        token: The user's bearer token, not empty.
    """

    __slots__ = ("_all", "_calls", "calls_token")
    is_namespaced = False

    def __init__(self, token: str) -> None:
        self.calls_token = call_token(token)
        self._all = token.encode()
        self._calls = self.calls_token.encode()

    def judge(self, header: bytes | None, act: Act) -> Pass:
        """Return a pass; see `Judge`."""
        refusal = self.refusal(header, Grant.CALLS if act.is_call else Grant.ALL)
        if refusal is not None:
            raise refusal
        return ALWAYS

    async def review(self, header: bytes | None, act: Act) -> Pass:
        """Return what `judge` says: it knows everything."""
        return self.judge(header, act)

    def call_token(self, namespace: str) -> str:
        """Return the one call token there is: it is good for every namespace here."""
        return self.calls_token

    async def close(self) -> None:
        """Nothing is open."""

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
            return calls_only()
        if header is None:
            return no_token()
        return Unauthorized("The token is wrong; `jupyter-faas auth-header` prints the right one.")
