"""The status of a Function as people and `kubectl wait` read it. Pure.

`Ready` speaks of what the spec asks for: true once the newest revision answers (or could, at zero
replicas), false with a reason when it cannot. `Serving` says whether anything answers: an older
revision keeps serving while a newer one fails.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from jupyter_faas.core.model import Function, Revision, RevisionState
from jupyter_faas.gateway.cluster.reconcile import Memory, Refuse, may_be_mended
from jupyter_faas.providers.kubernetes.names import FUNCTION_LABEL, REPLICA, ROLE_LABEL
from jupyter_faas.providers.kubernetes.objects import ConditionObject

READY, SERVING = "Ready", "Serving"
MAX_MESSAGE = 1024
_WORD = re.compile(r"[A-Z][A-Za-z0-9]{1,63}")
_IMPORTS = ("ImportError", "ModuleNotFoundError")
_CODES = {
    "missing_packages": "MissingPackages",
    "environment_mismatch": "NoPool",
    "cold_start_timeout": "ColdStartTimeout",
    "invalid_spec": "InvalidSpec",
    "provider_error": "ProviderFailed",
    "internal_error": "InternalError",
    "not_serializable": "LoadFailed",
    "remote_error": "LoadFailed",
}
_LOST = {"out_of_memory": "OutOfMemory", "crashed": "Crashed"}


class Word(NamedTuple):
    """What a condition says."""

    status: str
    reason: str
    message: str = ""


def conditions(
    function: Function | None,
    revisions: dict[int, Revision],
    refused: Refuse | None,
    waiting: str,
    before: Sequence[ConditionObject],
    generation: int,
    now: float,
) -> tuple[ConditionObject, ...]:
    """Return the conditions of a Function.

    Args:
        function: In memory; None: nothing was deployed yet.
        revisions: Its revisions by number.
        refused: Why its spec is not followed.
        waiting: Why its newest revision is not ready yet, or what a replica of it lacks.
        before: The conditions so far: what has not changed keeps its time.
        generation: Of the spec that this is about.
        now: Wall clock, seconds since the epoch.
    """
    ready = ready_word(function, revisions, refused, waiting)
    serving = serving_word(function)
    words = {READY: ready, SERVING: serving}
    known = {one.type: one for one in before}
    return tuple(
        _condition(name, word, known.get(name), generation, now) for name, word in words.items()
    )


def ready_word(
    function: Function | None,
    revisions: dict[int, Revision],
    refused: Refuse | None,
    waiting: str,
) -> Word:
    """Return whether what the spec asks for can be called, and why not."""
    serving = "" if function is None else _serving(function)
    inside = serving[:1].lower() + serving[1:]
    are = "" if function is not None and len(function.traffic) > 1 else "s"
    if refused is not None:
        keeps = f" {serving} keep{are} serving." if serving else ""
        return Word("False", refused.reason, f"{refused.message}{keeps}")
    if function is None:
        return Word("Unknown", "Pending", "It has not been looked at yet.")
    latest = revisions[function.latest]
    if latest.state is RevisionState.FAILED:
        keeps = f", {inside} keep{are} serving" if serving else ""
        again = " It is tried again." if may_be_mended(Memory(function, revisions)) else ""
        return Word(
            "False",
            failure_reason(latest.problem),
            f"Revision {latest.number} failed{keeps}: {latest.reason}{again}",
        )
    if latest.state is RevisionState.PENDING:
        meanwhile = f", {inside} serve{are} meanwhile" if serving else ""
        why = f": {waiting}" if waiting else ""
        return Word("Unknown", "Pending", f"Revision {latest.number} is starting{meanwhile}{why}.")
    undivided = _undivided(function, revisions)
    if undivided is not None:
        return undivided._replace(message=f"{undivided.message} {serving} serve{are}.")
    lacks = f" A replica is smaller than asked for: {waiting}." if waiting else ""
    return Word("True", "Ready", f"{serving or f'Revision {latest.number}'} serve{are}.{lacks}")


def serving_word(function: Function | None) -> Word:
    """Return whether anything answers."""
    if function is None or not function.traffic:
        return Word("False", "NothingReady", "No revision has been ready yet.")
    are = "" if len(function.traffic) > 1 else "s"
    return Word("True", "Serving", f"{_serving(function)} serve{are}.")


def failure_reason(problem: dict[str, Any] | None) -> str:
    """Return one CamelCase word for a problem document: why a revision has failed."""
    if not problem:
        return "Failed"
    said = str(problem.get("reason") or "")
    if said in _LOST:
        return _LOST[said]
    if _WORD.fullmatch(said):
        return said  # The provider's own word.
    code = str(problem.get("code") or "")
    if code == "remote_error" and problem.get("exception") in _IMPORTS:
        return "ImportError"
    known = _CODES.get(code) or "".join(part.capitalize() for part in code.split("_"))
    return known if _WORD.fullmatch(known) else "Failed"


def selector(name: str) -> str:
    """Return the labels of a function's pods, as an HPA takes them."""
    return f"{FUNCTION_LABEL}={name},{ROLE_LABEL}={REPLICA}"


def timestamp(seconds: float) -> str:
    """Return a time as Kubernetes writes it."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def shown(message: str) -> str:
    """Return a message cut to what fits a status."""
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"


def _undivided(function: Function, revisions: dict[int, Revision]) -> Word | None:
    """Return why traffic is not divided as asked for; None: it is."""
    named = [number for number, percent in sorted(function.shares.items()) if number and percent]
    for number in named:
        if number not in revisions:
            there = ", ".join(map(str, sorted(revisions)))
            text = f"Traffic names revision {number}, which does not exist; there is {there}."
            return Word("False", "RevisionNotFound", text)
        if revisions[number].state is not RevisionState.READY:
            why = revisions[number].reason or "its first replica is still starting"
            text = f"Traffic names revision {number}, which is not ready: {why}"
            return Word("False", "RevisionNotReady", f"{text.rstrip('.')}.")
    return None


def _serving(function: Function) -> str:
    numbers = sorted(function.traffic)
    if not numbers:
        return ""
    if len(numbers) == 1:
        return f"Revision {numbers[0]}"
    total = sum(function.traffic.values())
    parts = (f"{n} ({function.traffic[n] * 100 / total:.0f} %)" for n in numbers)
    return f"Revisions {', '.join(parts)}"


def _condition(
    name: str, word: Word, before: ConditionObject | None, generation: int, now: float
) -> ConditionObject:
    is_same = before is not None and before.status == word.status
    since = before.last_transition_time if before is not None and is_same else timestamp(now)
    return ConditionObject(
        type=name,
        status=word.status,
        observed_generation=generation,
        last_transition_time=since,
        reason=word.reason,
        message=shown(word.message),
    )


def is_urgent(old: Any, new: Any) -> bool:
    """Return whether somebody may be waiting for a change of a status.

    Args:
        old: `FunctionStatusObject` as written last, or None.
        new: As it is now.
    """
    if old is None:
        return True
    calm = {"in_flight": 0}
    return bool(msgspec.structs.replace(old, **calm) != msgspec.structs.replace(new, **calm))
