"""Which revision gets the next invocation: weights, exact over time and cheap per call.

The router asks `TrafficTable.pick` for every call without a named revision; the registry makes a
new table when weights change. Pure: no clock, no randomness from outside.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Collection, Mapping
from itertools import accumulate

from jupyter_faas.core.errors import InvalidSpec, RevisionNotFound

MAX_WEIGHT = 1_000_000
"""Largest weight of one revision: keeps the cumulative table exact."""

_GOLDEN = 0x9E3779B97F4A7C15
"""2⁶⁴ divided by the golden ratio, odd: steps of it fill the circle as evenly as possible."""
_MASK = (1 << 64) - 1


class TrafficTable:
    """Weights over revision numbers with a precomputed cumulative table.

    Without a key the picks follow an additive golden-ratio sequence: of any n picks in a row each
    revision gets its share to within a few calls (random picks are off by √n). With a key
    the pick depends on key, salt and weights only, and as revisions are laid out in ascending
    order a shift between two of them moves only the keys that must move.

    Args:
        weights: Revision number → weight > 0; empty: nothing serves yet.
        salt: Makes the same key fall differently for different functions.

    Source:
        Low-discrepancy sequences: Kuipers & Niederreiter, Uniform Distribution of Sequences.
    """

    __slots__ = ("_bounds", "_numbers", "_only", "_position", "_salt")

    def __init__(self, weights: Mapping[int, int], salt: bytes = b"") -> None:
        numbers = tuple(sorted(weights))
        self._numbers = numbers
        self._only = numbers[0] if len(numbers) == 1 else 0
        total = sum(weights.values())
        self._bounds: tuple[int, ...] = ()
        if len(numbers) > 1:
            sums = accumulate(weights[number] for number in numbers)
            self._bounds = tuple((part << 64) // total for part in sums)
        self._position = 0
        self._salt = salt

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def __contains__(self, number: int) -> bool:
        return number in self._numbers

    @property
    def numbers(self) -> tuple[int, ...]:
        """Revisions that get a share, ascending."""
        return self._numbers

    def pick(self, key: bytes | None = None) -> int:
        """Return the revision for the next invocation; 0 when nothing serves yet.

        Args:
            key: Calls with the same key go to the same revision while the weights stay.
        """
        if self._only or not self._numbers:
            return self._only
        if key is None:
            point = self._position = (self._position + _GOLDEN) & _MASK
        else:
            digest = hashlib.blake2b(key, digest_size=8, salt=self._salt[:16])
            point = int.from_bytes(digest.digest(), "little")
        return self._numbers[bisect_right(self._bounds, point)]


def parse_traffic(raw: Mapping[int | str, int]) -> dict[int, int]:
    """Return weights by revision number from what a user wrote; zero weights are left out.

    Raises:
        InvalidSpec: A key is no revision number, a weight no whole number in
            [0, `MAX_WEIGHT`], or nothing would get traffic.
    """
    weights: dict[int, int] = {}
    for key, weight in raw.items():
        number = _revision_number(key)
        if isinstance(weight, bool) or not isinstance(weight, int) or not 0 <= weight <= MAX_WEIGHT:
            raise InvalidSpec(
                f"traffic: the weight of revision {number} is {weight!r}; "
                f"a whole number from 0 to {MAX_WEIGHT} is allowed."
            )
        if number in weights:
            raise InvalidSpec(f"traffic: revision {number} is named twice.")
        weights[number] = weight
    if not any(weights.values()):
        raise InvalidSpec("traffic: at least one revision needs a weight above 0.")
    return {number: weight for number, weight in sorted(weights.items()) if weight}


def check_known(function: str, weights: Mapping[int, int], known: Collection[int]) -> None:
    """Raise unless every named revision exists.

    Raises:
        RevisionNotFound: Names the missing one and those there are.
    """
    for number in weights:
        if number not in known:
            there = ", ".join(map(str, sorted(known))) or "none"
            raise RevisionNotFound(f"`{function}` has no revision {number}; it has {there}.")


def _revision_number(key: int | str) -> int:
    text = str(key)
    if isinstance(key, bool) or not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise InvalidSpec(f"traffic: {key!r} is no revision number (1, 2, 3 …).")
    return int(text)
