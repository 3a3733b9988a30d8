"""The page of `/metrics`: read from plain ints at scrape time; counting costs the calls nothing.

Prometheus text format. The ledger `accepted = queued + running + done + dead + cancelled` is in
it, for the whole gateway and per revision, read in one go so that it always adds up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import CollectorRegistry

    from jupyter_faas.gateway.activator import Activator, Pool
    from jupyter_faas.gateway.calls import Calls
    from jupyter_faas.gateway.fleet import Fleet
    from jupyter_faas.gateway.forward import Forwarder
    from jupyter_faas.gateway.metering import Metering

_FIRST_BIN, _LAST_BIN = 6, 30
"""64 µs to 18 minutes; what is below or above falls into the ends."""

_LABELS = ("namespace", "function", "revision")


class Metrics:
    """Collects when asked.

    Args:
        activator: Ledger, queues and histograms of every revision.
        fleet: Replicas by state.
        calls: What was rejected.
        metering: Totals of time and memory.
        clock: Monotonic seconds.
        forwarder: Returns what passes requests on to other gateways; None: there are no others.
    """

    def __init__(
        self,
        activator: Activator,
        fleet: Fleet,
        calls: Calls,
        metering: Metering,
        clock: Callable[[], float],
        forwarder: Callable[[], Forwarder | None] = lambda: None,
    ) -> None:
        self._activator = activator
        self._fleet = fleet
        self._calls = calls
        self._metering = metering
        self._clock = clock
        self._forwarder = forwarder
        self._started_s = clock()
        self._registry: CollectorRegistry | None = None

    def page(self) -> bytes:
        """Return the current values in the text format."""
        # Imported at the first scrape: it costs a gateway's start 40 ms.
        from prometheus_client import generate_latest  # noqa: PLC0415 - at scrape time only
        from prometheus_client.registry import CollectorRegistry  # noqa: PLC0415 - as above

        if self._registry is None:
            self._registry = CollectorRegistry(auto_describe=False)
            self._registry.register(self)
        return generate_latest(self._registry)

    def ledger(self) -> dict[str, int]:
        """Return the whole gateway's ledger: what was accepted and where it is now."""
        sums = dict(self._activator.forgotten) | {"queued": 0, "running": 0}
        for pool in self._activator.pools():
            for name in sums:
                sums[name] += getattr(pool, name)
        return sums

    def collect(self) -> Iterator[Metric]:
        """Yield all families; called by prometheus_client."""
        pools = list(self._activator.pools())
        yield from self._whole()
        yield from _counts(pools)
        yield from _outcomes(pools)
        yield from _histograms(pools)
        yield from self._replicas()
        yield from self._totals()
        yield from self._among_gateways()

    def _whole(self) -> Iterator[Metric]:
        from prometheus_client.core import (  # noqa: PLC0415 — see `page`
            CounterMetricFamily,
            GaugeMetricFamily,
        )

        for name, value in self.ledger().items():
            kind = GaugeMetricFamily if name in ("queued", "running") else CounterMetricFamily
            yield kind(f"faas_gateway_{name}", f"Invocations {name}, all functions.", value=value)
        yield CounterMetricFamily(
            "faas_gateway_rejected",
            "Calls that found no place to wait; not part of accepted.",
            value=self._calls.rejected,
        )
        yield GaugeMetricFamily(
            "faas_gateway_uptime_seconds", "Since start.", value=self._clock() - self._started_s
        )

    def _among_gateways(self) -> Iterator[Metric]:
        from prometheus_client.core import (  # noqa: PLC0415 — see `page`
            CounterMetricFamily,
            GaugeMetricFamily,
        )

        forwarder = self._forwarder()
        if forwarder is None:
            return
        for name, text, value in (
            ("forwarded", "Requests passed on to their owner.", forwarder.forwarded),
            ("forwards_lost", "Those whose owner went away.", forwarder.lost),
            (
                "handed_over",
                "Waiting calls given to another gateway; part of cancelled.",
                self._calls.handed_over,
            ),
        ):
            yield CounterMetricFamily(f"faas_gateway_{name}", text, value=value)
        yield GaugeMetricFamily(
            "faas_gateway_peers", "Other gateways.", value=len(forwarder.peers.all())
        )

    def _replicas(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 — see `page`

        family = GaugeMetricFamily("faas_replicas", "Replicas now.", labels=(*_LABELS, "state"))
        counts: dict[tuple[str, ...], int] = {}
        for replica in self._fleet.all():
            status = replica.status()
            key = (status.namespace, status.function, str(status.revision), status.state.value)
            counts[key] = counts.get(key, 0) + 1
        for labels, count in counts.items():
            family.add_metric(labels, count)
        yield family

    def _totals(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415 — see `page`

        labels = _LABELS[:2]
        run = CounterMetricFamily("faas_run_seconds", "Time user code ran.", labels=labels)
        wait = CounterMetricFamily("faas_queue_seconds", "Time calls waited.", labels=labels)
        memory = CounterMetricFamily(
            "faas_memory_mib_seconds", "Memory limit times run time.", labels=labels
        )
        items = CounterMetricFamily("faas_map_items", "Items of maps that ended.", labels=labels)
        for key, totals in self._metering.totals().items():
            items.add_metric(key, totals.items)
            run.add_metric(key, totals.run_ms / 1000)
            wait.add_metric(key, totals.queued_ms / 1000)
            memory.add_metric(key, totals.memory_mib_ms / 1000)
        yield from (run, wait, memory, items)


def _labels(pool: Pool) -> tuple[str, str, str]:
    function = pool.entry.function
    return function.namespace, function.name, str(pool.entry.number)


def _counts(pools: list[Pool]) -> Iterator[Metric]:
    from prometheus_client.core import (  # noqa: PLC0415 — see `Metrics.page`
        CounterMetricFamily,
        GaugeMetricFamily,
    )

    for name in ("accepted", "done", "dead", "cancelled", "rejected", "cold_starts"):
        counter = CounterMetricFamily(
            f"faas_invocations_{name}", f"Invocations: {name}.", labels=_LABELS
        )
        for pool in pools:
            counter.add_metric(_labels(pool), getattr(pool, name))
        yield counter
    for name in ("queued", "running"):
        gauge = GaugeMetricFamily(
            f"faas_invocations_{name}", f"Invocations {name} now.", labels=_LABELS
        )
        for pool in pools:
            gauge.add_metric(_labels(pool), getattr(pool, name))
        yield gauge


def _outcomes(pools: list[Pool]) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415 — see `Metrics.page`

    family = CounterMetricFamily(
        "faas_invocations_ended", "Invocations by outcome.", labels=(*_LABELS, "outcome")
    )
    for pool in pools:
        for outcome, count in pool.outcomes.items():
            if count:
                family.add_metric((*_labels(pool), outcome.value), count)
    yield family


def _histograms(pools: list[Pool]) -> Iterator[Metric]:
    from prometheus_client.core import HistogramMetricFamily  # noqa: PLC0415 — see `Metrics.page`

    for name, attribute, text in (
        ("faas_call_seconds", "latency", "From the head of a call to its end."),
        ("faas_wait_seconds", "waits", "From the head of a call until it had a replica."),
    ):
        family = HistogramMetricFamily(name, text, labels=_LABELS)
        for pool in pools:
            bins: list[int] = getattr(pool, attribute)
            if any(bins):
                total_s = getattr(pool, f"{attribute}_sum_s")
                family.add_metric(_labels(pool), buckets(bins), sum_value=total_s)
        yield family


def buckets(bins: list[int]) -> list[tuple[str, float]]:
    """Return cumulative Prometheus buckets of power-of-two bins of microseconds.

    Bin *n* counts what took less than 2ⁿ µs and not less than 2ⁿ⁻¹.
    """
    found: list[tuple[str, float]] = []
    total = sum(bins[:_FIRST_BIN])
    for number in range(_FIRST_BIN, _LAST_BIN + 1):
        total += bins[number]
        found.append((repr((1 << number) / 1e6), float(total)))
    found.append(("+Inf", float(sum(bins))))
    return found
