"""What is left of a map whose gateway goes away."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.client import map_inputs, map_left
from jupyter_faas.client.map_inputs import Inputs
from jupyter_faas.client.map_left import Left
from jupyter_faas.core.errors import GatewayLost
from jupyter_faas.core.mapping import MapOrder
from tests.support import wait_until

LOST = GatewayLost("gone")


def items(*numbers: int) -> list[list[bytes]]:
    return [[b"%d" % n] for n in numbers]


def test_what_has_no_outcome_is_sent_again_in_order() -> None:
    left = Left("f.map", 3)
    left.add(items(0, 1, 2, 3))
    left.end([2, 0])
    assert left.begin_again(LOST) == items(1, 3)
    left.add(items(4))
    assert [left.number(at) for at in range(3)] == [1, 3, 4]
    left.end([1])
    assert left.begin_again(LOST) == items(1, 4)
    assert left.ended == 3


def test_it_is_begun_as_often_as_the_gateway_says() -> None:
    left = Left("f.map", 1)
    left.told({"faas-map-tries": "3"})
    left.add(items(0))
    left.begin_again(LOST)
    left.told({"faas-map-tries": "3"})
    left.begin_again(LOST)
    with pytest.raises(
        GatewayLost, match=r"when 0 items of f\.map had ended\. It went away before"
    ):
        left.begin_again(LOST)


def test_with_the_last_leg_nothing_holds_inputs_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_left, "MOST_BYTES", 2)
    rooms = []
    left = Left("f.map", 2)
    left.on_room = lambda: rooms.append(left.is_full)
    left.add(items(0, 1, 2))
    assert left.is_full
    left.begin_again(LOST)
    assert rooms == [False], "who waits for room is told"


def test_what_may_run_once_is_not_held_and_not_begun_again() -> None:
    left = Left("f.map", 3)
    left.add(items(0, 1))
    left.told({"faas-map-tries": "1"})
    left.add(items(2))
    left.end([0])
    assert not left._items
    with pytest.raises(GatewayLost, match=r"when 1 items .* idempotent=False forbids"):
        left.begin_again(LOST)


def test_who_has_heard_nothing_knows_only_that_it_may_have_run() -> None:
    with pytest.raises(GatewayLost, match="The others may have run"):
        Left("f.map", 1).begin_again(LOST)


def test_a_new_leg_asks_for_less_of_the_same_revision() -> None:
    left = Left("f.map", 3)
    whole = MapOrder(function="f", total=5)
    assert left.order(whole, {}) == whole
    left.end([0, 1])
    rest = left.order(whole, {"faas-revision": "7"})
    assert (rest.total, rest.revision) == (3, 7)


@given(st.lists(st.tuples(st.integers(0, 6), st.data()), max_size=6))
def test_each_input_is_sent_until_it_has_its_outcome_whatever_comes_when(
    legs: list[tuple[int, st.DataObject]],
) -> None:
    left = Left("f.map", 100)
    total, open_items, here = 0, set[int](), list[int]()
    for more, data in legs:
        fresh = list(range(total, total + more))
        total += more
        left.add(items(*fresh))
        open_items |= set(fresh)
        here += fresh
        ended = data.draw(st.sets(st.sampled_from(range(len(here))))) if here else set()
        ended = {at for at in ended if here[at] in open_items}
        left.end(sorted(ended))
        open_items -= {here[at] for at in ended}
        here = sorted(open_items)
        assert left.begin_again(LOST) == items(*here)


def test_it_is_full_until_outcomes_have_been_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_left, "MOST_BYTES", 10)
    left = Left("f.map", 3)
    told: list[bool] = []
    left.on_room = lambda: told.append(left.is_full)
    left.add([b"123456789"])
    assert not left.is_full
    left.add([b"0"])
    assert left.is_full
    left.end([1])
    assert told == [False]
    left.end([0])
    assert told == [False], "it was not full"


class Pipe:
    """Takes what is sent."""

    def __init__(self) -> None:
        self.sent = 0

    def send(self, parts: list[bytes]) -> bool:
        self.sent += 1
        return True

    def end(self) -> None:
        """There is no more."""


def test_inputs_wait_while_outcomes_of_large_ones_are_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(map_left, "MOST_BYTES", 3000)
    monkeypatch.setattr(map_inputs, "MOST_BYTES", 1)
    left, pipe = Left("f.map", 3), Pipe()
    taken = itertools.count()
    inputs = Inputs((((bytes(1000 + next(taken)),), {}) for _ in range(6)), left)
    inputs.send_to(pipe)  # type: ignore[arg-type]  # - all that is used of it
    wait_until(lambda: left.is_full, what="it is full")
    held = left.count
    assert held < 6
    while left.ended < 6:
        wait_until(lambda: left.count > left.ended, what="the next ones are sent")
        left.end(range(left.ended, left.count))
    wait_until(lambda: pipe.sent and not inputs._sender.is_alive(), what="all are sent")  # type: ignore[union-attr]
