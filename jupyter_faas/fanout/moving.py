"""`engine="auto"` and `"ray"`: a map's chunks go to its replicas until Ray is there, then to Ray.

Ray takes seconds and a core to start, so it is begun only for a map that will still be there when
it is up. Nobody waits for it, and a map that cannot have it goes on where it is and says why.
"""

from __future__ import annotations

from collections.abc import Callable

from jupyter_faas.core.chunks import Given
from jupyter_faas.core.mapping import MapOrder
from jupyter_faas.fanout.base import Backend, Caller, Errand, Report
from jupyter_faas.fanout.ray.backend import RaySeats

LOOK_AFTER_S = 0.5
"""Before that nothing is known of how long a map will take."""
WORTH_S = 5.0
"""Ray is begun for a map that has so long to go, or has gone on so long with no end in sight."""


def is_worth_it(elapsed_s: float, remaining_s: float | None) -> bool:
    """Return whether a map is long enough for Ray to be started; `remaining_s` None: unknown."""
    if remaining_s is None:
        return elapsed_s >= WORTH_S
    return elapsed_s >= LOOK_AFTER_S and remaining_s >= WORTH_S


class Moving:
    """The backend of one map that may run on Ray.

    Args:
        order: The map.
        replicas: Where chunks go first.
        ray: Where they go when it is up; None: it cannot serve this function.
        clock: Monotonic seconds.

    Attributes:
        remaining_s: Returns how long the map will take yet; None: not known.
    """

    def __init__(
        self,
        order: MapOrder,
        replicas: Backend,
        ray: RaySeats | None,
        clock: Callable[[], float],
    ) -> None:
        self._replicas = replicas
        self._ray = ray
        self._clock = clock
        self.remaining_s: Callable[[], float | None] = lambda: None
        self._began_s = clock()
        self._is_asked = order.engine == "ray"

    @property
    def name(self) -> str:
        """Where new chunks go now."""
        return self._now.name

    @property
    def note(self) -> str:
        """Why Ray takes no part though it was asked for, or was tried; empty: nothing to say."""
        ray = self._ray
        if ray is None:
            return "Ray cannot run this function: its replicas run the map." * self._is_asked
        if not ray.house.trouble or not ray.house.is_begun:
            return ""
        return f"The replicas run the map: {ray.house.trouble}"

    @property
    def is_metered(self) -> bool:
        """Whether the gateway meters what runs where new chunks go now."""
        return self._now.is_metered

    def most_slots(self, order: MapOrder) -> int:
        """Those of where chunks go now."""
        ray = self._ray
        if ray is not None and not ray.house.is_begun and self._wants_ray():
            ray.house.begin()
        return self._now.most_slots(order)

    def send(
        self, order: MapOrder, caller: Caller, given: Given, budget_s: float, report: Report
    ) -> Errand:
        """Send a chunk to where chunks go now."""
        return self._now.send(order, caller, given, budget_s, report)

    async def close(self) -> None:
        """Nothing: both are others' too."""

    @property
    def _now(self) -> Backend:
        ray = self._ray
        return ray if ray is not None and ray.house.seats else self._replicas

    def _wants_ray(self) -> bool:
        elapsed_s = self._clock() - self._began_s
        return self._is_asked or is_worth_it(elapsed_s, self.remaining_s())
