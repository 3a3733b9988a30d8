"""Scaling: tables of "at second t the load was x, then it wants y", and what always holds."""

from __future__ import annotations

from math import ceil, inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_faas.core.model import Scaling
from jupyter_faas.core.scaling import (
    RETIRED_HOLD_S,
    ConcurrencyWindow,
    Decision,
    Load,
    ReplicaUse,
    ScaleSpec,
    choose_to_stop,
    desired_replicas,
    start_delay_s,
)

TEN = ScaleSpec(max_inputs=10, target_inputs=3.0, max_containers=10)
ONE = ScaleSpec()


class Playing:
    """Plays load over time against a window, with as many replicas as were wanted last."""

    def __init__(self, spec: ScaleSpec = ONE) -> None:
        self.spec = spec
        self.window = ConcurrencyWindow(0.0)
        self.window.fit(0.0, spec.stable_s)
        self.now_s = 0.0
        self.level = 0
        self.replicas = 0
        self.started_at_s = -inf

    def at(self, now_s: float, level: int | None = None) -> Decision:
        """Go to `now_s`, then change the level; return the decision and follow it."""
        if level is not None:
            self.level = level
            self.window.record(now_s, level)
        load = Load(self.window, self.level, 0, self.replicas, self.started_at_s)
        decision = desired_replicas(self.spec, load, now_s)
        if decision.count > self.replicas:
            self.started_at_s = now_s
        self.replicas = decision.count
        return decision


