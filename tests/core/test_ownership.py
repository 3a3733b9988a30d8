from __future__ import annotations

import subprocess
import sys
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.core.ownership import Members

IDS = st.sets(st.text("abcdef0123456789-", min_size=1, max_size=12), min_size=1, max_size=6)
TARGETS = st.tuples(st.just("default"), st.text("abcdefgh-", min_size=1, max_size=12))


@given(IDS, TARGETS)
def test_every_function_has_one_owner_whatever_the_order_of_members(ids, target):
    owner = Members(ids).owner(target)
    assert owner in ids
    assert Members(reversed(sorted(ids))).owner(target) == owner
    assert Members(ids).ranked(target)[0] == owner
    assert sorted(Members(ids).ranked(target)) == sorted(ids)


@given(IDS, st.lists(TARGETS, max_size=20))
def test_only_the_functions_of_a_member_that_left_move(ids, targets):
    before = Members(ids)
    gone = sorted(ids)[0]
    after = Members(ids - {gone})
    for target in targets:
        if before.owner(target) != gone:
            assert after.owner(target) == before.owner(target)
        elif len(ids) > 1:
            assert after.owner(target) == before.ranked(target)[1]


@given(IDS, IDS, st.lists(TARGETS, max_size=20, unique=True))
def test_moves_say_exactly_what_changes_for_a_member(before, after, targets):
    was, then = Members(before), Members(after)
    for own in before | after:
        gained, lost = was.moves(then, own, targets)
        owned = {one for one in targets if was.owner(one) == own}
        assert {*owned, *gained} - {*lost} == {one for one in targets if then.owner(one) == own}
        assert not {*gained} & {*lost}


def test_nobody_owns_anything_where_there_is_no_member():
    assert Members(()).owner(("default", "f")) is None
    assert Members(()).ranked(("default", "f")) == []


def test_functions_are_spread_evenly():
    for size in (2, 3, 5):
        members = Members(f"gateway-{n}" for n in range(size))
        counts = Counter(members.owner(("default", f"f{n}")) for n in range(3000))
        assert len(counts) == size
        assert max(counts.values()) < 1.15 * 3000 / size


def test_the_namespace_counts():
    members = Members(f"gateway-{n}" for n in range(8))
    owners = {members.owner((f"team-{n}", "f")) for n in range(40)}
    assert len(owners) > 4


def test_another_process_comes_to_the_same_answer():
    code = (
        "from jupyter_faas.core.ownership import Members\n"
        "m = Members(['a', 'b', 'c'])\n"
        "print(','.join(m.owner(('n', f'f{i}')) for i in range(20)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    members = Members(["c", "b", "a"])
    assert said.stdout.strip() == ",".join(str(members.owner(("n", f"f{i}"))) for i in range(20))


def test_sets_of_members_are_values():
    assert Members("ab") == Members("ba")
    assert len({Members("ab"), Members("ba"), Members("a")}) == 2
    assert Members("ab") != "ab"
    assert repr(Members("ba")) == "Members(['a', 'b'])"
