"""Numbers of a function as people see them: what is going on, and what has ended how.

Everything is measured: sums over the pools of its revisions, which count every invocation, and
what was counted before, which the embedded store keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from jupyter_faas.core.model import Outcome
from jupyter_faas.gateway.metering import Used
from jupyter_faas.gateway.past import Past

if TYPE_CHECKING:
    from jupyter_faas.gateway.activator import Pool
    from jupyter_faas.gateway.entries import FunctionEntry

NOTHING = Used()
_OF_CODE = (Outcome.ERROR, Outcome.TIMEOUT)
_BAD = (*_OF_CODE, Outcome.LOST)


class Counts(NamedTuple):
    """Sums over the revisions of one function.

    Since it was deployed; where many gateways share a store, since the ones there are have begun.
    """

    in_flight: int = 0
    queued: int = 0
    accepted: int = 0
    ended: int = 0
    errors: int = 0
    """Ended by an error of the code, a time-out or a lost replica."""
    user_errors: int = 0
    """Those of them that the code is at fault for: errors and time-outs."""
    cancelled: int = 0
    dead: int = 0
    """Given up while queued."""
    rejected: int = 0
    """Never accepted: no place to wait."""
    cold_starts: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    memory_mib_s: float = 0.0
    """Memory limit times run time, what a bill would be made from."""
    items: int = 0
    """Items of maps that have ended; on replicas a call has many of them."""

    def plain(self) -> dict[str, float | int | None]:
        """Return them by wire names."""
        return dict(zip(_NAMES, self, strict=True))


_NAMES = (
    "inFlight",
    "queued",
    "accepted",
    "ended",
    "errors",
    "userErrors",
    "cancelled",
    "dead",
    "rejected",
    "coldStarts",
    "p50Milliseconds",
    "p95Milliseconds",
    "memoryMebibyteSeconds",
    "items",
)


def counts_of(entry: FunctionEntry, used: Used = NOTHING) -> Counts:
    """Return the counts of a function; what it has used is metered elsewhere and given."""
    pools = list(_pools(entry))
    before, ended = entry.past, past_of(entry, used)
    return Counts(
        in_flight=sum(pool.running for pool in pools),
        queued=sum(pool.queued for pool in pools),
        accepted=before.ended + sum(pool.accepted for pool in pools),
        ended=ended.ended,
        errors=ended.of(*_BAD),
        user_errors=ended.of(*_OF_CODE),
        cancelled=before.of(Outcome.CANCELLED) + sum(pool.cancelled for pool in pools),
        dead=before.of(Outcome.DEAD) + sum(pool.dead for pool in pools),
        rejected=ended.rejected,
        cold_starts=ended.cold_starts,
        p50_ms=quantile_ms(ended.latency, 0.50),
        p95_ms=quantile_ms(ended.latency, 0.95),
        memory_mib_s=ended.memory_mib_s,
        items=ended.items,
    )


def past_of(entry: FunctionEntry, used: Used = NOTHING) -> Past:
    """Return all that has ended of a function so far: what a store keeps of it."""
    past = entry.past
    for pool in _pools(entry):
        past = pool.added_to(past)
    return past.with_use(used.memory_mib_s, used.items)


def quantile_ms(bins: Sequence[int], share: float) -> float | None:
    """Return a quantile of times counted by the bit length of their microseconds.

    Within a bin times are taken as even; a bin doubles, so this is right to a factor of two and
    mostly much better. None: nothing was counted.
    """
    total = sum(bins)
    if not total:
        return None
    wanted = share * total
    seen = 0
    for length, count in enumerate(bins):
        if count and seen + count >= wanted:
            low = 0 if length == 0 else 1 << (length - 1)
            high = 1 << length
            return round((low + (high - low) * (wanted - seen) / count) / 1000, 3)
        seen += count
    return None


def in_flight_and_queued(entries: Iterable[FunctionEntry]) -> tuple[int, int]:
    """Return how much runs and waits over several functions."""
    pools = [pool for entry in entries for pool in _pools(entry)]
    return sum(pool.running for pool in pools), sum(pool.queued for pool in pools)


def _pools(entry: FunctionEntry) -> Iterator[Pool]:
    for revision in entry.revisions.values():
        if revision.pool is not None:
            yield revision.pool  # type: ignore[misc]  # the activator makes no other slots
