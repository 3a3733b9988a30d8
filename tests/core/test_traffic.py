from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.core.errors import InvalidSpec, RevisionNotFound
from jupyter_faas.core.traffic import MAX_WEIGHT, TrafficTable, check_known, parse_traffic

WEIGHTS = st.dictionaries(st.integers(1, 500), st.integers(1, 1000), min_size=1, max_size=6)


def test_nothing_serves_yet_is_zero() -> None:
    table = TrafficTable({})
    assert not table
    assert (table.pick(), table.pick(b"key"), table.numbers) == (0, 0, ())


def test_one_revision_gets_everything() -> None:
    table = TrafficTable({7: 3})
    assert {table.pick() for _ in range(50)} == {7}
    assert table.pick(b"key") == 7
    assert 7 in table
    assert 1 not in table


@given(WEIGHTS, st.integers(200, 2000))
def test_any_run_of_picks_is_divided_by_weight_to_within_a_few_calls(
    weights: dict[int, int], count: int
) -> None:
    table = TrafficTable(weights)
    got = Counter(table.pick() for _ in range(count))
    total = sum(weights.values())
    for number, weight in weights.items():
        assert abs(got[number] - count * weight / total) <= 8


@given(WEIGHTS, st.binary(max_size=40))
def test_a_key_always_goes_to_the_same_revision(weights: dict[int, int], key: bytes) -> None:
    picked = TrafficTable(weights, b"salt").pick(key)
    again = TrafficTable(dict(reversed(weights.items())), b"salt")
    again.pick()
    assert again.pick(key) == picked
    assert picked in weights


def test_keys_are_divided_by_weight_and_differently_for_each_function() -> None:
    keys = [b"%d" % n for n in range(4000)]
    one, other = TrafficTable({1: 90, 2: 10}, b"f"), TrafficTable({1: 90, 2: 10}, b"g")
    canaries = {key for key in keys if one.pick(key) == 2}
    assert 300 < len(canaries) < 500
    assert canaries != {key for key in keys if other.pick(key) == 2}


def test_a_shift_moves_only_the_keys_that_must_move() -> None:
    keys = [b"%d" % n for n in range(2000)]
    before, after = TrafficTable({3: 90, 4: 10}), TrafficTable({3: 70, 4: 30})
    moved = [(before.pick(key), after.pick(key)) for key in keys]
    assert (4, 3) not in moved


def test_weights_are_read_from_strings_and_zero_is_left_out() -> None:
    assert parse_traffic({"4": 10, 3: 90, "5": 0}) == {3: 90, 4: 10}


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"1": 0},
        {"x": 1},
        {"0": 1},
        {"-1": 1},
        {"1.5": 1},
        {"²": 1},
        {True: 1},
        {"1": -5},
        {"1": 1.5},
        {"1": True},
        {"1": "9"},
        {"1": MAX_WEIGHT + 1},
        {"1": 1, 1: 2},
    ],
)
def test_weights_that_cannot_be_are_refused_with_a_sentence(raw: dict[int | str, int]) -> None:
    with pytest.raises(InvalidSpec, match="traffic"):
        parse_traffic(raw)


def test_an_unknown_revision_is_named_with_those_there_are() -> None:
    check_known("f", {1: 1}, {1, 2})
    with pytest.raises(RevisionNotFound, match="no revision 9; it has 1, 2"):
        check_known("f", {9: 1}, {2, 1})
    with pytest.raises(RevisionNotFound, match="it has none"):
        check_known("f", {9: 1}, ())
