"""Waiting for a spawned call while its gateway is replaced."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_faas.client import spawned
from jupyter_faas.core.errors import GatewayUnavailable, InvocationNotFound


class Replaced:
    """A gateway that answers each question with the next of some errors."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def control_path(self, path: str) -> str:
        return path

    def exchange(self, *_: Any) -> Any:
        raise self.errors.pop(0)


def waited_for(*errors: Exception, timeout: float | None = None) -> int:
    """Wait for a call; return how many errors are left when that has failed."""
    gateway: Any = Replaced(*errors)
    with pytest.raises(type(errors[-1])):
        spawned.FunctionCall[int]("c", "f", gateway).get(timeout)
    return len(gateway.errors)


AWAY = GatewayUnavailable("The owner is away.", retry_after_s=0.0)
LAST = InvocationNotFound("It is asked again.")


def test_a_gateway_that_knows_of_another_that_is_away_is_asked_again() -> None:
    assert waited_for(AWAY, AWAY, LAST) == 0


def test_who_waits_no_longer_hears_of_it() -> None:
    assert waited_for(AWAY, AWAY, timeout=0.0) == 1


def test_one_that_stays_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawned, "_PATIENCE_S", 0.0)
    assert waited_for(AWAY, AWAY) == 1


def test_where_nobody_answers_nothing_is_waited_for() -> None:
    nobody = GatewayUnavailable("Nobody answers.")
    assert waited_for(nobody, nobody) == 1
