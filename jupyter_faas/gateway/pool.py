"""The slots of one revision as the gateway keeps them: with what scaling and metrics read.

Counting is plain additions to ints and floats; whoever shows something does the arithmetic.
"""

from __future__ import annotations

from jupyter_faas.core.model import Outcome
from jupyter_faas.core.scaling import ConcurrencyWindow
from jupyter_faas.core.slots import Slots, WaitingRoom
from jupyter_faas.gateway.entries import RevisionEntry
from jupyter_faas.gateway.past import Past

BINS = 48
"""Power-of-two bins of microseconds: enough for years."""


class Pool(Slots):
    """The slots of one revision with what scaling and metrics read.

    Attributes:
        entry: The revision.
        window: Concurrency over time.
        ready_at_s: When a replica last became ready; minus infinity: never.
        latency: Settled invocations by the bit length of their microseconds, head to settled.
        waits: The same of the time before they had a replica.
        latency_sum_s: Sum of what `latency` counts; `waits_sum_s` likewise.
        outcomes: Settled invocations by outcome.
        cold_starts: Those that waited for a replica to start.
        rejected: Those that found no place to wait.
        memory_mib: Limit of one replica, for metering; with the names of what it belongs to.
    """

    __slots__ = (
        "cold_starts",
        "entry",
        "latency",
        "latency_sum_s",
        "memory_mib",
        "name",
        "namespace",
        "number",
        "outcomes",
        "ready_at_s",
        "rejected",
        "waits",
        "waits_sum_s",
        "window",
    )

    def __init__(self, entry: RevisionEntry, room: WaitingRoom, now_s: float) -> None:
        function = entry.function
        key = f"{function.namespace}/{function.name}"
        super().__init__(entry.key, key, entry.revision.spec.max_inputs, room)
        self.entry = entry
        self.window = ConcurrencyWindow(now_s)
        self.ready_at_s = float("-inf")
        self.latency = [0] * BINS
        self.waits = [0] * BINS
        self.latency_sum_s = self.waits_sum_s = 0.0
        self.outcomes = dict.fromkeys(Outcome, 0)
        self.cold_starts = self.rejected = 0
        self.namespace, self.name, self.number = function.namespace, function.name, entry.number
        self.memory_mib = entry.revision.spec.resources.memory_mib

    def count(self, outcome: Outcome, took_s: float, waited_s: float, *, is_cold: bool) -> None:
        """Count a settled invocation; times in seconds from its head on."""
        self.latency[int(took_s * 1e6).bit_length()] += 1
        self.latency_sum_s += took_s
        self.waits[int(waited_s * 1e6).bit_length()] += 1
        self.waits_sum_s += waited_s
        if is_cold:
            self.cold_starts += 1
        self.outcomes[outcome] += 1

    def added_to(self, past: Past) -> Past:
        """Return `past` with what has ended here."""
        return past.with_calls(
            self.outcomes, self.latency, cold_starts=self.cold_starts, rejected=self.rejected
        )

    @property
    def patience_s(self) -> float:
        """How long an invocation that comes now may wait for a replica."""
        queue_timeout_s = self.entry.function.function.settings.queue_timeout_s
        if self.replicas:
            return queue_timeout_s
        return max(queue_timeout_s, self.entry.revision.spec.startup_timeout_s)
