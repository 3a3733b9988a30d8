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
    QueueFull,
    ReplicaLost,
)
from jupyter_faas.core.model import Outcome
from jupyter_faas.core.slots import Replica as SlotsReplica
from jupyter_faas.gateway import problems
from jupyter_faas.gateway.endings import OUTCOME_OF, lost_text, past_deadline, too_large
from jupyter_faas.gateway.lineage import descendants, disown
from jupyter_faas.gateway.passage import BUFFER_BYTES, FOREVER, Passage
from jupyter_faas.gateway.replica import Replica

if TYPE_CHECKING:
    from jupyter_faas.gateway.repeats import RepeatingConnection

BODY_PAUSE_S = 30.0
"""A sender that gives nothing for so long, while it is asked to, is sent away."""
SLOWEST_BYTES_S = 16 << 10
"""A reader may take an answer as slowly, however short the time of the call itself."""

_FRAMING = b"%b\r\n%bContent-Length: %d\r\n\r\n"


class Invocation(Passage):
    """A call that was let in; see `Passage` for its arguments."""

    __slots__ = ()

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
        if self.limit_s != FOREVER:
            remaining_ms = int((self.limit_s - self.calls.clock()) * 1000)
            if remaining_ms <= 0:
                self.on_given_up(past_deadline())
                return
            deadline = b"\r\nFaas-Deadline-Ms: %d" % remaining_ms
        if self.depth:
            deadline += b"\r\nFaas-Depth: %d\r\nFaas-Ancestry: %b" % (self.depth, self.ancestry)
        self.connection = connection
        self.is_sent = True
        if self.is_body_whole:
            framing = self.framing or _FRAMING % (deadline, self.lines, self.body_bytes)
            connection.call(b"".join((replica.call_head, self.id, framing, *self.body)), self)
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

    # -- the front's answer, when it is none ----------------------------------------------------

    def on_answer_lost(self, _error: Exception | None) -> None:
        """The connection to the front was cut."""
        if self.connection is None or self.is_answered:
            return
        self.connection = None
        if self.replica is None:
            self._lost_for_good()
        else:
            asyncio.get_running_loop().call_later(self.calls.reason_s, self._lost_for_good)

    def on_ended(self, run_ms: float, outcome: Outcome | None, code: str, detail: str) -> None:
        """The front says that the code has ended."""
        self.run_ms = max(self.run_ms, run_ms)
        if outcome is not None and self.outcome is Outcome.DONE:
            self.outcome, self.code, self.detail = outcome, code, detail
        self.calls.release(self)

    def on_refused(self) -> None:
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

    def on_answered(self) -> None:
        """The caller has its answer; the code has ended."""
        self.calls.release(self)

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
        elif self.is_body_whole:
            # Also once the code has ended: the caller may still be taking the answer.
            is_with_front = self.replica is not None or self.is_sent
            taking_s = self.answer_bytes / SLOWEST_BYTES_S if self.is_streaming else 0.0
            longest_s = self.calls.longest_s(self) + taking_s
            last_s = min(self.limit_s + 1.0, self.leased_s + longest_s)
            if is_with_front and now_s > last_s:
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
        outcome = OUTCOME_OF.get(type(error), Outcome.ERROR)
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
