"""The same no-op on Ray Serve, default and in its HAProxy mode, in turns with ours.

Two cores are all there is: Ray keeps some twenty processes, we keep spares. So each side is
measured in short slices while every process of the other is stopped (SIGSTOP), both alike.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.client import Loaded, load
from bench.gateway import define, fresh_gateway
from bench.harness import Row, percentile, stopped

PYTHON = Path(__file__).parents[1] / ".venv-peers/bin/python"
APP = Path(__file__).parent / "peers/ray_noop.py"
HAPROXY = {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "RAY_SERVE_ENABLE_HA_PROXY": "1"}
Address = tuple[str, int]
ROUNDS = 12
SLICE_S = 0.5
SETTLE_S = 0.2
"""Of load before each slice, not counted: a side that was stopped has to catch up."""


def run() -> list[Row]:
    """Measure both modes of the peer."""
    if not PYTHON.exists():
        raise RuntimeError("`make bench-ray` installs Ray into .venv-peers first")
    return [*against("Ray Serve, HAProxy mode", HAPROXY, 2.0), *against("Ray Serve, default", {})]


class Side(NamedTuple):
    """One of the two that are compared."""

    pid: int
    """Root of all its processes."""
    address: Address
    request: bytes


def against(label: str, variables: dict[str, str], least: float | None = None) -> list[Row]:
    """Return one row per number of connections: calls/s and p50, ours over the peer's.

    One caller meets a function as `@serverless` makes it, 64 one that takes 64 calls at once.
    """
    with fresh_gateway() as running, ray_serve(variables) as (pid, address):
        define("def f(x=0):\n    return x\n", name="alone").remote(1)
        wide = "async def f(x=0):\n    return x\n"
        define(wide, name="wide", max_inputs=64, max_containers=1).remote(1)
        peer = Side(pid, address, b"POST / HTTP/1.1\r\nHost: bench\r\nContent-Length: 1\r\n\r\n1")
        rows = []
        for name, connections in (("alone", 1), ("wide", 64)):
            ours = Side(running.pid, running.address, running.head(name) + b"1\r\n\r\n1")
            rows.append(compare(label, connections, ours, peer, least))
        return rows


def compare(label: str, connections: int, ours: Side, peer: Side, least: float | None) -> Row:
    """Measure in turns; while one side is measured, all processes of the other are stopped."""
    seen: tuple[Loaded, Loaded] = (Loaded(), Loaded())
    halted = [0, 0]
    sides = ((0, ours, peer), (1, peer, ours))
    for number in range(ROUNDS):
        for index, side, other in sides if number % 2 == 0 else reversed(sides):
            with stopped(other.pid) as halted[1 - index]:
                one = _slice(side, connections)
            seen[index].latencies_ms += one.latencies_ms
            seen[index].took_s += one.took_s
    here, there = seen
    ratio = here.per_s / there.per_s
    p50, p50_peer = percentile(here.latencies_ms, 50), percentile(there.latencies_ms, 50)
    return Row(
        f"no-op over HTTP against {label}, {connections} connection{'s' * (connections > 1)}, "
        "each alone (the other stopped)",
        f"{ratio:.1f} × ({here.per_s:,.0f} / {there.per_s:,.0f} calls/s; "
        f"p50 {p50:.2f} / {p50_peer:.2f} ms)",
        f"≥ {least:.0f} ×, lower p50" if least else "",
        (ratio >= least and p50 < p50_peer) if least else None,
        {"ours_per_s": here.per_s, "peer_per_s": there.per_s, "ours_p50_ms": p50,
         "peer_p50_ms": p50_peer, "ours_processes": halted[0], "peer_processes": halted[1]},
    )  # fmt: skip  # numbers of one kind on one line


def _slice(side: Side, connections: int) -> Loaded:
    load(side.address, side.request, connections=connections, duration_s=SETTLE_S)
    one = load(side.address, side.request, connections=connections, duration_s=SLICE_S)
    if one.failed:
        raise RuntimeError(f"{one.failed} calls failed at {side.address}")
    return one


@contextmanager
def ray_serve(variables: dict[str, str]) -> Iterator[tuple[int, Address]]:
    """Run Ray Serve on a free port until the end of the block; gives its process, and where."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            [str(PYTHON), str(APP), str(port)],
            env=os.environ | quiet | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        ) as peer,
    ):
        assert peer.stdout
        if not any(line.strip() == "ready" for line in peer.stdout):
            said.seek(0)
            raise RuntimeError(f"Ray Serve did not start with {variables}: {said.read()[-2000:]}")
        yield peer.pid, ("127.0.0.1", port)
