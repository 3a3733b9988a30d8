"""Records of ended invocations in memory: the newest ones, by id and by function.

For stores whose medium is not made for thousands of small writes a second. What is here is gone
with the process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from jupyter_faas.core.model import InvocationRecord


class RecordRing:
    """The newest records.

    Args:
        size: How many are kept.
    """

    def __init__(self, size: int) -> None:
        self._ring: deque[InvocationRecord] = deque(maxlen=max(size, 1))
        self._by_id: dict[str, InvocationRecord] = {}

    def add(self, records: Sequence[InvocationRecord]) -> None:
        """Take records; the oldest ones make room."""
        for record in records:
            if len(self._ring) == self._ring.maxlen:
                oldest = self._ring[0]
                if self._by_id.get(oldest.id) is oldest:
                    del self._by_id[oldest.id]
            self._ring.append(record)
            self._by_id[record.id] = record

    def find(self, invocation_id: str) -> InvocationRecord | None:
        """Return the newest record with this id."""
        return self._by_id.get(invocation_id)

    def newest(self, namespace: str, name: str | None, limit: int) -> list[InvocationRecord]:
        """Return the newest records of a namespace or one function, newest first."""
        found: list[InvocationRecord] = []
        for record in reversed(self._ring):
            if len(found) >= limit:
                break
            if record.namespace == namespace and name in (None, record.function):
                found.append(record)
        return found
