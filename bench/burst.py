"""How fast one replica becomes ten when ten calls need one each."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from bench.gateway import define, fresh_gateway
from bench.harness import Row, percentile, summary, wait_until

# CLOCK_MONOTONIC is the same in every process of a machine.
SOURCE = """
import os, time
def f(hold_s):
    began_s = time.monotonic()
    time.sleep(hold_s)
    return began_s, os.getpid()
"""


def run() -> list[Row]:
    """Measure from the burst to the moment the tenth replica has a call."""
    took_ms = []
    with fresh_gateway(), ThreadPoolExecutor(10) as threads:
        function = define(
            SOURCE, name="burst", max_containers=10, scaledown_window=0.3, min_containers=1
        )
        list(threads.map(lambda _: function.remote(0.0), range(10)))  # a connection per thread
        for _ in range(8):
            wait_until(lambda: len(function.replicas()) == 1, 20, "back to one replica")
            began_s = time.monotonic()
            seen = list(threads.map(function.remote, [1.0] * 10))
            assert len({pid for _, pid in seen}) == 10, seen
            took_ms.append((max(at_s for at_s, _ in seen) - began_s) * 1000)
    p95 = percentile(took_ms, 95)
    return [
        Row(
            "scale 1 → 10 replicas after a burst",
            f"p50 {percentile(took_ms, 50):.0f} ms, worst {p95:.0f} ms",
            "≤ 500 ms",
            p95 <= 500,
            summary(took_ms, "ms"),
        )
    ]
