"""What is counted of kept maps: each item once, whoever is killed between two words."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.core.mapping import MapTally, MapUse
from jupyter_faas.gateway.tallies import FORGET_S, Counted, Tallies


def tally(items: int, failed: int = 0, key: str = "map-1", **more: int | bool) -> MapTally:
    return MapTally(key=key, function="f", items=items, failed=failed, **more)  # type: ignore[arg-type]


def take(
    tallies: Tallies, *told: MapTally, at: float = 0.0
) -> tuple[list[tuple[int, int]], Mapping[str, Counted | None]]:
    used, noted = tallies.take(told, at)
    return [(one.items, one.failed) for one in used], noted


def test_what_is_new_is_counted_and_noted() -> None:
    tallies = Tallies({}, 0.0)
    assert take(tallies, tally(3, 1)) == ([(3, 1)], {"map-1": Counted(3, 1)})
    assert take(tallies, tally(3, 1)) == ([], {})
    over = Counted(5, 1, is_over=True)
    assert take(tallies, tally(5, 1, is_over=True)) == ([(2, 0)], {"map-1": over})
    assert tallies.is_over("map-1")
    assert take(tallies, tally(5, 1)) == ([], {"map-1": Counted(5, 1)}), "failed items run again"
    assert not tallies.is_over("map-1")


def test_it_is_told_whose_function_it_was() -> None:
    (used,), _ = Tallies({}, 0.0).take([MapTally(key="m", function="f", namespace="n", items=1)], 0)
    assert used == MapUse(function="f", namespace="n", items=1)


def test_another_gateway_process_goes_on_from_what_is_noted() -> None:
    assert take(Tallies({"map-1": Counted(3, 1)}, 0.0), tally(5, 1))[0] == [(2, 0)]


def test_what_others_have_counted_is_left_out() -> None:
    tallies = Tallies({}, 0.0)
    assert take(tallies, tally(5, 2, items_before=4, failed_before=2))[0] == [(1, 0)]
    # The next driver of the same turn found more there than the first.
    assert take(tallies, tally(8, 2, items_before=7, failed_before=2))[0] == [(3, 0)]


def test_what_runs_again_because_it_was_not_written_down_counts_once() -> None:
    tallies = Tallies({}, 0.0)
    told = [take(tallies, tally(items)) for items in (5, 3, 4, 6)]
    assert [used for used, _ in told] == [[(5, 0)], [], [], [(1, 0)]]
    assert [bool(noted) for _, noted in told] == [True, False, False, True]


def test_what_nobody_tells_of_is_forgotten() -> None:
    tallies = Tallies({"old": Counted(1, 0)}, 0.0)
    take(tallies, tally(1), at=FORGET_S)
    assert take(tallies, tally(1), at=FORGET_S + 1)[1] == {"old": None}
    assert take(tallies, tally(1), at=FORGET_S + 2)[1] == {}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from(["told", "driver killed", "killed", "killed, not noted"]),
        )
    )
)
def test_whoever_is_killed_in_the_end_each_item_has_counted_once(
    steps: list[tuple[int, str]],
) -> None:
    """The store has the sum and the note together, or neither of them."""
    done = stored_sum = counted = 0
    stored: dict[str, Counted] = {}
    tallies = Tallies(stored, 0.0)
    for more, what in (*steps, (0, "told")):
        done += more
        if what == "driver killed":
            continue  # between two words: nobody hears of it
        used, noted = tallies.take([tally(done)], 0.0)
        counted += sum(one.items for one in used)
        if what != "killed, not noted":
            stored_sum = counted
            stored.update({key: one for key, one in noted.items() if one is not None})
        if what.startswith("killed"):
            tallies, counted = Tallies(stored, 0.0), stored_sum
    assert counted == done
