"""What it costs that a call comes to another gateway than the one that owns its function.

Two gateways on this machine, one function, called through its owner and through the other one in
turns: the difference is the price of a forward.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import jupyter_faas as faas
from bench.client import load
from bench.gateway import define
from bench.harness import Row, cpu_s, percentile
from tests.e2e.one_of_several import TOKEN
from tests.e2e.test_several import Two

ROUNDS, ROUND_S = 4, 1.5


def run() -> list[Row]:
    """Measure at one connection and at 64."""
    where = Path(tempfile.mkdtemp(prefix="faas-bench-"))
    two = Two(where)
    try:
        client = faas.connect(f"http://127.0.0.1:{two.ports['a']}", TOKEN)
        name = two.name_of("b", "noop")
        source = "async def f(x=0):\n    return x\n"
        define(source, name=name, max_inputs=64, max_containers=1).remote(1)
        client.close()
        head = (
            f"POST /function/{name} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {TOKEN}\r\n"
            "Content-Type: application/json\r\nContent-Length: 1\r\n\r\n1"
        ).encode()
        return [row for connections in (1, 64) for row in _rows(two, head, connections)]
    finally:
        for process in two.all.values():
            process.end()
        shutil.rmtree(where, ignore_errors=True)


def _rows(two: Two, request: bytes, connections: int) -> list[Row]:
    found: dict[str, list[float]] = {"a": [], "b": []}
    cpu_us: dict[str, list[float]] = {"a": [], "b": []}
    per_s: dict[str, list[float]] = {"a": [], "b": []}
    for _ in range(ROUNDS):
        for id, process in two.all.items():
            before_s = sum(cpu_s(one.pid) for one in two.all.values())
            seen = load(process.address, request, connections=connections, duration_s=ROUND_S)
            took_s = sum(cpu_s(one.pid) for one in two.all.values()) - before_s
            assert not seen.failed
            found[id] += seen.latencies_ms
            per_s[id].append(seen.per_s)
            cpu_us[id].append(took_s / len(seen.latencies_ms) * 1e6)
    there, here = percentile(found["a"], 50), percentile(found["b"], 50)
    cpu_there, cpu_here = (sum(cpu_us[id]) / ROUNDS for id in ("a", "b"))
    detail = {
        "p50_forwarded_ms": there,
        "p50_local_ms": here,
        "p95_forwarded_ms": percentile(found["a"], 95),
        "p95_local_ms": percentile(found["b"], 95),
        "forwarded_per_s": sum(per_s["a"]) / ROUNDS,
        "local_per_s": sum(per_s["b"]) / ROUNDS,
        "cpu_forwarded_us": cpu_there,
        "cpu_local_us": cpu_here,
    }
    said = f"p50 {here:.2f} → {there:.2f} ms, gateways' CPU {cpu_here:.0f} → {cpu_there:.0f} µs"
    goal = ("p50 + ≤ 0.5 ms", there - here <= 0.5) if connections == 1 else ("", None)
    what = f"a call through another gateway than its owner, {connections} connection(s)"
    return [Row(what, said, *goal, detail)]
