"""What the gateway has not heard of what items print."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.core.mapping import MapPrint
from jupyter_faas.fanout.unheard import MOST_BYTES, Unheard


def piece(text: bytes) -> MapPrint:
    return MapPrint(function="f", revision=1, map="m", stream=1, text=text)


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=3), st.none()), max_size=40))
def test_each_piece_is_told_until_it_is_heard_and_then_never_again(
    steps: list[bytes | None],
) -> None:
    unheard, said, heard, number = Unheard(), [], [], 0
    for step in steps:
        if step is not None:
            unheard.add(piece(step))
            said.append(step)
        else:
            heard += [one.text for one in unheard.since(number)]
            number = unheard.last
    heard += [one.text for one in unheard.since(number)]
    assert heard == said


def test_an_answer_that_got_lost_is_told_again() -> None:
    unheard = Unheard()
    unheard.add(piece(b"a"))
    assert unheard.since(0) == unheard.since(0) == (piece(b"a"),)
    assert unheard.since(1) == ()


def test_the_number_of_another_driver_says_nothing_here() -> None:
    unheard = Unheard()
    unheard.add(piece(b"a"))
    assert unheard.since(900) == (piece(b"a"),)


def test_the_newest_are_kept_while_nobody_asks() -> None:
    unheard = Unheard()
    for number in range(100):
        unheard.add(piece(b"%d" % number * (MOST_BYTES // 50)))
    kept = unheard.since(0)
    assert sum(len(one.text) for one in kept) <= MOST_BYTES
    assert kept[-1].text.startswith(b"99")
    unheard.add(piece(b"x" * (3 * MOST_BYTES)))
    assert [len(one.text) for one in unheard.since(0)] == [MOST_BYTES]
