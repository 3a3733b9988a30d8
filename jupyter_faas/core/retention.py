"""Which revisions of a function are kept. Pure; the registry drops the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jupyter_faas.core.model import Function, RevisionState

PREVIOUS_KEPT = 10
"""How far back `rollback` can go step by step."""


def kept(function: Function, revisions: Mapping[int, RevisionState], newest: int) -> set[int]:
    """Return the numbers to keep.

    Kept are the newest, the latest, whatever traffic or `previous` names, and what is pending.
    The highest number is always among them, so numbers are never used twice.

    Args:
        function: Its traffic, `latest` and `previous`.
        revisions: State by number of all that exist.
        newest: How many of the newest are kept in any case, ≥ 1.
    """
    pending = (n for n, state in revisions.items() if state is RevisionState.PENDING)
    named = {function.latest, *function.traffic, *function.previous, *pending}
    return {n for n in revisions if n in named} | set(sorted(revisions)[-max(1, newest) :])


def pushed(
    previous: Iterable[int], formerly: Iterable[int], live: Iterable[int]
) -> tuple[int, ...]:
    """Return the new `previous`: `formerly` live revisions on top, none of those live now.

    Args:
        previous: The list so far, newest last.
        formerly: Revisions that were live until now, the most important last.
        live: Revisions that are live from now on.
    """
    now = set(live)
    on_top = [number for number in formerly if number not in now]
    below = [number for number in previous if number not in now and number not in on_top]
    return tuple([*below, *on_top][-PREVIOUS_KEPT:])
