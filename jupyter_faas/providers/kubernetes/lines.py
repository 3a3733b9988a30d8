"""Who waits for a pod of a warm pool, and whose turn it is. Pure: no I/O, no clock.

First come, first served within a function. Between functions it is the turn of the one with the
fewest claims under way: a single call must not wait until another function has its twenty pods.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)


class _Wish(NamedTuple, Generic[K]):
    key: K
    function: str
    place: int
    """In the order of wishes."""


class Lines(Generic[K]):
    """The lines of all pools, by what tells pools apart."""

    def __init__(self) -> None:
        self._wishes: dict[str, _Wish[K]] = {}
        self._waiting: dict[K, dict[str, dict[str, int]]] = {}
        """By pool, function and replica: its place, first things first."""
        self._called: dict[str, _Wish[K]] = {}
        """Whose claim is under way, wanted still or not."""
        self._next = 0

    def join(self, key: K, replica: str, function: str) -> None:
        """A replica waits from now on."""
        self._next += 1
        wish = self._wishes[replica] = _Wish(key, function, self._next)
        self._wait(replica, wish)

    def leave(self, replica: str) -> bool:
        """A replica is not wanted any more; returns whether it was waiting."""
        wish = self._wishes.pop(replica, None)
        return wish is not None and self._stop_waiting(replica, wish)

    def waiting(self, key: K) -> list[str]:
        """Return who waits, the first one first; not those whose claim is under way."""
        places = {r: p for line in self._waiting.get(key, {}).values() for r, p in line.items()}
        return sorted(places, key=places.__getitem__)

    def occupied(self) -> list[K]:
        """Return the pools that somebody waits for."""
        return [key for key, lines in self._waiting.items() if lines]

    def under_way(self, key: K) -> int:
        """Return how many claims of a pool are under way."""
        return sum(wish.key == key for wish in self._called.values())

    def call(self, key: K) -> str | None:
        """Return whose turn it is: its claim is under way until `done`; None: nobody waits."""
        lines = self._waiting.get(key)
        if not lines:
            return None
        busy = dict.fromkeys(lines, 0)
        for wish in self._called.values():
            if wish.key == key and wish.function in busy:
                busy[wish.function] += 1
        function = min(lines, key=lambda one: (busy[one], next(iter(lines[one].values()))))
        replica = next(iter(lines[function]))
        wish = self._called[replica] = self._wishes[replica]
        self._stop_waiting(replica, wish)
        return replica

    def done(self, replica: str, *, has_pod: bool) -> bool:
        """A claim has ended; without a pod the replica waits in its old place.

        Returns:
            Whether the replica is still wanted.
        """
        self._called.pop(replica, None)
        if has_pod:
            return self._wishes.pop(replica, None) is not None
        wish = self._wishes.get(replica)
        if wish is not None:
            self._wait(replica, wish)
        return wish is not None

    def _wait(self, replica: str, wish: _Wish[K]) -> None:
        lines = self._waiting.setdefault(wish.key, {})
        line = {**lines.get(wish.function, {}), replica: wish.place}
        lines[wish.function] = dict(sorted(line.items(), key=lambda item: item[1]))

    def _stop_waiting(self, replica: str, wish: _Wish[K]) -> bool:
        lines = self._waiting.get(wish.key, {})
        line = lines.get(wish.function, {})
        was_waiting = line.pop(replica, None) is not None
        if was_waiting and not line:
            del lines[wish.function]
        return was_waiting
