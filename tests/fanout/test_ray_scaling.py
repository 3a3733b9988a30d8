"""How many workers a Ray cluster should have: enough at once, fewer only after a quiet window."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.fanout.ray.scaling import Limits, Scaling

LIMITS = Limits(least=1, most=5, idle_s=60.0)


def test_more_workers_are_asked_for_at_once_and_never_more_than_allowed() -> None:
    scaling = Scaling(LIMITS)
    assert scaling.look(3, 2, 0, now_s=0.0) == 2
    assert scaling.look(100, 2, 2, now_s=0.1) == 5


def test_workers_go_when_nobody_has_needed_them_for_the_window() -> None:
    scaling = Scaling(LIMITS)
    assert scaling.look(8, 2, 0, now_s=0.0) == 4
    assert scaling.look(0, 2, 4, now_s=1.0) == 4
    assert scaling.look(0, 2, 4, now_s=60.9) == 4
    assert scaling.look(0, 2, 4, now_s=61.0) == 1


def test_a_need_in_between_begins_the_window_anew() -> None:
    scaling = Scaling(LIMITS)
    scaling.look(8, 2, 0, now_s=0.0)
    scaling.look(0, 2, 4, now_s=1.0)
    scaling.look(1, 2, 4, now_s=50.0)
    assert scaling.look(0, 2, 4, now_s=61.0) == 4
    assert scaling.look(0, 2, 4, now_s=121.0) == 1


def test_what_somebody_else_has_started_is_not_ended_while_it_is_needed() -> None:
    assert Scaling(LIMITS).look(1, 2, 3, now_s=0.0) == 3


def test_nothing_is_said_before_anybody_has_needed_anything() -> None:
    assert Scaling(LIMITS).look(0, 2, 3, now_s=0.0) is None


@given(
    limits=st.tuples(st.integers(0, 4), st.integers(4, 9)),
    looks=st.lists(
        st.tuples(st.integers(0, 40), st.integers(1, 8), st.integers(0, 12), st.floats(0, 30)),
        max_size=40,
    ),
)
def test_workers_stay_within_bounds_and_never_fall_while_any_is_needed(
    limits: tuple[int, int], looks: list[tuple[int, int, int, float]]
) -> None:
    least, most = limits
    scaling = Scaling(Limits(least, most, idle_s=20.0))
    now_s, before = 0.0, 0
    for wanted, per_worker, there, after_s in looks:
        now_s += after_s
        workers = scaling.look(wanted, per_worker, there, now_s)
        if workers is None:
            assert not wanted
            continue
        assert least <= workers <= most
        if wanted:
            assert workers >= before
            assert workers * per_worker >= wanted or workers == most
        before = workers
