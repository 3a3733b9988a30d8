from __future__ import annotations

import random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jupyter_faas.core.model import Code, Resources, RevisionSpec
from jupyter_faas.providers.kubernetes.pool import Matches, Pair, PoolKey, fits_pool, spares_to_make

KEY = PoolKey("default", "3.11")
POOLS = {KEY, PoolKey("default", "3.11", "gvisor"), PoolKey("other", "3.12")}
LARGEST = {"cpu": 2.0, "memory": 4 * 2.0**30}


def spec(python: str = "3.11", **fields: object) -> RevisionSpec:
    return RevisionSpec(code=Code(digest="0", size_bytes=1, entry="f", python=python), **fields)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (spec(), KEY),
        (spec(secrets=("s",), env={"A": "1"}), KEY),
        (spec(runtime_class="gvisor"), PoolKey("default", "3.11", "gvisor")),
        (spec(runtime_class="kata"), None),
        (spec("3.12"), None),
        (spec(image="busybox"), None),
        (spec(volumes={"/data": "claim"}), None),
        (spec(node_selector={"disk": "ssd"}), None),
        (spec(resources=Resources(gpu="nvidia.com/gpu=1")), None),
        (spec(resources=Resources(cpu=2.0, memory_mib=4096)), KEY),
        (spec(resources=Resources(cpu=64.0)), None),
        (spec(resources=Resources(memory_mib=64 << 10)), None),
        (spec(resources=Resources(memory_mib=64 << 10, memory_request_mib=64)), KEY),
    ],
)
def test_which_functions_a_pool_serves(wanted, found):
    assert fits_pool(wanted, "default", POOLS, LARGEST) == found


def test_without_knowing_the_nodes_a_pool_serves_any_size():
    assert fits_pool(spec(resources=Resources(cpu=64.0)), "default", POOLS) == KEY


@pytest.mark.parametrize(
    ("waiting", "coming", "making", "expected"),
    [
        (0, 0, 0, 0),
        (1, 0, 0, 1),
        (5, 2, 0, 3),
        (5, 0, 4, 1),
        (50, 0, 4, 4),
        (1, 1, 0, 0),
        (1, 1, 1, 0),  # one that is being made already is let finish: either may be first
        (1, 0, 3, -2),
        (0, 0, 2, -2),
    ],
)
def test_how_many_spare_pods_are_made(waiting, coming, making, expected):
    assert spares_to_make(waiting, coming, making, at_once=8) == expected


def test_the_oldest_offer_goes_to_the_first_who_waits():
    matches = Matches()
    matches.want(KEY, "a")
    matches.want(KEY, "b")
    assert matches.pair() == []
    matches.offer(KEY, "old", "1")
    matches.offer(KEY, "new", "1")
    assert [(one.replica, one.pod) for one in matches.pair()] == [("a", "old"), ("b", "new")]
    assert matches.pair() == []


def test_a_refused_pod_waits_for_a_new_version_and_its_replica_keeps_its_place():
    matches = Matches()
    matches.offer(KEY, "p", "1")
    matches.offer(KEY, "q", "1")
    matches.want(KEY, "a")
    matches.want(KEY, "b")
    matches.want(KEY, "c")
    first, second = matches.pair()
    matches.refused(second)
    matches.refused(first)
    assert matches.pair() == []
    assert matches.waiting(KEY) == ["a", "b", "c"]
    matches.offer(KEY, "q", "2")
    assert matches.pair() == [Pair("a", KEY, "q", "2")]


def test_news_of_a_pod_during_its_claim_make_the_next_try_possible_at_once():
    matches = Matches()
    matches.offer(KEY, "p", "1")
    matches.want(KEY, "a")
    (pair,) = matches.pair()
    matches.offer(KEY, "p", "2")
    matches.refused(pair)
    assert matches.pair() == [Pair("a", KEY, "p", "2")]


def test_a_pod_that_went_during_its_claim_is_forgotten():
    matches = Matches()
    matches.offer(KEY, "p", "1")
    matches.want(KEY, "a")
    (pair,) = matches.pair()
    matches.retract("p")
    matches.refused(pair)
    assert matches.pair() == []
    assert matches.empty() == [KEY]


def test_a_claim_that_lands_after_its_replica_was_given_up_says_so():
    matches = Matches()
    matches.offer(KEY, "p", "1")
    matches.want(KEY, "a")
    (pair,) = matches.pair()
    assert matches.is_claimed("p")
    assert not matches.withdraw("a")
    assert not matches.landed(pair)
    assert matches.empty() == []


def test_one_call_does_not_wait_until_another_function_has_all_it_wants():
    matches = Matches(at_once=2)
    for number in range(9):
        matches.offer(KEY, f"p{number}", "1")
    for number in range(5):
        matches.want(KEY, f"many-{number}", "many")
    matches.want(KEY, "one", "one")
    order: list[str] = []
    under_way = matches.pair()
    assert matches.empty() == [], "there are pods: they wait for their turn only"
    while under_way:
        order.append(under_way[0].replica)
        matches.landed(under_way.pop(0))
        under_way += matches.pair()
    assert order == ["many-0", "one", "many-1", "many-2", "many-3", "many-4"]


