"""Chunks on seats of a Ray cluster: each seat has one replica, made for one revision at a time.

A chunk goes straight to the front of a seat's replica, as a gateway's call would. A seat that is
idle with another revision gets a fresh replica: that costs a fork, not an actor.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_faas.core.chunks import Given
from jupyter_faas.core.errors import FaasError, ProviderError, QueueFull
from jupyter_faas.core.mapping import MapOrder
from jupyter_faas.core.specialisation import Specialisation
from jupyter_faas.fanout.base import Caller, Report
from jupyter_faas.fanout.ray.becoming import DriverKey, become
from jupyter_faas.fanout.ray.errand import SeatErrand, no_seat
from jupyter_faas.fanout.ray.house import RayHouse
from jupyter_faas.wire.upstream import Upstream

if TYPE_CHECKING:
    from jupyter_faas.core.mapping import MapFunction

MOST_FAILURES = 3
"""So often in a row a replica may fail to start before its function is Ray's no more."""

_specialisation = msgspec.msgpack.Decoder(Specialisation).decode


class Seated:
    """One seat as the backend knows it.

    Attributes:
        number: Of the seat.
        revision: Whose code its replica has; empty: there is none.
        errands: Chunks it has.
        ready: Done when the replica takes chunks; None: there is none.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.revision = ""
        self.errands: set[SeatErrand] = set()
        self.ready: asyncio.Task[Upstream] | None = None
        self.replica = ""
        self.secret = ""

    @property
    def in_flight(self) -> int:
        """How many chunks it has."""
        return len(self.errands)

    def left(self, function: MapFunction) -> int:
        """How many chunks of a function it takes yet."""
        if not self.errands:
            return function.max_inputs
        is_its = self.revision == function.revision_id
        return max(0, function.max_inputs - self.in_flight) if is_its else 0

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
        run_dir: Private directory for the sockets of replicas on this machine.
        key: What replicas elsewhere know the driver by; None: there are none.
    """

    name = "ray"
    note = ""
    is_metered = False

    def __init__(self, house: RayHouse, run_dir: Path, key: DriverKey | None = None) -> None:
        self.house = house
        house.on_lost = self._lose
        house.busy = lambda: self.busy
        self._run_dir = run_dir
        self._key = key
        self._seats: dict[int, Seated] = {}
        self._count = self._calls = 0
        self._chunks: Counter[int] = Counter()  # of each map; by the identity of its order
        self._unfit: dict[str, str] = {}
        self._failures: Counter[str] = Counter()

    @property
    def busy(self) -> tuple[int, ...]:
        """Seats that have chunks."""
        return tuple(seat.number for seat in self._seats.values() if seat.errands)

    def why_unfit(self, function: MapFunction) -> str:
        """Return why a function's chunks do not go here now though Ray is up; empty: they do."""
        wanted = "" if function.seating is None else function.seating.python
        if wanted and self.house.python and self.house.python != wanted:
            return f"Ray has Python {self.house.python}, the function needs {wanted}."
        if 0 < self.house.seat_mib < function.memory_mib:
            return (
                f"a replica on Ray may take {self.house.seat_mib} MiB, "
                f"the function's {function.memory_mib}."
            )
        return self._unfit.get(function.revision_id, "")

    def forgive(self, function: MapFunction) -> None:
        """What has failed may be tried again: a new map begins."""
        self._unfit.pop(function.revision_id, None)
        self._failures.pop(function.revision_id, None)

    def most_slots(self, order: MapOrder) -> int:
        """As many as all seats take of this function; 0 while Ray is not up."""
        assert order.of is not None
        return len(self.house.seats) * order.of.max_inputs

    def room(self, order: MapOrder) -> int:
        """Return how many chunks of a map can be on seats at once: those it has, and what is free.

        0: other maps have every seat, among them perhaps the one that waits for this.
        """
        assert order.of is not None
        own = self._chunks[id(order)]
        if own == self._chunks.total():
            return self.most_slots(order)
        of = order.of
        seats = [self._seats.get(number) for number in self.house.seats]
        return own + sum(of.max_inputs if s is None else s.left(of) for s in seats)

    def take_seat(self, seat: Seated, errand: SeatErrand) -> None:
        """A chunk goes to a seat."""
        seat.errands.add(errand)
        self._chunks[id(errand.order)] += 1

    def leave_seat(self, seat: Seated, errand: SeatErrand) -> None:
        """A chunk is on its seat no more."""
        seat.errands.discard(errand)
        self._chunks[id(errand.order)] -= 1
        if not self._chunks[id(errand.order)]:
            del self._chunks[id(errand.order)]

    def next_call(self) -> int:
        """Return a number for a call of a front, not used before."""
        self._calls += 1
        return self._calls

    def send(
        self, order: MapOrder, caller: Caller, given: Given, budget_s: float, report: Report
    ) -> SeatErrand:
        """Send a chunk to a seat."""
        assert order.of is not None
        assert order.of.seating is not None
        errand = SeatErrand(self, order, caller, report)
        seat = self._choose(order.of.revision_id, order.of.max_inputs)
        if seat is None:
            asyncio.get_running_loop().call_soon(errand.refuse, no_seat())
            return errand
        if seat.revision != order.of.revision_id or seat.ready is None:
            self._begin(
                seat, order.of.revision_id, _specialisation(order.of.seating.specialisation)
            )
        errand.begin(seat, given, budget_s)
        return errand

    async def close(self) -> None:
        """End Ray, or let it go."""
        for seat in self._seats.values():
            if seat.ready is not None:
                seat.ready.cancel()
            if self.house.is_remote:
                self.forget(seat)
        await self.house.close()

    def failed(self, seat: Seated, error: FaasError) -> None:
        """The replica of a seat has not become what it was to be."""
        revision = seat.revision
        self.forget(seat)
        if not revision or isinstance(error, QueueFull):
            return  # another of its chunks has told already, or it is the seat that is gone
        self._failures[revision] += 1
        is_lasting = not isinstance(error, ProviderError)
        if is_lasting or self._failures[revision] >= MOST_FAILURES:
            self._unfit[revision] = str(error)

    def forget(self, seat: Seated) -> None:
        """The seat's replica is of no use any more."""
        if seat.ready is not None:
            seat.ready.cancel()
            upstream = seat.upstream
            if upstream is not None:
                upstream.close()
            self.house.shut(seat.number, seat.replica)
        seat.ready, seat.revision = None, ""

    # -- seats

    def _choose(self, revision: str, most: int) -> Seated | None:
        for number in self.house.seats:
            if number not in self._seats:
                self._seats[number] = Seated(number)
        seats = [self._seats[number] for number in self.house.seats]
        ours = [s for s in seats if s.revision == revision and s.in_flight < most]
        free = [s for s in seats if not s.errands and s.revision != revision]
        quiet = [seat for seat in ours if not seat.errands]
        # One of its own that is idle, else one that nobody needs, else the least busy of its own;
        # of several the first: those behind it can go when there is less to do.
        for some in (quiet, free, ours):
            if some:
                return min(some, key=lambda seat: seat.in_flight)
        return None

    def _lose(self, numbers: Collection[int]) -> None:
        """Seats are gone, with all that ran there."""
        for number in numbers:
            seat = self._seats.pop(number, None)
            if seat is None:
                continue
            for errand in tuple(seat.errands):
                errand.cut()
            self.forget(seat)

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
        seat.ready = loop.create_task(self._become(seat.number, told))
        seat.ready.add_done_callback(_look)

    async def _become(self, number: int, told: Specialisation) -> Upstream:
        path = str(self._run_dir / f"{told.replica}.sock")
        trust = b"" if self._key is None else self._key.public
        opened = await self.house.open(number, told.replica, path, trust)
        upstream = await become(opened, told, self._key)
        self._failures.pop(told.revision_id, None)
        return upstream


def _look(task: asyncio.Task[Any]) -> None:
    """Whoever waits for it hears of its error; nobody may."""
    if not task.cancelled():
        task.exception()
