"""One map in the driver: inputs in, chunks out, outcomes back, with back-pressure on both sides.

Everything that happens (an input, a report, a timer, a reader that takes more) ends in `pump`: it
gives free slots their chunks and the caller its outcomes. What to do is said by `core/chunks.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec

from jupyter_faas.core import batch
from jupyter_faas.core.batch import DONE, RAISED, Head
from jupyter_faas.core.chunk_size import BUDGET_S, Crowd
from jupyter_faas.core.chunks import Chunks, Outcome, Rules
from jupyter_faas.core.errors import FaasError, InvocationCancelled, to_problem
from jupyter_faas.core.mapping import MapOrder, MapPrint, MapState
from jupyter_faas.core.sections import Buffer, total_bytes
from jupyter_faas.execution.failure import Fault
from jupyter_faas.fanout.base import Backend, Caller
from jupyter_faas.fanout.flight import Flight
from jupyter_faas.fanout.pace import Pace
from jupyter_faas.fanout.usage import Usage
from jupyter_faas.wire.frames import CRASH, STDERR, STDOUT, FrameKind, encode_header

PROGRESS_S = 0.25
"""How often a caller is told how its map goes."""
_MOST_SHOWN = 64

_encode = msgspec.msgpack.Encoder().encode


class Sink(Protocol):
    """Takes the frames of a map for its caller."""

    @property
    def is_writable(self) -> bool:
        """Whether the caller keeps up."""

    def write(self, parts: list[Buffer]) -> None:
        """Take one frame."""

    def finish(self) -> None:
        """There are no more."""


class Run:
    """One map.

    Args:
        id: Its name.
        order: What is wanted; `of` and `revision` are filled in.
        caller: On whose behalf.
        backend: Where its chunks go.
        allowed: Returns how many of the slots of its function are this map's now.
        on_over: Called when it has ended, however.
        cpus: Of the machine its workers share; 0: they do not.
        usage: Sums of its function, to which its items are added.
    """

    def __init__(  # noqa: PLR0913 — what a driver gives a map
        self,
        id: str,
        order: MapOrder,
        caller: Caller,
        backend: Backend,
        *,
        allowed: Callable[[Run, int], int],
        on_over: Callable[[Run], None],
        cpus: int,
        usage: Usage,
        wall_s: float,
    ) -> None:
        assert order.of is not None
        self.id = id
        self.order = order
        self.backend = backend
        self.chunks = Chunks(
            Rules(
                is_ordered=order.is_ordered,
                stops_at_error=order.stops_at_error,
                retries=order.of.retries,
                idempotent=order.of.idempotent,
                chunk_size=order.chunk_size,
                is_shared=order.of.max_inputs > 1,
            )
        )
        self.crowd = Crowd(cpus if order.of.max_inputs == 1 else 0)
        self.state = "running"
        self._reason = ""  # why it has failed as a whole, or will have
        self.sink: Sink | None = None
        self.on_room: Callable[[], None] = lambda: None
        """Called when more inputs may be taken in."""
        self._caller = caller
        self._allowed = allowed
        self._on_over = on_over
        self._loop = asyncio.get_running_loop()
        self._flights: dict[int, Flight] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = 0.0
        self._pause_until_s = 0.0
        self._is_pumping = False
        self._told_s = 0.0
        self._usage = usage
        self._counted = self._counted_failed = 0
        self._pace = Pace(self.now_s())
        self._wall_s = wall_s

    def now_s(self) -> float:
        """Return the loop's time."""
        return self._loop.time()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, however."""
        return self.state != "running"

    @property
    def in_flight(self) -> int:
        """Chunks that are under way."""
        return len(self._flights)

    # -- what happens

    def take(self, payloads: list[Buffer]) -> None:
        """Take inputs in."""
        if not self.is_over:
            self.chunks.add(payloads)
            self.pump()

    def close_inputs(self, broken: str = "") -> None:
        """There are no more inputs; `broken`: by what they were broken off."""
        if not self.is_over:
            self._reason = broken and f"Its inputs broke off: {broken}"
            self.chunks.close()
            self.pump()

    def skip(self) -> None:
        """The next input has its outcome from an earlier time: it is not run."""
        self.chunks.skip()

    def spend(self, busy_s: float, cpu_s: float) -> None:
        """Code has run where the gateway does not meter."""
        assert self.order.of is not None
        self._usage.spend(self.order.of.memory_mib, busy_s, cpu_s)

    def log(self, index: int, stream: int, text: Buffer, *, is_heard: bool) -> None:
        """An item has printed, or crashed; `is_heard`: the gateway knows."""
        if not is_heard and stream in (STDOUT, STDERR, CRASH):
            self._usage.unheard.add(self._print_of(STDERR if stream == CRASH else stream, text))
        if stream == CRASH:
            return
        if self.sink is not None and not self.is_over:
            header = encode_header(FrameKind.LOG, len(text), stream=stream, tag=index + 1)
            self.sink.write([header, text])

    def _print_of(self, stream: int, text: Buffer) -> MapPrint:
        order = self.order
        return MapPrint(
            function=order.function,
            namespace=order.namespace,
            revision=order.revision or 0,
            map=self.id,
            stream=stream,
            text=bytes(text),
        )

    def landed(self, flight: Flight) -> None:
        """A chunk is under way no longer."""
        self._flights.pop(flight.chunk.id, None)

    def wait(self, delay_s: float) -> None:
        """Begin nothing for a while: there is no place."""
        self._pause_until_s = max(self._pause_until_s, self.now_s() + delay_s)
        self.pump()

    def fail(self, error: FaasError) -> None:
        """The map as a whole cannot go on."""
        if self.is_over:
            return
        self._reason = error.detail
        body = _encode(Fault(to_problem(error)))
        if self.sink is not None:
            self.sink.write([encode_header(FrameKind.ERROR, len(body)), body])
        self._end("cancelled" if isinstance(error, InvocationCancelled) else "failed")

    def cancel(self) -> None:
        """Nobody wants it any more: end all that runs."""
        if not self.is_over:
            self.sink = None
            self._end("cancelled")

    def pump(self) -> None:
        """Do all that can be done now."""
        if self._is_pumping or self.is_over:
            return
        self._is_pumping = True
        try:
            self._land_useless()
            self._hand_out()
            self._begin()
        finally:
            self._is_pumping = False
        self._count()
        if self.chunks.is_over:
            self._end("failed" if self._is_stopped() else "done")
            return
        if self.chunks.wants_inputs:
            self.on_room()
        self._set_timer()

    # -- inside

    def _count(self) -> None:
        """Add to the sums of the function what has ended since; of a kept map its outcomes tell."""
        if self.order.is_kept:
            return
        chunks, usage = self.chunks, self._usage
        usage.items += chunks.done - self._counted
        usage.failed += chunks.failed - self._counted_failed
        self._counted, self._counted_failed = chunks.done, chunks.failed

    def _is_stopped(self) -> bool:
        return bool(self._reason) or (self.order.stops_at_error and self.chunks.failed > 0)

    def _land_useless(self) -> None:
        for chunk in self.chunks.useless():
            flight = self._flights.pop(chunk.id, None)
            if flight is not None:
                flight.cancel()
            self.chunks.refuse(chunk)

    def _begin(self) -> None:
        now_s = self.now_s()
        if now_s < self._pause_until_s:
            return
        most = self.backend.most_slots(self.order)
        slots = self._allowed(self, self.crowd.allowed(most))
        budget_s = 0.0 if self.order.chunk_size else BUDGET_S
        while len(self._flights) < slots:
            given = self.chunks.take(now_s, slots)
            if given is None:
                return
            flight = self._flights[given.chunk.id] = Flight(self, given, self.backend)
            flight.errand = self.backend.send(self.order, self._caller, given, budget_s, flight)

    def _hand_out(self) -> None:
        sink = self.sink
        while sink is not None and sink.is_writable:
            outcomes = self.chunks.release()
            if not outcomes:
                break
            self._write(sink, outcomes)
        now_s = self.now_s()
        if sink is not None and sink.is_writable and now_s - self._told_s >= PROGRESS_S:
            self.tell(sink, now_s)

    def _write(self, sink: Sink, outcomes: list[Outcome]) -> None:
        payloads = [outcome.payload for outcome in outcomes]
        if not self.order.wants_results:
            payloads = [outcome.payload if outcome.is_error else b"" for outcome in outcomes]
        head = Head(
            [outcome.at for outcome in outcomes],
            bytes([RAISED if outcome.is_error else DONE for outcome in outcomes]),
            [len(payload) for payload in payloads],
        )
        parts = batch.pack(head, payloads)
        sink.write([encode_header(FrameKind.ITEM, total_bytes(parts)), *parts])

    def tell(self, sink: Sink, now_s: float) -> None:
        """Send how it goes."""
        self._told_s = now_s
        body = _encode(self.status())
        sink.write([encode_header(FrameKind.PROGRESS, len(body)), body])

    def status(self) -> MapState:
        """Return how it goes."""
        now_s, chunks = self.now_s(), self.chunks
        flights = list(self._flights.values())
        running = [(now_s - f.chunk.since_s, next(iter(f.chunk.items), 0)) for f in flights]
        slowest = max(running, default=None)
        return MapState(
            id=self.id,
            function=self.order.function,
            namespace=self.order.namespace,
            revision=self.order.revision or 0,
            engine=self.backend.name,
            state=self.state,
            note=self._reason if self.state == "failed" and self._reason else self.backend.note,
            total=chunks.total if chunks.total is not None else self.order.total,
            given=chunks.given,
            done=chunks.done,
            failed=chunks.failed,
            running=len(flights),
            rate=self._rate(now_s),
            workers=tuple(flight.share_busy(now_s) for flight in flights[:_MOST_SHOWN]),
            slowest=None if slowest is None else (slowest[1], round(slowest[0], 3)),
            started_at=self._wall_s,
        )

    def remaining_s(self) -> float | None:
        """Return how long it will take yet at its present rate; None: nobody knows."""
        chunks = self.chunks
        total = chunks.total if chunks.total is not None else self.order.total
        rate = self._rate(self.now_s())
        if total is None or not rate:
            return None
        return (total - chunks.done) / rate

    def _rate(self, now_s: float) -> float:
        return self._pace.rate(now_s, self.chunks.done)

    def _set_timer(self) -> None:
        """Wake up when something becomes due by itself."""
        now_s = self.now_s()
        due = [now_s + PROGRESS_S]
        for at_s in (self.chunks.next_due_s(), self.chunks.second_due_s(), self._pause_until_s):
            if at_s is not None and at_s > now_s:
                due.append(at_s)
        at_s = min(due)
        if self._timer is not None:
            if self._timer_s <= at_s and self._timer_s > now_s:
                return
            self._timer.cancel()
        self._timer_s = at_s
        self._timer = self._loop.call_at(at_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.pump()

    def _end(self, state: str) -> None:
        self.state = state
        self._count()
        if self._timer is not None:
            self._timer.cancel()
        flights, self._flights = self._flights, {}
        for flight in flights.values():
            if flight.chunk.items:  # else its worker has only to say that it is done
                flight.cancel()
        sink, self.sink = self.sink, None
        if sink is not None:
            self.tell(sink, self.now_s())
            sink.write([encode_header(FrameKind.END, 0)])
            sink.finish()
        self._on_over(self)
