"""When a map is long enough for Ray."""

from __future__ import annotations

import pytest

from jupyter_faas.fanout.moving import LOOK_AFTER_S, WORTH_S, is_worth_it

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
