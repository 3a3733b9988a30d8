"""One call in the front: from its head to the end of its code.

The answer and the code are separate things: the caller may be gone, or may have its 504, while
the code still runs; the slot is given back when the code has ended. Deadlines are measured from
the moment the worker has the call.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from jupyter_faas.core import batch
from jupyter_faas.core.errors import (
    FaasError,
    InvocationCancelled,
    InvocationTimeout,
    ReplicaLost,
    to_problem,
)
from jupyter_faas.core.specialisation import CallEnd
from jupyter_faas.execution.failure import Fault
from jupyter_faas.runner.answers import Answer, FramedAnswer, JsonAnswer, refuse
from jupyter_faas.runner.arguments import Arguments
from jupyter_faas.runner.channel import (
    ENDS,
    FAULTS,
    RAISED,
    CallHead,
    WorkerEnd,
)
from jupyter_faas.runner.deadlines import NEVER
from jupyter_faas.runner.worker_link import WorkerLink
from jupyter_faas.wire.detail import MAX_TRACEBACK
from jupyter_faas.wire.frames import Frame, FrameKind
from jupyter_faas.wire.server import Exchange

if TYPE_CHECKING:
    from jupyter_faas.runner.replica import FrontReplica

RECEIVING, WAITING, RUNNING, OVER = range(4)

# Plain ints on the hot path: an enum member costs a Python call to find.
_LOG, _ITEM = int(FrameKind.LOG), int(FrameKind.ITEM)
_RESULT, _ERROR, _END = int(FrameKind.RESULT), int(FrameKind.ERROR), int(FrameKind.END)

CREDIT_BYTES = 128 << 10
"""Credit is given back in portions of this size."""
MAX_RERUNS = 3
"""So often an idempotent call is run again after its worker was lost."""
STALL_S = 60.0
"""A reader that takes nothing of a finished result for so long is taken as gone."""


class FrontCall:
    """One call, from its head on.

    Args:
        replica: Whose slot it has.
        exchange: Where the answer goes.
        tag: Its name on the channel.
        head: What the worker must know of it.
        deadline_s: What the caller still has, in seconds from now; None: no limit of its own.
    """

    def __init__(
        self,
        replica: FrontReplica,
        exchange: Exchange,
        tag: int,
        head: CallHead,
        deadline_s: float | None,
    ) -> None:
        spec = replica.spec
        now_s = replica.loop.time()
        self.tag = tag
        self.head = head
        self.state = RECEIVING
        self._replica = replica
        self._exchange = exchange
        self._answer: Answer = (
            FramedAnswer(exchange) if head.is_framed else JsonAnswer(exchange, head.accept)
        )
        self._arguments = Arguments(replica.body_limit_bytes(), is_kept=replica.keeps_bodies)
        self._limit_s = spec.timeout_s
        self.is_chunk = head.content_type == batch.CONTENT_TYPE
        self._latest_s = now_s + deadline_s if deadline_s is not None else NEVER
        self.until_s = min(now_s + self._limit_s, self._latest_s)
        self._began_s = now_s
        self._retries = 0
        self._reruns = 0
        self._fault: Fault | None = None
        self._is_raised = False
        self._is_answered = False
        self._verdict: FaasError | None = None
        self._uncredited = 0
        self._has_result = False
        self._grace: asyncio.TimerHandle | None = None
        replica.deadlines.watch(self.until_s)

    # -- the exchange's calls

    def begin(self) -> None:
        """Get ready for the body; a body announced as too large is refused at once."""
        try:
            self._arguments.body.expect(self._exchange.content_length)
        except FaasError as error:
            self._refuse(error)

    def on_body(self, data: bytes) -> None:
        """Take a piece of the arguments."""
        if self.state != RECEIVING:
            return
        try:
            self._arguments.body.add(data)
        except FaasError as error:
            self._refuse(error)

    def on_body_end(self) -> None:
        """The arguments are complete: run."""
        if self.state == RECEIVING:
            self.state = WAITING
            self._replica.submit(self)

    def on_gone(self) -> None:
        """The caller has left: its code is ended."""
        self._is_answered = True
        self.end_code(InvocationCancelled("The caller went away.", invocation_id=self.head.id))

    def on_writable(self) -> None:
        """The caller has taken what was sent."""
        if self._has_result:
            self.until_s = self._stall_until_s()
        self._give_credit()
        self._replica.reader_is_ready(self)

    # -- running

    @property
    def memfd_bytes(self) -> int:
        """What its arguments take outside anybody's address space."""
        return self._arguments.memfd_bytes

    @property
    def is_blocked(self) -> bool:
        """Whether its caller does not take what there is."""
        return not self._is_answered and self._verdict is None and not self._exchange.is_writable

    @property
    def is_ended_by_us(self) -> bool:
        """Whether it was timed out or cancelled."""
        return self._verdict is not None

    def send(self, link: WorkerLink) -> None:
        """Give the call to the worker; its time begins now."""
        now_s = self._replica.loop.time()
        self.state = RUNNING
        self._began_s = now_s
        self.until_s = min(now_s + self._limit_s, self._latest_s)
        if self._retries or self._reruns:
            self._replica.deadlines.watch(self.until_s)
        self.head.remaining_s = self.until_s - now_s
        self._arguments.send(link, self.tag, self.head)

    def on_frame(self, frame: Frame) -> None:
        """Take what the worker says about this call."""
        kind = frame.kind
        if kind == _LOG:
            self.on_log(frame.stream, bytes(frame.body), takes_credit=self._replica.is_windowed)
        elif kind in (_RESULT, _ITEM):
            self._on_value(frame)
        elif kind == _ERROR:
            self._fault = FAULTS.decode(frame.body)
            self._is_raised = bool(frame.flags & RAISED)
        elif kind == _END:
            self._on_end(ENDS.decode(frame.body))

    def on_log(self, stream: int, text: bytes, *, takes_credit: bool) -> None:
        """Pass output on, to the caller and to whoever watches."""
        if stream <= 2:
            self._replica.watchers.log(stream, self.head.id, text)
        if takes_credit:
            self._uncredited += len(text)
        elif self._replica.is_windowed and self.is_blocked and self._replica.spec.max_inputs > 1:
            return  # from a pipe that others share: the watch stream has it, nothing is held up
        if not self._is_answered and (self._verdict is None or self._exchange.is_writable):
            self._answer.log(stream, text)

    def flush(self) -> None:
        """All that was here has been handed over: let it go out."""
        if self.state == OVER or self._is_answered:
            return
        self._answer.flush()
        self._give_credit()

    # -- ends

    def end_code(self, verdict: FaasError) -> None:
        """Time out or cancel; what it gives from now on is dropped."""
        if self._verdict is not None or self.state == OVER:
            return
        self._verdict = verdict
        self.until_s = NEVER
        if self.state == RUNNING:
            self._grace = self._replica.loop.call_later(
                self._replica.spec.grace_s, self._replica.overdue, self
            )
            self._replica.interrupt(self)
        else:
            self._replica.withdraw(self)
            self._close(WorkerEnd(0.0))

    def lost(self, error: ReplicaLost) -> None:
        """The worker is gone, and the code with it."""
        if self.state != RUNNING:
            return
        spec = self._replica.spec
        may_rerun = spec.idempotent is True and self._reruns < MAX_RERUNS and not self.is_chunk
        if self._verdict is None and may_rerun and not self._answer.has_values:
            self._reruns += 1
            self.state = WAITING
            self._fault = None
            self._replica.submit(self)
            return
        if self._verdict is None:
            self._verdict = ReplicaLost(error.detail, invocation_id=self.head.id, **error.extra)
        self._close(WorkerEnd(self._elapsed_ms()))

    def fail(self, error: FaasError) -> None:
        """Nothing will run it any more."""
        self._verdict = self._verdict or error
        self._close(WorkerEnd(0.0))

    def answer_running(self) -> None:
        """The grace is over and the code still runs beside others: the caller has its answer."""
        if self._is_answered or self._verdict is None:
            return
        fault = Fault(to_problem(self._verdict))
        self._answer.fail(fault, self._end_of(WorkerEnd(self._elapsed_ms()), is_running=True))
        self._is_answered = True

    def _on_value(self, frame: Frame) -> None:
        if self._replica.is_windowed or frame.kind == _ITEM:
            self._uncredited += len(frame.body)
        if frame.kind == _RESULT:  # the code has ended: what takes time is the reader
            self._has_result = True
            self.until_s = self._stall_until_s()
        elif self.is_chunk and self._verdict is None:  # what is timed is an item
            now_s = self._replica.loop.time()
            self.until_s = min(now_s + self._limit_s, self._latest_s)
        if not self._is_answered and self._verdict is None:
            self._answer.value(frame)

    def _on_end(self, end: WorkerEnd) -> None:
        retries = self._replica.spec.retries
        if (
            self._fault is not None
            and self._is_raised
            and self._verdict is None
            and self._retries < retries.max_retries
            and not self._answer.has_values
        ):
            delay_s = retries.initial_delay_s * retries.backoff_coefficient**self._retries
            self._retries += 1
            self._fault, self.state = None, WAITING
            self.until_s = self._latest_s
            self._replica.deadlines.watch(self.until_s)
            self._replica.loop.call_later(min(delay_s, retries.max_delay_s), self._run_again)
            return
        self._replica.succeeded()
        self._close(end)

    def _run_again(self) -> None:
        if self.state == WAITING:
            self._replica.submit(self)

    def _close(self, end: WorkerEnd) -> None:
        """The code has ended: give the slot back, answer, or tell those who watch."""
        self.state = OVER
        if self._grace is not None:
            self._grace.cancel()
        self._arguments.close()
        self._replica.release(self)
        told = self._end_of(end)
        if self._is_answered or self._answer.is_streaming:
            self._replica.watchers.ended(self._with_traceback(told))
        if self._is_answered:
            return
        if self._verdict is not None:
            where = str(self._verdict.extra.get("traceback", ""))
            if self._fault is not None:
                where = self._fault.traceback
            self._answer.fail(Fault(to_problem(self._verdict), None, where), told)
        elif self._fault is not None:
            self._fault.problem.setdefault("invocation_id", self.head.id)
            self._answer.fail(self._fault, told)
        else:
            self._answer.finish(told)
        self._is_answered = True

    def _end_of(self, end: WorkerEnd, *, is_running: bool = False) -> CallEnd:
        problem = self._fault.problem if self._fault is not None else None
        outcome = end.outcome
        if self._verdict is not None:
            problem, outcome = to_problem(self._verdict), _outcome(self._verdict)
        return CallEnd(
            id=self.head.id,
            run_ms=end.run_ms,
            outcome=outcome,
            is_running=is_running,
            problem=problem,
            memory_mib=end.memory_mib or None,
        )

    def _with_traceback(self, end: CallEnd) -> CallEnd:
        """The gateway keeps where it was raised; the caller has it in the answer."""
        if end.problem is None or self._fault is None:
            return end
        where = self._fault.traceback[-MAX_TRACEBACK:]
        return msgspec.structs.replace(end, problem={**end.problem, "traceback": where})

    def _refuse(self, error: FaasError) -> None:
        """Nothing has run: a plain problem document, whatever form was asked for."""
        self.state = OVER
        self._is_answered = True
        self._arguments.close()
        self._replica.release(self)
        refuse(self._exchange, error)

    # -- time and credit

    def on_time(self) -> None:
        """Its time has come; called by the replica's `Deadlines`."""
        self.end_code(self._timeout())
        self.until_s = NEVER

    def _timeout(self) -> InvocationTimeout:
        if self.state == RECEIVING:
            text = "The arguments did not arrive within the call's time; nothing ran."
        elif self.until_s >= self._latest_s:
            text = "The call's own deadline has passed; its code was ended."
        else:
            text = f"The call took longer than its `timeout` of {self._limit_s:g} s and was ended."
        return InvocationTimeout(text, invocation_id=self.head.id)

    def _stall_until_s(self) -> float:
        return self._replica.loop.time() + max(STALL_S, self._limit_s)

    def _elapsed_ms(self) -> float:
        return (self._replica.loop.time() - self._began_s) * 1000

    def _give_credit(self) -> None:
        if self._uncredited >= CREDIT_BYTES and not self.is_blocked:
            self._replica.give_credit(self, self._uncredited)
            self._uncredited = 0


def _outcome(error: FaasError) -> str:
    names: dict[type[FaasError], str] = {
        InvocationTimeout: "timeout",
        InvocationCancelled: "cancelled",
        ReplicaLost: "lost",
    }
    return names.get(type(error), "error")
