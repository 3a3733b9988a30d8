"""What travels of a map, and what is allowed with it: the values of `chunks.py`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from jupyter_faas.core.model import Retries

Payload = Any
"""What an input or a result is does not matter here, but for its length."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What one map's caller and its function allow."""

    is_ordered: bool = True
    stops_at_error: bool = True
    """The first error in input order is the last thing that is released."""
    retries: Retries = Retries()
    idempotent: bool | None = None
    """May an item run again that was lost while it ran? None: up to 3 times in all."""
    chunk_size: int = 0
    """Wanted by the caller; 0: adaptive."""
    is_shared: bool = False
    """A worker runs several chunks at once: of which of them it died is known of one alone only."""

    @property
    def most_runs(self) -> int:
        """How often an item may be begun because its worker died of it."""
        return 1 if self.idempotent is False else 3


class Chunk:
    """Items on their way to, or at, one worker.

    Attributes:
        id: Names it within its map.
        items: Indices without a result yet, in order.
        is_exact: Starts are reported before they happen.
        is_alone: Nothing else of its map is at any worker meanwhile.
        running: Index of the item that was reported as started; None: none is.
    """

    __slots__ = ("done", "id", "is_alone", "is_exact", "is_second", "items", "running", "since_s")

    def __init__(
        self,
        id: int,
        items: Iterable[int],
        now_s: float,
        *,
        is_exact: bool,
        is_second: bool = False,
    ) -> None:
        self.id = id
        self.items = dict.fromkeys(items)
        self.is_exact = is_exact
        self.is_second = is_second
        self.is_alone = False
        self.running: int | None = None
        self.since_s = now_s
        self.done = 0


class Given(NamedTuple):
    """A chunk to send, with its inputs."""

    chunk: Chunk
    indices: list[int]
    payloads: list[Payload]


class Outcome(NamedTuple):
    """One outcome in the order in which the caller wants it."""

    at: int
    is_error: bool
    payload: Payload
