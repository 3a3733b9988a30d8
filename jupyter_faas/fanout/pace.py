"""How fast a map goes, and how busy its workers are: for people. Pure."""

from __future__ import annotations

from collections import deque

EVERY_S = 0.25
OVER_S = 2.0
"""A rate is that of the last so many seconds."""


class Pace:
    """Items per second, lately.

    Args:
        now_s: When the map began.
    """

    def __init__(self, now_s: float) -> None:
        self._marks: deque[tuple[float, int]] = deque([(now_s, 0)])

    def rate(self, now_s: float, done: int) -> float:
        """Return the rate now that so many items are done."""
        marks = self._marks
        if now_s - marks[-1][0] >= EVERY_S:
            marks.append((now_s, done))
        while len(marks) > 1 and now_s - marks[0][0] > OVER_S:
            marks.popleft()
        since_s, before = marks[0]
        return round((done - before) / max(now_s - since_s, 0.001), 1)


def share_busy(sent_s: float, told_s: float, since_s: float | None, now_s: float) -> float:
    """Return how much of its time a worker has worked on its chunk, 0 to 1.

    Args:
        sent_s: When it was sent the chunk.
        told_s: How long it has said that it worked.
        since_s: When the item that runs now began; None: none is known to run.
        now_s: Same clock.
    """
    running_s = 0.0 if since_s is None else now_s - since_s
    return round(min(1.0, (told_s + running_s) / max(now_s - sent_s, 0.001)), 2)
