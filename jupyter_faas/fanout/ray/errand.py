"""One chunk on a seat of Ray: waits for the seat's replica, then is a call of its front."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from jupyter_faas.core import batch
from jupyter_faas.core.batch import Head
from jupyter_faas.core.chunks import Given
from jupyter_faas.core.errors import (
    CapacityError,
    FaasError,
    GatewayUnavailable,
    QueueFull,
    ReplicaLost,
    known,
)
from jupyter_faas.core.mapping import MapOrder
from jupyter_faas.core.sections import total_bytes
from jupyter_faas.fanout.base import Caller, Report
from jupyter_faas.fanout.replicas import ReplicaErrand, body_of
from jupyter_faas.wire.frames import CONTENT_TYPE
from jupyter_faas.wire.heads import JOIN_BELOW_BYTES, encode_request
from jupyter_faas.wire.upstream import Upstream

if TYPE_CHECKING:
    from jupyter_faas.fanout.ray.backend import RaySeats, Seated

_RETRY_S = 0.2
_AGAIN_S = 0.02
_ENDING_S = 10.0
"""So long a front may be busy with what was cancelled, or load after that."""


class SeatErrand:
    """One chunk on a seat.

    Args:
        seats: Has the seat.
        order: The map.
        caller: On whose behalf.
        report: Told what becomes of it.
    """

    def __init__(self, seats: RaySeats, order: MapOrder, caller: Caller, report: Report) -> None:
        self._seats = seats
        self.order = order
        self._caller = caller
        self._report: Report | None = report
        self._seat: Seated | None = None
        self._errand: ReplicaErrand | None = None
        self._task: asyncio.Task[None] | None = None
        self._what: tuple[Given, float] | None = None
        self._refused_s: float | None = None

    def begin(self, seat: Seated, given: Given, budget_s: float) -> None:
        """Go to `seat`, as soon as it is ready."""
        self._seat = seat
        self._what = given, budget_s
        self._seats.take_seat(seat, self)
        if seat.upstream is not None:
            self._go(seat, seat.upstream)
        else:
            self._task = asyncio.get_running_loop().create_task(self._wait(seat))

    def refuse(self, error: FaasError) -> None:
        """There is no place for it."""
        report = self._finish()
        if report is not None:
            report.on_refused(error)

    def cancel(self) -> None:
        """End its code."""
        if self._task is not None:
            self._task.cancel()
        if self._errand is not None:
            self._errand.cancel()
        self._finish()

    def cut(self) -> None:
        """Its seat is gone, and what ran there: nothing more is heard from it."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        errand, self._errand = self._errand, None
        if errand is None:
            self.refuse(no_seat())
            return
        errand.cancel()
        report = self._finish()
        if report is not None:
            report.on_died(ReplicaLost("The node went away.", reason="cut"), is_own=False)

    async def _wait(self, seat: Seated) -> None:
        assert seat.ready is not None
        try:
            upstream = await asyncio.shield(seat.ready)
        except Exception as error:
            # Also a defect: the chunk waits for this task alone.
            self._seats.failed(seat, known(error))
            self.refuse(no_seat())
            return
        self._task = None
        self._go(seat, upstream)

    def _go(self, seat: Seated, upstream: Upstream) -> None:
        parts, length = self._request(seat, upstream)
        errand = self._errand = ReplicaErrand(upstream, parts, length, self)
        connection = upstream.take()
        if connection is not None:
            errand.begin(connection)
        else:
            self._task = asyncio.get_running_loop().create_task(errand.connect())

    def _request(self, seat: Seated, upstream: Upstream) -> tuple[list[Any], int]:
        order = self.order
        assert order.of is not None
        assert self._what is not None
        body = body_of(*self._what)
        length = total_bytes(body)
        id = f"{seat.replica}-{self._seats.next_call()}"
        headers = [
            (b"Content-Type", batch.CONTENT_TYPE.encode()),
            (b"Accept", CONTENT_TYPE.encode()),
            (b"Faas-Secret", seat.secret.encode()),
            (b"Faas-Revision-Id", order.of.revision_id.encode()),
            (b"Faas-Invocation-Id", id.encode()),
            *(pair for pair in self._caller.headers if pair[0] != b"Faas-Parent"),
        ]
        if order.method:
            headers.append((b"Faas-Method", order.method.encode()))
        if self._caller.until_s is not None:
            left_s = self._caller.until_s - asyncio.get_running_loop().time()
            headers.append((b"Faas-Deadline-Ms", b"%d" % max(0, int(left_s * 1000))))
        first = encode_request(b"POST", b"/v1/call", upstream.authority, headers, length)
        parts: list[Any] = [first, *body]
        return ([b"".join(parts)] if length <= JOIN_BELOW_BYTES else parts), length

    # -- what its replica says, passed on

    def on_batch(self, head: Head, payloads: Any) -> None:
        """Something is said about items."""
        if self._report is not None:
            self._report.on_batch(head, payloads)

    def on_log(self, stream: int, text: Any) -> None:
        """The running item has printed."""
        if self._report is not None:
            self._report.on_log(stream, text)

    def on_end(self, error: FaasError | None, traceback: str = "") -> None:
        """The replica is done with it."""
        report = self._finish()
        if report is not None:
            report.on_end(error, traceback)

    def on_refused(self, error: FaasError) -> None:
        """The front was busy, or gone before it had the chunk."""
        seat = self._seat
        if isinstance(error, QueueFull) or seat is None:
            self.refuse(error)
        elif _is_busy(error) and seat.upstream is not None and self._may_wait():
            # What was cancelled there has not ended yet, or its worker is being replaced.
            self._task = asyncio.get_running_loop().create_task(self._again(seat, seat.upstream))
        else:
            self._seats.forget(seat)
            self.refuse(no_seat())

    def _may_wait(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        if self._refused_s is None:
            self._refused_s = now_s
        return now_s - self._refused_s < _ENDING_S

    async def _again(self, seat: Seated, upstream: Upstream) -> None:
        await asyncio.sleep(_AGAIN_S)
        self._task = self._errand = None
        if seat.upstream is upstream:
            self._go(seat, upstream)
        else:
            self.refuse(no_seat())

    def on_died(self, error: FaasError, *, is_own: bool, is_told: bool = False) -> None:
        """The worker is gone, which its front has told; or the whole replica, and told nobody."""
        is_cut = isinstance(error, ReplicaLost) and error.extra.get("reason") == "cut"
        if is_cut and self._seat is not None:
            self._seats.forget(self._seat)
        report = self._finish()
        if report is not None:
            report.on_died(error, is_own=is_own and not is_cut, is_told=is_told)

    def _finish(self) -> Report | None:
        report, self._report = self._report, None
        seat, self._seat = self._seat, None
        if seat is not None:
            self._seats.leave_seat(seat, self)
        return report


def no_seat() -> QueueFull:
    """Return why a chunk waits: nothing of it has run, and it may be tried again."""
    return QueueFull("All seats of Ray are taken.", retry_after_s=_RETRY_S)


def _is_busy(error: FaasError) -> bool:
    return isinstance(error, CapacityError) and not isinstance(error, GatewayUnavailable)
