from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.core.leadership import (
    DURATION_S,
    RENEW_S,
    STEP_DOWN_S,
    Record,
    Sight,
    Step,
    leads,
    look,
    step,
    written,
)

HELD = Record("b", "12:00:00", DURATION_S, 3)


@pytest.mark.parametrize(
    ("own", "sight", "now_s", "expected"),
    [
        ("a", None, 0.0, Step.CREATE),
        ("a", Sight(HELD, 10.0), 10.0, Step.WAIT),
        ("a", Sight(HELD, 10.0), 13.9, Step.WAIT),
        ("a", Sight(HELD, 10.0), 14.0, Step.TAKE),
        ("b", Sight(HELD, 10.0), 10.5, Step.RENEW),
        ("b", Sight(HELD, 10.0), 99.0, Step.RENEW),  # nobody has taken it
        ("a", Sight(HELD._replace(holder=""), 10.0), 10.0, Step.TAKE),  # released
        ("a", Sight(HELD._replace(duration_s=60), 10.0), 20.0, Step.WAIT),  # another's own terms
        # The clock of its holder is a year ahead, or behind: it does not matter.
        ("a", Sight(HELD._replace(renewed="2999-01-01"), 10.0), 14.0, Step.TAKE),
        ("a", Sight(HELD._replace(renewed="1970-01-01"), 10.0), 10.1, Step.WAIT),
    ],
)
def test_step(own, sight, now_s, expected):
    assert step(own, sight, now_s) is expected


def test_a_record_that_changes_is_young_again_and_one_that_does_not_grows_old():
    first = look(None, HELD, 1.0)
    assert first == Sight(HELD, 1.0)
    assert look(first, HELD, 2.0) is first
    renewed = look(first, HELD._replace(renewed="12:00:01"), 2.0)
    assert renewed.since_s == 2.0


def test_transitions_count_changes_of_the_holder():
    assert written("a", None, "t").transitions == 0
    assert written("a", HELD, "t") == Record("a", "t", DURATION_S, 4)
    assert written("b", HELD, "t").transitions == 3


@pytest.mark.parametrize(
    ("renewed_s", "now_s", "expected"),
    [(None, 0.0, False), (1.0, 1.0, True), (1.0, 3.9, True), (1.0, 4.0, False)],
)
def test_who_cannot_write_leads_no_more(renewed_s, now_s, expected):
    assert leads(renewed_s, now_s) is expected


@given(st.floats(0, 1e6), st.floats(0, 30))
def test_nobody_takes_it_while_its_holder_leads(wrote_s, later_s):
    # The holder's write is seen after it was made; the other's clock runs at the same pace.
    sight = Sight(HELD, wrote_s)
    now_s = wrote_s + later_s
    if leads(wrote_s, now_s):
        assert step("a", sight, now_s) is Step.WAIT


def test_the_terms_leave_room_for_a_slow_write():
    assert RENEW_S < STEP_DOWN_S < DURATION_S
