"""A chunk on its way to a seat of Ray: whatever goes wrong there, its map hears of it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from jupyter_faas.core.errors import FaasError, InternalError, ProviderError, QueueFull
from jupyter_faas.fanout.base import Caller
from jupyter_faas.fanout.ray.errand import SeatErrand


class Told:
    """Seats and the map at once: remembers what it is told."""

    def __init__(self) -> None:
        self.failures: list[FaasError] = []
        self.refused: asyncio.Future[FaasError] = asyncio.get_running_loop().create_future()
        self.on_refused = self.refused.set_result

    def take_seat(self, *_: object) -> None:
        """It is taken."""

    leave_seat = take_seat

    def failed(self, _seat: object, error: FaasError) -> None:
        self.failures.append(error)


@pytest.mark.parametrize("error", [ProviderError("It does not start."), KeyError("odd")])
async def test_a_replica_that_does_not_become_what_it_was_to_be_is_told(error: Exception) -> None:
    told = Told()
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    seat = SimpleNamespace(upstream=None, ready=ready)
    errand = SeatErrand(told, None, Caller(), told)  # type: ignore[arg-type]  # plays both
    errand.begin(seat, None, 1.0)  # type: ignore[arg-type]  # nothing is sent
    ready.set_exception(error)
    async with asyncio.timeout(20.0):
        assert isinstance(await told.refused, QueueFull)
    assert type(told.failures[0]) is (
        ProviderError if isinstance(error, FaasError) else InternalError
    )
