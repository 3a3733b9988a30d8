"""From zero: one call, one beside a crowd, a hundred at once; from one to ten; a pod of its own."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from bench.cluster.world import (
    ASLEEP_S,
    NAMESPACE,
    REFILL_S,
    SLOW,
    Cluster,
    answers,
    fill_pool,
    function,
    pods_of,
    pool_size,
)
from bench.harness import Row, percentile, summary, timed_ms, wait_until

COLD_ROUNDS, CREATED_ROUNDS, BURSTS = 30, 5, 4
CROWD, LARGE_POOL, SMALL_POOL = 20, 25, 4
CROWDED_ROUNDS = {LARGE_POOL: 7, SMALL_POOL: 4}
_SLEEPY = {"scaledownWindowSeconds": ASLEEP_S}


def cold(cluster: Cluster) -> list[Row]:
    """From zero through the warm pool."""
    took_ms = []
    with function(cluster, "cold", scaling=_SLEEPY) as name:
        for _ in range(COLD_ROUNDS):
            wait_until(lambda: cluster.sleeps(name), 30, "asleep")
            time.sleep(REFILL_S)
            took_ms.append(timed_ms(lambda: cluster.call(name)))
    p50, p95 = cluster.cold_ms = percentile(took_ms, 50), percentile(took_ms, 95)
    return [
        Row(
            "Kubernetes: cold start from zero through the warm pool",
            f"p50 {p50:.1f} ms, p95 {p95:.1f} ms",
            "p50 ≤ 25 ms, p95 ≤ 60 ms",
            p50 <= 25 and p95 <= 60,
            summary(took_ms, "ms") | {"min_ms": min(took_ms)},
        )
    ]


def crowded(cluster: Cluster) -> list[Row]:
    """The same while another function starts twenty, with a pool that has enough, and without."""
    before = pool_size("replicas")
    try:
        return [_crowded(cluster, pool) for pool in (LARGE_POOL, SMALL_POOL)]
    finally:
        fill_pool(before)


def _crowded(cluster: Cluster, pool: int) -> Row:
    took_ms, all_ms = [], []
    crowd_scaling = {"maxContainers": CROWD, "scaledownWindowSeconds": ASLEEP_S}
    with (
        function(cluster, "one", scaling=_SLEEPY),
        function(cluster, "crowd", SLOW, scaling=crowd_scaling),
        ThreadPoolExecutor(CROWD) as threads,
    ):
        list(threads.map(lambda _: answers(cluster, "crowd"), range(CROWD)))  # connections
        for _ in range(CROWDED_ROUNDS[pool]):
            wait_until(lambda: cluster.sleeps("one") and cluster.sleeps("crowd"), 60, "asleep")
            fill_pool(pool)
            time.sleep(REFILL_S)  # as before it is measured alone
            begun_s = time.perf_counter()
            crowd = [threads.submit(cluster.call, "crowd", 0.5) for _ in range(CROWD)]
            took_ms.append(timed_ms(lambda: cluster.call("one")))
            for one in crowd:
                one.result()
            all_ms.append((time.perf_counter() - begun_s) * 1000)
    p50, p95 = percentile(took_ms, 50), percentile(took_ms, 95)
    quiet50, quiet95 = cluster.cold_ms
    is_asked = pool == LARGE_POOL and quiet50 > 0
    return Row(
        f"Kubernetes: cold start while another function starts {CROWD}, pool of {pool}",
        f"p50 {p50:.0f} ms ({p50 / (quiet50 or 1):.1f} ×), p95 {p95:.0f} ms "
        f"({p95 / (quiet95 or 1):.1f} ×); the {CROWD}: {statistics.median(all_ms) / 1000:.1f} s",
        "p50 ≤ 2 ×, p95 ≤ 4 × of it alone" if pool == LARGE_POOL else "",
        p50 <= 2 * quiet50 and p95 <= 4 * quiet95 if is_asked else None,
        summary(took_ms, "ms") | {"crowd_p50_ms": statistics.median(all_ms)},
    )


def herd(cluster: Cluster) -> list[Row]:
    """A hundred first calls at once, ten to a replica."""
    scaling = {"scaledownWindowSeconds": 3, "maxInputs": 10}
    with (
        function(cluster, "herd", SLOW, scaling=scaling) as name,
        ThreadPoolExecutor(100) as threads,
    ):
        wait_until(lambda: cluster.sleeps(name), 60, "asleep")
        begun_s = time.perf_counter()
        list(threads.map(lambda _: cluster.call(name, 0.5), range(100)))
        took_s = time.perf_counter() - begun_s
        count = len(cluster.replicas(name))
    return [
        Row(
            "Kubernetes: replicas for 100 simultaneous first calls, 10 per replica",
            f"{count} replicas, 0 failures, all answered in {took_s:.1f} s",
            "exactly 10",
            count == 10,
            {"replicas": float(count), "took_s": took_s},
        )
    ]


def burst(cluster: Cluster) -> list[Row]:
    """One replica becomes ten when ten calls need one each."""
    took_ms = []
    scaling = {"minContainers": 1, "scaledownWindowSeconds": ASLEEP_S}
    with function(cluster, "burst", SLOW, scaling=scaling) as name:
        for _ in range(BURSTS):
            wait_until(lambda: len(cluster.replicas(name)) == 1, 60, "back to one")
            fill_pool(10)
            with ThreadPoolExecutor(10) as threads:
                begun_s = time.perf_counter()
                done = [threads.submit(cluster.call, name, 2.0) for _ in range(10)]
                wait_until(lambda: _busy(cluster, name) == 10, 10, "ten busy replicas")
                took_ms.append((time.perf_counter() - begun_s) * 1000)
                for one in done:
                    one.result()
    return [
        Row(
            "Kubernetes: 1 → 10 replicas, pool of 10",
            f"p50 {percentile(took_ms, 50):.0f} ms, worst {max(took_ms):.0f} ms",
            "≤ 1 s",
            max(took_ms) <= 1000,
            summary(took_ms, "ms"),
        )
    ]


def _busy(cluster: Cluster, name: str) -> int:
    """Return how many replicas work."""
    return sum(one["state"] == "busy" for one in cluster.replicas(name))


def created(cluster: Cluster) -> list[Row]:
    """A pod of its own instead of one from the pool; the image is there."""
    took_ms = []
    generic = pods_of(NAMESPACE, "jupyter-faas.io/role=pool")[0]
    image = generic["spec"]["containers"][0]["image"]
    with function(cluster, "own", image=image, scaling=_SLEEPY) as name:
        for _ in range(CREATED_ROUNDS):
            wait_until(lambda: cluster.sleeps(name), 60, "asleep")
            took_ms.append(timed_ms(lambda: cluster.call(name)))
    p50 = percentile(took_ms, 50)
    return [
        Row(
            "Kubernetes: cold start of a created pod, image present",
            f"p50 {p50 / 1000:.2f} s",
            "p50 ≤ 1.6 s",
            p50 <= 1600,
            summary(took_ms, "ms"),
        )
    ]


__all__ = ["burst", "cold", "created", "crowded", "herd"]
