"""Items whose worker died: which may run again, in what company, and which was it. Pure.

An item that its worker died of must fail after so many deaths, and nothing else with it. Where a
worker runs several chunks at once, all that ran with the poisonous item look the same: they are
tried again few at a time, and an item's last try has nothing of its map beside it, so that only one
whose worker dies then has failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

from jupyter_faas.core.chunk import Chunk, Rules

MOST_MOVES = 10
"""So often an item may lose its worker without being at fault."""


class Suspects:
    """Those of one map.

    Args:
        rules: What is allowed.
    """

    __slots__ = ("_caps", "_moves", "_rules", "_runs")

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._caps: dict[int, int] = {}
        self._runs: dict[int, int] = {}
        self._moves: dict[int, int] = {}

    def __bool__(self) -> bool:
        """Whether any item has lost its worker, and has not ended yet."""
        return bool(self._caps or self._moves)

    def cap(self, index: int) -> int | None:
        """Return of how many items at most its chunk may be, an exact one; None: no suspect."""
        return self._caps.get(index)

    @property
    def most_out(self) -> int:
        """How many chunks may be out as items that a worker died with are tried once more.

        Of a hundred, ten at a time: ten rounds, and ten that were beside it again have a last try
        alone, where one at a time would take a hundred rounds.
        """
        return 1 + isqrt(len(self._runs))

    def is_one_of_many(self, index: int) -> bool:
        """Whether an item may only have run beside the one that its worker died of."""
        return self._rules.is_shared and index in self._runs

    def is_last_try(self, index: int) -> bool:
        """Whether an item has failed if its worker dies once more, though others ran there too."""
        return self.is_one_of_many(index) and self._runs[index] >= self._rules.most_runs - 1

    def may_follow(self, index: int, cap: int | None) -> bool:
        """Whether an item may travel behind others whose cap is this."""
        return self.cap(index) == cap and not self.is_last_try(index)

    def died(self, chunk: Chunk, left: Sequence[int], *, is_own: bool, is_told: bool) -> list[int]:
        """Judge the items of a chunk whose worker died.

        Args:
            chunk: What it had.
            left: Its items that have not ended.
            is_own: The worker may have died of what it ran.
            is_told: All that it had reported has come.

        Returns:
            Those that may not run again.
        """
        is_once = self._rules.idempotent is False
        may_all_have_begun = is_once and not is_told
        is_sure = chunk.running is not None or not chunk.is_exact or may_all_have_begun
        begun = list(left)
        running = chunk.running if chunk.is_exact and not may_all_have_begun else None
        if running is not None and running in begun:
            begun = [running]
        has_begun = bool(begun) and is_sure
        counts = self._runs if is_own and has_begun else self._moves
        for index in begun:
            counts[index] = counts.get(index, 0) + 1
        if is_own:
            cap = max(1, len(begun) // 2)
            self._caps.update((index, cap) for index in begun)
        if has_begun and is_once:
            return begun
        is_known = has_begun and len(begun) == 1 and (chunk.is_alone or not self._rules.is_shared)
        return [index for index in begun if self._is_lost(index, is_known=is_known)]

    def forget(self, index: int) -> None:
        """An item has ended."""
        for table in (self._caps, self._runs, self._moves):
            table.pop(index, None)

    def _is_lost(self, index: int, *, is_known: bool) -> bool:
        is_poison = is_known and self._runs.get(index, 0) >= self._rules.most_runs
        return is_poison or self._moves.get(index, 0) > MOST_MOVES
