"""`engine="auto"` and `"ray"`: a map's chunks go to its replicas until Ray is there, then to Ray.

Ray takes seconds and a core to start, so it is begun only for a map that will still be there when
it is up; a cluster that is there already is gone to at once. Nobody waits for it, and a map that
cannot have it goes on where it is and says why. Nor does anybody wait for a seat while other maps
have them all: what is on the seats may be what waits for this map.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from jupyter_faas.core.chunk_size import fair_shares
from jupyter_faas.core.chunks import Given
from jupyter_faas.core.mapping import MapOrder
from jupyter_faas.fanout.base import Backend, Caller, Errand, Report
from jupyter_faas.fanout.ray.backend import RaySeats

LOOK_AFTER_S = 0.5
"""Before that nothing is known of how long a map will take."""
WORTH_S = 5.0
"""Ray is begun for a map that has so long to go, or has gone on so long with no end in sight."""

PATIENCE_S = 0.25
"""A map that asks for Ray waits so long for a seat: another may be about to leave it."""


def is_worth_it(elapsed_s: float, remaining_s: float | None) -> bool:
    """Return whether a map is long enough for Ray to be started; `remaining_s` None: unknown."""
    if remaining_s is None:
        return elapsed_s >= WORTH_S
    return elapsed_s >= LOOK_AFTER_S and remaining_s >= WORTH_S


def seats_worth(
    chunks: int, max_inputs: int, busy: int, elapsed_s: float, remaining_s: float | None
) -> int:
    """Return how many seats a map could use that is asked to wait for new ones. Pure.

    Args:
        chunks: That are out or could be: more seats would be idle.
        max_inputs: Chunks that one seat takes at once.
        busy: Workers it has now, wherever.
        elapsed_s: Since it began.
        remaining_s: At its present rate; None: unknown. With the seats asked for it should still
            take as long as a seat is worth.
    """
    seats = math.ceil(chunks / max_inputs)
    if remaining_s is None:
        return seats if elapsed_s >= LOOK_AFTER_S else min(seats, 1)
    return min(seats, max(1, math.ceil(busy / max_inputs * remaining_s / WORTH_S)))


class Moving:
    """The backend of one map that may run on Ray.

    Args:
        order: The map.
        replicas: Where chunks go first.
        ray: Where they go when it is up; None: it cannot serve this function.
        clock: Monotonic seconds.

    Attributes:
        remaining_s: Returns how long the map will take yet; None: not known.
        chunks: Returns how many chunks it has out, and could have.
    """

    def __init__(
        self,
        order: MapOrder,
        replicas: Backend,
        ray: RaySeats | None,
        clock: Callable[[], float],
    ) -> None:
        self._order = order
        self._replicas = replicas
        self._ray = ray
        self._clock = clock
        self.remaining_s: Callable[[], float | None] = lambda: None
        self.chunks: Callable[[], tuple[int, int]] = lambda: (0, 0)
        assert order.of is not None
        self._of = order.of
        self._began_s = clock()
        self._is_asked = order.engine == "ray"
        if ray is not None:
            ray.forgive(self._of)

    @property
    def name(self) -> str:
        """Where new chunks go now."""
        return self._now.name

    @property
    def note(self) -> str:
        """Why Ray takes no part though it was asked for, or was tried; empty: nothing to say."""
        ray = self._ray
        why = self._of.why_not_ray
        if ray is None:
            if self._is_asked:
                why = why or "This gateway has no Ray."
        elif ray.house.is_begun:
            why = ray.house.trouble or ray.why_unfit(self._of)
            if self._is_asked and self.could_sit and not self._has_seat(ray):
                why = "other maps have all seats of Ray."
        return f"The replicas run the map: {why}" if why else ""

    @property
    def is_metered(self) -> bool:
        """Whether the gateway meters what runs where new chunks go now."""
        return self._now.is_metered

    def most_slots(self, order: MapOrder) -> int:
        """Those of where chunks go now."""
        ray = self._ray
        if ray is not None and (ray.house.is_remote or self._wants_ray()):
            ray.house.begin()
        return self._now.most_slots(order)

    def send(
        self, order: MapOrder, caller: Caller, given: Given, budget_s: float, report: Report
    ) -> Errand:
        """Send a chunk to where chunks go now."""
        return self._now.send(order, caller, given, budget_s, report)

    async def close(self) -> None:
        """Nothing: both are others' too."""

    def seats_wanted(self, seats: RaySeats) -> int:
        """Return how many of these seats it could use, there or not yet."""
        if self._ray is not seats or seats.why_unfit(self._of) or not self._wants_ray():
            return 0
        elapsed_s = self._clock() - self._began_s
        out, could = self.chunks()
        return seats_worth(could, self._of.max_inputs, out, elapsed_s, self.remaining_s())

    @property
    def could_sit(self) -> bool:
        """Whether Ray is up and takes this function."""
        ray = self._ray
        return ray is not None and bool(ray.house.seats) and not ray.why_unfit(self._of)

    def share(self, others: Iterable[Moving]) -> int | None:
        """Return how many chunks it may have on Ray beside others; None: it is not there."""
        ray = self._now
        if not isinstance(ray, RaySeats):
            return None
        seats = len(ray.house.seats)
        # What the others leave is this map's, also for stragglers, which it does not count.
        wants = [seats, *(one._usable() for one in others if one._ray is ray and one.could_sit)]
        return min(fair_shares(seats, wants)[0] * self._of.max_inputs, ray.room(self._order))

    def _usable(self) -> int:
        return math.ceil(self.chunks()[1] / self._of.max_inputs)

    @property
    def _now(self) -> Backend:
        ray = self._ray
        is_there = ray is not None and self.could_sit and self._has_seat(ray)
        return ray if ray is not None and is_there else self._replicas

    def _has_seat(self, ray: RaySeats) -> bool:
        """Whether it has one, or may have in a moment."""
        is_new = self._is_asked and self._clock() - self._began_s < PATIENCE_S
        return is_new or ray.room(self._order) > 0

    def _wants_ray(self) -> bool:
        elapsed_s = self._clock() - self._began_s
        return self._is_asked or is_worth_it(elapsed_s, self.remaining_s())
