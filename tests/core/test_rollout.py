from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from jupyter_faas.core import rollout
from jupyter_faas.core.errors import FaasError, InvalidSpec, NameTaken, RevisionNotFound
from jupyter_faas.core.model import (
    Code,
    DeployRequest,
    Function,
    FunctionSettings,
    Origin,
    Revision,
    RevisionSpec,
    RevisionState,
    Scaling,
)

MINE = Origin(owner="me", notebook="/home/me/mine.ipynb")
OTHER = Origin(owner="me", notebook="/home/me/other.ipynb")
SPEC = RevisionSpec(code=Code(digest="d" * 64, size_bytes=1, entry="f", python="3.11"))
BROKEN = {"code": "not_serializable", "detail": "It cannot be loaded."}


class World:
    """One function as the registry would keep it."""

    def __init__(self) -> None:
        self.function: Function | None = None
        self.revisions: dict[int, Revision] = {}
        self.now = 1000.0

    def deploy(self, id: str, origin: Origin = MINE, **more: Any) -> rollout.DeployPlan:
        request = DeployRequest(id=id, revision=SPEC, origin=origin, **more)
        plan = rollout.deploy("default", "f", self.function, self.revisions, request, self.now)
        self.function = plan.function
        self.revisions[plan.revision.number] = plan.revision
        return plan

    def settle(self, number: int, problem: dict[str, Any] | None = None) -> None:
        state = RevisionState.READY if problem is None else RevisionState.FAILED
        self.function, self.revisions[number] = rollout.settled(
            self.f, self.revisions[number], self.revisions, state, problem
        )

    def live(self, *ids: str) -> None:
        for id in ids:
            self.settle(self.deploy(id).revision.number)

    @property
    def f(self) -> Function:
        assert self.function is not None
        return self.function


@pytest.fixture
def world() -> World:
    return World()


def test_a_first_deploy_is_revision_1_pending_without_traffic(world: World) -> None:
    plan = world.deploy("a")
    assert (plan.revision.number, plan.is_created, plan.news) == (1, True, "deployed")
    assert world.f.traffic == {}
    world.settle(1)
    assert world.f.traffic == {1: 100}


def test_the_same_code_deploys_nothing(world: World) -> None:
    world.live("a")
    plan = world.deploy("a")
    assert (plan.is_created, plan.is_changed, plan.news) == (False, False, "")


def test_the_same_code_twice_while_it_starts_is_one_revision(world: World) -> None:
    world.deploy("a")
    assert world.deploy("a").revision.number == 1


def test_new_code_takes_all_traffic_when_ready_and_weights_are_replaced(world: World) -> None:
    world.live("a", "b")
    world.function = rollout.traffic(world.f, world.revisions, {1: 10, 2: 90})
    world.deploy("c")
    assert world.f.traffic == {1: 10, 2: 90}
    world.settle(3)
    assert (world.f.traffic, world.f.previous) == ({3: 100}, (1, 2))


def test_going_back_to_earlier_code_makes_its_revision_live_under_its_number(
    world: World,
) -> None:
    world.live("a", "b")
    plan = world.deploy("a")
    assert (plan.revision.number, plan.is_created, plan.news) == (1, False, "live")
    assert (world.f.traffic, world.f.latest) == ({1: 100}, 1)
    world.live("c")
    assert 3 in world.revisions


def test_going_back_while_new_code_starts_stops_it_from_taking_over(world: World) -> None:
    world.live("a")
    world.deploy("b")
    world.deploy("a")
    world.settle(2)
    assert (world.f.traffic, world.f.latest) == ({1: 100}, 1)


def test_a_newer_deploy_wins_whatever_is_ready_first(world: World) -> None:
    world.live("a")
    world.deploy("b")
    world.deploy("c")
    world.settle(3)
    world.settle(2)
    assert world.f.traffic == {3: 100}


def test_what_gets_ready_serves_if_nothing_else_does(world: World) -> None:
    world.deploy("a")
    world.deploy("b")
    world.settle(2, BROKEN)
    world.settle(1)
    assert world.f.traffic == {1: 100}


def test_a_failed_revision_leaves_the_old_one_serving_and_says_why(world: World) -> None:
    world.live("a")
    world.deploy("b")
    world.settle(2, BROKEN)
    assert world.f.traffic == {1: 100}
    assert world.revisions[2].reason == "It cannot be loaded."
    assert world.revisions[2].problem == BROKEN


