"""A map that is closed while it is read."""

from __future__ import annotations

import pytest

from jupyter_faas.client.map_iterator import MapIterator
from jupyter_faas.core.errors import GatewayLost


class ClosedMeanwhile(MapIterator[int]):
    """Another thread closes it right after its reader has looked whether it is open."""

    def __init__(self) -> None:
        self._is_over = False
        self._has_answered = True
        self._outcomes = ()  # type: ignore[assignment]  # there are none
        self._looks = 0

    @property
    def _duplex(self) -> ClosedMeanwhile | None:  # type: ignore[override]
        self._looks += 1
        return self if self._looks == 1 else None

    def receive(self) -> list[bytes] | None:
        """Play the connection, which has been cut."""
        self._is_over = True
        raise GatewayLost("It was cut.")


def test_its_reader_hears_of_the_cut_whenever_that_comes() -> None:
    with pytest.raises(GatewayLost):
        next(ClosedMeanwhile())
