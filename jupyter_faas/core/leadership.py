"""Who may do what only one of several gateways is to do: decisions about a lease. Pure.

The record names its holder; who holds it writes it anew about every second, the others take it when
it has not changed for as long as it says. Only changes that one's own clock has seen count, so
clocks may differ by any amount; `renewed` is never compared with a clock.

Source:
    Kubernetes client-go, tools/leaderelection: the same rules, so that both kinds of members
    could share a Lease.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

DURATION_S = 4.0
"""A record that has not changed for so long is free."""
RENEW_S = 1.2
"""How often a holder writes it anew, and the others look."""
STEP_DOWN_S = 3.0
"""A holder that could not write for so long leads no more: before anybody else begins to."""


class Record(NamedTuple):
    """What the lease says."""

    holder: str = ""
    """Empty: released."""
    renewed: str = ""
    """When the holder last wrote, by its own clock; only compared with itself."""
    duration_s: float = DURATION_S
    transitions: int = 0


class Sight(NamedTuple):
    """A record as it was seen."""

    record: Record
    since_s: float
    """Monotonic, when it was first seen like this."""


class Step(StrEnum):
    """What a gateway does about the lease now."""

    CREATE = "create"
    """There is none."""
    TAKE = "take"
    """It is released, or its holder has let it expire."""
    RENEW = "renew"
    """It is our own."""
    WAIT = "wait"


def look(before: Sight | None, record: Record, now_s: float) -> Sight:
    """Return what is known after the record was read at `now_s`."""
    if before is not None and before.record == record:
        return before
    return Sight(record, now_s)


def step(own: str, sight: Sight | None, now_s: float) -> Step:
    """Return what to do.

    Args:
        own: Who asks.
        sight: The record as seen; None: there is none.
        now_s: Monotonic seconds, same clock as the sight.
    """
    if sight is None:
        return Step.CREATE
    record = sight.record
    if record.holder == own:
        return Step.RENEW
    if not record.holder or now_s >= sight.since_s + record.duration_s:
        return Step.TAKE
    return Step.WAIT


def written(own: str, before: Record | None, renewed: str) -> Record:
    """Return the record as its new or old holder writes it."""
    transitions = 0
    if before is not None:
        transitions = before.transitions + (before.holder != own)
    return Record(own, renewed, DURATION_S, transitions)


def leads(renewed_s: float | None, now_s: float) -> bool:
    """Return whether a holder that last wrote at `renewed_s` (before it asked to) leads still."""
    return renewed_s is not None and now_s < renewed_s + STEP_DOWN_S