def test_code_that_failed_is_tried_again_under_its_number(world: World) -> None:
    world.live("a")
    world.deploy("b")
    world.settle(2, BROKEN)
    plan = world.deploy("b", OTHER)
    assert (plan.revision.number, plan.revision.state) == (2, RevisionState.PENDING)
    assert (plan.revision.reason, plan.revision.problem) == ("", None)


def test_recreate_stops_the_old_first_and_a_failure_brings_it_back(world: World) -> None:
    world.live("a", "b")
    world.deploy("c", strategy="recreate")
    assert world.f.traffic == {}
    world.settle(3, BROKEN)
    assert world.f.traffic == {2: 100}
    world.deploy("d", strategy="recreate")
    world.settle(4)
    assert world.f.traffic == {4: 100}


def test_another_notebook_does_not_replace_code_it_has_not_seen(world: World) -> None:
    world.live("a")
    world.now += 190
    with pytest.raises(NameTaken) as caught:
        world.deploy("b", OTHER)
    assert str(caught.value) == (
        "`f` was redeployed by mine.ipynb 3 min ago: `f.deploy(take_over=True)` or another `name=`."
    )
    assert world.deploy("b", OTHER, take_over=True).revision.number == 2
    assert world.deploy("c", MINE, seen=2).revision.number == 3


def test_another_notebook_with_the_same_code_looks_up(world: World) -> None:
    world.live("a")
    plan = world.deploy("a", OTHER)
    assert (plan.is_changed, plan.revision.number) == (False, 1)
    world.live("b")
    with pytest.raises(NameTaken):
        world.deploy("a", OTHER)


def test_the_same_code_in_other_words_is_the_same_revision_of_the_new_text(world: World) -> None:
    said = msgspec.structs.replace(MINE, cell_id="c", source_digest="1")
    reworded = msgspec.structs.replace(said, source_digest="2")
    world.deploy("a", said)
    world.settle(1)
    plan = world.deploy("a", reworded)
    assert (plan.revision.number, plan.revision.origin, plan.news) == (1, reworded, "")
    assert plan.is_changed
    assert plan.is_revision_changed
    assert not world.deploy("a", reworded).is_changed


def test_the_same_code_of_another_notebook_leaves_where_it_came_from(world: World) -> None:
    world.live("a")
    stranger = msgspec.structs.replace(OTHER, cell_id="c", source_digest="2")
    assert world.deploy("a", stranger).revision.origin == MINE


def test_an_origin_is_a_notebook_or_a_session_without_one() -> None:
    same = rollout.is_same_origin
    assert same(MINE, msgspec.structs.replace(MINE, cell_id="x", session="y"))
    assert not same(MINE, OTHER)
    assert not same(MINE, msgspec.structs.replace(MINE, owner="you"))
    assert same(Origin(session="s"), Origin(session="s"))
    assert not same(Origin(session="s"), Origin(session="t"))
    assert not same(MINE, Origin(owner="me", session="s"))


def test_rollback_walks_back_and_a_named_one_can_be_undone(world: World) -> None:
    world.live("a", "b", "c")
    world.function = rollout.rollback(world.f, world.revisions, None)
    assert world.f.traffic == {2: 100}
    world.function = rollout.rollback(world.f, world.revisions, None)
    assert world.f.traffic == {1: 100}
    with pytest.raises(RevisionNotFound, match="no earlier live revision"):
        rollout.rollback(world.f, world.revisions, None)
    world.function = rollout.rollback(world.f, world.revisions, 3)
    world.function = rollout.rollback(world.f, world.revisions, None)
    assert world.f.traffic == {1: 100}


def test_a_rollback_of_a_canary_gives_everything_to_the_one_before(world: World) -> None:
    world.live("a", "b", "c")
    world.function = rollout.traffic(world.f, world.revisions, {1: 5, 2: 85, 3: 10})
    world.function = rollout.rollback(world.f, world.revisions, None)
    assert (world.f.traffic, world.f.latest) == ({2: 100}, 2)
    world.function = rollout.rollback(world.f, world.revisions, None)
    assert world.f.traffic == {1: 100}


def test_a_rollback_while_new_code_starts_stays(world: World) -> None:
    world.live("a", "b")
    world.deploy("c")
    world.function = rollout.rollback(world.f, world.revisions, None)
    world.settle(3)
    assert world.f.traffic == {1: 100}


