"""Which kept calls go to the activator now. Pure.

A kept call waits here, not in the activator's bounded room: of each function only as many are
given on as its replicas may run at once, in the order in which they were accepted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 15.0


class Backlog:
    """Kept calls that wait, by function.

    Args:
        most: Calls of all functions together that may be given on at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[Hashable, deque[str]] = {}
        self._out: dict[str, Hashable] = {}
        self._counts: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self._out) + sum(map(len, self._waiting.values()))

    def add(self, function: Hashable, call: str) -> None:
        """Have a call wait behind those of its function."""
        self._waiting.setdefault(function, deque()).append(call)

    def remove(self, function: Hashable, call: str) -> bool:
        """Take a call out that waits; False: it does not."""
        waiting = self._waiting.get(function, ())
        if call not in waiting:
            return False
        self._waiting[function].remove(call)
        self._tidy(function)
        return True

    def is_out(self, call: str) -> bool:
        """Return whether a call has been given on and has not come back."""
        return call in self._out

    def take(self, limit_of: Callable[[Hashable], int]) -> Iterator[str]:
        """Yield the calls that are given on now, one of each function in turn.

        Args:
            limit_of: How many calls of a function may be out at once; at least one is.
        """
        is_any = True
        while is_any and len(self._out) < self._most:
            is_any = False
            for function in tuple(self._waiting):
                is_full = self._counts.get(function, 0) >= max(1, limit_of(function))
                if not is_full and len(self._out) < self._most:
                    is_any = True
                    yield self._give(function)

    def done(self, call: str) -> None:
        """Note that a call that was given on has come back."""
        function = self._out.pop(call, None)
        if function is not None:
            self._counts[function] -= 1
            if not self._counts[function]:
                del self._counts[function]

    def _give(self, function: Hashable) -> str:
        call = self._waiting[function].popleft()
        self._tidy(function)
        self._out[call] = function
        self._counts[function] = self._counts.get(function, 0) + 1
        return call

    def _tidy(self, function: Hashable) -> None:
        if not self._waiting[function]:
            del self._waiting[function]


def pause_s(tries: int) -> float:
    """Return how long to wait before a call is given on again that found no room `tries` times."""
    return float(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(tries - 1, 10)))
