"""A thousand functions: what each costs the gateway, and whether deploying gets slower."""

from __future__ import annotations

from typing import Any

import jupyter_faas as faas
from bench.gateway import define, fresh_gateway
from bench.harness import Row, percentile, resident_kib, timed_ms, wait_until

COUNT = 1000
SOURCE = "def f(x):\n    return x * {n}\n"


def run() -> list[Row]:
    """Measure deploys one after another; memory once nothing runs any more."""
    with fresh_gateway() as running:
        warm_up = [make(n) for n in range(COUNT, COUNT + 20)]
        for function in warm_up:
            function.deploy()
        wait_for_zero()
        before_kib = resident_kib(running.pid)
        took_ms = [deploy(n) for n in range(COUNT)]
        wait_for_zero()
        each_kb = (resident_kib(running.pid) - before_kib) * 1.024 / COUNT
        assert len(faas.functions()) == COUNT + len(warm_up)
    first, last = percentile(took_ms[:100], 95), percentile(took_ms[-100:], 95)
    return [
        Row("1,000 functions: gateway memory each", f"{each_kb:.1f} kB", "≤ 12 kB", each_kb <= 12,
            {"each_kb": each_kb}),
        Row("… deploy p95, last hundred over first hundred",
            f"{last / first:.2f} × ({last:.1f} / {first:.1f} ms)", "≤ 2 ×", last <= 2 * first,
            {"first_p95_ms": first, "last_p95_ms": last, "p50_ms": percentile(took_ms, 50)}),
    ]  # fmt: skip  # a row reads best as two lines


def make(number: int) -> Any:
    """Return a function nobody has deployed yet."""
    return define(SOURCE.format(n=number), name=f"many-{number}", scaledown_window=0.2)


def deploy(number: int) -> float:
    """Return the milliseconds until a new function is ready."""
    return timed_ms(make(number).deploy)


def wait_for_zero() -> None:
    """Wait until no replica of any function runs."""
    wait_until(lambda: not faas.gateway().state().get("replicas"), 60, "no replica is left")
