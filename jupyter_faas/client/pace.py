"""How often what changes all the time is shown: the first at once, then so many times a second."""

from __future__ import annotations

from collections.abc import Callable

MAX_HZ = 4.0
"""What moves more often than this is not read better, and costs the reader's browser."""


class Pace:
    """Decides whether something may be shown again. Pure but for its clock.

    Args:
        clock: Monotonic seconds.
        max_hz: Most times a second.
    """

    def __init__(self, clock: Callable[[], float], max_hz: float = MAX_HZ) -> None:
        self._clock = clock
        self._pause_s = 1 / max_hz
        self._next_s = float("-inf")

    def is_due(self) -> bool:
        """Return whether it may be shown now; then the pause begins anew."""
        now_s = self._clock()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + self._pause_s
        return True

    @property
    def left_s(self) -> float:
        """How long the pause still takes, in seconds; 0: it is over."""
        return max(0.0, self._next_s - self._clock())