TABLES = {
    "a herd of 23 first calls with 10 at a time gets 3 at once": (
        TEN,
        [(1.0, 23, 3)],
    ),
    "a load that lasts is spread to its target within the panic window": (
        TEN,
        [(1.0, 23, 3), (4.0, None, 4), (7.0, None, 8), (30.0, None, 8)],
    ),
    "what was needed is kept for the scaledown window, then goes to zero": (
        ONE,
        [(0.0, 5, 5), (1.0, 0, 5), (30.0, None, 5), (60.9, None, 5), (61.1, None, 0)],
    ),
    "a short scaledown window is short": (
        ONE._replace(scaledown_window_s=2.0),
        [(0.0, 4, 4), (1.0, 0, 4), (2.9, None, 4), (3.1, None, 0)],
    ),
    "one call that lasts keeps one replica, the surplus leaves": (
        ONE,
        [(0.0, 5, 5), (1.0, 1, 5), (60.0, None, 5), (63.0, None, 1), (500.0, None, 1)],
    ),
    "never more than max_containers": (
        ONE._replace(max_containers=3),
        [(0.0, 50, 3), (10.0, None, 3)],
    ),
    "never less than min_containers": (
        ONE._replace(min_containers=2),
        [(0.0, None, 2), (1.0, 1, 2), (2.0, 5, 5), (3.0, 0, 5), (100.0, None, 2)],
    ),
    "buffer_containers come on top while active, and sleep too": (
        ONE._replace(buffer_containers=2),
        [(0.0, None, 0), (1.0, 1, 3), (2.0, 0, 3), (60.0, None, 3), (62.1, None, 0)],
    ),
    "no scaledown window: idle is asleep": (
        ONE._replace(scaledown_window_s=0.0),
        [(0.0, 2, 2), (0.5, 0, 0)],
    ),
    "a retired revision keeps what its calls need, then one for a moment": (
        ONE._replace(is_retired=True, min_containers=3),
        [(0.0, 3, 3), (1.0, 2, 2), (2.0, 0, 1), (2.0 + RETIRED_HOLD_S, None, 0)],
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_table(name: str) -> None:
    spec, steps = TABLES[name]
    playing = Playing(spec)
    assert [(t, level, playing.at(t, level).count) for t, level, _ in steps] == steps


def test_a_fresh_replica_that_nobody_called_stays_for_the_scaledown_window() -> None:
    load = Load(ConcurrencyWindow(0.0), 0, 0, 1, started_at_s=10.0)
    assert desired_replicas(ONE, load, 69.0) == Decision(1, "started less than 60 s ago")
    assert desired_replicas(ONE, load, 70.0).count == 0


def test_lost_replicas_are_replaced_as_far_as_the_mean_asks_not_as_many_as_the_peak() -> None:
    window = ConcurrencyWindow(0.0)
    window.record(1.0, 5)
    window.record(2.0, 0)
    assert desired_replicas(ONE, Load(window, 0, 0, 0), 3.0).count == 1
    assert desired_replicas(ONE, Load(window, 0, 0, 5), 3.0).count == 5


@pytest.mark.parametrize(
    ("spec", "steps", "sentence"),
    [
        (TEN, [(0.0, 23), (6.1, None)], "23 in flight over target 3 in the last 6 s"),
        (ONE, [(0.0, 2)], "2 in flight, 1 at a time per replica"),
        (ONE, [(0.0, 1), (1.0, 0), (90.0, None)], "nothing in flight for 60 s"),
        (ONE, [(0.0, 2), (1.0, 0)], "2 were needed within the last 60 s"),
        (ONE, [(0.0, 1), (1.0, 0)], "0.2 in flight on average in the last 6 s"),
        (ONE, [(0.0, None)], "nothing has been called yet"),
        (ONE._replace(max_containers=1), [(0.0, 4)], "max_containers=1"),
        (ONE._replace(min_containers=2), [(0.0, 1)], "min_containers=2"),
        (ONE._replace(min_containers=2), [(0.0, None)], "min_containers=2"),
        (ONE._replace(buffer_containers=2), [(0.0, 1)], "buffer_containers=2"),
        (ONE._replace(is_retired=True), [(0.0, 1)], "no traffic goes here any more; 1 still"),
        (ONE._replace(is_retired=True), [(0.0, None)], "no traffic goes here any more"),
    ],
)
def test_the_reason_is_a_sentence(
    spec: ScaleSpec, steps: list[tuple[float, int | None]], sentence: str
) -> None:
    playing = Playing(spec)
    decision = [playing.at(now_s, level) for now_s, level in steps][-1]
    assert sentence in decision.reason
    assert decision.sentence(5).startswith(f"5 → {decision.count}: ")


def test_queued_calls_are_named_apart() -> None:
    decision = desired_replicas(ONE, Load(ConcurrencyWindow(0.0), 2, 3, 2), 0.0)
    assert (decision.count, decision.reason[:28]) == (5, "2 in flight and 3 queued, 1 ")


def test_the_target_is_max_inputs_unless_said_and_never_above_it() -> None:
    assert ScaleSpec.of(Scaling(), 4).target_inputs == 4.0
    assert ScaleSpec.of(Scaling(target_inputs=2.5), 4).target_inputs == 2.5
    assert ScaleSpec.of(Scaling(target_inputs=9), 4).target_inputs == 4.0
    assert ScaleSpec.of(Scaling(), 4, is_retired=True).is_retired


def test_windows_shrink_together_with_a_short_scaledown_window() -> None:
    assert (ONE.stable_s, ONE.panic_s) == (60.0, 6.0)
    short = ONE._replace(scaledown_window_s=20.0)
    assert (short.stable_s, short.panic_s) == (20.0, 2.0)
    assert ONE._replace(scaledown_window_s=600.0).stable_s == 60.0
    assert ONE._replace(scaledown_window_s=0.0).stable_s == 1.0


LEVELS = st.lists(st.tuples(st.floats(0.001, 20.0), st.integers(0, 40)), min_size=1, max_size=60)


@settings(max_examples=150)
@given(LEVELS, st.integers(1, 8), st.floats(0.5, 8.0), st.integers(0, 3), st.integers(0, 3))
def test_bounds_and_need_always_hold(
    steps: list[tuple[float, int]], max_inputs: int, target: float, floor: int, buffer: int
) -> None:
    spec = ScaleSpec(floor, 12, buffer, 15.0, min(target, max_inputs), max_inputs)
    playing = Playing(spec)
    now_s = 0.0
    for gap_s, level in steps:
        now_s += gap_s
        decision = playing.at(now_s, level)
        assert floor <= decision.count <= 12
        assert decision.count >= min(12, ceil(level / max_inputs))
        assert decision.count > 0 or level == 0


@given(st.integers(1, 100), st.integers(1, 10))
def test_a_herd_gets_exactly_as_many_as_it_fills(calls: int, max_inputs: int) -> None:
    spec = ScaleSpec(max_containers=1000, max_inputs=max_inputs, target_inputs=1.0)
    window = ConcurrencyWindow(5.0)
    for n in range(1, calls + 1):
        window.record(5.0, n)
    load = Load(window, 0, calls, 0)
    assert desired_replicas(spec, load, 5.0).count == -(-calls // max_inputs)


@given(LEVELS, st.integers(0, 20))
def test_more_load_never_wants_less(steps: list[tuple[float, int]], more: int) -> None:
    low, high = Playing(TEN), Playing(TEN)
    now_s = 0.0
    for gap_s, level in steps:
        now_s += gap_s
        assert high.at(now_s, level + more).count >= low.at(now_s, level).count


@settings(max_examples=150)
@given(LEVELS, st.floats(0.0, 5.0))
def test_the_mean_is_the_area_over_time(steps: list[tuple[float, int]], rest_s: float) -> None:
    window = ConcurrencyWindow(0.0, bucket_s=1.0)
    now_s, spans = 0.0, []
    level = 0
    for gap_s, following in steps:
        spans.append((now_s, now_s + gap_s, level))
        now_s += gap_s
        level = following
        window.record(now_s, level)
    spans.append((now_s, now_s + rest_s, level))
    now_s += rest_s
    whole_s = float(int(min(now_s, 60.0))) or 1.0
    begin = now_s - whole_s
    exact = sum(max(0.0, min(b, now_s) - max(a, begin)) * n for a, b, n in spans) / whole_s
    # The oldest bucket is taken in part: off by at most what one second of it can hold.
    assert window.mean(now_s, whole_s) == pytest.approx(exact, abs=40.0 / whole_s + 1e-6)


def test_the_mean_is_exact_on_whole_buckets() -> None:
    window = ConcurrencyWindow(0.0, bucket_s=1.0)
    window.record(0.0, 4)
    window.record(2.5, 0)
    window.record(10.0, 2)
    assert window.mean(10.0, 10.0) == pytest.approx(1.0)
    assert window.mean(12.0, 2.0) == pytest.approx(2.0)
    assert window.mean(12.0, 60.0) == pytest.approx(14 / 60)
    assert window.mean(100.0, 60.0) == pytest.approx(2.0)
    assert window.mean(1e6, 60.0) == pytest.approx(2.0)


def test_the_mean_of_less_than_a_bucket_is_that_of_the_newest() -> None:
    window = ConcurrencyWindow(0.0, bucket_s=1.0)
    window.record(5.0, 8)
    assert window.mean(5.5, 0.5) == pytest.approx(8.0)


def test_the_peak_is_forgotten_after_its_window() -> None:
    window = ConcurrencyWindow(0.0, bucket_s=1.0)
    window.record(0.2, 9)
    window.record(0.4, 3)
    window.record(5.5, 4)
    window.record(5.6, 0)
    assert window.peak(5.7, 60.0) == 9
    assert window.peak(9.0, 4.0) == 4
    assert window.peak(30.0, 4.0) == 0


def test_idleness_counts_from_the_end_of_the_last_work() -> None:
    window = ConcurrencyWindow(0.0)
    assert window.idle_s(5.0) == inf
    window.record(3.0, 1)
    assert window.idle_s(5.0) == 0.0
    window.record(8.0, 0)
    window.record(9.0, 0)
    assert window.idle_s(10.0) == 2.0


def test_a_change_of_width_keeps_the_level() -> None:
    window = ConcurrencyWindow(0.0)
    window.record(0.0, 3)
    window.fit(100.0, 6.0)
    assert window.mean(106.0, 6.0) == pytest.approx(3.0)
    window.fit(106.0, 6.0)
    assert window.mean(106.0, 6.0) == pytest.approx(3.0)
    assert window.peak(106.0, 6.0) == 3


def use(name: str, in_flight: int, last_used_s: float, is_starting: bool = False) -> ReplicaUse:
    return ReplicaUse(name, in_flight, last_used_s, is_starting)


def test_starting_ones_stop_first_then_idle_ones_by_age_then_the_least_busy() -> None:
    replicas = [
        use("busy", 5, 1.0),
        use("fresh", 0, 9.0),
        use("light", 1, 99.0),
        use("old", 0, 2.0),
        use("coming", 0, 50.0, is_starting=True),
    ]
    assert choose_to_stop(replicas, 9) == ["coming", "old", "fresh", "light", "busy"]
    assert choose_to_stop(replicas, 2) == ["coming", "old"]
    assert choose_to_stop(replicas, 0) == choose_to_stop(replicas, -1) == []


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 100)), max_size=12), st.integers(0, 12))
def test_a_busy_one_is_never_stopped_while_an_idle_one_stays(
    replicas: list[tuple[int, float]], count: int
) -> None:
    uses = [use(str(n), busy, last) for n, (busy, last) in enumerate(replicas)]
    stopped = set(choose_to_stop(uses, count))
    stopped_busy = any(one.in_flight for one in uses if one.id in stopped)
    kept_idle = any(not one.in_flight for one in uses if one.id not in stopped)
    assert not (stopped_busy and kept_idle)
    assert len(stopped) == min(count, len(uses))


def test_failing_starts_are_made_more_and_more_slowly() -> None:
    assert [start_delay_s(n) for n in (0, 1, 2, 3)] == [0.0, 0.25, 0.5, 1.0]
    assert start_delay_s(100) == 30.0
