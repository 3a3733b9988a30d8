"""How many replicas a revision should have, and why: the policy, without clock or I/O.

The activator records every change of concurrency in a `ConcurrencyWindow`; the autoscaler gives
it, with the limits, to `desired_replicas` and does what the `Decision` says. `choose_to_stop`
says which replicas go. Nothing here starts or stops anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from jupyter_faas.core.concurrency import ConcurrencyWindow
from jupyter_faas.core.model import Scaling

STABLE_S = 60.0
"""Longest window over which mean concurrency is taken, unless settings say otherwise."""

PANIC_S = 6.0
"""The shorter window that may only raise the answer; shrinks along with the stable one."""

RETIRED_HOLD_S = 5.0
"""A revision without traffic keeps one replica this long after its last call."""

_EPSILON = 1e-6


__all__ = [
    "ConcurrencyWindow",
    "Decision",
    "Load",
    "ReplicaUse",
    "ScaleSpec",
    "choose_to_stop",
    "desired_replicas",
    "start_delay_s",
]


class ScaleSpec(NamedTuple):
    """Limits of one revision. Counts of replicas; `target_inputs` in flight per replica, > 0."""

    min_containers: int = 0
    max_containers: int = 10
    buffer_containers: int = 0
    scaledown_window_s: float = 60.0
    target_inputs: float = 1.0
    max_inputs: int = 1
    is_retired: bool = False
    """No traffic goes to it any more: no floor, no buffer, and it leaves soon."""
    longest_stable_s: float = STABLE_S
    longest_panic_s: float = PANIC_S

    @classmethod
    def of(cls, scaling: Scaling, max_inputs: int, *, is_retired: bool = False) -> ScaleSpec:
        """Return the limits of a revision from its function's scaling and its `max_inputs`."""
        target = scaling.target_inputs or float(max_inputs)
        return cls(
            scaling.min_containers,
            scaling.max_containers,
            scaling.buffer_containers,
            scaling.scaledown_window_s,
            min(target, float(max_inputs)),
            max_inputs,
            is_retired,
        )

    @property
    def stable_s(self) -> float:
        """The stable window: less than the longest with a short `scaledown_window_s`."""
        return min(self.longest_stable_s, max(1.0, self.scaledown_window_s))

    @property
    def panic_s(self) -> float:
        """The panic window, as much shorter as the stable one is."""
        return self.longest_panic_s * self.stable_s / self.longest_stable_s


class Load(NamedTuple):
    """What a revision has to do at one moment."""

    window: ConcurrencyWindow
    in_flight: int
    queued: int
    replicas: int
    """Starting and serving ones; draining ones do not count."""
    started_at_s: float = float("-inf")
    """When a replica last became ready; a fresh replica is not idle yet."""


@dataclass(frozen=True, slots=True)
class Decision:
    """How many replicas, and why in one sentence."""

    count: int
    reason: str

    def sentence(self, before: int) -> str:
        """Return the decision as people read it: `5 → 8: 23 in flight over target 3 …`."""
        return f"{before} → {self.count}: {self.reason}"


class ReplicaUse(NamedTuple):
    """A replica as a candidate for stopping."""

    id: str
    in_flight: int
    last_used_s: float
    is_starting: bool = False


def desired_replicas(spec: ScaleSpec, load: Load, now_s: float) -> Decision:
    """Return how many replicas a revision should have at `now_s`, and why.

    The largest of: what is in flight and queued over `max_inputs` (at once: a herd of N first
    calls asks for exactly ceil(N / max_inputs)); mean concurrency over the stable window and over
    the shorter panic window, each over `target_inputs`; the highest need of the last
    `scaledown_window_s` (a replica leaves when it was surplus for that long). Pure.

    Args:
        spec: Limits of one revision.
        load: Concurrency so far and now.
        now_s: Monotonic seconds, same clock as `load`.

    Returns:
        A count in [`min_containers`, `max_containers`] with a one-sentence reason. Zero only if
        nothing is queued or in flight and nothing started for `scaledown_window_s`. A retired
        revision gets what its calls need, and goes soon after the last.

    Source:
        Knative KPA (pkg/autoscaler/scaling/autoscaler.go): stable and panic windows.
    """
    if spec.is_retired:
        return _retired(spec, load, now_s)
    need = _need(spec, load, now_s)
    if need.count == 0:
        count, why = spec.min_containers, need.reason
        if count:
            why = f"{why}; min_containers={count}"
    else:
        count, why = need.count + spec.buffer_containers, need.reason
        if spec.buffer_containers:
            why = f"{why}; buffer_containers={spec.buffer_containers}"
        if count < spec.min_containers:
            count, why = spec.min_containers, f"min_containers={spec.min_containers}"
    if count > spec.max_containers:
        count, why = spec.max_containers, f"{why}; max_containers={spec.max_containers}"
    return Decision(count, why)


