"""What items print on Ray, where the gateway hears nothing: it asks, for the function's log."""

from __future__ import annotations

from collections import deque

import msgspec

from jupyter_faas.core.mapping import MapPrint

MOST_BYTES = 256 << 10
"""Kept until the gateway asks, twice a second; of more the newest. As a replica's in its logs."""
_COST_BYTES = 100
"""Of a piece beyond its text."""


class Unheard:
    """The newest pieces, numbered from 1."""

    def __init__(self) -> None:
        self._pieces: deque[MapPrint] = deque()
        self._bytes = 0
        self.last = 0
        """Number of the newest piece."""

    def add(self, piece: MapPrint) -> None:
        """Take a piece; of one that is too large the end is kept."""
        if len(piece.text) > MOST_BYTES:
            piece = msgspec.structs.replace(piece, text=piece.text[-MOST_BYTES:])
        self._pieces.append(piece)
        self._bytes += len(piece.text) + _COST_BYTES
        self.last += 1
        while self._bytes > MOST_BYTES and len(self._pieces) > 1:
            self._drop()

    def since(self, number: int) -> tuple[MapPrint, ...]:
        """Forget what has been heard; return what came after it.

        Args:
            number: Of the last piece that was heard; of another driver's if there is none such.
        """
        while self._pieces and self.last - len(self._pieces) < number <= self.last:
            self._drop()
        return tuple(self._pieces)

    def _drop(self) -> None:
        self._bytes -= len(self._pieces.popleft().text) + _COST_BYTES
