from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_faas.core.batch import DONE, RAISED
from jupyter_faas.fanout.ledger import GONE, Ledger
from tests.support import state_dir


def test_what_is_added_is_found_again(tmp_path):
    ledger = Ledger(tmp_path / "a")
    ledger.add(0, DONE, b"zero")
    ledger.add(5, RAISED, b"five")
    ledger.add(2, DONE, b"")
    ledger.sync()
    ledger.close()
    again = Ledger(tmp_path / "a")
    assert (len(again), again.count) == (6, 3)
    assert [index in again for index in range(7)] == [True, False, True, False, False, True, False]
    assert again.read(5) == (5, RAISED, b"five")
    assert again.read(2).body == b""
    assert list(again.of_kind(RAISED)) == [5]
    again.close()
    again.close()


def test_a_record_is_taken_back_by_a_later_one(tmp_path):
    ledger = Ledger(tmp_path / "a")
    ledger.add(1, RAISED, b"error")
    ledger.add(1, GONE, b"")
    assert 1 not in ledger
    assert ledger.count == 0
    ledger.add(1, DONE, b"better")
    assert ledger.read(1).body == b"better"
    ledger.close()
    again = Ledger(tmp_path / "a")
    assert (again.count, again.kind(1)) == (1, DONE)
    assert (again.number(DONE), again.number(RAISED)) == (1, 0)
    again.add(3, DONE, b"")
    assert [again.ever(DONE), again.ever(RAISED), again.ever(DONE, RAISED)] == [2, 1, 2]
    again.close()


@settings(max_examples=50, deadline=None)  # a disk's time says nothing
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=8), st.data())
def test_a_crash_in_the_middle_of_a_record_costs_that_record_alone(bodies, data):
    with state_dir() as root:
        ledger = Ledger(root / "a")
        for index, body in enumerate(bodies):
            ledger.add(index, DONE, body)
        ledger.close()
        whole = (root / "a").read_bytes()
        cut = data.draw(st.integers(0, len(whole)))
        (root / "a").write_bytes(whole[:cut])
        again = Ledger(root / "a")
        kept = again.count
        assert [again.read(index).body for index in range(kept)] == bodies[:kept]
        again.add(kept, DONE, b"next")
        again.close()
        third = Ledger(root / "a")
        assert third.count == kept + 1
        assert third.read(kept).body == b"next"
        third.close()


def test_a_large_body(tmp_path):
    body = b"x" * (9 << 20)
    ledger = Ledger(tmp_path / "a")
    ledger.add(0, DONE, body)
    assert ledger.read(0).body == body
    with pytest.raises(IndexError):
        ledger.kind(1)
    ledger.close()
