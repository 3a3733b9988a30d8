"""One call on its way: from the caller's head to the end of the code, without a task of its own.

It is the receiver of the caller's body, the waiter in the slots, and the receiver of the front's
answer. Two things end apart from each other: the caller's side (`is_answered`: answered, or gone)
and the lease (`replica` is None: the front said that the code has ended, or the replica is gone).
When both have, the invocation is settled: recorded, counted, forgotten.

    receiving ─▶ queued ─▶ leased ─▶ sent ─▶ answering ─▶ answered ─▶ settled
                   ▲          │        │ busy, or lost and allowed to run again
                   └──────────┴────────┘

A slot is taken only when the body is whole or `BUFFER_BYTES` of it are here: a slow sender holds
no replica. What was buffered is kept until the front answers, so that a call that cannot have
started can be sent to another replica.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from jupyter_faas.core.errors import (
    BadRequest,
    FaasError,
    InvocationCancelled,
    InvocationTimeout,
    PayloadTooLarge,
    QueueFull,
    ReplicaLost,
)
from jupyter_faas.core.model import Outcome
from jupyter_faas.core.slots import Replica as SlotsReplica
from jupyter_faas.core.slots import Waiter
from jupyter_faas.gateway import problems
from jupyter_faas.gateway.heads import Answer, read_answer
from jupyter_faas.gateway.lineage import descendants, disown
from jupyter_faas.gateway.repeats import KnownAnswer, RepeatedExchange
from jupyter_faas.gateway.replica import Replica
from jupyter_faas.wire.heads import STATUS_LINES

if TYPE_CHECKING:
    from jupyter_faas.gateway.activator import Pool
    from jupyter_faas.gateway.calls import Calls
    from jupyter_faas.gateway.repeats import RepeatingConnection
    from jupyter_faas.wire.server import Exchange

BUFFER_BYTES = 64 * 1024
"""Held of a body while its call waits; also the largest answer that is written in one piece."""

REASON_S = 0.1
"""How long a cut connection waits to be told what became of the replica."""

BODY_PAUSE_S = 30.0
"""A sender that gives nothing for so long, while it is asked to, is sent away."""

FOREVER = float("inf")

_WHOLE_HEAD = (
    b"%bFaas-Invocation-Id: %b\r\nFaas-Cold-Start: %d\r\nFaas-Queue-Ms: %.1f\r\nFaas-Run-Ms: %b\r\n"
)
_WHOLE_ANSWER = _WHOLE_HEAD + b"Content-Length: %d\r\n\r\n%b"

_WHOLE_CALL = b"%b%b%b\r\n%bContent-Length: %d\r\n\r\n%b"

_HEAD = (
    b"%b\r\n%bFaas-Invocation-Id: %b\r\nFaas-Revision: %d\r\n"
    b"Faas-Cold-Start: %d\r\nFaas-Queue-Ms: %.1f\r\n"
)


class Invocation(Waiter):
    """A call that was let in.

    Args:
        calls: Shared by all invocations of the gateway.
        exchange: The caller's request and answer.
        pool: Slots of the revision it goes to.
        id: Invocation id.
        now_s: When its head was read.
    """

    __slots__ = (
        "answer",
        "attempts",
        "body",
        "body_bytes",
        "calls",
        "children",
        "code",
        "connection",
        "depth",
        "detail",
        "exchange",
        "is_admitted",
        "is_answered",
        "is_body_whole",
        "is_cold",
        "is_sent",
        "is_settled",
        "is_streaming",
        "last_s",
        "leased_s",
        "limit_s",
        "lines",
        "outcome",
        "parent",
        "parts",
        "pool",
        "received_s",
        "replica_id",
        "run_ms",
        "status",
    )

    def __init__(
        self, calls: Calls, exchange: Exchange, pool: Pool, id: bytes, now_s: float
    ) -> None:
        # Not super().__init__(): one call less on the hot path.
        self.id = id
        self.deadline_s = FOREVER
        self.is_queued = False
        self.replica = None
        self.calls = calls
        self.exchange = exchange
        self.pool = pool
        self.received_s = self.last_s = now_s
        self.leased_s = 0.0
        self.limit_s = FOREVER
        self.lines = b""
        self.parent: Invocation | None = None
        self.children: set[Invocation] | None = None
        self.depth = 0
        self.body: list[bytes] = []
        self.body_bytes = 0
        self.attempts = 0
        self.connection: RepeatingConnection | None = None
        self.answer: Answer | None = None
        self.parts: list[bytes] = []
        self.status = 0
        self.is_admitted = self.is_body_whole = self.is_sent = False
        self.is_streaming = self.is_answered = self.is_settled = self.is_cold = False
        self.outcome = Outcome.DONE
        self.code = self.detail = self.replica_id = ""
        self.run_ms = 0.0

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody with a right to it has ended it."""
        return self.outcome is Outcome.CANCELLED

    # -- the caller's body ----------------------------------------------------------------------

    def on_body(self, data: bytes) -> None:
        """A piece of the caller's body."""
        if self.is_answered:
            return
        self.body_bytes += len(data)
        if self.body_bytes > self.calls.max_body_bytes:
            self._end(too_large(self.body_bytes, self.calls.max_body_bytes))
        elif self.is_sent:
            self._forward(data)
        else:
            self.body.append(data)
            if self.body_bytes >= BUFFER_BYTES:
                self.exchange.pause_body()
                self._admit()

    def on_body_end(self) -> None:
        """The caller's body is whole."""
        self.is_body_whole = True
        if self.is_answered:
            return
        if self.is_sent:
            if self.exchange.content_length is None and self.connection is not None:
                self.connection.write_end()
        else:
            self._admit()

    def on_gone(self) -> None:
        """The caller went away: its call is cancelled."""
        if not self.is_answered:
            self._end_caller(Outcome.CANCELLED, InvocationCancelled.code, "the caller went away")
            self._let_go()

    def on_writable(self) -> None:
        """The caller takes more of the answer."""
        if self.connection is not None:
            self.connection.resume_reading()

    def on_upstream_writable(self) -> None:
        """The front takes more of the body."""
        if not self.is_answered:
            self.exchange.resume_body()

    def _admit(self) -> None:
        if not self.is_admitted:
            self.is_admitted = True
            self.calls.admit(self)

    def _forward(self, data: bytes) -> None:
        connection = self.connection
        if connection is None or self.answer is not None:
            return
        self.last_s = self.calls.clock()
        connection.write(data)
        if not connection.is_writable:
            self.exchange.pause_body()

    # -- queue and lease ------------------------------------------------------------------------

    def on_lease(self, replica: SlotsReplica) -> None:
        """A slot of `replica` is ours: send the call."""
        assert isinstance(replica, Replica)
        self.lease(replica, self.calls.clock())

    def lease(self, replica: Replica, now_s: float) -> None:
        """Send the call to `replica`, of which a slot is ours since `now_s`."""
        self.leased_s = now_s
        self.replica_id = replica.id
        self.is_cold = replica.ready_at_s > self.received_s
        upstream = replica.upstream
        assert upstream is not None
        connection = upstream.take()
        if connection is None:
            self.calls.connect(self, replica)
        else:
            self.send(replica, connection)

    def send(self, replica: Replica, connection: RepeatingConnection) -> None:
        """Write what there is of the call to the front."""
        deadline = b""
        if self.limit_s < FOREVER:
            remaining_ms = int((self.limit_s - self.calls.clock()) * 1000)
            if remaining_ms <= 0:
                self.on_given_up(past_deadline())
                return
            deadline = b"\r\nFaas-Deadline-Ms: %d" % remaining_ms
        if self.depth:
            deadline += b"\r\nFaas-Depth: %d" % self.depth
        self.connection = connection
        self.is_sent = True
        if self.is_body_whole:
            body = self.body[0] if len(self.body) == 1 else b"".join(self.body)
            said = (replica.call_head, self.id, deadline, self.lines, self.body_bytes, body)
            connection.call(_WHOLE_CALL % said, self)
        else:
            head = b"%b%b%b\r\n%b" % (replica.call_head, self.id, deadline, self.lines)
            self._send_partly(head, connection)

    def _send_partly(self, head: bytes, connection: RepeatingConnection) -> None:
        """Send what is buffered; the rest follows as it comes."""
        length = self.exchange.content_length
        if length is None:
            connection.send(head + b"Transfer-Encoding: chunked\r\n\r\n", self, owed_bytes=-1)
        else:
            framing = b"Content-Length: %d\r\n\r\n" % length
            connection.send(head + framing, self, owed_bytes=length)
        for piece in self.body:
            connection.write(piece)
        if connection.is_writable:
            self.exchange.resume_body()

    def on_unreachable(self, detail: str) -> None:
        """No connection to the replica could be made: nothing was sent."""
        replica = self.replica
        if replica is not None:
            self._again()
            self.calls.suspect(replica, detail)

    def on_given_up(self, error: FaasError) -> None:
        """It gets no replica, or its deadline passed before it was sent."""
        self._end(self._late() or error)

    def on_replica_lost(self, reason: str, detail: str) -> None:
        """The replica that has our lease is gone, and the code with it."""
        self.connection = None
        if not self.is_answered and (not self.is_sent or self._may_run_again()):
            self._again()
            return
        if not self.is_answered:
            self._fail(ReplicaLost(lost_text(reason, detail), reason=reason))
        self.calls.release(self)

    def _again(self) -> None:
        """Back to the head of the queue, with what was buffered of the body."""
        self.is_sent = False
        self.answer = None
        self.parts = []
        self.attempts += 1
        self.calls.activator.requeue(self.pool, self)

    def _may_run_again(self) -> bool:
        is_idempotent = self.pool.entry.revision.spec.idempotent is True
        return is_idempotent and self.attempts == 0 and self._is_replayable()

    def _is_replayable(self) -> bool:
        """Whether all that was sent of the body is still here, and nothing was answered."""
        held = self.is_body_whole and self.body_bytes == sum(map(len, self.body))
        return held and not self.is_streaming

    # -- the front's answer ---------------------------------------------------------------------

    def on_answer_head(
        self, status: int, headers: list[tuple[bytes, bytes]], content_length: int | None
    ) -> None:
        """The front answers."""
        if self.connection is None:
            return
        self.status = status
        answer = self.answer = read_answer(headers)
        if answer.is_busy:
            return
        if answer.run_ms >= 0:
            self.run_ms = answer.run_ms
        if answer.fault or status >= 400:
            self._note_failure(status, answer)
        if content_length is None or content_length > BUFFER_BYTES:
            self.body = []
            self.is_streaming = True
            self.exchange.raw_start(self._head(answer), content_length)

    def on_answer_body(self, data: bytes) -> None:
        """A piece of the front's answer."""
        if self.is_streaming:
            self.exchange.write(data)
            if not self.exchange.is_writable and self.connection is not None:
                self.connection.pause_reading()
        else:
            self.parts.append(data)

    def on_answer_end(self) -> None:
        """The front's answer is whole."""
        answer, connection = self.answer, self.connection
        if answer is None or connection is None:
            return
        self._give_back(connection)
        if answer.is_busy:
            self._refused()
            return
        self.is_answered = True
        self.exchange.receiver = None
        if self.is_streaming:
            self.exchange.finish()
        else:
            parts = self.parts
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            self.exchange.respond_raw(self._head(answer), body, status=self.status)
        self.body = self.parts = []
        if answer.is_running and self.replica is not None:
            self.last_s = self.calls.clock()
        else:
            self.calls.release(self)

    def on_whole_answer(self, known: KnownAnswer, run_ms: bytes, body: bytes) -> None:
        """The front's answer, all at once, with a head that was seen before."""
        connection, self.connection = self.connection, None
        replica = self.replica
        if connection is None:
            return
        if replica is None:
            connection.close()
        else:
            replica.upstream.keep(connection)  # type: ignore[attr-defined]
        self.run_ms = float(run_ms)
        if known.answer.fault or known.status >= 400:
            self._note_failure(known.status, known.answer)
        self.is_answered = True
        queued_ms = (self.leased_s - self.received_s) * 1000
        said = (known.memo or self._memo(known), self.id, self.is_cold, queued_ms, run_ms)
        exchange = self.exchange
        exchange.receiver = None  # Breaks the cycle: freed now, not by the collector.
        if type(exchange) is RepeatedExchange and exchange.keep_alive:
            exchange.respond_whole(_WHOLE_ANSWER % (*said, len(body), body))
        else:
            exchange.respond_raw(_WHOLE_HEAD % said, body, status=known.status)
        self.calls.release(self)

    def _memo(self, known: KnownAnswer) -> bytes:
        """Return the lines of an answer that are the same for every call of this replica."""
        fault = known.answer.fault
        known.memo = b"%b\r\n%bFaas-Revision: %d\r\n%b" % (
            STATUS_LINES.get(known.status, STATUS_LINES[502]),
            known.answer.lines,
            self.pool.entry.revision.number,
            b"Faas-Fault: %b\r\n" % fault.encode("ascii") if fault else b"",
        )
        return known.memo

    def on_answer_lost(self, _error: Exception | None) -> None:
        """The connection to the front was cut."""
        if self.connection is None or self.is_answered:
            return
        self.connection = None
        if self.replica is None:
            self._lost_for_good()
        else:
            asyncio.get_running_loop().call_later(REASON_S, self._lost_for_good)

    def on_ended(self, run_ms: float, outcome: Outcome | None, code: str) -> None:
        """The front says that the code has ended."""
        self.run_ms = max(self.run_ms, run_ms)
        if outcome is not None and self.outcome is Outcome.DONE:
            self.outcome, self.code = outcome, code
        self.calls.release(self)

    def _head(self, answer: Answer) -> bytes:
        """Return status line and header lines for the caller."""
        head = _HEAD % (
            STATUS_LINES.get(self.status, STATUS_LINES[502]),
            answer.lines,
            self.id,
            self.pool.entry.revision.number,
            self.is_cold,
            (self.leased_s - self.received_s) * 1000,
        )
        if answer.run_ms >= 0:
            head += b"Faas-Run-Ms: %.3f\r\n" % answer.run_ms
        if answer.fault:
            head += b"Faas-Fault: %b\r\n" % answer.fault.encode("ascii")
        return head

    def _note_failure(self, status: int, answer: Answer) -> None:
        self.outcome = _OUTCOMES.get(status, Outcome.ERROR)
        self.code = answer.code or _CODES.get(status, "")

    def _refused(self) -> None:
        """The front was busy after all: the code cannot have started."""
        replica = self.replica
        if replica is None:
            return
        self.calls.activator.pause_replica(self.pool, replica)
        if self._is_replayable() and not self.is_answered:
            self._again()
            return
        if not self.is_answered:
            self._fail(QueueFull("The replica had no place and the body was on its way."))
        self.calls.release(self)

    def _lost_for_good(self) -> None:
        if not self.is_answered and self.connection is None and self.is_sent:
            self._end(ReplicaLost("The connection to the replica broke.", reason="cut"))

    def _give_back(self, connection: RepeatingConnection) -> None:
        self.connection = None
        replica = self.replica
        upstream = replica.upstream if isinstance(replica, Replica) else None
        if upstream is None or not self.is_body_whole:
            connection.close()
        else:
            upstream.give_back(connection)

    # -- ends -----------------------------------------------------------------------------------

    def cancel(self, detail: str) -> bool:
        """End the call because somebody with a right to it says so; False: it has ended."""
        if self.is_answered:
            return False
        self._end(InvocationCancelled(detail))
        return True

    def check(self, now_s: float) -> None:
        """Look for a wait that has no other deadline; called a few times a second."""
        if self.is_answered:
            if self.replica is not None and now_s > self.last_s + self.calls.longest_s(self):
                self.calls.suspect(self.replica, "it never said that a call had ended")
        elif self.replica is not None and self.is_body_whole:
            if now_s > min(self.limit_s + 1.0, self.leased_s + self.calls.longest_s(self)):
                self._end(InvocationTimeout("The replica did not answer in time."))
        elif not self.is_queued and now_s > min(self.limit_s, self.last_s + BODY_PAUSE_S):
            self._end(self._late() or BadRequest("The body stopped coming.", status=408))

    def _end(self, error: FaasError) -> None:
        self._fail(error)
        self._let_go()

    def _late(self) -> FaasError | None:
        return past_deadline() if self.calls.clock() >= self.limit_s else None

    def _fail(self, error: FaasError) -> None:
        """Tell the caller; a streamed answer is cut, so that it never looks complete."""
        if self.is_answered:
            return
        if self.is_streaming:
            self.exchange.abort()
        else:
            status, headers, body = problems.answer(error, self.id)
            self.exchange.respond(status, headers, body)
        outcome = _OUTCOME_OF.get(type(error), Outcome.ERROR)
        self._end_caller(outcome, error.code, error.detail)

    def _end_caller(self, outcome: Outcome, code: str, detail: str) -> None:
        self.is_answered = True
        self.exchange.receiver = None
        self.last_s = self.calls.clock()
        self.outcome, self.code, self.detail = outcome, code, detail[:500]
        self.body = self.parts = []

    def _let_go(self) -> None:
        """Nobody waits for the answer: leave the queue, or have the front end the code."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()
        if self.is_queued:
            self.calls.withdraw(self, is_cancelled=self.is_cancelled)
        elif self.replica is None or not self.is_sent:
            self.calls.release(self)
        for nested in tuple(descendants(self)):
            nested.cancel("The call it was made from has ended.")
        disown(self)


def past_deadline() -> InvocationTimeout:
    """Return the error of a call whose deadline passed before it was sent to a replica."""
    return InvocationTimeout("The caller's deadline passed before the call could start.")


def too_large(size: int, limit: int) -> PayloadTooLarge:
    """Return the error of a body of `size` bytes or more."""
    return PayloadTooLarge(f"The body has {size} bytes or more; at most {limit} are accepted.")


def lost_text(reason: str, detail: str) -> str:
    """Return a sentence about how a replica was lost."""
    what = {
        "crashed": "The replica's process ended while it ran this call",
        "out_of_memory": "The replica ran out of memory while it ran this call",
        "node_lost": "The machine the call ran on is gone",
        "stopped": "The replica was stopped while it ran this call",
    }.get(reason, "The replica was lost while it ran this call")
    return f"{what}: {detail}" if detail else f"{what}."


_OUTCOMES = {
    499: Outcome.CANCELLED,
    502: Outcome.LOST,
    504: Outcome.TIMEOUT,
}
_CODES = {499: "cancelled", 502: "replica_lost", 504: "timeout", 500: "remote_error"}
_OUTCOME_OF: dict[type[FaasError], Outcome] = {
    InvocationCancelled: Outcome.CANCELLED,
    InvocationTimeout: Outcome.TIMEOUT,
    ReplicaLost: Outcome.LOST,
}
