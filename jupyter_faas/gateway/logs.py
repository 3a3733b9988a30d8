"""What functions printed: a ring of bounded size per replica, read by tail and by following.

Output arrives in pieces as the worker wrote it, tagged with its invocation. Pieces of all
replicas are numbered in one order, so that a reader needs one number to go on from and costs
nothing while it is slow.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from heapq import merge
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jupyter_faas.gateway.entries import RevisionEntry

GONE_RINGS = 200
"""Rings of ended replicas that are kept, all functions together; the oldest go first."""

STREAMS = {1: "stdout", 2: "stderr"}
_PIECE_COST = 100
"""Memory of a piece beyond its text; counted, so that empty lines are bounded too."""


class Piece(NamedTuple):
    """Some output of one invocation, as it was written: part of a line, or several."""

    seq: int
    at: float
    """Wall clock, seconds since the epoch."""
    revision: int
    replica: str
    invocation: str
    """Empty: printed while no invocation ran, or by a thread of its own."""
    stream: int
    """1 stdout, 2 stderr."""
    text: bytes


class Ring:
    """The newest output of one replica.

    Args:
        limit_bytes: Text kept, plus a fixed cost per piece.
    """

    __slots__ = ("_limit_bytes", "_size_bytes", "is_gone", "pieces")

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self.pieces: deque[Piece] = deque()
        self.is_gone = False

    def add(self, piece: Piece) -> None:
        """Add a piece; the oldest leave. Of a piece larger than the ring, the end is kept."""
        if len(piece.text) > self._limit_bytes:
            piece = piece._replace(text=piece.text[-self._limit_bytes :])
        self.pieces.append(piece)
        self._size_bytes += len(piece.text) + _PIECE_COST
        while self._size_bytes > self._limit_bytes and len(self.pieces) > 1:
            oldest = self.pieces.popleft()
            self._size_bytes -= len(oldest.text) + _PIECE_COST

    def after(self, seq: int) -> list[Piece]:
        """Return the pieces after number `seq`; costs as much as there are."""
        newer = list(takewhile(lambda piece: piece.seq > seq, reversed(self.pieces)))
        newer.reverse()
        return newer


class Logs:
    """Output of all replicas of one gateway.

    Args:
        wall_clock: Seconds since the epoch.
        ring_bytes: Memory per replica.
    """

    def __init__(self, wall_clock: Callable[[], float], ring_bytes: int = 256 * 1024) -> None:
        self._wall_clock = wall_clock
        self._ring_bytes = ring_bytes
        self._seq = 0
        self._rings: dict[tuple[str, str], dict[str, Ring]] = {}
        self._gone: deque[tuple[tuple[str, str], str]] = deque()
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def seq(self) -> int:
        """Number of the newest piece."""
        return self._seq

    def append(
        self, replica_id: str, entry: RevisionEntry, stream: int, invocation_id: str, data: bytes
    ) -> None:
        """Take output of a replica.

        Args:
            replica_id: Who printed.
            entry: Its revision.
            stream: 1 stdout, 2 stderr; anything else (rich displays) is not kept.
            invocation_id: Whose output it is; empty: nobody's.
            data: Text in UTF-8, not trusted to be so.
        """
        if stream not in STREAMS or not data:
            return
        self._seq += 1
        piece = Piece(
            self._seq,
            self._wall_clock(),
            entry.number,
            replica_id,
            invocation_id,
            stream,
            bytes(data),
        )
        rings = self._rings.setdefault((entry.function.namespace, entry.function.name), {})
        ring = rings.get(replica_id)
        if ring is None:
            ring = rings[replica_id] = Ring(self._ring_bytes)
        ring.add(piece)
        if self._waiting:
            self._wake()

    def replica_gone(self, replica_id: str, entry: RevisionEntry) -> None:
        """Note that a replica has ended: its output stays until newer ended ones need the place."""
        key = (entry.function.namespace, entry.function.name)
        ring = self._rings.get(key, {}).get(replica_id)
        if ring is None or ring.is_gone:
            return
        ring.is_gone = True
        self._gone.append((key, replica_id))
        if len(self._gone) > GONE_RINGS:
            self._drop(*self._gone.popleft())

    def forget(self, namespace: str, function: str) -> None:
        """Drop the output of a deleted function."""
        self._rings.pop((namespace, function), None)

    def read(
        self, namespace: str, function: str, *, after: int = 0, invocation: str = ""
    ) -> list[Piece]:
        """Return the kept pieces after number `after`, in order.

        Args:
            namespace: Of the function.
            function: Its name.
            after: Number of the last piece already read.
            invocation: Only of this invocation; empty: all.
        """
        rings = self._rings.get((namespace, function), {}).values()
        pieces = merge(*(ring.after(after) for ring in rings), key=lambda piece: piece.seq)
        return [piece for piece in pieces if invocation in ("", piece.invocation)]

    async def follow(
        self,
        namespace: str,
        function: str,
        *,
        after: int = 0,
        invocation: str = "",
        is_over: Callable[[], bool] = lambda: False,
        check_s: float = 0.25,
    ) -> AsyncIterator[list[Piece]]:
        """Yield pieces after number `after` as they come, until `is_over`.

        Args:
            namespace: Of the function.
            function: Its name.
            after: Number of the last piece already read.
            invocation: Only of this invocation; empty: all.
            is_over: Asked whenever there is nothing new; nothing more is waited for then.
            check_s: How often it is asked.
        """
        while True:
            reached = self._seq
            over = is_over()
            pieces = self.read(namespace, function, after=after, invocation=invocation)
            after = max(after, reached)
            if pieces:
                yield pieces
            elif over:
                return
            await self._wait(after, check_s)

    async def _wait(self, seq: int, timeout_s: float) -> None:
        if self._seq > seq:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            return
        finally:
            self._waiting.discard(future)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _drop(self, key: tuple[str, str], replica_id: str) -> None:
        rings = self._rings.get(key, {})
        rings.pop(replica_id, None)
        if not rings:
            self._rings.pop(key, None)


def tail(pieces: Iterable[Piece], lines: int) -> list[Piece]:
    """Return the pieces that hold the last `lines` lines; the first is cut where they begin."""
    kept: list[Piece] = []
    missing = lines
    for piece in reversed(list(pieces)):
        if missing <= 0:
            break
        # A line end at the very end of everything belongs to the last line.
        text = piece.text if kept else piece.text.removesuffix(b"\n")
        found = text.count(b"\n")
        if found >= missing:
            cut = len(text)
            for _ in range(missing):
                cut = text.rindex(b"\n", 0, cut)
            kept.append(piece._replace(text=piece.text[cut + 1 :]))
            break
        missing -= found
        kept.append(piece)
    kept.reverse()
    return kept
