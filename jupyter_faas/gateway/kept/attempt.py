"""One attempt at running a kept call: out of the store, through `Calls`, its answer gathered."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from jupyter_faas.core.errors import (
    FaasError,
    InvocationTimeout,
    PayloadTooLarge,
    QueueFull,
    ReplicaLost,
    known,
)
from jupyter_faas.gateway import problems
from jupyter_faas.gateway.calls import Calls
from jupyter_faas.gateway.kept.exchange import KeptExchange, KeptInvocation
from jupyter_faas.gateway.store.kept_base import KeptAnswer, KeptCall, KeptStore


class House(Protocol):
    """Has the call, and hears what comes of the attempt."""

    def is_open(self, id: str) -> bool:
        """Whether the call is still this gateway's, and has not ended."""

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside."""

    def again(self, call: KeptCall, error: FaasError | None) -> None:
        """Nothing of it ran: it is tried again later."""

    def end(self, call: KeptCall, answer: KeptAnswer) -> None:
        """It has ended."""

    def forget(self, call: KeptCall) -> None:
        """Another gateway has it."""

    def on_handed_over(self, call: KeptCall) -> None:
        """It waited with `Calls` while its function became another gateway's."""


class Attempt:
    """See above.

    Args:
        call: The call.
        house: Is told what comes of it.
        store: Has the arguments, and is told that the code begins.
        calls: Runs it.
        max_answer_bytes: Largest answer kept.
        wall_clock: Seconds since the epoch.
    """

    def __init__(
        self,
        call: KeptCall,
        house: House,
        store: KeptStore,
        calls: Calls,
        *,
        max_answer_bytes: int,
        wall_clock: Callable[[], float],
    ) -> None:
        self._call = call
        self._house = house
        self._store = store
        self._calls = calls
        self._max_answer_bytes = max_answer_bytes
        self._wall_clock = wall_clock

    async def run(self) -> None:
        """Give the call to `Calls`; the house hears what comes of it."""
        call, house = self._call, self._house
        try:
            body = await self._store.body(call.id) or b""
        except Exception as error:
            # Also a defect: whoever waits for the call waits for this attempt.
            house.again(call, known(error))
            return
        if not house.is_open(call.id):
            return  # it has gone to another gateway meanwhile
        headers = [*call.headers, (b"faas-invocation-id", call.id.encode())]
        if call.deadline_at:
            left_ms = int((call.deadline_at - self._wall_clock()) * 1000)
            if left_ms <= 0:
                self._fail(InvocationTimeout("Its deadline passed while it waited."))
                return
            headers.append((b"faas-deadline-ms", b"%d" % left_ms))
        exchange = KeptExchange(
            headers,
            len(body),
            on_lease=lambda go: house.begin(self._note_start(go)),
            on_whole=self._on_whole,
            on_cut=lambda: self._fail(
                ReplicaLost("The answer broke off in the middle.", reason="cut")
            ),
            on_handed_over=lambda: house.on_handed_over(call),
        )
        try:
            self._calls.take_whole(exchange, body, call.namespace, call.function, KeptInvocation)
        except FaasError as error:
            self._on_whole(*problems.answer(error, call.id.encode()))

    async def _note_start(self, go: Callable[[], None]) -> None:
        call = self._call
        try:
            is_ours = await self._store.note_started(call.id)
        except Exception as error:
            why = known(error).detail
        else:
            if is_ours:
                go()
                return
            why = "another gateway has it"
            self._house.forget(call)
        invocation = self._calls.find(call.id)
        if invocation is not None:
            full = QueueFull(f"That the call begins cannot be stored: {why}")
            invocation.on_given_up(full)  # nothing was sent: it is tried again

    def _on_whole(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        is_room_missing = any(
            name.lower() == b"faas-fault" and value == b"capacity" for name, value in headers
        )
        if is_room_missing and self._house.is_open(self._call.id):
            self._house.again(self._call, None)
            return
        if len(body) > self._max_answer_bytes:
            status, headers, body = problems.answer(_too_large(body, self._max_answer_bytes))
        self._house.end(self._call, KeptAnswer(status, headers, body, self._wall_clock()))

    def _fail(self, error: FaasError) -> None:
        self._house.end(self._call, failure(self._call, error, self._wall_clock()))


def failure(call: KeptCall, error: FaasError, now: float) -> KeptAnswer:
    """Return the answer of a call that the gateway itself ends.

    Args:
        call: The call.
        error: Why.
        now: Seconds since the epoch.
    """
    return KeptAnswer(*problems.answer(error, call.id.encode()), now)


def _too_large(body: bytes, most: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"The answer has {len(body)} bytes and at most {most} are kept: have the function write it "
        "somewhere and return where, or wait for it with .remote()."
    )