def test_traffic_goes_to_ready_revisions_only(world: World) -> None:
    world.live("a")
    world.deploy("b")
    with pytest.raises(InvalidSpec, match="not ready yet"):
        rollout.traffic(world.f, world.revisions, {2: 1})
    with pytest.raises(InvalidSpec, match="not ready yet"):
        rollout.rollback(world.f, world.revisions, 2)
    world.settle(2, BROKEN)
    with pytest.raises(InvalidSpec, match="It cannot be loaded"):
        rollout.traffic(world.f, world.revisions, {1: 1, 2: 1})
    with pytest.raises(RevisionNotFound):
        rollout.traffic(world.f, world.revisions, {9: 1})


def test_live_changes_of_scaling_survive_a_deploy_that_repeats_its_settings(
    world: World,
) -> None:
    world.live("a")
    world.function = rollout.scaling(world.f, {"min_containers": 2})
    world.deploy("a")
    world.deploy("b")
    assert world.f.settings.scaling.min_containers == 2
    declared = FunctionSettings(scaling=Scaling(max_containers=5))
    world.deploy("b", settings=declared)
    assert world.f.settings == declared


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"min_containers": -1}, "min_containers"),
        ({"max_containers": 0}, "max_containers"),
        ({"buffer_containers": 10**9}, "buffer_containers"),
        ({"scaledown_window_s": -1.0}, "scaledown_window"),
        ({"scaledown_window_s": float("nan")}, "scaledown_window"),
        ({"target_inputs": 0.0}, "target_inputs"),
        ({"min_containers": 11}, "max_containers=10"),
    ],
)
def test_limits_that_cannot_be_are_named(world: World, changes: dict[str, Any], named: str) -> None:
    world.live("a")
    with pytest.raises(InvalidSpec, match=named):
        rollout.scaling(world.f, changes)
    with pytest.raises(InvalidSpec, match=named):
        world.deploy("b", settings=FunctionSettings(scaling=Scaling(**changes)))


def test_a_strategy_must_be_known(world: World) -> None:
    with pytest.raises(InvalidSpec, match="rolling, recreate"):
        world.deploy("a", strategy="canary")
    with pytest.raises(InvalidSpec, match="queue_timeout"):
        world.deploy("a", settings=FunctionSettings(queue_timeout_s=-1))


@pytest.mark.parametrize(
    ("age_s", "said"), [(3, "3 s ago"), (120, "2 min"), (7300, "2 h"), (200_000, "2 d")]
)
def test_ages_are_said_as_people_do(world: World, age_s: float, said: str) -> None:
    world.live("a")
    world.now += age_s
    with pytest.raises(NameTaken, match=said):
        world.deploy("b", OTHER)


class Rollouts(RuleBasedStateMachine):
    """Any order of deploys, outcomes, rollbacks and shifts keeps a function whole."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.highest = 0

    @rule(
        id=st.sampled_from("abcdef"),
        origin=st.sampled_from([MINE, OTHER]),
        strategy=st.sampled_from(["rolling", "recreate"]),
        take_over=st.booleans(),
    )
    def deploy(self, id: str, origin: Origin, strategy: str, take_over: bool) -> None:
        try:
            plan = self.world.deploy(id, origin, strategy=strategy, take_over=take_over)
        except NameTaken:
            return
        if plan.is_created:
            assert plan.revision.number == self.highest + 1
            self.highest += 1

    @rule(number=st.integers(1, 6), fails=st.booleans())
    def settle(self, number: int, fails: bool) -> None:
        one = self.world.revisions.get(number)
        if one is not None and one.state is RevisionState.PENDING:
            self.world.settle(number, BROKEN if fails else None)

    @rule(to=st.none() | st.integers(1, 6))
    def rollback(self, to: int | None) -> None:
        if self.world.function is not None:
            try:
                self.world.function = rollout.rollback(self.world.f, self.world.revisions, to)
            except FaasError:
                return

    @rule(weights=st.dictionaries(st.integers(1, 6), st.integers(1, 9), min_size=1))
    def shift(self, weights: dict[int, int]) -> None:
        if self.world.function is not None:
            try:
                self.world.function = rollout.traffic(self.world.f, self.world.revisions, weights)
            except FaasError:
                return

    @invariant()
    def is_whole(self) -> None:
        function, revisions = self.world.function, self.world.revisions
        if function is None:
            return
        assert function.latest in revisions
        assert not set(function.traffic) & set(function.previous)
        assert len({one.id for one in revisions.values()}) == len(revisions)
        for number in function.traffic:
            assert revisions[number].state is RevisionState.READY
        if not function.traffic and not any(
            one.state is RevisionState.PENDING for one in revisions.values()
        ):
            assert all(one.state is RevisionState.FAILED for one in revisions.values())


TestRollouts = Rollouts.TestCase
TestRollouts.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
