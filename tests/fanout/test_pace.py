"""How fast a map goes, and how busy its workers are."""

from __future__ import annotations

import pytest

from jupyter_faas.fanout.pace import Pace, share_busy


def test_the_rate_is_that_of_the_last_seconds() -> None:
    pace = Pace(0.0)
    assert pace.rate(1.0, 10) == 10.0
    for second in range(2, 8):
        steady = pace.rate(float(second), 10 + 100 * (second - 1))
    assert steady == 100.0


@pytest.mark.parametrize(
    ("told_s", "since_s", "expected"),
    [
        (0.0, None, 0.0),  # it waits for a replica
        (0.0, 10.0, 1.0),  # one long item, of which nothing has been said yet
        (5.0, None, 0.5),
        (2.0, 12.0, 1.0),
        (0.0, 15.0, 0.5),
    ],
)
def test_a_worker_is_busy_with_what_it_told_and_with_what_it_runs(
    told_s: float, since_s: float | None, expected: float
) -> None:
    assert share_busy(10.0, told_s, since_s, 20.0) == expected
