"""What is remembered of tokens that were reviewed: who may do what, and for how long that holds.

    asked ── 0 s ── fresh ── 45 s ── fresh, asked again meanwhile ── 60 s ── asked before it is used

A refusal holds for 5 s. Grants and refusals have rooms of their own, both bounded: whoever sends
thousands of wrong tokens displaces nobody's good one. Tokens are kept as digests only. Pure: time
comes as an argument; `cluster_auth.py` asks.
"""

from __future__ import annotations

from collections import OrderedDict
from copy import copy
from enum import Enum, auto
from typing import Generic, NamedTuple, TypeVar

from jupyter_faas.core.errors import FaasError
from jupyter_faas.gateway.acts import Act
from jupyter_faas.gateway.auth import Pass

FRESH_S = 60.0
"""A grant, and who bears a token, may be this old."""
AGAIN_S = 45.0
"""A grant that is used when older is asked for again, without waiting for the answer."""
REFUSED_S = 5.0
"""A refusal is not asked for again for so long."""
GRACE_S = 5.0
"""While nobody can be asked, a grant is good for so long at a time."""

Key = tuple[bytes, Act]
"""Digest of a token, and what it wants."""

K = TypeVar("K")
V = TypeVar("V")


class Age(Enum):
    """How old a grant is, and so what to do."""

    FRESH = auto()
    AGEING = auto()
    """Use it, and ask again."""
    OLD = auto()
    """Ask again before it is used."""


class Granted:
    """A grant that was given once.

    Attributes:
        passed: What others keep of it; its time is moved here.
        asked_s: When the older of the two questions (who, and may they) was asked.
    """

    __slots__ = ("asked_s", "passed")

    def __init__(self, asked_s: float) -> None:
        self.passed = Pass(asked_s + AGAIN_S)
        self.asked_s = asked_s

    def age(self, now_s: float) -> Age:
        """Return how old it is at `now_s`."""
        old_s = now_s - self.asked_s
        if old_s < AGAIN_S:
            return Age.FRESH
        return Age.AGEING if old_s < FRESH_S else Age.OLD

    def renew(self, asked_s: float) -> None:
        """It was given again."""
        self.asked_s = asked_s
        self.passed.until_s = asked_s + AGAIN_S

    def stretch(self, now_s: float, by_s: float = GRACE_S) -> Pass:
        """Let it be used for a moment longer."""
        self.passed.until_s = max(self.passed.until_s, now_s + by_s)
        return self.passed


class _Refused(NamedTuple):
    error: FaasError
    until_s: float


class Verdicts:
    """Grants and refusals of one gateway.

    Args:
        most: How many of each are kept; the least recently used go first.
    """

    def __init__(self, most: int = 4096) -> None:
        self._granted: Bounded[Key, Granted] = Bounded(most)
        self._refused: Bounded[Key, _Refused] = Bounded(most)

    def granted(self, key: Key) -> Granted | None:
        """Return a grant, however old."""
        return self._granted.get(key)

    def refusal(self, key: Key, now_s: float) -> FaasError | None:
        """Return a refusal that holds."""
        found = self._refused.get(key)
        if found is None or now_s >= found.until_s:
            return None
        return copy(found.error)  # an error that is raised twice keeps both tracebacks

    def grant(self, key: Key, asked_s: float) -> Pass:
        """Note that it was allowed when it was asked at `asked_s`."""
        self._refused.drop(key)
        found = self._granted.get(key)
        if found is None:
            found = self._granted.put(key, Granted(asked_s))
        else:
            found.renew(asked_s)
        return found.passed

    def refuse(self, key: Key, error: FaasError, now_s: float) -> None:
        """Note that it was refused; whoever keeps a pass for it has none any more."""
        found = self._granted.drop(key)
        if found is not None:
            found.passed.until_s = float("-inf")
        self._refused.put(key, _Refused(error, now_s + REFUSED_S))

    def __len__(self) -> int:
        return len(self._granted) + len(self._refused)


class Bounded(Generic[K, V]):
    """A table that forgets what was not used for longest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Return what is kept; it has then been used."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: K, value: V) -> V:
        """Keep a value; return it."""
        self._kept[key] = value
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return value

    def drop(self, key: K) -> V | None:
        """Forget one; return it."""
        return self._kept.pop(key, None)

    def __len__(self) -> int:
        return len(self._kept)
