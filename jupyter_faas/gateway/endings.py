"""How calls end badly: the errors callers get from the gateway itself, and what is recorded.

Sentences and tables, no state. What a function raised comes from its front and passes through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_faas.core.errors import (
    FaasError,
    InvocationCancelled,
    InvocationTimeout,
    PayloadTooLarge,
    ReplicaLost,
    from_problem,
)
from jupyter_faas.core.model import Outcome

if TYPE_CHECKING:
    from jupyter_faas.gateway.entries import RevisionEntry

CODES = {499: "cancelled", 502: "replica_lost", 504: "timeout", 500: "remote_error"}
OUTCOME_OF: dict[type[FaasError], Outcome] = {
    InvocationCancelled: Outcome.CANCELLED,
    InvocationTimeout: Outcome.TIMEOUT,
    ReplicaLost: Outcome.LOST,
}
OUTCOME_OF_CODE = {cls.code: outcome for cls, outcome in OUTCOME_OF.items()}


def past_deadline() -> InvocationTimeout:
    """Return the error of a call whose deadline passed before it was sent to a replica."""
    return InvocationTimeout("The caller's deadline passed before the call could start.")


def too_large(size: int, limit: int) -> PayloadTooLarge:
    """Return the error of a body of `size` bytes or more."""
    return PayloadTooLarge(f"The body has {size} bytes or more; at most {limit} are accepted.")


def lost_text(reason: str, detail: str) -> str:
    """Return a sentence about how a replica was lost."""
    what = {
        "crashed": "The replica's process ended while it ran this call",
        "out_of_memory": "The replica ran out of memory while it ran this call",
        "node_lost": "The machine the call ran on is gone",
        "stopped": "The replica was stopped while it ran this call",
    }.get(reason, "The replica was lost while it ran this call")
    return f"{what}: {detail}" if detail else f"{what}."


def failure_of(entry: RevisionEntry) -> FaasError:
    """Return the error a failed revision failed with."""
    revision = entry.revision
    if revision.problem is not None:
        return from_problem(revision.problem)
    return from_problem({"code": "provider_error", "detail": revision.reason or "It failed."})