def choose_to_stop(replicas: Sequence[ReplicaUse], count: int) -> list[str]:
    """Return the ids of `count` replicas to stop, in that order.

    Those still starting first (nothing is lost), then idle ones by least recent use, then busy
    ones with the least in flight, which drain: never a busy one while an idle one exists.
    """
    order = sorted(replicas, key=lambda one: (one.in_flight, not one.is_starting, one.last_used_s))
    return [one.id for one in order[: max(0, count)]]


def start_delay_s(failures: int) -> float:
    """Return how long to wait before the next start after `failures` failed ones in a row."""
    return 0.0 if failures < 1 else min(30.0, 0.25 * 2.0 ** (failures - 1))


def _need(spec: ScaleSpec, load: Load, now_s: float) -> Decision:
    """Return the wanted count before limits and buffer; 0 when it may sleep."""
    now = load.in_flight + load.queued
    at_once = ceil(now / spec.max_inputs)
    idle_s = now_s - max(load.window.last_active_s, load.started_at_s)
    if not now and idle_s >= spec.scaledown_window_s:
        return Decision(0, _idle_reason(idle_s, spec))
    best = Decision(at_once, _at_once_reason(spec, load))
    for window_s in (spec.panic_s, spec.stable_s):
        mean = load.window.mean(now_s, window_s)
        wanted = ceil(mean / spec.target_inputs - _EPSILON)
        if wanted > best.count:
            best = Decision(wanted, _mean_reason(mean, spec, window_s))
    return _held(spec, load, now_s, best)


def _held(spec: ScaleSpec, load: Load, now_s: float, best: Decision) -> Decision:
    """Return `best`, or the need of the scaledown window where that was higher."""
    peak = ceil(load.window.peak(now_s, spec.scaledown_window_s) / spec.max_inputs)
    held = min(max(1, peak), load.replicas)
    if held > best.count and peak:
        return Decision(held, f"{held} were needed within the last {_scaledown(spec)}")
    if held > best.count:
        return Decision(held, f"started less than {_scaledown(spec)} ago")
    return best


def _retired(spec: ScaleSpec, load: Load, now_s: float) -> Decision:
    now = load.in_flight + load.queued
    if now:
        count = min(ceil(now / spec.max_inputs), spec.max_containers)
        return Decision(count, f"no traffic goes here any more; {now} still in flight")
    hold_s = min(RETIRED_HOLD_S, spec.scaledown_window_s)
    count = int(load.replicas > 0 and load.window.idle_s(now_s) < hold_s)
    return Decision(count, "no traffic goes here any more")


def _idle_reason(idle_s: float, spec: ScaleSpec) -> str:
    if idle_s == float("inf"):
        return "nothing has been called yet"
    return f"nothing in flight for {_scaledown(spec)}"


def _at_once_reason(spec: ScaleSpec, load: Load) -> str:
    parts = [f"{_number(load.in_flight)} in flight"] if load.in_flight else []
    if load.queued:
        parts.append(f"{_number(load.queued)} queued")
    said = " and ".join(parts) or "nothing in flight now"
    return f"{said}, {spec.max_inputs} at a time per replica"


def _mean_reason(mean: float, spec: ScaleSpec, window_s: float) -> str:
    is_over = mean > spec.target_inputs
    how = f"over target {_number(spec.target_inputs)}" if is_over else "on average"
    return f"{_number(mean)} in flight {how} in the last {_seconds(window_s)}"


def _scaledown(spec: ScaleSpec) -> str:
    return _seconds(spec.scaledown_window_s)


def _seconds(value_s: float) -> str:
    return f"{_number(value_s)} s"


def _number(value: float) -> str:
    """Return a number as people write it: whole from 10 on, one decimal below."""
    if value >= 10 or value == int(value):
        return f"{round(value)}"
    return f"{value:.1f}" if value >= 0.1 else f"{value:.2g}"
