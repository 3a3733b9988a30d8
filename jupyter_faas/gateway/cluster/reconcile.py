"""What is to be done about one function: its objects on the cluster against memory. Pure.

The cluster says what is wanted, memory what is. People edit the spec: that is followed. Whatever
else is not as this gateway wrote it (a status, a label, a revision that is gone) is damage and is
repaired from memory. The controller looks at a function after every change of either side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from jupyter_faas.core.model import Function, FunctionSettings, Revision, RevisionState
from jupyter_faas.gateway.store import objects
from jupyter_faas.gateway.store.sight import SeenFunction, SeenRevision

KUBERNETES = "kubernetes"
"""Owner of the revisions that this gateway has made of a Function's spec."""


class Forget(NamedTuple):
    """The Function is gone: end what there is of it."""


class Take(NamedTuple):
    """It is another gateway's work, or an earlier life's: memory becomes what is stored."""


class Deploy(NamedTuple):
    """The spec asks for other code or other settings of what runs."""


class Settle(NamedTuple):
    """The spec asks for other settings of the function."""

    settings: FunctionSettings


class Divide(NamedTuple):
    """The spec asks for another division of traffic."""

    shares: dict[int, int]


class Recreate(NamedTuple):
    """A revision that is needed has lost its object."""

    number: int


class Drop(NamedTuple):
    """A revision that nothing needs has lost its object."""

    number: int


class Relabel(NamedTuple):
    """A revision's object has lost a label or its owner."""

    number: int


class RestoreState(NamedTuple):
    """The gateway's bookkeeping in the Function's status is not what it was."""


class RestoreRevision(NamedTuple):
    """How a revision fares is not what its object says."""

    number: int


class TryAgain(NamedTuple):
    """The newest revision has failed for something that may have been mended meanwhile."""


class Refuse(NamedTuple):
    """The spec cannot be followed; what serves goes on."""

    reason: str
    message: str


Action: TypeAlias = (
    Forget
    | Take
    | Deploy
    | Settle
    | Divide
    | Recreate
    | Drop
    | Relabel
    | RestoreState
    | RestoreRevision
    | TryAgain
    | Refuse
)


class Memory(NamedTuple):
    """What the registry has of a function."""

    function: Function
    revisions: Mapping[int, Revision]


class Seen(NamedTuple):
    """What the cluster has of a function."""

    function: SeenFunction
    revisions: Mapping[int, SeenRevision]


def actions(seen: Seen | None, memory: Memory | None, digest: str) -> list[Action]:
    """Return what is to be done, in order; empty: everything is as it should be.

    Args:
        seen: None: there is no Function object.
        memory: None: the registry has no such function.
        digest: Of the package of the spec's code; empty: it cannot be told.
    """
    if seen is None or seen.function.is_deleting:
        return [] if memory is None else [Forget()]
    if memory is None:
        if seen.revisions and seen.function.spec is not None:
            return [Take()]
        return _followed(seen, None, digest)
    repairs = [*_revision_repairs(seen, memory), *_state_repairs(seen, memory)]
    return [*repairs, *_followed(seen, memory, digest)]


def may_be_mended(memory: Memory | None) -> bool:
    """Return whether the newest revision lacks something of the cluster: a Secret, quota, room.

    That may be there a moment later, as files of one directory are applied one after the other.
    What a notebook has deployed is tried again by the notebook's next call.
    """
    if memory is None:
        return False
    latest = memory.revisions[memory.function.latest]
    problem = latest.problem or {}
    is_clusters = problem.get("code") == "provider_error" or bool(problem.get("waited_for"))
    is_failed = latest.state is RevisionState.FAILED
    return is_failed and is_clusters and latest.origin.owner == KUBERNETES


def is_settled(memory: Memory | None) -> bool:
    """Return whether nothing of a function is on its way: its newest revision is not pending."""
    if memory is None:
        return True
    return memory.revisions[memory.function.latest].state is not RevisionState.PENDING


def after_a_move(todo: list[Action]) -> list[Action]:
    """Return what to do instead, for a function that has just become this gateway's.

    What looks like damage is what its owner before has written last: that is taken first.
    """
    is_behind = any(
        isinstance(one, Recreate | Drop | RestoreState | RestoreRevision) for one in todo
    )
    return [Take()] if is_behind else todo


def _followed(seen: Seen, memory: Memory | None, digest: str) -> list[Action]:
    spec = seen.function.spec
    if spec is None:
        return [Refuse("InvalidSpec", f"The spec cannot be read: {seen.function.problem}.")]
    wanted = objects.wanted_of(spec)
    if memory is None:
        return [Deploy()]
    latest = memory.revisions[memory.function.latest]
    if not objects.is_same_code(wanted.runs, wanted.code.python, digest, latest.spec):
        # The deploy takes the settings and the division along.
        return [Deploy()]
    found: list[Action] = []
    if wanted.settings != memory.function.settings:
        found.append(Settle(wanted.settings))
    if wanted.shares != objects.shown_shares(memory.function, memory.revisions):
        found.append(Divide(wanted.shares))
    return found


def _revision_repairs(seen: Seen, memory: Memory) -> list[Action]:
    function = memory.function
    found: list[Action] = []
    for number, revision in memory.revisions.items():
        there = seen.revisions.get(number)
        if there is None or there.revision.id != revision.id:
            is_needed = number in function.traffic or number == function.latest
            found.append(Recreate(number) if is_needed else Drop(number))
            continue
        if not there.is_labelled or not there.owner_uid:
            found.append(Relabel(number))
        if objects.revision_status(there.revision) != objects.revision_status(revision):
            found.append(RestoreRevision(number))
    return found


def _state_repairs(seen: Seen, memory: Memory) -> list[Action]:
    is_right = seen.function.state == objects.state_object(memory.function)
    return [] if is_right else [RestoreState()]
