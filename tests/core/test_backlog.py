"""The backlog of kept calls: order, limits, turns."""

from __future__ import annotations

from collections.abc import Hashable

from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.core.backlog import FIRST_PAUSE_S, LONGEST_PAUSE_S, Backlog, pause_s


def limited(count: int) -> Backlog:
    return Backlog(most=count)


def test_of_each_function_only_its_limit_is_out_in_order() -> None:
    backlog = limited(100)
    for n in range(4):
        backlog.add("f", f"f{n}")
        backlog.add("g", f"g{n}")
    assert list(backlog.take(lambda function: 2 if function == "f" else 1)) == ["f0", "g0", "f1"]
    backlog.done("g0")
    assert list(backlog.take(lambda _: 2)) == ["g1", "g2"]
    assert len(backlog) == 8 - 1


def test_all_together_have_a_limit_too_and_functions_take_turns() -> None:
    backlog = limited(3)
    for n in range(4):
        backlog.add("f", f"f{n}")
        backlog.add("g", f"g{n}")
    assert list(backlog.take(lambda _: 10)) == ["f0", "g0", "f1"]
    assert list(backlog.take(lambda _: 10)) == []


def test_a_limit_of_nothing_still_lets_one_go() -> None:
    backlog = limited(3)
    backlog.add("f", "a")
    backlog.add("f", "b")
    assert list(backlog.take(lambda _: 0)) == ["a"]


def test_what_waits_can_be_taken_out_and_what_is_out_cannot() -> None:
    backlog = limited(3)
    backlog.add("f", "a")
    backlog.add("f", "b")
    assert list(backlog.take(lambda _: 1)) == ["a"]
    assert backlog.remove("f", "b")
    assert not backlog.remove("f", "a")
    assert not backlog.remove("g", "a")
    backlog.done("a")
    backlog.done("a")
    assert len(backlog) == 0


@given(
    st.lists(st.sampled_from("fgh"), max_size=40),
    st.integers(1, 5),
    st.integers(1, 3),
    st.randoms(use_true_random=False),
)
def test_each_goes_once_in_its_function_s_order_and_never_too_many(names, most, limit, random):
    backlog = limited(most)
    for n, name in enumerate(names):
        backlog.add(name, f"{name}{n}")
    gone: list[str] = []
    out: set[str] = set()

    def limit_of(_function: Hashable) -> int:
        return limit

    while len(backlog):
        for call in backlog.take(limit_of):
            gone.append(call)
            out.add(call)
        assert len(out) <= most
        assert all(sum(call[0] == name for call in out) <= limit for name in "fgh")
        done = random.choice(sorted(out))
        out.remove(done)
        backlog.done(done)
    assert sorted(gone) == sorted(f"{name}{n}" for n, name in enumerate(names))
    for name in "fgh":
        numbers = [int(call[1:]) for call in gone if call[0] == name]
        assert numbers == sorted(numbers)


def test_pauses_grow_and_end_growing() -> None:
    assert pause_s(1) == FIRST_PAUSE_S
    assert pause_s(2) == 2 * FIRST_PAUSE_S
    assert pause_s(100) == LONGEST_PAUSE_S
