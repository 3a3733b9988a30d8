"""Chunks on seats of a Ray cluster: each seat has one replica, made for one revision at a time.

A chunk goes straight to the front of a seat's replica, as a gateway's call would. A seat that is
idle with another revision gets a fresh replica: that costs a fork, not an actor.
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Any

import msgspec

from jupyter_faas.core import batch
from jupyter_faas.core.batch import Head
from jupyter_faas.core.chunks import Given
from jupyter_faas.core.errors import FaasError, ProviderError, QueueFull, ReplicaLost
from jupyter_faas.core.mapping import MapOrder
from jupyter_faas.core.sections import total_bytes
from jupyter_faas.core.specialisation import Specialisation
from jupyter_faas.fanout.base import Caller, Report
from jupyter_faas.fanout.ray.house import RayHouse
from jupyter_faas.fanout.replicas import ReplicaErrand
from jupyter_faas.wire.frames import CONTENT_TYPE
from jupyter_faas.wire.heads import JOIN_BELOW_BYTES, encode_request
from jupyter_faas.wire.problems import read_problem
from jupyter_faas.wire.upstream import AnswerLost, Upstream, request

_SPECIALISATION = b"application/vnd.faas.specialisation"
_RETRY_S = 0.2

_specialisation = msgspec.msgpack.Decoder(Specialisation).decode


class Seated:
    """One seat as the backend knows it.

    Attributes:
        number: Of the seat.
        revision: Whose code its replica has; empty: there is none.
        in_flight: Chunks it has.
        ready: Done when the replica takes chunks; None: there is none.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.revision = ""
        self.in_flight = 0
        self.ready: asyncio.Task[Upstream] | None = None
        self.replica = ""
        self.secret = ""

    @property
    def upstream(self) -> Upstream | None:
        """Connections to its replica, if that is ready."""
        ready = self.ready
        if ready is None or not ready.done() or ready.cancelled() or ready.exception():
            return None
        return ready.result()