def tries_of_one(seed: int) -> int:
    """Two gateways, one pool: many claims of one, which is always faster, and one of the other."""
    many, one = (Matches(at_once=4, chance=random.Random(f"{seed} {n}").random) for n in "ab")
    for matches in (many, one):
        for number in range(25):
            matches.offer(KEY, f"p{number}", "1")
    for number in range(20):
        many.want(KEY, f"many-{number}", "many")
    one.want(KEY, "one", "one")
    for tries in range(1, 25):
        taken = many.pair()
        (pair,) = one.pair()
        for each in taken:
            many.landed(each)
            one.retract(each.pod)
        if pair.pod not in {each.pod for each in taken}:
            return tries
        one.refused(pair)
    raise AssertionError("never")


def test_a_claim_of_one_gateway_does_not_lose_every_race_against_those_of_another():
    tries = [tries_of_one(seed) for seed in range(100)]
    assert sum(tries) / len(tries) < 2, "always the oldest pod: 6"


def test_functions_that_want_one_each_get_it_in_the_order_of_their_calls():
    matches = Matches(at_once=4)
    names = [str(number) for number in range(30)]
    for name in names:
        matches.want(KEY, name, name)
    order: list[str] = []
    for name in names:
        matches.offer(KEY, name, "1")
        for pair in matches.pair():
            order.append(pair.replica)
            matches.landed(pair)
    assert order == names


def test_a_claim_of_a_replica_that_was_given_up_counts_until_it_ends():
    matches = Matches(at_once=1)
    matches.offer(KEY, "p", "1")
    matches.offer(KEY, "q", "1")
    matches.want(KEY, "a")
    matches.want(KEY, "b")
    (pair,) = matches.pair()
    assert not matches.withdraw("a")
    assert matches.pair() == []
    matches.refused(pair)
    assert [one.replica for one in matches.pair()] == ["b"]


class Pools(RuleBasedStateMachine):
    """Whatever happens: one pod, one replica, and first come, first served."""

    def __init__(self):
        super().__init__()
        self.matches = Matches(at_once=3)
        self.claims: list[Pair] = []
        self.owned: dict[str, str] = {}
        self.wanted: list[str] = []
        self.pods: dict[str, int] = {}
        self.count = 0

    def _name(self) -> str:
        self.count += 1
        return str(self.count)

    @rule()
    def want(self):
        replica = "r" + self._name()
        self.wanted.append(replica)
        self.matches.want(KEY, replica)

    @rule()
    def offer(self):
        pod = "p" + self._name()
        self.pods[pod] = 1
        self.matches.offer(KEY, pod, "1")

    @precondition(lambda self: self.pods)
    @rule(data=st.data())
    def change(self, data):
        pod = data.draw(st.sampled_from(sorted(self.pods)))
        self.pods[pod] += 1
        self.matches.offer(KEY, pod, str(self.pods[pod]))

    @precondition(lambda self: self.pods)
    @rule(data=st.data())
    def retract(self, data):
        pod = data.draw(st.sampled_from(sorted(self.pods)))
        del self.pods[pod]
        self.matches.retract(pod)

    @precondition(lambda self: self.wanted)
    @rule(data=st.data())
    def withdraw(self, data):
        replica = data.draw(st.sampled_from(self.wanted))
        self.wanted.remove(replica)
        self.matches.withdraw(replica)

    @rule()
    def pair(self):
        waiting = self.matches.waiting(KEY)
        made = self.matches.pair()
        assert [one.replica for one in made] == waiting[: len(made)], "first come, first served"
        busy = {one.pod for one in self.claims}
        for one in made:
            assert one.pod not in busy
            assert one.pod not in self.owned
            busy.add(one.pod)
        self.claims += made
        assert len(self.claims) <= 3

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), is_good=st.booleans(), is_gone=st.booleans())
    def answer(self, data, is_good, is_gone):
        pair = data.draw(st.sampled_from(self.claims))
        self.claims.remove(pair)
        if is_good:
            assert self.matches.landed(pair) == (pair.replica in self.wanted)
            self.owned[pair.pod] = pair.replica
            self.pods.pop(pair.pod, None)
            if pair.replica in self.wanted:
                self.wanted.remove(pair.replica)
        else:
            self.matches.refused(pair, is_gone=is_gone)
            if is_gone:
                self.pods.pop(pair.pod, None)

    @invariant()
    def nobody_is_forgotten(self):
        claimed = {one.replica for one in self.claims}
        expected = [one for one in self.wanted if one not in claimed]
        assert self.matches.waiting(KEY) == expected


TestPools = Pools.TestCase
