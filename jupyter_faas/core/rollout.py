"""What a deploy, a rollback or a change of traffic means for a function. Pure.

The registry gives the function and its revisions as they are and writes what comes back. One
rule for names that two notebooks use: whoever would change what answers must have seen the
newest deployed revision, or have deployed it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from jupyter_faas.core.errors import InvalidSpec, NameTaken, RevisionNotFound
from jupyter_faas.core.model import (
    DeployRequest,
    Function,
    FunctionSettings,
    Origin,
    Revision,
    RevisionState,
)
from jupyter_faas.core.names import check_name
from jupyter_faas.core.retention import pushed
from jupyter_faas.core.traffic import check_known

STRATEGIES = ("rolling", "recreate")
MAX_CONTAINERS = 10_000
WHOLE = 100
"""Weight of a revision that gets everything: reads as per cent."""

Revisions = Mapping[int, Revision]


class DeployPlan(NamedTuple):
    """What a deploy does: the new values, and what subscribers hear."""

    function: Function
    revision: Revision
    is_created: bool = False
    is_changed: bool = True
    """False: there is nothing to write."""
    is_revision_changed: bool = False
    news: str = ""
    """`deployed` or `live`; empty: the same code as now."""


def deploy(
    namespace: str,
    name: str,
    function: Function | None,
    revisions: Revisions,
    request: DeployRequest,
    now: float,
) -> DeployPlan:
    """Return what deploying `request` as `name` does.

    Args:
        namespace: Of the function.
        name: Of the function; a DNS label.
        function: As it is; None: there is none of this name.
        revisions: Its revisions by number.
        request: Code, settings, origin, and what the caller last saw.
        now: Wall clock, seconds since the epoch.

    Raises:
        NameTaken: The newest deployed revision is another origin's and the caller has not seen it.
        InvalidSpec: The name, the strategy or the scaling cannot be.
    """
    check_name(name)
    _check_strategy(request.strategy)
    check_settings(request.settings)
    if function is None:
        return _first(namespace, name, request, now)
    if request.shares != function.shares:
        function = msgspec.structs.replace(function, shares=request.shares)
        plan = _deploy(function, revisions, request, now)
        return plan._replace(is_changed=True)
    return _deploy(function, revisions, request, now)


def _deploy(
    function: Function, revisions: Revisions, request: DeployRequest, now: float
) -> DeployPlan:
    known = next((one for one in revisions.values() if one.id == request.id), None)
    if known is not None and _is_current(function, known, request):
        return _look_up(function, known, request)
    if known is None or known.number != function.latest:
        _check_taken(function, revisions, request, now)
    declared = _declared(function, request.settings)
    if known is None:
        return _new(declared, revisions, request, now)
    if known.state is RevisionState.READY:
        live = msgspec.structs.replace(declared, latest=known.number)
        return DeployPlan(_ready_traffic(live, revisions), known, news="live")
    return _again(declared, known, revisions, request)


def rollback(function: Function, revisions: Revisions, to: int | None) -> Function:
    """Return the function with all traffic on `to`, or on the previous live revision.

    Going back step by step walks down `previous`; naming a revision keeps the one left behind in
    `previous`, so that the next rollback undoes it. While traffic is divided (a canary), the
    previous one is the one that still gets a share beside the newest.

    Raises:
        RevisionNotFound: No such revision, or there is nothing to go back to.
        InvalidSpec: The revision is pending or failed.
    """
    if to is not None:
        check_known(function.name, {to: 1}, revisions)
        _check_ready(revisions[to])
        function = msgspec.structs.replace(_with_traffic(function, {to: WHOLE}), latest=to)
        return msgspec.structs.replace(function, shares={})
    earlier = [n for n in function.previous if n in revisions and n not in function.traffic]
    newest = max(function.traffic, default=0)
    earlier += sorted(n for n in function.traffic if n != newest)
    if not earlier:
        raise RevisionNotFound(
            f"`{function.name}` has no earlier live revision to go back to; "
            f"name one of {', '.join(map(str, sorted(revisions)))}."
        )
    number = earlier[-1]
    _check_ready(revisions[number])
    return msgspec.structs.replace(
        function, latest=number, traffic={number: WHOLE}, previous=tuple(earlier[:-1]), shares={}
    )


def traffic(function: Function, revisions: Revisions, weights: dict[int, int]) -> Function:
    """Return the function with traffic divided by `weights` (checked by `parse_traffic`).

    Raises:
        RevisionNotFound: A number is unknown.
        InvalidSpec: A revision is pending or failed; the text says why.
    """
    check_known(function.name, weights, revisions)
    for number in weights:
        _check_ready(revisions[number])
    return msgspec.structs.replace(_with_traffic(function, weights), shares={})


def shares(function: Function, revisions: Revisions, wanted: dict[int, int]) -> Function:
    """Return the function with traffic that is to stay divided, also when a revision gets ready.

    Args:
        function: As it is.
        revisions: Its revisions by number.
        wanted: Per cent by revision number; 0 stands for the newest that is ready. Empty: that
            one gets everything.

    Raises:
        RevisionNotFound: A number is unknown.
        InvalidSpec: A revision is pending or failed; the text says why.
    """
    named = [number for number, percent in wanted.items() if number and percent]
    check_known(function.name, dict.fromkeys(named, 1), revisions)
    for number in named:
        _check_ready(revisions[number])
    return _ready_traffic(msgspec.structs.replace(function, shares=wanted), revisions)


def settings(function: Function, new: FunctionSettings) -> Function:
    """Return the function with other settings.

    Raises:
        InvalidSpec: A value is out of range.
    """
    check_settings(new)
    return msgspec.structs.replace(function, settings=new)


def scaling(function: Function, changes: dict[str, Any]) -> Function:
    """Return the function with some scaling settings changed.

    Args:
        function: As it is.
        changes: New values by field name of `Scaling`.

    Raises:
        InvalidSpec: A value is out of range.
    """
    new = msgspec.structs.replace(function.settings.scaling, **changes)
    settings = msgspec.structs.replace(function.settings, scaling=new)
    check_settings(settings)
    return msgspec.structs.replace(function, settings=settings)


def settled(
    function: Function,
    revision: Revision,
    revisions: Revisions,
    state: RevisionState,
    problem: dict[str, Any] | None,
) -> tuple[Function, Revision]:
    """Return function and revision once a pending revision is ready or has failed.

    Ready: all traffic, unless something newer was deployed meanwhile (or nothing else serves).
    Failed: what served keeps serving; where a `recreate` had stopped it, it serves again.
    """
    reason = "" if problem is None else str(problem.get("detail", ""))
    revision = msgspec.structs.replace(revision, state=state, problem=problem, reason=reason)
    if state is RevisionState.READY:
        if function.latest == revision.number or not function.traffic:
            known = {**revisions, revision.number: revision}
            function = _ready_traffic(function, known, newest=revision.number)
    elif not function.traffic:
        ready = [n for n in function.previous if _is_ready(revisions, n)]
        if ready:
            function = _with_traffic(function, {ready[-1]: WHOLE})
    return function, revision


def check_settings(settings: FunctionSettings) -> None:
    """Raise unless limits of replicas and times make sense together.

    Raises:
        InvalidSpec: Names the setting and what is allowed.
    """
    limits = settings.scaling
    _check_range("min_containers", limits.min_containers, 0, MAX_CONTAINERS)
    _check_range("max_containers", limits.max_containers, 1, MAX_CONTAINERS)
    _check_range("buffer_containers", limits.buffer_containers, 0, MAX_CONTAINERS)
    _check_range("scaledown_window", limits.scaledown_window_s, 0, 86_400 * 7)
    _check_range("queue_timeout", settings.queue_timeout_s, 0, 86_400)
    if limits.target_inputs is not None and not 0 < limits.target_inputs <= 1e6:
        raise InvalidSpec(f"target_inputs={limits.target_inputs:g}: more than 0 is needed.")
    if limits.min_containers > limits.max_containers:
        raise InvalidSpec(
            f"min_containers={limits.min_containers} is more than "
            f"max_containers={limits.max_containers}."
        )


def is_same_origin(one: Origin, other: Origin) -> bool:
    """Return whether two deploys come from one notebook, or one session without a notebook."""
    if one.owner != other.owner:
        return False
    if one.notebook or other.notebook:
        return one.notebook == other.notebook
    return one.session == other.session


def is_rewritten(before: Origin, now: Origin) -> bool:
    """Return whether one notebook has the same code in a cell of another text than before."""
    where = (before.cell_id, before.source_digest) != (now.cell_id, now.source_digest)
    return bool(now.source_digest) and where and is_same_origin(before, now)


def name_taken(newest: Revision, now: float) -> NameTaken:
    """Return the error of whoever means other code than that of revision `newest` by its name."""
    by = newest.origin.notebook.rsplit("/", 1)[-1] or "another session"
    return NameTaken(
        f"`{newest.function}` was redeployed by {by} {_ago(now - newest.created_at)}: "
        "`f.deploy(take_over=True)` or another `name=`.",
        revision=newest.number,
    )


def _first(namespace: str, name: str, request: DeployRequest, now: float) -> DeployPlan:
    function = Function(
        name=name,
        namespace=namespace,
        settings=request.settings,
        declared=request.settings,
        shares=request.shares,
        latest=1,
        created_at=now,
    )
    return DeployPlan(function, _revision(function, 1, request, now), True, True, True, "deployed")


def _new(
    function: Function, revisions: Revisions, request: DeployRequest, now: float
) -> DeployPlan:
    number = max(revisions) + 1
    revision = _revision(function, number, request, now)
    function = _pending(function, number, request.strategy)
    return DeployPlan(function, revision, True, True, True, "deployed")


def _again(
    function: Function, known: Revision, revisions: Revisions, request: DeployRequest
) -> DeployPlan:
    """Try a revision anew that had failed, or that something newer had overtaken."""
    revision = msgspec.structs.replace(
        known, state=RevisionState.PENDING, reason="", problem=None, origin=request.origin
    )
    function = _pending(function, known.number, request.strategy)
    return DeployPlan(function, revision, False, True, True, "deployed")


def _look_up(function: Function, known: Revision, request: DeployRequest) -> DeployPlan:
    """Change what was declared anew, and where the code stands now."""
    new = _declared(function, request.settings)
    if not is_rewritten(known.origin, request.origin):
        return DeployPlan(new, known, is_changed=new != function)
    moved = msgspec.structs.replace(known, origin=request.origin)
    return DeployPlan(new, moved, is_revision_changed=True)


def _is_current(function: Function, known: Revision, request: DeployRequest) -> bool:
    """Whether deploying this code changes nothing.

    It is on its way, or it is the latest and answers. Code that answers without being the latest
    (something newer is on its way or has failed, or traffic is divided) is current for strangers;
    its own notebook, and whoever takes over, means to go back to it.
    """
    if known.number == function.latest and known.state is RevisionState.PENDING:
        return True
    if known.number not in function.traffic:
        return False
    if known.number == function.latest:
        return True
    return not request.take_over and not is_same_origin(known.origin, request.origin)


def _declared(function: Function, settings: FunctionSettings) -> Function:
    """Return the function with newly declared settings; the same as before change nothing."""
    if settings == function.declared:
        return function
    return msgspec.structs.replace(function, settings=settings, declared=settings)


def _pending(function: Function, number: int, strategy: str) -> Function:
    if strategy == "recreate":
        function = _with_traffic(function, {})
    return msgspec.structs.replace(function, latest=number)


def _ready_traffic(function: Function, revisions: Revisions, newest: int | None = None) -> Function:
    """Return the function with the traffic that its shares ask for, as far as revisions are ready.

    Without shares, or where none of them can be served: everything to the newest.
    """
    if newest is None:
        newest = function.latest
        if not _is_ready(revisions, newest):
            ready = [n for n in revisions if _is_ready(revisions, n)]
            newest = max((n for n in ready if n in function.traffic), default=max(ready, default=0))
    weights: dict[int, int] = {}
    for number, percent in function.shares.items():
        if percent and _is_ready(revisions, number or newest):
            weights[number or newest] = weights.get(number or newest, 0) + percent
    if not weights and newest:
        weights = {newest: WHOLE}
    return _with_traffic(function, weights)


def _with_traffic(function: Function, weights: dict[int, int]) -> Function:
    formerly = sorted(function.traffic, key=lambda n: (function.traffic[n], n))
    previous = pushed(function.previous, formerly, weights)
    return msgspec.structs.replace(function, traffic=weights, previous=previous)


def _revision(function: Function, number: int, request: DeployRequest, now: float) -> Revision:
    return Revision(
        function=function.name,
        namespace=function.namespace,
        number=number,
        id=request.id,
        spec=request.revision,
        created_at=now,
        origin=request.origin,
    )


def _check_taken(
    function: Function, revisions: Revisions, request: DeployRequest, now: float
) -> None:
    newest = revisions[function.latest]
    if request.take_over or request.seen == newest.number:
        return
    if not is_same_origin(newest.origin, request.origin):
        raise name_taken(newest, now)


def _check_ready(revision: Revision) -> None:
    if revision.state is RevisionState.FAILED:
        raise InvalidSpec(f"Revision {revision.number} failed: {revision.reason}")
    if revision.state is RevisionState.PENDING:
        raise InvalidSpec(
            f"Revision {revision.number} is not ready yet: its first replica is still starting."
        )


def _is_ready(revisions: Revisions, number: int) -> bool:
    return number in revisions and revisions[number].state is RevisionState.READY


def _check_strategy(strategy: str) -> None:
    if strategy not in STRATEGIES:
        raise InvalidSpec(f"strategy={strategy!r}: one of {', '.join(STRATEGIES)} is allowed.")


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InvalidSpec(f"{name}={value:g}: from {low:g} to {high:g} is allowed.")


def _ago(seconds: float) -> str:
    """Return a time span as people say it."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{max(0, int(seconds))} s ago"
