"""One chunk under way: takes what its worker says and tells it to the map's table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from jupyter_faas.core.batch import DONE, GIVEN_BACK, RAISED, STARTED, Head
from jupyter_faas.core.chunks import Given
from jupyter_faas.core.errors import (
    CapacityError,
    FaasError,
    GatewayUnavailable,
    InvocationCancelled,
    InvocationTimeout,
    PayloadTooLarge,
    QueueFull,
    to_problem,
)
from jupyter_faas.core.sections import Buffer
from jupyter_faas.execution.failure import Fault
from jupyter_faas.fanout.base import Backend, Errand
from jupyter_faas.fanout.pace import share_busy

if TYPE_CHECKING:
    from jupyter_faas.fanout.run import Run

_encode = msgspec.msgpack.Encoder().encode


class Flight:
    """One chunk at a worker.

    Args:
        run: Whose chunk it is.
        given: The chunk.
        backend: Where it is.
    """

    def __init__(self, run: Run, given: Given, backend: Backend) -> None:
        self._run = run
        self.chunk = given.chunk
        self.backend = backend
        self._is_metered = backend.is_metered
        self.sent_s = run.now_s()
        self.busy_s = 0.0
        self._worked_s = 0.0
        self._done_before = run.chunks.done
        self.errand: Errand | None = None

    def share_busy(self, now_s: float) -> float:
        """Return how much of its time the worker has worked on the chunk, 0 to 1."""
        since_s = None if self.chunk.running is None else self.chunk.since_s
        return share_busy(self.sent_s, self.busy_s, since_s, now_s)

    def cancel(self) -> None:
        """End its code."""
        self._spend_running()
        if self.errand is not None:
            self.errand.cancel()

    def on_batch(self, head: Head, payloads: Sequence[Buffer]) -> None:
        """Something is said about items."""
        run, chunk = self._run, self.chunk
        chunks, now_s = run.chunks, run.now_s()
        back: list[int] = []
        for index, kind, payload in zip(head.indices, head.kinds, payloads, strict=True):
            if kind == DONE:
                chunks.finish(chunk, index, payload, now_s)
            elif kind == STARTED:
                chunks.start(chunk, index, now_s)
            elif kind == RAISED:
                chunks.fail(chunk, index, payload, now_s)
            elif kind == GIVEN_BACK:
                back.append(index)
        if back:
            chunks.give_back(chunk, back)
        self._worked_s += head.busy_s
        self.busy_s += head.busy_s
        self._spend(head.busy_s, head.cpu_s)
        run.crowd.saw(head.busy_s, head.cpu_s)
        run.pump()

    def on_log(self, stream: int, text: Buffer) -> None:
        """The running item has printed."""
        index = self.chunk.running
        if index is None:
            index = next(iter(self.chunk.items), 0)
        self._run.log(index, stream, text, is_heard=self._is_metered)

    def on_end(self, error: FaasError | None, traceback: str = "") -> None:
        """The worker is done with the chunk, or it was ended while an item ran."""
        run, chunk = self._run, self.chunk
        run.landed(self)
        if error is not None and (chunk.items or not chunk.done):
            self._spend_running()
            index = chunk.running
            if index is None and isinstance(error, InvocationTimeout | InvocationCancelled):
                index = next(iter(chunk.items), None)
            if index is None:
                run.chunks.refuse(chunk)
                run.fail(error)
                return
            payload = error_body(error, traceback)
            run.chunks.fail(chunk, index, payload, run.now_s(), may_retry=False)
        run.chunks.end(chunk, self._worked_s)
        run.pump()

    def on_refused(self, error: FaasError) -> None:
        """Nothing of the chunk has run."""
        run, chunk = self._run, self.chunk
        run.landed(self)
        if isinstance(error, PayloadTooLarge) and len(chunk.items) == 1:
            index = next(iter(chunk.items))
            run.chunks.fail(chunk, index, error_body(error), run.now_s(), may_retry=False)
            run.chunks.end(chunk, 0.0)
            run.pump()
            return
        run.chunks.refuse(chunk)
        has_progress = run.chunks.done > self._done_before or run.in_flight > 0
        is_soon = has_progress or isinstance(error, QueueFull | GatewayUnavailable)
        if isinstance(error, CapacityError) and is_soon:
            run.wait(min(error.retry_after_s, 2.0))
        else:
            run.fail(error)

    def on_died(self, error: FaasError, *, is_own: bool, is_told: bool = False) -> None:
        """The worker is gone."""
        run = self._run
        self._spend_running()
        run.landed(self)
        run.chunks.die(self.chunk, error_body(error), is_own=is_own, is_told=is_told)
        run.pump()

    def _spend(self, busy_s: float, cpu_s: float = 0.0) -> None:
        if not self._is_metered:
            self._run.spend(busy_s, cpu_s)

    def _spend_running(self) -> None:
        """The item that runs is ended: nobody else says how long it ran."""
        if self.chunk.running is not None:
            self._spend(max(0.0, self._run.now_s() - self.chunk.since_s))


def error_body(error: FaasError, traceback: str = "") -> bytes:
    """Return the payload of an item that failed by no exception of its own."""
    return _encode(Fault(to_problem(error), None, traceback))
