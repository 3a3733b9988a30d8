"""Whether anybody looks at a panel: which of its views are on a screen. Pure but for its clock.

A view says that it is alive every few seconds while it can be seen. A cleared cell or a closed tab
says so itself; a killed browser just falls silent.
"""

from __future__ import annotations

from collections.abc import Callable

SILENT_S = 15.0
"""So long without a sign, and a view has gone; it gives one every 5 s."""


class Onlookers:
    """The views of one panel that somebody may see.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen_s: dict[str, float] = {}

    def __bool__(self) -> bool:
        return bool(self._seen_s)

    def saw(self, view: str) -> bool:
        """Note a sign of life; return whether the view had been thought gone."""
        is_new = view not in self._seen_s
        self._seen_s[view] = self._clock()
        return is_new

    def left(self, view: str) -> None:
        """Note that a view has gone."""
        self._seen_s.pop(view, None)

    def clear(self) -> None:
        """Note that all have gone."""
        self._seen_s.clear()

    def drop_silent(self, *, is_deaf: bool) -> None:
        """Forget views that have been silent for too long.

        Args:
            is_deaf: A cell runs: the kernel hears no sign before its end, and silence means
                nothing.
        """
        now_s = self._clock()
        if is_deaf:
            self._seen_s = dict.fromkeys(self._seen_s, now_s)
            return
        self._seen_s = {
            view: seen_s for view, seen_s in self._seen_s.items() if now_s - seen_s <= SILENT_S
        }
