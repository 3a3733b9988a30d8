"""Between the objects of a cluster and the model, in both directions. Pure.

A `Function` object's spec is what people want and its status what is; a `core.model.Function` is
made of both. Writing one keeps what people wrote wherever it says the same: their notation of
amounts, their source text, and everything that this change does not change.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any, NamedTuple, TypeVar

import msgspec

from jupyter_faas.core.model import (
    Code,
    Function,
    FunctionSettings,
    Kind,
    Resources,
    Revision,
    RevisionSpec,
    RevisionState,
    Scaling,
)
from jupyter_faas.providers.kubernetes.objects import (
    DIGEST_PREFIX,
    CodeObject,
    FunctionSpecObject,
    FunctionStateObject,
    ResourcesObject,
    RevisionSpecObject,
    RevisionStatusObject,
    TrafficObject,
)
from jupyter_faas.providers.kubernetes.quantity import number_of

Object = dict[str, Any]
T = TypeVar("T")

MIB = 1 << 20
NO_CODE = Code(digest="", size_bytes=0, entry="", python="")
_replace = msgspec.structs.replace
_DEFAULT = Resources()
_SAME = ("packages", "image", "env", "secrets", "volumes", "timeout_s", "startup_timeout_s")
_SAME_TOO = ("retries", "idempotent", "runtime_class", "node_selector")
_RUNS = _SAME + _SAME_TOO
"""Fields of a revision that are called the same in a Function's spec."""
_SCALES = ("min_containers", "max_containers", "buffer_containers", "scaledown_window_s")
_SETTINGS = ("queue_timeout_s", "public", "schedule")


class Wanted(NamedTuple):
    """What the spec of a Function asks for."""

    code: CodeObject
    runs: RevisionSpec
    """Everything that changes what runs, but the code (`NO_CODE`)."""
    settings: FunctionSettings
    shares: dict[int, int]
    has_service: bool


def read(value: Any, kind: type[T]) -> T:
    """Return a part of an object as its type.

    Raises:
        msgspec.ValidationError: It is not one; the text names the path.
    """
    return msgspec.convert(value, kind, str_keys=True)


def plain(value: Any) -> Any:
    """Return a typed value as JSON values."""
    return msgspec.to_builtins(value, str_keys=True)


def wanted_of(spec: FunctionSpecObject) -> Wanted:
    """Return what a Function's spec asks for, in the words of the model."""
    scaling = spec.scaling
    return Wanted(
        spec.code,
        RevisionSpec(
            code=NO_CODE,
            resources=resources_of(spec.resources),
            max_inputs=scaling.max_inputs,
            **{name: getattr(spec, name) for name in _RUNS},
        ),
        FunctionSettings(
            scaling=Scaling(
                target_inputs=scaling.target_inputs,
                **{name: getattr(scaling, name) for name in _SCALES},
            ),
            **{name: getattr(spec, name) for name in _SETTINGS},
        ),
        shares_of(spec.traffic),
        spec.expose is not None,
    )


def is_same_code(runs: RevisionSpec, python: str, digest: str, known: RevisionSpec) -> bool:
    """Return whether a revision is what a Function's spec asks for.

    Args:
        runs: Of the spec, see `Wanted`.
        python: Of the spec's code.
        digest: Of the package of the spec's code.
        known: The revision's.
    """
    is_code = (digest, python) == (known.code.digest, known.code.python)
    return is_code and _replace(known, code=NO_CODE, place=None) == runs


def updated_spec(
    spec: FunctionSpecObject | None,
    before: Function | None,
    function: Function,
    revisions: Mapping[int, Revision],
    code: CodeObject | None,
) -> FunctionSpecObject:
    """Return a Function's spec after a change of the model.

    Args:
        spec: As it is on the cluster; None: there is no object yet.
        before: The function before the change; what it does not change is left as people have it.
        function: After it.
        revisions: All there are after it.
        code: Of the newest revision, if that is not what the spec asks for.
    """
    latest = revisions[function.latest]
    new = spec or FunctionSpecObject(code=code or code_object(latest.spec.code, None))
    if code is not None or spec is None:
        new = _with_revision(new, latest.spec, code)
    new = _with_settings(new, before.settings if before else None, function.settings)
    shown = shown_shares(function, revisions)
    old = {} if before is None else shown_shares(before, revisions)
    if shown != old and shown != shares_of(new.traffic):
        new = _replace(new, traffic=traffic_objects(shown))
    return new


