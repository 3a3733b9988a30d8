"""What is to be done about one function: a table of what the cluster has against memory."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from jupyter_faas.core.inline import inline_package, revision_id
from jupyter_faas.core.model import (
    Function,
    FunctionSettings,
    Origin,
    Revision,
    RevisionSpec,
    RevisionState,
    Scaling,
)
from jupyter_faas.gateway.cluster.controller import digest_of
from jupyter_faas.gateway.cluster.reconcile import (
    Action,
    Deploy,
    Divide,
    Drop,
    Forget,
    Memory,
    Recreate,
    Refuse,
    Relabel,
    RestoreRevision,
    RestoreState,
    Seen,
    Settle,
    Take,
    actions,
    after_a_move,
    may_be_mended,
)
from jupyter_faas.gateway.store import objects
from jupyter_faas.gateway.store.sight import SeenFunction, SeenRevision
from jupyter_faas.providers.kubernetes.objects import (
    CodeObject,
    FunctionSpecObject,
    FunctionStateObject,
    FunctionStatusObject,
    ResourcesObject,
    ScalingObject,
    TrafficObject,
)

replace = msgspec.structs.replace
CODE = CodeObject(source="def f(): return 2", entry="f", python="3.11")
SPEC = FunctionSpecObject(code=CODE)


def revision(number: int, source: str, state: RevisionState = RevisionState.READY) -> Revision:
    spec = RevisionSpec(code=inline_package(source, "f", "3.11")[1])
    return Revision(
        function="f", number=number, id=revision_id(spec), spec=spec, created_at=1.0, state=state
    )


REVISIONS = {
    1: revision(1, "def f(): return 1"),
    2: revision(2, "def f(): return 2"),
}
FUNCTION = Function(name="f", latest=2, traffic={2: 100}, previous=(1,))
MEMORY = Memory(FUNCTION, REVISIONS)


def seen_revision(one: Revision, **changed: Any) -> SeenRevision:
    known: dict[str, Any] = {
        "uid": f"u{one.number}", "version": 1, "owner_uid": "u", "is_labelled": True,
        "has_status": True, "has_package": True, "revision": one, **changed,
    }  # fmt: skip
    return SeenRevision(**known)


def seen(
    spec: FunctionSpecObject | None = SPEC,
    state: FunctionStateObject | None = objects.state_object(FUNCTION),
    revisions: dict[int, SeenRevision] | None = None,
    **changed: Any,
) -> Seen:
    function: dict[str, Any] = {
        "uid": "u", "version": 1, "generation": 1, "is_deleting": False, "created_at": 1.0,
        "manager": "kubectl", "spec": spec,
        "status": None if state is None else FunctionStatusObject(state=state), **changed,
    }  # fmt: skip
    if revisions is None:
        revisions = {number: seen_revision(one) for number, one in REVISIONS.items()}
    return Seen(SeenFunction(**function), revisions)


def with_revision(number: int, **changed: Any) -> Seen:
    found = {n: seen_revision(one) for n, one in REVISIONS.items()}
    found[number] = seen_revision(changed.pop("revision", REVISIONS[number]), **changed)
    return seen(revisions=found)


def without_revision(number: int) -> Seen:
    return seen(revisions={n: seen_revision(r) for n, r in REVISIONS.items() if n != number})


def divided(*traffic: TrafficObject) -> Seen:
    return seen(replace(SPEC, traffic=traffic))


TABLE: dict[str, tuple[Seen | None, Memory | None, list[Action]]] = {
    "all is as it should be": (seen(), MEMORY, []),
    "nothing anywhere": (None, None, []),
    "the Function is gone": (None, MEMORY, [Forget()]),
    "the Function is being deleted": (seen(is_deleting=True), MEMORY, [Forget()]),
    "a new Function": (seen(state=None, revisions={}), None, [Deploy()]),
    "somebody else's Function": (seen(), None, [Take()]),
    "a new Function that cannot be read": (
        seen(None, None, {}, problem="no code"),
        None,
        [Refuse("InvalidSpec", "The spec cannot be read: no code.")],
    ),
    "other code": (
        seen(replace(SPEC, code=replace(CODE, source="def f(): return 3"))),
        MEMORY,
        [Deploy()],
    ),
    "the code of an earlier revision": (
        seen(replace(SPEC, code=replace(CODE, source="def f(): return 1"))),
        MEMORY,
        [Deploy()],
    ),
    "another Python": (seen(replace(SPEC, code=replace(CODE, python="3.12"))), MEMORY, [Deploy()]),
    "a variable": (seen(replace(SPEC, env={"A": "b"})), MEMORY, [Deploy()]),
    "an image": (seen(replace(SPEC, image="i")), MEMORY, [Deploy()]),
    "more memory": (
        seen(replace(SPEC, resources=ResourcesObject(memory="1Gi"))),
        MEMORY,
        [Deploy()],
    ),
    "the same memory in other words": (
        seen(replace(SPEC, resources=ResourcesObject(memory="0.5Gi", cpu="0.1"))),
        MEMORY,
        [],
    ),
    "more calls at once": (
        seen(replace(SPEC, scaling=ScalingObject(max_inputs=4))),
        MEMORY,
        [Deploy()],
    ),
    "another entry name for the same": (
        seen(replace(SPEC, code=replace(CODE, entry=None))),
        MEMORY,
        [],
    ),
    "a higher floor": (
        seen(replace(SPEC, scaling=ScalingObject(min_containers=3))),
        MEMORY,
        [Settle(replace(FUNCTION.settings, scaling=Scaling(min_containers=3)))],
    ),
    "no token needed": (
        seen(replace(SPEC, public=True)),
        MEMORY,
        [Settle(replace(FUNCTION.settings, public=True))],
    ),
    "a Service": (seen(replace(SPEC, expose="service")), MEMORY, []),
    "divided traffic": (
        divided(TrafficObject(revision=1, percent=90), TrafficObject(latest=True, percent=10)),
        MEMORY,
        [Divide({1: 90, 0: 10})],
    ),
    "the division that is": (
        divided(TrafficObject(revision=1, percent=90), TrafficObject(revision=2, percent=10)),
        Memory(replace(FUNCTION, traffic={1: 9, 2: 1}), REVISIONS),
        [RestoreState()],
    ),
    "damage: the status is wiped": (seen(state=None), MEMORY, [RestoreState()]),
    "damage: the state is edited": (
        seen(state=FunctionStateObject(latest=9)),
        MEMORY,
        [RestoreState()],
    ),
    "damage: the live revision is deleted": (without_revision(2), MEMORY, [Recreate(2)]),
    "damage: a revision that serves nobody is deleted": (without_revision(1), MEMORY, [Drop(1)]),
    "damage: the labels of a revision are edited": (
        with_revision(2, is_labelled=False),
        MEMORY,
        [Relabel(2)],
    ),
    "damage: the owner of a revision is taken away": (
        with_revision(1, owner_uid=""),
        MEMORY,
        [Relabel(1)],
    ),
    "damage: the status of a revision is wiped": (
        with_revision(2, revision=replace(REVISIONS[2], state=RevisionState.PENDING)),
        MEMORY,
        [RestoreRevision(2)],
    ),
    "damage and a wish at once": (
        seen(replace(SPEC, env={"A": "b"}), state=None),
        MEMORY,
        [RestoreState(), Deploy()],
    ),
    "a spec that cannot be read, and damage": (
        seen(None, None, problem="x"),
        MEMORY,
        [RestoreState(), Refuse("InvalidSpec", "The spec cannot be read: x.")],
    ),
}


@pytest.mark.parametrize("case", list(TABLE))
def test_what_is_to_be_done(case: str) -> None:
    there, memory, wanted = TABLE[case]
    digest = digest_of(there.function.spec.code) if there and there.function.spec else ""
    assert actions(there, memory, digest) == wanted


def test_a_failed_deploy_is_not_tried_again_by_itself() -> None:
    failed = revision(3, "def f(): return 3", RevisionState.FAILED)
    function = replace(FUNCTION, latest=3)
    memory = Memory(function, {**REVISIONS, 3: failed})
    there = seen(
        replace(SPEC, code=replace(CODE, source="def f(): return 3")),
        objects.state_object(function),
        {n: seen_revision(one) for n, one in memory.revisions.items()},
    )
    assert actions(there, memory, failed.spec.code.digest) == []


@pytest.mark.parametrize("damage", [RestoreState(), RestoreRevision(2), Recreate(3), Drop(1)])
def test_right_after_a_move_what_looks_like_damage_is_taken_instead(damage: Action):
    assert after_a_move([damage, Settle(FunctionSettings())]) == [Take()]


def test_right_after_a_move_what_the_spec_asks_for_is_followed():
    for todo in ([], [Deploy()], [Relabel(1), Settle(FunctionSettings())]):
        assert after_a_move(todo) == todo


@pytest.mark.parametrize(
    ("problem", "owner", "state", "is_tried"),
    [
        ({"code": "provider_error", "reason": "QuotaExceeded"}, "kubernetes", "failed", True),
        ({"code": "cold_start_timeout", "waited_for": "no room"}, "kubernetes", "failed", True),
        ({"code": "cold_start_timeout"}, "kubernetes", "failed", False),
        ({"code": "remote_error", "exception": "ImportError"}, "kubernetes", "failed", False),
        ({"code": "provider_error", "reason": "QuotaExceeded"}, "ada", "failed", False),
        ({}, "kubernetes", "ready", False),
    ],
)
def test_only_what_the_cluster_lacked_is_tried_again(
    problem: dict[str, Any], owner: str, state: str, is_tried: bool
) -> None:
    failed = replace(
        revision(2, "def f(): return 2", RevisionState(state)),
        problem=problem,
        origin=Origin(owner=owner),
    )
    function = Function(name="f", latest=2)
    assert may_be_mended(Memory(function, {2: failed})) is is_tried
    assert not may_be_mended(None)
