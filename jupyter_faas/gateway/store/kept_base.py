"""The protocol of a store of kept calls, and its values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

Owns = Callable[[str, str], bool]

QUEUED, STARTED, ENDED = range(3)
"""Not begun; its code may have begun; its answer is known."""


class KeptCall(msgspec.Struct, frozen=True):
    """What was accepted, less its body."""

    id: str
    namespace: str
    function: str
    accepted_at: float
    """Wall clock, seconds since the epoch."""
    headers: list[tuple[bytes, bytes]] = []
    """Of the request, those that mean something later; names in lower case."""
    deadline_at: float = 0.0
    """Wall clock; 0: none."""
    callback_url: str = ""
    key: str = ""
    """`Idempotency-Key`: the same again is this call."""


class KeptAnswer(msgspec.Struct, frozen=True):
    """How a kept call ended."""

    status: int
    headers: list[tuple[bytes, bytes]]
    """For whoever asks, without framing."""
    body: bytes
    ended_at: float


class Known(NamedTuple):
    """A kept call as the store has it."""

    call: KeptCall
    state: int


class Taken(NamedTuple):
    """What has been taken over."""

    calls: list[Known]
    """Oldest first."""
    is_more: bool
    """Another gateway has some of these functions, and may let go of them or end."""


class KeptStore(Protocol):
    """Keeps calls until some time after they have ended. Everything is durable when it returns.

    Each call that has not ended is held by one gateway, or by none: that one alone may begin and
    end it. Raises `ProviderError` when the medium fails; what was asked for is then not done.
    """

    is_shared: bool
    """Other gateways have it too."""

    async def add(self, call: KeptCall, body: bytes) -> str:
        """Keep a call, held here; return its id, or that of the one with the same key.

        Raises:
            BadRequest: Another call has this id.
        """

    async def note_started(self, id: str) -> bool:
        """Note that the code of a call may begin from now on; False: it is held elsewhere."""

    async def end(self, id: str, answer: KeptAnswer, *, is_told: bool) -> bool:
        """Keep how a call has ended; False: it is held elsewhere.

        `is_told`: nobody is to be called back about it.
        """

    async def note_told(self, id: str) -> None:
        """Note that who wanted to be called back has been."""

    async def find(self, id: str) -> Known | None:
        """Return a call."""

    async def body(self, id: str) -> bytes | None:
        """Return the body of a call that has not ended."""

    async def answer(self, id: str) -> KeptAnswer | None:
        """Return how a call has ended."""

    async def take(self, owns: Owns, *, again: bool = False) -> Taken:
        """Take over what has not ended, or is to be told of, and nobody holds who is there.

        Args:
            owns: Whether calls of a function (namespace, name) are wanted.
            again: Also what is held here already: what was taken last was not heard.
        """

    async def let_go(self, ids: Sequence[str]) -> None:
        """Hold these no longer."""

    async def drop(self, ended_before: float) -> int:
        """Forget what has ended before a moment; return how many."""
