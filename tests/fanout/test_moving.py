"""When a map is long enough for Ray."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_faas.core.mapping import MapFunction, MapOrder
from jupyter_faas.fanout.moving import (
    LOOK_AFTER_S,
    PATIENCE_S,
    WORTH_S,
    Moving,
    is_worth_it,
    seats_worth,
)

CASES = [
    ("nothing is known at first", 0.0, 1000.0, False),
    ("long to go", LOOK_AFTER_S, WORTH_S, True),
    ("nearly over", 10.0, WORTH_S - 0.1, False),
    ("no end in sight, for long", WORTH_S, None, True),
    ("no end in sight, but just begun", WORTH_S - 0.1, None, False),
]


@pytest.mark.parametrize(("elapsed_s", "remaining_s", "is_worth"), [c[1:] for c in CASES])
def test_ray_is_started_for_what_lasts(
    elapsed_s: float, remaining_s: float | None, is_worth: bool
) -> None:
    assert is_worth_it(elapsed_s, remaining_s) is is_worth


WANTS = [
    ("as many as there are chunks", (7, 1, 2, 10.0, 1000.0), 7),
    ("a seat takes several chunks", (7, 3, 2, 10.0, 1000.0), 3),
    ("what is nearly over needs no more", (100, 1, 2, 10.0, 0.5), 1),
    ("what would end too soon with so many", (100, 1, 2, 10.0, 20.0), 8),
    ("nothing is known at first: one, to begin", (100, 1, 0, 0.0, None), 1),
    ("no end in sight", (100, 1, 0, LOOK_AFTER_S, None), 100),
    ("nothing waits", (0, 1, 0, 10.0, None), 0),
]


@pytest.mark.parametrize(("given", "seats"), [case[1:] for case in WANTS])
def test_seats_are_asked_for_that_would_still_be_worth_it_when_they_come(
    given: tuple[int, int, int, float, float | None], seats: int
) -> None:
    assert seats_worth(*given) == seats


@pytest.mark.parametrize(
    ("engine", "why", "note"),
    [
        ("ray", "", "The replicas run the map: This gateway has no Ray."),
        ("auto", "", ""),
        ("auto", "it asks for secrets.", "The replicas run the map: it asks for secrets."),
    ],
)
def test_a_map_without_ray_runs_on_replicas_and_says_why(engine: str, why: str, note: str) -> None:
    replicas: Any = object()
    of = MapFunction(revision_id="r", why_not_ray=why)
    one = Moving(MapOrder(function="f", engine=engine, of=of), replicas, None, lambda: 0.0)
    assert (one._now, one.note) == (replicas, note)


class FullRay:
    """Seats that other maps have."""

    def __init__(self) -> None:
        self.house = SimpleNamespace(seats=(0,), is_begun=True, trouble="")

    def forgive(self, of: MapFunction) -> None:
        assert of

    def why_unfit(self, of: MapFunction) -> str:
        return "" if of else "never"

    def room(self, order: MapOrder) -> int:
        return 0 if order else 1


@pytest.mark.parametrize("engine", ["ray", "auto"])
def test_only_a_map_that_asks_for_ray_waits_for_a_seat_and_only_a_moment(engine: str) -> None:
    now_s, ray, replicas = [0.0], FullRay(), object()
    order = MapOrder(function="f", engine=engine, of=MapFunction(revision_id="r"))
    one = Moving(order, replicas, ray, lambda: now_s[0])  # type: ignore[arg-type]
    assert one._now is (ray if engine == "ray" else replicas)
    assert one.note == ""
    now_s[0] = PATIENCE_S
    assert one._now is replicas
    told = "The replicas run the map: other maps have all seats of Ray."
    assert one.note == (told if engine == "ray" else "")
