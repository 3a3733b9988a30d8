"""Where large values of rows are: in the row, or elsewhere, named by the row.

What a row holds of a value is bytes, the value itself, or text that names where it is.
"""

from __future__ import annotations

from typing import Protocol

Stored = bytes | str


class Bodies(Protocol):
    """A place for large values."""

    async def put(self, body: bytes) -> Stored:
        """Have a value be durable; return what a row is to hold of it, of equal ones the same."""

    async def get(self, stored: Stored) -> bytes:
        """Return the value of which a row holds this.

        Raises:
            ProviderError: It is not to be had.
        """


class InRow:
    """The row itself holds it."""

    async def put(self, body: bytes) -> Stored:
        """Return the value."""
        return body

    async def get(self, stored: Stored) -> bytes:
        """Return the value."""
        assert isinstance(stored, bytes)
        return stored


IN_ROW = InRow()
