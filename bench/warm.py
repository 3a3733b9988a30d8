"""A warm no-op: from Python, over HTTP on one connection, and what it costs the gateway."""

from __future__ import annotations

from bench.client import load
from bench.gateway import define, fresh_gateway
from bench.harness import Row, cpu_s, percentile, summary, timed_ms


def run() -> list[Row]:
    """Measure a function that does nothing, one replica for one caller, four for 64."""
    with fresh_gateway() as running:
        noop = define("def f(x=0):\n    return x\n", name="noop", max_inputs=1)
        for _ in range(300):
            noop.remote(1)
        remote_ms = [timed_ms(lambda: noop.remote(1)) for _ in range(5000)]
        wide = define(
            "async def f(x=0):\n    return x\n", name="wide", max_inputs=64, max_containers=1
        )
        wide.remote(1)
        request = running.head("noop") + b"1\r\n\r\n1"
        one = load(running.address, request, connections=1, duration_s=3)
        request = running.head("wide") + b"1\r\n\r\n1"
        before_s = cpu_s(running.pid)
        many = load(running.address, request, connections=64, duration_s=3)
        gateway_us = (cpu_s(running.pid) - before_s) / len(many.latencies_ms) * 1e6
        assert one.failed + many.failed == 0, (one.failed, many.failed)
    p50_remote = percentile(remote_ms, 50)
    p50_http = percentile(one.latencies_ms, 50)
    return [
        Row("warm `.remote()` no-op", f"p50 {p50_remote:.2f} ms", "p50 ≤ 0.4 ms",
            p50_remote <= 0.4, summary(remote_ms, "ms")),
        Row("warm no-op over HTTP, one connection", f"p50 {p50_http:.2f} ms", "p50 ≤ 0.25 ms",
            p50_http <= 0.25, summary(one.latencies_ms, "ms")),
        Row("warm no-op over HTTP, 1 / 64 connections",
            f"{one.per_s:,.0f} / {many.per_s:,.0f} calls/s", "", None,
            {"per_s_1": one.per_s, "per_s_64": many.per_s, **summary(many.latencies_ms, "ms")}),
        Row("gateway CPU per call, 64 connections", f"{gateway_us:.0f} µs", "", None,
            {"gateway_us": gateway_us}),
    ]  # fmt: skip  # a row reads best as two lines
