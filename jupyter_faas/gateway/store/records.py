"""Records of ended invocations in memory: the newest ones, by id and by function.

For stores whose medium is not made for thousands of small writes a second. What is here is gone
with the process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from jupyter_faas.core.model import InvocationRecord
from jupyter_faas.gateway.store.rows import InvocationRow, is_of, record_of


class RecordRing:
    """The newest records.

    Args:
        size: How many are kept.
    """

    def __init__(self, size: int) -> None:
        self._ring: deque[InvocationRow] = deque(maxlen=max(size, 1))
        self._by_id: dict[str, InvocationRow] = {}

    def add(self, rows: Sequence[InvocationRow]) -> None:
        """Take records; the oldest ones make room."""
        for row in rows:
            if len(self._ring) == self._ring.maxlen:
                oldest = self._ring[0]
                if self._by_id.get(oldest[0]) is oldest:
                    del self._by_id[oldest[0]]
            self._ring.append(row)
            self._by_id[row[0]] = row

    def find(self, invocation_id: str) -> InvocationRecord | None:
        """Return the newest record with this id."""
        row = self._by_id.get(invocation_id)
        return None if row is None else record_of(row)

    def newest(self, namespace: str, name: str | None, limit: int) -> list[InvocationRecord]:
        """Return the newest records of a namespace or one function, newest first."""
        found: list[InvocationRecord] = []
        for row in reversed(self._ring):
            if len(found) >= limit:
                break
            if is_of(row, namespace, name):
                found.append(record_of(row))
        return found
