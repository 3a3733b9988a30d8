"""Warm: calls per second, CPU of everything on the way, and what the gateway adds to a call."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench.client import load
from bench.cluster.world import (
    GATEWAYS,
    NAMESPACE,
    SYSTEM,
    Cluster,
    function,
    kubectl,
    path_of,
    pods_of,
    processes,
)
from bench.harness import Row, cpu_s, in_turns, percentile, summary, timed_ms

CALLS, TURNS, LOAD_S = 2000, 1000, 4.0
KNATIVE_PER_S = 2700
KNATIVE_US = {1: 473, 64: 246}
"""CPU of activator and queue-proxy per call; at 64 connections the lower of what was measured."""


def warm(cluster: Cluster) -> list[Row]:
    """A warm no-op by the Service's address."""
    with function(cluster, "warm", scaling={"maxInputs": 64, "minContainers": 1}) as name:
        took_ms = [timed_ms(lambda: cluster.call(name)) for _ in range(CALLS)]
        # Without wrk that row is left out: nothing else here makes 64 callers cheaply enough.
        rates = [_rate(cluster, name) for _ in range(3)] if shutil.which("wrk") else []
        costs = [row for count in KNATIVE_US for row in _cpu(cluster, name, count)]
    p50 = percentile(took_ms, 50)
    rows = [
        Row(
            "Kubernetes: warm no-op over HTTP, one connection (Python client)",
            f"p50 {p50:.2f} ms, {1000 / p50:.0f} calls/s",
            "",
            None,
            summary(took_ms, "ms"),
        )
    ]
    if rates:
        rows.append(
            Row(
                f"Kubernetes: warm no-op over HTTP, 64 connections (wrk), over Knative's "
                f"{KNATIVE_PER_S:,}",
                f"{max(rates):,.0f} calls/s ({max(rates) / KNATIVE_PER_S:.1f} ×)",
                "≥ 2 ×",
                max(rates) >= 2 * KNATIVE_PER_S,
                {"calls_per_s": max(rates)},
            )
        )
    return rows + costs


def _rate(cluster: Cluster, name: str) -> float:
    """Return calls per second that wrk sees over 64 connections."""
    script = (
        'wrk.method="POST" wrk.body="0" wrk.headers["Content-Type"]="application/json" '
        f'wrk.headers["Authorization"]="Bearer {cluster.token}"'
    )
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "call.lua")
        path.touch(mode=0o600)
        path.write_text(script)
        url = f"http://{cluster.host}{path_of(name)}"
        shown = subprocess.run(
            ["wrk", "-t1", "-c64", f"-d{LOAD_S:g}s", "-s", str(path), url],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    assert "Non-2xx" not in shown, shown
    return float(next(line for line in shown.splitlines() if "Requests/sec" in line).split()[1])


def _cpu(cluster: Cluster, name: str, connections: int) -> list[Row]:
    """CPU of the gateways and of the replica's front, per call."""
    gateways = [pid for pod in pods_of(SYSTEM, GATEWAYS) for pid in processes(pod)]
    fronts = [
        pid
        for pod in pods_of(NAMESPACE, f"jupyter-faas.io/function={name}")
        for pid in processes(pod)
        if Path(f"/proc/{pid}/comm").read_text().strip() == "faas-front"
    ]
    if not gateways or not fronts:
        return []  # this is not their node
    request = (
        f"POST {path_of(name)} HTTP/1.1\r\nHost: {cluster.host}\r\n"
        + "".join(f"{key}: {value}\r\n" for key, value in cluster.headers.items())
        + "Content-Length: 1\r\n\r\n0"
    ).encode()
    before = [sum(map(cpu_s, pids)) for pids in (gateways, fronts)]
    done = load((cluster.host, 80), request, connections=connections, duration_s=LOAD_S)
    after = [sum(map(cpu_s, pids)) for pids in (gateways, fronts)]
    assert not done.failed, f"{done.failed} calls failed"
    calls = len(done.latencies_ms)
    gateway_us, front_us = ((b - a) / calls * 1e6 for a, b in zip(before, after, strict=True))
    whole_us, theirs_us = gateway_us + front_us, KNATIVE_US[connections]
    many = "s" if connections > 1 else ""
    return [
        Row(
            f"Kubernetes: CPU on the way per warm call, {connections} connection{many}, over "
            f"Knative's {theirs_us} µs",
            f"{whole_us:.0f} µs ({whole_us / theirs_us:.2f} ×): gateway {gateway_us:.0f}, "
            f"front {front_us:.0f}",
            "≤ 0.5 ×",
            whole_us <= theirs_us / 2,
            {"gateway_us": gateway_us, "front_us": front_us, "calls": float(calls)},
        )
    ]


def overhead(cluster: Cluster) -> list[Row]:
    """What the way through the gateway adds to a call of the very same replica, in turns."""
    with function(cluster, "direct", scaling={"minContainers": 1}) as name:
        (pod,) = pods_of(NAMESPACE, f"jupyter-faas.io/function={name}")
        by_gateway = http.client.HTTPConnection(cluster.host, 80, timeout=10)
        straight = http.client.HTTPConnection(pod["status"]["podIP"], 8600, timeout=10)
        head = _as_gateway(pod) | {"Content-Type": "application/json"}

        def ask(connection: http.client.HTTPConnection, path: str, told: dict[str, str]) -> None:
            connection.request("POST", path, "0", told)
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"0")

        ours, theirs = in_turns(
            lambda: timed_ms(lambda: ask(by_gateway, path_of(name), cluster.headers)),
            lambda: timed_ms(lambda: ask(straight, "/v1/call", head)),
            TURNS,
        )
    added_ms = percentile(ours, 50) - percentile(theirs, 50)
    return [
        Row(
            "Kubernetes: warm call through the gateway, over the replica called directly",
            f"p50 + {added_ms:.2f} ms ({percentile(ours, 50):.2f} over "
            f"{percentile(theirs, 50):.2f})",
            "p50 ≤ 0.5 ms",
            added_ms <= 0.5,
            summary(ours, "ms") | {"direct_p50_ms": percentile(theirs, 50)},
        )
    ]


def _as_gateway(pod: dict[str, dict[str, dict[str, str]]]) -> dict[str, str]:
    """Return the headers with which a replica takes a call: its gateway's."""
    from jupyter_faas.gateway.keys import Keys
    from jupyter_faas.providers.kubernetes.names import (
        KEYS_SECRET,
        REPLICA_LABEL,
        REVISION_ID_ANNOTATION,
    )

    secret = json.loads(kubectl("-n", SYSTEM, "get", "secret", KEYS_SECRET, "-o", "json"))
    keys = Keys.read({name: base64.b64decode(value) for name, value in secret["data"].items()})
    meta = pod["metadata"]
    return {
        "Faas-Secret": keys.replica_secret(meta["labels"][REPLICA_LABEL]),
        "Faas-Revision-Id": meta["annotations"][REVISION_ID_ANNOTATION],
        "Faas-Invocation-Id": f"bench-{os.getpid()}",
    }
