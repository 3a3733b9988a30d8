"""The protocol of a store of kept calls, and its values."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import msgspec

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


class KeptStore(Protocol):
    """Keeps calls until some time after they have ended. Everything is durable when it returns.

    Raises `ProviderError` when the medium fails; what was asked for is then not done.
    """

    async def add(self, call: KeptCall, body: bytes) -> str:
        """Keep a call; return its id, or that of the one with the same key.

        Raises:
            BadRequest: Another call has this id.
        """

    async def note_started(self, id: str) -> None:
        """Note that the code of a call may begin from now on."""

    async def end(self, id: str, answer: KeptAnswer, *, is_told: bool) -> None:
        """Keep how a call has ended; `is_told`: nobody is to be called back about it."""

    async def note_told(self, id: str) -> None:
        """Note that who wanted to be called back has been."""

    async def find(self, id: str) -> Known | None:
        """Return a call."""

    async def body(self, id: str) -> bytes | None:
        """Return the body of a call that has not ended."""

    async def answer(self, id: str) -> KeptAnswer | None:
        """Return how a call has ended."""

    async def unfinished(self) -> list[Known]:
        """Return the calls that have not ended or are to be told of, oldest first."""

    async def drop(self, ended_before: float) -> int:
        """Forget what has ended before a moment; return how many."""
