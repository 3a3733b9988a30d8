"""The way of an answer from a front to its caller, and what a call needs to know on it.

Base of `Invocation`: its state and the receiver side of the front's connection. A small answer is
one write, a larger one or one without a length is passed on as it comes, with back-pressure; a
broken one is left to `Invocation` to judge. Never touches queue or lease but to give back.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from jupyter_faas.core.model import Outcome
from jupyter_faas.core.slots import Waiter
from jupyter_faas.gateway.endings import CODES, OUTCOME_OF_CODE
from jupyter_faas.gateway.heads import Answer, read_answer
from jupyter_faas.gateway.repeats import KnownAnswer, RepeatedExchange
from jupyter_faas.gateway.replica import Replica
from jupyter_faas.wire.heads import STATUS_LINES

if TYPE_CHECKING:
    from jupyter_faas.gateway.activator import Pool
    from jupyter_faas.gateway.calls import Calls
    from jupyter_faas.gateway.invocation import Invocation
    from jupyter_faas.gateway.repeats import RepeatingConnection
    from jupyter_faas.wire.exchange import Exchange

BUFFER_BYTES = 64 * 1024
"""Held of a body while its call waits; also the largest answer that is written in one piece."""

FOREVER = float("inf")

_COLD_AND_QUEUE = b"\r\nFaas-Cold-Start: %d\r\nFaas-Queue-Ms: %.1f\r\n"
_AT_ONCE = _COLD_AND_QUEUE % (False, 0.0)
_RUN_MS = b"Faas-Run-Ms: %b\r\n"
_HEAD_ENDS = b"\r\n\r\n"

_HEAD = (
    b"%b\r\n%bFaas-Invocation-Id: %b\r\nFaas-Revision: %d\r\n"
    b"Faas-Cold-Start: %d\r\nFaas-Queue-Ms: %.1f\r\n"
)


class Passage(Waiter):
    """A call and its answer.

    Args:
        calls: Shared by all invocations of the gateway.
        exchange: The caller's request and answer.
        pool: Slots of the revision it goes to.
        id: Invocation id.
        now_s: When its head was read.
    """

    __slots__ = (
        "ancestry",
        "answer",
        "answer_bytes",
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
        "framing",
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
        self.lines = self.framing = b""
        self.ancestry = b""
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

    @abstractmethod
    def on_refused(self) -> None:
        """The front was busy after all: the code cannot have started."""

    @abstractmethod
    def on_answered(self) -> None:
        """The caller has its answer; the code has ended."""

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
            self.answer_bytes = 0
            self.exchange.raw_start(self._head(answer), content_length)

    def on_answer_body(self, data: bytes) -> None:
        """A piece of the front's answer."""
        if self.is_streaming:
            self.answer_bytes += len(data)
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
            self.on_refused()
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
            self.on_answered()

    def on_whole_answer(self, known: KnownAnswer, run_ms: bytes, data: bytes) -> None:
        """The front's answer, all at once, with a head that was seen before.

        What follows that head, run time and length and body, goes on as it came.
        """
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
        waited_s = self.leased_s - self.received_s
        queue = _COLD_AND_QUEUE % (self.is_cold, waited_s * 1000) if waited_s else _AT_ONCE
        said = (known.memo or self._memo(known), self.id, queue)
        exchange = self.exchange
        exchange.receiver = None  # Breaks the cycle: freed now, not by the collector.
        if type(exchange) is RepeatedExchange and exchange.keep_alive:
            exchange.respond_whole(b"".join((*said, data[known.size :])))
        else:
            head = b"".join((*said, _RUN_MS % run_ms))
            exchange.respond_raw(head, data[data.index(_HEAD_ENDS) + 4 :], status=known.status)
        self.on_answered()

    def _memo(self, known: KnownAnswer) -> bytes:
        """Return the lines of an answer that are the same for every call of this replica."""
        fault = known.answer.fault
        known.memo = b"%b\r\n%bFaas-Revision: %d\r\n%bFaas-Invocation-Id: " % (
            STATUS_LINES.get(known.status, STATUS_LINES[502]),
            known.answer.lines,
            self.pool.entry.revision.number,
            b"Faas-Fault: %b\r\n" % fault.encode("ascii") if fault else b"",
        )
        return known.memo

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
        self.code = answer.code or CODES.get(status, "")
        self.detail = answer.detail
        self.outcome = OUTCOME_OF_CODE.get(self.code, Outcome.ERROR)

    def _give_back(self, connection: RepeatingConnection) -> None:
        self.connection = None
        replica = self.replica
        upstream = replica.upstream if isinstance(replica, Replica) else None
        if upstream is None or not self.is_body_whole:
            connection.close()
        else:
            upstream.give_back(connection)
