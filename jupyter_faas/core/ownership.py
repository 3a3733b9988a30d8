"""Which gateway a function belongs to: one owner among those that are there.

The owner runs everything of a function; all gateways come to the same answer by themselves from
the names of the members. Pure: who is a member is the business of `gateway/peers.py`.

Source:
    Thaler, Ravishankar: A name-based mapping scheme for rendezvous (1998); also called highest
    random weight. When a member leaves only its own functions move, evenly to those that stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

Target = tuple[str, str]
"""Namespace and name of a function."""


class Member(NamedTuple):
    """A gateway."""

    id: str
    """Unique among the gateways, e.g. the name of its pod."""
    address: str = ""
    """`HOST:PORT` where the others reach it."""


class Moves(NamedTuple):
    """What a change of members means for one of them."""

    gained: tuple[Target, ...] = ()
    lost: tuple[Target, ...] = ()


class Members:
    """A set of gateways that share functions. Immutable.

    Args:
        ids: Their ids, in any order.
    """

    __slots__ = ("_keyed", "ids")

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = frozenset(ids)
        # Sorted: of two equal scores all gateways take the same one.
        self._keyed = [(id, _key(id)) for id in sorted(self.ids)]

    def owner(self, target: Target) -> str | None:
        """Return the id of the gateway that a function belongs to; None: there are no members."""
        keyed = self._keyed
        if len(keyed) == 1:
            return keyed[0][0]
        name = "/".join(target).encode()
        return max(keyed, key=lambda one: _score(one[1], name), default=(None, b""))[0]

    def ranked(self, target: Target) -> list[str]:
        """Return all ids, the owner first, then who would be it without those before."""
        name = "/".join(target).encode()
        ordered = sorted(self._keyed, key=lambda one: _score(one[1], name), reverse=True)
        return [id for id, _ in ordered]

    def moves(self, after: Members, own: str, targets: Iterable[Target]) -> Moves:
        """Return which of `targets` the member `own` gains and loses if `after` follows."""
        gained, lost = [], []
        for target in targets:
            was_own, is_own = self.owner(target) == own, after.owner(target) == own
            if is_own and not was_own:
                gained.append(target)
            elif was_own and not is_own:
                lost.append(target)
        return Moves(tuple(gained), tuple(lost))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Members) and self.ids == other.ids

    def __hash__(self) -> int:
        return hash(self.ids)

    def __repr__(self) -> str:
        return f"Members({sorted(self.ids)})"


def _key(id: str) -> bytes:
    return blake2b(id.encode(), digest_size=16).digest()


def _score(key: bytes, name: bytes) -> bytes:
    return blake2b(name, digest_size=8, key=key).digest()