def _with_revision(
    spec: FunctionSpecObject, runs: RevisionSpec, code: CodeObject | None
) -> FunctionSpecObject:
    new = _replace(spec, **{name: getattr(runs, name) for name in _RUNS})
    new = _replace(new, scaling=_replace(new.scaling, max_inputs=runs.max_inputs))
    if resources_of(new.resources) != runs.resources:
        new = _replace(new, resources=resources_object(runs.resources))
    return new if code is None else _replace(new, code=code)


def _with_settings(
    spec: FunctionSpecObject, before: FunctionSettings | None, after: FunctionSettings
) -> FunctionSpecObject:
    old, new = before.scaling if before else None, after.scaling
    scaling = _changed(old, new, (*_SCALES, "target_inputs"))
    spec = _replace(spec, scaling=_replace(spec.scaling, **scaling))
    return _replace(spec, **_changed(before, after, _SETTINGS))


def _changed(before: Any, after: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        name: getattr(after, name)
        for name in names
        if before is None or getattr(before, name) != getattr(after, name)
    }


def code_object(code: Code, source: str | None) -> CodeObject:
    """Return the code of a revision as a Function's spec has it."""
    if source is not None:
        return CodeObject(source=source, entry=code.entry, python=code.python)
    return CodeObject(
        digest=DIGEST_PREFIX + code.digest,
        entry=code.entry,
        python=code.python,
        size_bytes=code.size_bytes,
        kind=code.kind,
        signature=code.signature,
        methods=code.methods,
        parameters=code.parameters,
        modules=code.modules,
    )


def code_of(code: CodeObject, size_bytes: int, entry: str, kind: Kind) -> Code:
    """Return the code of an uploaded package.

    Args:
        code: With a digest.
        size_bytes: Of the package, as it is stored.
        entry: Its name, if the object does not say.
        kind: What the package says, if the object does not.
    """
    return Code(
        digest=(code.digest or "").removeprefix(DIGEST_PREFIX),
        size_bytes=size_bytes,
        entry=code.entry or entry,
        kind=code.kind or kind,
        python=code.python,
        methods=code.methods,
        signature=code.signature or "(...)",
        parameters=code.parameters,
        modules=code.modules,
    )


def resources_of(found: ResourcesObject) -> Resources:
    """Return cores and MiB of Kubernetes quantities; what is absent has its default."""
    return Resources(
        cpu=_cores(found.cpu, _DEFAULT.cpu),
        cpu_limit=_cores(found.cpu_limit, None),
        memory_mib=_mib(found.memory, _DEFAULT.memory_mib),
        memory_request_mib=_mib(found.memory_request, None),
        gpu=found.gpu,
    )


def resources_object(resources: Resources) -> ResourcesObject:
    """Return cores and MiB as Kubernetes quantities."""
    request_mib = resources.memory_request_mib
    return ResourcesObject(
        cpu=_cpu_text(resources.cpu),
        cpu_limit=None if resources.cpu_limit is None else _cpu_text(resources.cpu_limit),
        memory=f"{resources.memory_mib}Mi",
        memory_request=None if request_mib is None else f"{request_mib}Mi",
        gpu=resources.gpu,
    )


_Or = TypeVar("_Or")


def _cores(quantity: int | str | None, default: _Or) -> float | _Or:
    return default if quantity is None else round(number_of(quantity), 9)


def _mib(quantity: int | str | None, default: _Or) -> int | _Or:
    return default if quantity is None else ceil(number_of(quantity) / MIB)


def _cpu_text(cores: float) -> str:
    return f"{cores:g}" if cores == int(cores) else f"{round(cores * 1000, 6):g}m"


def shares_of(traffic: tuple[TrafficObject, ...]) -> dict[int, int]:
    """Return percents by revision number; 0 stands for the newest that is ready."""
    return {one.revision or 0: one.percent for one in traffic if one.percent}


