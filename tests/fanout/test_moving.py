"""When a map is long enough for Ray."""

from __future__ import annotations

import pytest

from jupyter_faas.fanout.moving import LOOK_AFTER_S, WORTH_S, is_worth_it, seats_worth

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
