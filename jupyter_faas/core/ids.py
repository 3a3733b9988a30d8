"""Ids of invocations: short, unique, and telling which gateway process made them.

The prefix is random per process, the counter runs inside it: making one costs a formatting, not
a system call. Reads of an invocation are sent to the gateway whose prefix it carries.
"""

from __future__ import annotations

import secrets
from itertools import count

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_PREFIX_LENGTH = 8


def random_prefix() -> str:
    """Return a fresh gateway prefix: 41 random bits as letters and digits, first a letter."""
    tail = "".join(secrets.choice(_ALPHABET) for _ in range(_PREFIX_LENGTH - 1))
    return secrets.choice(_ALPHABET[:26]) + tail


def random_id(kind: str) -> str:
    """Return an id for something rare, e.g. `r-x3f0…` for a replica; 62 random bits."""
    return f"{kind}-" + "".join(secrets.choice(_ALPHABET) for _ in range(12))


def gateway_of(invocation_id: str) -> str:
    """Return the prefix of the gateway that made this id; the whole id if a caller chose it."""
    return invocation_id.partition("-")[0]


class InvocationIds:
    """Makes the ids of one gateway process.

    Args:
        prefix: Of this process, see `random_prefix`; letters and digits only.
    """

    __slots__ = ("_numbers", "_pattern", "prefix")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._pattern = prefix.encode("ascii") + b"-%x"
        self._numbers = count(1)

    def next(self) -> bytes:
        """Return an id that this process has not given before, in wire form."""
        return self._pattern % next(self._numbers)
