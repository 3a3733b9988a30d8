from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.core.model import Function, RevisionState
from jupyter_faas.core.retention import PREVIOUS_KEPT, kept, pushed

READY, PENDING = RevisionState.READY, RevisionState.PENDING


def function(
    latest: int, traffic: tuple[int, ...] = (), previous: tuple[int, ...] = ()
) -> Function:
    return Function(name="f", latest=latest, traffic=dict.fromkeys(traffic, 1), previous=previous)


def test_the_newest_and_whatever_is_named_stay() -> None:
    states = dict.fromkeys(range(1, 21), READY) | {6: PENDING}
    found = kept(function(20, traffic=(3, 20), previous=(5,)), states, newest=10)
    assert found == {3, 5, 6, *range(11, 21)}


def test_a_named_revision_that_does_not_exist_is_not_invented() -> None:
    assert kept(function(2, previous=(1,)), {2: READY}, newest=1) == {2}


@given(st.sets(st.integers(1, 60), min_size=1), st.integers(0, 12))
def test_the_highest_number_always_stays(numbers: set[int], newest: int) -> None:
    latest = min(numbers)
    found = kept(function(latest), dict.fromkeys(numbers, READY), newest)
    assert max(numbers) in found
    assert latest in found
    assert len(found) <= max(1, newest) + 1


def test_what_was_live_goes_on_top_and_what_is_live_leaves() -> None:
    assert pushed((), (1,), (2,)) == (1,)
    assert pushed((1, 2), (3,), (2,)) == (1, 3)
    assert pushed((1, 2), (1,), (4,)) == (2, 1)
    assert pushed((1,), (2,), (2, 3)) == (1,)
    assert len(pushed(tuple(range(50)), (99,), ())) == PREVIOUS_KEPT
