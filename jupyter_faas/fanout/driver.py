"""The driver: all maps of one gateway, in a process of its own. Nothing here unpickles."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable
from functools import partial

from jupyter_faas.core.chunk_size import fair_shares
from jupyter_faas.core.errors import InvalidSpec, InvocationNotFound
from jupyter_faas.core.mapping import MapOrder, Seating
from jupyter_faas.fanout.base import Backend, Caller
from jupyter_faas.fanout.moving import Moving
from jupyter_faas.fanout.ray.backend import RaySeats
from jupyter_faas.fanout.run import Run
from jupyter_faas.fanout.usage import Usages

MakeSeats = Callable[[Seating, str], RaySeats | None]
"""Makes where functions of one Python and namespace run on Ray; None: nowhere."""
KEPT_ENDED = 32
"""So many ended maps are still listed."""


class Driver:
    """Begins maps, shares slots between them, and remembers the last ones.

    Args:
        replicas: Where chunks go.
        cpus: Of the machine that all replicas share; 0: they do not.
        wall_clock: Seconds since the epoch, for people.
    """

    def __init__(
        self,
        replicas: Backend,
        cpus: int,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.make_seats: MakeSeats | None = None
        """Makes where functions of one Python run on Ray; None: nowhere."""
        self._seats: dict[tuple[str, str, str], RaySeats] = {}
        self._moving: dict[str, Moving] = {}
        self._running: dict[str, Run] = {}
        self._ended: dict[str, Run] = {}
        self.usages = Usages()
        self.used_s = 0.0
        self._replicas = replicas
        self._cpus = cpus
        self._wall_clock = wall_clock
        self._loop = asyncio.get_running_loop()

    def now_s(self) -> float:
        """Return the loop's time."""
        return self._loop.time()

    @property
    def is_busy(self) -> bool:
        """Whether a map runs."""
        return bool(self._running)

    @property
    def runs(self) -> list[Run]:
        """The last maps that have ended, and those that run."""
        return [*self._ended.values(), *self._running.values()]

    def find(self, id: str) -> Run:
        """Return a map.

        Raises:
            InvocationNotFound: There is none of this id (any more).
        """
        run = self._running.get(id) or self._ended.get(id)
        if run is None:
            raise InvocationNotFound(f"No map {id} is known here (any more).")
        return run

    def begin(self, order: MapOrder, caller: Caller, id: str = "") -> Run:
        """Begin a map.

        Raises:
            InvalidSpec: The order is not complete.
        """
        if order.of is None or order.revision is None:
            raise InvalidSpec("An order of a map names its revision and what that is.")
        backend = self._backend(order)
        run = Run(
            id or order.id or f"map-{secrets.token_hex(6)}",
            order,
            caller,
            backend,
            allowed=self._allowed,
            on_over=self._on_over,
            cpus=self._cpus,
            usage=self.usages.of(order),
            wall_s=self._wall_clock(),
        )
        if isinstance(backend, Moving):
            backend.remaining_s = run.remaining_s
            backend.chunks = lambda: (run.in_flight, run.chunks.wanted)
            self._moving[run.id] = backend
        self._ended.pop(run.id, None)
        self._running[run.id] = run
        self.used_s = self.now_s()
        self._pump_others(run)
        return run

    def pump(self) -> None:
        """Have all maps do what they can: what they run on has changed."""
        for run in list(self._running.values()):
            run.pump()

    def seats_of(self, seating: Seating, namespace: str) -> RaySeats | None:
        """Return where functions of one Python run on Ray; None: there is no Ray here."""
        # On this machine those of all namespaces do in one.
        key = (seating.interpreter, seating.pythonpath, "" if seating.interpreter else namespace)
        if key not in self._seats and self.make_seats is not None:
            seats = self.make_seats(seating, namespace)
            if seats is not None:
                self._seats[key] = seats
                seats.house.wanted = partial(self._seats_wanted, seats)
        return self._seats.get(key)

    async def close(self) -> None:
        """End all maps, and Ray."""
        for run in list(self._running.values()):
            run.cancel()
        for seats in self._seats.values():
            await seats.close()
        await self._replicas.close()

    def _seats_wanted(self, seats: RaySeats) -> int:
        return max(len(seats.busy), sum(one.seats_wanted(seats) for one in self._moving.values()))

    def _backend(self, order: MapOrder) -> Backend:
        assert order.of is not None
        if order.engine == "replicas":
            return self._replicas
        seating = order.of.seating
        ray = None if seating is None else self.seats_of(seating, order.namespace)
        return Moving(order, self._replicas, ray, self.now_s)

    def _allowed(self, run: Run, slots: int) -> int:
        """Return how many slots a map may use of those that its function has."""
        rivals = self._rivals(run)
        if rivals:
            slots = fair_shares(slots, [one.chunks.wanted for one in (run, *rivals)])[0]
        moving = self._moving.get(run.id)
        if moving is None:
            return slots
        on_ray = moving.share(one for one in self._moving.values() if one is not moving)
        return slots if on_ray is None else min(slots, on_ray)

    def _rivals(self, run: Run) -> list[Run]:
        key = (run.order.namespace, run.order.function)
        return [
            other
            for other in self._running.values()
            if other is not run and (other.order.namespace, other.order.function) == key
        ]

    def _pump_others(self, run: Run) -> None:
        for other in self._rivals(run):
            other.pump()

    def _on_over(self, run: Run) -> None:
        self.used_s = self.now_s()
        if self._moving.pop(run.id, None) is not None:
            self._loop.call_soon(self.pump)  # it leaves its seats to others
        if self._running.get(run.id) is run:
            self._ended[run.id] = self._running.pop(run.id)
            if len(self._ended) > KEPT_ENDED:
                del self._ended[next(iter(self._ended))]
        self._pump_others(run)


def cpus_here() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0))