def traffic_objects(shares: Mapping[int, int]) -> tuple[TrafficObject, ...]:
    """Return what `shares_of` reads."""
    return tuple(
        TrafficObject(revision=number, percent=percent)
        if number
        else TrafficObject(latest=True, percent=percent)
        for number, percent in sorted(shares.items(), key=lambda one: one[0] or 1 << 40)
    )


def shown_shares(function: Function, revisions: Mapping[int, Revision]) -> dict[int, int]:
    """Return the shares that a Function's spec shows; empty: everything to the newest."""
    if function.shares:
        return function.shares
    if len(function.traffic) <= 1:
        latest = revisions.get(function.latest)
        is_ready = latest is not None and latest.state is RevisionState.READY
        if not is_ready or not function.traffic or function.latest in function.traffic:
            return {}
    return percents(function.traffic)


def percents(weights: Mapping[int, int]) -> dict[int, int]:
    """Return weights as whole percents that sum to 100 (largest remainders first)."""
    total = sum(weights.values())
    exact = {number: weight * 100 / total for number, weight in weights.items()}
    found = {number: int(value) for number, value in exact.items()}
    by_remainder = sorted(exact, key=lambda number: found[number] - exact[number])
    for number in by_remainder[: 100 - sum(found.values())]:
        found[number] += 1
    return found


def state_object(function: Function) -> FunctionStateObject:
    """Return what only the gateway knows of a function."""
    return FunctionStateObject(
        latest=function.latest,
        traffic=function.traffic,
        shares=function.shares,
        previous=function.previous,
        declared=function.declared,
        created_at=function.created_at,
    )


def function_of(
    namespace: str,
    name: str,
    spec: FunctionSpecObject,
    state: FunctionStateObject | None,
    revisions: Mapping[int, Revision],
    created_at: float,
) -> Function | None:
    """Return the function of an object; None: it has no revision yet.

    What a wiped status no longer says is derived: the newest revision is the latest, the newest
    that is ready serves.
    """
    if not revisions:
        return None
    wanted = wanted_of(spec)
    if state is None:
        ready = [n for n, one in revisions.items() if one.state is RevisionState.READY]
        traffic = {max(ready): 100} if ready else {}
        state = FunctionStateObject(traffic=traffic, shares=wanted.shares, created_at=created_at)
    return Function(
        name=name,
        namespace=namespace,
        settings=wanted.settings,
        declared=state.declared,
        latest=state.latest if state.latest in revisions else max(revisions),
        traffic={number: w for number, w in state.traffic.items() if number in revisions},
        shares=state.shares,
        previous=tuple(number for number in state.previous if number in revisions),
        created_at=state.created_at,
    )


def revision_object(revision: Revision, package: str | None) -> RevisionSpecObject:
    """Return the spec of a FunctionRevision; `package` as `packing.packed` makes it."""
    return RevisionSpecObject(
        function=revision.function,
        number=revision.number,
        id=revision.id,
        created_at=revision.created_at,
        revision=revision.spec,
        origin=revision.origin,
        package=package,
    )


def revision_status(revision: Revision) -> RevisionStatusObject:
    """Return the status of a FunctionRevision."""
    return RevisionStatusObject(
        state=revision.state.value, reason=revision.reason, problem=revision.problem
    )


def revision_of(
    namespace: str, spec: RevisionSpecObject, status: RevisionStatusObject | None
) -> Revision:
    """Return the revision of an object; without a status it is pending."""
    status = status or RevisionStatusObject()
    is_known = status.state in tuple(RevisionState)
    return Revision(
        function=spec.function,
        namespace=namespace,
        number=spec.number,
        id=spec.id,
        spec=spec.revision,
        created_at=spec.created_at,
        state=RevisionState(status.state) if is_known else RevisionState.PENDING,
        reason=status.reason,
        problem=status.problem,
        origin=spec.origin,
    )


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> Object:
    """Return the JSON merge patch that makes `old` into `new`; empty: they are equal.

    Source:
        RFC 7396.
    """
    patch: Object = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if inner := merge_patch(before, value):
                patch[name] = inner
        elif name not in old or before != value:
            patch[name] = value
    return patch
