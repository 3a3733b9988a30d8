"""Requests about maps on their way to the driver: one that gets nowhere is answered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jupyter_faas.core.errors import ProviderError
from jupyter_faas.gateway import maps
from jupyter_faas.gateway.maps import Maps
from jupyter_faas.wire.upstream import request
from tests.wire.fakes import served


class Host:
    """A driver's host that raises what a test says, or tells where nobody listens."""

    def __init__(self, where: str | Exception) -> None:
        self._where = where

    async def address(self) -> str:
        if isinstance(self._where, Exception):
            raise self._where
        return self._where


@pytest.mark.parametrize(
    ("where", "status", "said"),
    [
        (ProviderError("It does not start."), 502, "It does not start."),
        (KeyError("odd"), 500, "The gateway has a defect; its log has the details."),
        ("unix:/tmp/faas-nobody-listens-here", 503, "What runs maps does not answer"),
    ],
)
async def test_why_a_request_gets_nowhere_is_its_answer(
    monkeypatch: pytest.MonkeyPatch, where: Any, status: int, said: str
) -> None:
    monkeypatch.setattr(maps, "_CONNECT_PAUSE_S", 0.001)
    passing = Maps(None, "default")  # type: ignore[arg-type]  # no function is asked for
    passing.host = Host(where)  # type: ignore[assignment]  # it is not begun or ended here
    async with served(passing) as address:
        answer = await request(address, "GET", "/v1/maps/map-1", timeout_s=20)
    assert (answer.status, json.loads(answer.body)["detail"].startswith(said)) == (status, True)
    assert not passing.passing, "a gateway that leaves waits for what is under way"