class RaySeats:
    """The backend.

    Args:
        house: Ray itself.
        run_dir: Private directory for the replicas' sockets.
    """

    name = "ray"
    note = ""
    is_metered = False

    def __init__(self, house: RayHouse, run_dir: Path) -> None:
        self.house = house
        self._run_dir = run_dir
        self._seats: list[Seated] = []
        self._count = 0

    def most_slots(self, order: MapOrder) -> int:
        """As many as all seats take of this function; 0 while Ray is not up."""
        assert order.of is not None
        return self.house.seats * order.of.max_inputs

    def send(
        self, order: MapOrder, caller: Caller, given: Given, budget_s: float, report: Report
    ) -> SeatErrand:
        """Send a chunk to a seat."""
        assert order.of is not None
        assert order.of.seating is not None
        errand = SeatErrand(self, order, caller, report)
        seat = self._choose(order.of.revision_id, order.of.max_inputs)
        if seat is None:
            asyncio.get_running_loop().call_soon(errand.refuse, _no_seat())
            return errand
        if seat.revision != order.of.revision_id or seat.ready is None:
            self._begin(
                seat, order.of.revision_id, _specialisation(order.of.seating.specialisation)
            )
        errand.begin(seat, given, budget_s)
        return errand

    async def close(self) -> None:
        """End Ray."""
        for seat in self._seats:
            if seat.ready is not None:
                seat.ready.cancel()
        await self.house.close()

    # -- seats

    def _choose(self, revision: str, most: int) -> Seated | None:
        while len(self._seats) < self.house.seats:
            self._seats.append(Seated(len(self._seats)))
        ours = [s for s in self._seats if s.revision == revision and s.in_flight < most]
        free = [s for s in self._seats if not s.in_flight and s.revision != revision]
        quiet = [seat for seat in ours if not seat.in_flight]
        # One of its own that is idle, else one that nobody needs, else the least busy of its own.
        for seats in (quiet, free, ours):
            if seats:
                return min(seats, key=lambda seat: seat.in_flight)
        return None

    def _begin(self, seat: Seated, revision: str, told: Specialisation) -> None:
        """Have a seat's replica become this revision."""
        self.forget(seat)
        self._count += 1
        seat.revision = revision
        seat.replica = f"ray-{secrets.token_hex(3)}-{self._count}"
        seat.secret = secrets.token_hex(16)
        told = msgspec.structs.replace(
            told,
            replica=seat.replica,
            secret=seat.secret,
            env={**told.env, "FAAS_REPLICA": seat.replica},
        )
        loop = asyncio.get_running_loop()
        seat.ready = loop.create_task(self._become(seat, told))
        seat.ready.add_done_callback(_look)

    async def _become(self, seat: Seated, told: Specialisation) -> Upstream:
        path = str(self._run_dir / f"{seat.replica}.sock")
        await self.house.open(seat.number, seat.replica, path)
        upstream = Upstream(f"unix:{path}")
        head = msgspec.msgpack.encode(told)
        headers = [(b"Content-Type", _SPECIALISATION), (b"Faas-Secret", told.secret.encode())]
        body = (len(head).to_bytes(4, "little"), head)
        try:
            answer = await request(
                upstream, "POST", "/v1/specialise", headers, body, timeout_s=told.startup_timeout_s
            )
        except (AnswerLost, OSError, TimeoutError) as error:
            raise ProviderError(f"The replica on Ray could not be specialised: {error}") from error
        if answer.status != 200:
            raise read_problem(answer.status, answer.body)
        return upstream

    def forget(self, seat: Seated) -> None:
        """The seat's replica is of no use any more."""
        if seat.ready is not None:
            seat.ready.cancel()
            upstream = seat.upstream
            if upstream is not None:
                upstream.close()
            if self.house.pid is not None:
                self.house.shut(seat.number, seat.replica)
        seat.ready, seat.revision = None, ""


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
        self._order = order
        self._caller = caller
        self._report: Report | None = report
        self._seat: Seated | None = None
        self._errand: ReplicaErrand | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, seat: Seated, given: Given, budget_s: float) -> None:
        """Go to `seat`, as soon as it is ready."""
        self._seat = seat
        seat.in_flight += 1
        if seat.upstream is not None:
            self._go(seat, seat.upstream, given, budget_s)
        else:
            loop = asyncio.get_running_loop()
            self._task = loop.create_task(self._wait(seat, given, budget_s))

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

    async def _wait(self, seat: Seated, given: Given, budget_s: float) -> None:
        assert seat.ready is not None
        try:
            upstream = await asyncio.shield(seat.ready)
        except FaasError as error:
            self._seats.forget(seat)
            self.refuse(error)
            return
        self._task = None
        self._go(seat, upstream, given, budget_s)

    def _go(self, seat: Seated, upstream: Upstream, given: Given, budget_s: float) -> None:
        parts, length = self._request(seat, upstream, given, budget_s)
        errand = self._errand = ReplicaErrand(upstream, parts, length, self)
        connection = upstream.take()
        if connection is not None:
            errand.begin(connection)
        else:
            self._task = asyncio.get_running_loop().create_task(errand.connect())

    def _request(
        self, seat: Seated, upstream: Upstream, given: Given, budget_s: float
    ) -> tuple[list[Any], int]:
        order = self._order
        assert order.of is not None
        head = Head(
            given.indices,
            bytes(len(given.indices)),
            [len(payload) for payload in given.payloads],
            is_exact=given.chunk.is_exact,
            budget_s=budget_s,
        )
        body = batch.pack(head, given.payloads)
        length = total_bytes(body)
        id = f"{seat.replica}-{given.chunk.id}"
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
        if not isinstance(error, QueueFull) and self._seat is not None:
            self._seats.forget(self._seat)
            error = _no_seat()
        self.refuse(error)

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
            seat.in_flight -= 1
        return report


def _no_seat() -> QueueFull:
    return QueueFull("All seats of Ray are taken.", retry_after_s=_RETRY_S)


def _look(task: asyncio.Task[Any]) -> None:
    """Whoever waits for it hears of its error; nobody may."""
    if not task.cancelled():
        task.exception()
