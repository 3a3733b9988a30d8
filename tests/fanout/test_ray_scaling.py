"""How many workers a Ray cluster should have: enough at once, fewer only after the window."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.fanout.ray.scaling import Limits, Scaling, Worker, needed_by_busy, sent_away

LIMITS = Limits(least=1, most=5, idle_s=60.0)


def worker(number: int, *, is_busy: bool = False) -> Worker:
    return Worker(f"node-{number}", f"ray-worker-{number}", 2, is_busy)


def test_more_workers_are_asked_for_at_once_and_never_more_than_allowed() -> None:
    scaling = Scaling(LIMITS)
    assert scaling.look(3, 0, 2, 0, now_s=0.0) == 2
    assert scaling.look(100, 0, 2, 2, now_s=0.1) == 5


def test_workers_go_when_nobody_has_needed_them_for_the_window() -> None:
    scaling = Scaling(LIMITS)
    assert scaling.look(8, 0, 2, 0, now_s=0.0) == 4
    assert scaling.look(8, 4, 2, 4, now_s=10.0) == 4
    assert scaling.look(0, 0, 2, 4, now_s=11.0) == 4
    assert scaling.look(0, 0, 2, 4, now_s=69.9) == 4
    assert scaling.look(0, 0, 2, 4, now_s=70.0) == 1


def test_a_map_that_needs_few_does_not_keep_all_of_them() -> None:
    scaling = Scaling(LIMITS)
    assert scaling.look(8, 4, 2, 4, now_s=0.0) == 4
    assert scaling.look(1, 2, 2, 4, now_s=59.0) == 4
    assert scaling.look(1, 2, 2, 4, now_s=60.0) == 2, "the second one is busy"
    assert scaling.look(1, 1, 2, 2, now_s=119.0) == 2
    assert scaling.look(1, 1, 2, 2, now_s=120.0) == 1


def test_what_somebody_else_has_started_is_not_ended_before_the_window() -> None:
    scaling = Scaling(LIMITS)
    assert scaling.look(1, 0, 2, 3, now_s=0.0) == 3
    assert scaling.look(1, 0, 2, 3, now_s=60.0) == 1


def test_nothing_is_said_before_anybody_has_needed_anything() -> None:
    assert Scaling(LIMITS).look(0, 0, 2, 3, now_s=0.0) is None


def test_workers_that_join_a_new_head_are_not_sent_away_at_once() -> None:
    scaling = Scaling(LIMITS)
    assert scaling.look(0, 0, 2, 0, now_s=0.0) is None
    assert scaling.look(0, 0, 2, 4, now_s=2.0) is None
    assert scaling.look(0, 0, 2, 4, now_s=62.0) == 1


def test_of_a_statefulset_the_busy_worker_with_the_highest_number_keeps_those_below() -> None:
    there = [worker(0), worker(2, is_busy=True), worker(10), worker(1)]
    assert needed_by_busy(there, takes_highest=True) == 3
    assert [one.name for one in sent_away(there, 3, takes_highest=True)] == ["ray-worker-10"]
    assert needed_by_busy([worker(0), worker(1)], takes_highest=True) == 0


def test_where_nobody_knows_who_would_be_ended_one_that_is_busy_keeps_all() -> None:
    there = [worker(0, is_busy=True), worker(1)]
    assert needed_by_busy(there, takes_highest=False) == 2
    assert sent_away(there, 1, takes_highest=False) == []
    nameless = Worker("node", "somewhere", 2, is_busy=True)
    assert needed_by_busy([nameless, worker(3)], takes_highest=True) == 2


@given(
    limits=st.tuples(st.integers(0, 4), st.integers(4, 9)),
    looks=st.lists(
        st.tuples(
            st.integers(0, 40),
            st.integers(0, 9),
            st.integers(1, 8),
            st.integers(0, 12),
            st.floats(0, 30),
        ),
        max_size=40,
    ),
)
def test_workers_stay_within_bounds_and_are_those_of_the_most_in_the_window(
    limits: tuple[int, int], looks: list[tuple[int, int, int, int, float]]
) -> None:
    least, most = limits
    scaling = Scaling(Limits(least, most, idle_s=20.0))
    now_s, needs = 0.0, []
    for wanted, busy, per_worker, there, after_s in looks:
        now_s += after_s
        workers = scaling.look(wanted, busy, per_worker, there, now_s)
        needs.append((now_s, min(most, max(least, busy, -(-wanted // per_worker)))))
        if workers is None:
            assert not wanted
            continue
        assert least <= workers <= most
        assert workers >= max(need for at_s, need in needs if now_s - at_s < 20.0)
