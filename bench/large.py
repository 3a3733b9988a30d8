"""A 100 MB argument, in turns with sending the same bytes once through one Unix socket."""

from __future__ import annotations

import os
import socket
from typing import Any

from bench.gateway import define, fresh_gateway
from bench.harness import Row, in_turns, percentile, reset_peak, resident_kib, summary, timed_ms

SIZE_BYTES = 100_000_000


def run() -> list[Row]:
    """Measure the ratio and the gateway's memory."""
    block = os.urandom(SIZE_BYTES)
    with fresh_gateway() as running:
        function = define("def f(block):\n    return len(block)\n", name="large", memory=1024)
        assert function.remote(b"") == 0
        ours_once(function, block)
        reset_peak(running.pid)
        before_kib = resident_kib(running.pid)
        ours, socket_ms = in_turns(lambda: ours_once(function, block), lambda: peer(block), 9)
        grown_mib = (resident_kib(running.pid, "VmHWM") - before_kib) / 1024
    ratio = percentile(ours, 50) / percentile(socket_ms, 50)
    return [
        Row(
            "100 MB argument, against one Unix socket",
            f"{ratio:.1f} × ({percentile(ours, 50):.0f} / {percentile(socket_ms, 50):.0f} ms)",
            "≤ 3 ×",
            ratio <= 3,
            summary(ours, "ms") | {"socket_p50_ms": percentile(socket_ms, 50)},
        ),
        Row(
            "… gateway memory grows by (peak)",
            f"{grown_mib:.1f} MiB",
            "≤ 20 MiB",
            grown_mib <= 20,
            {"grown_mib": grown_mib},
        ),
    ]


def ours_once(function: Any, block: bytes) -> float:
    """Return the milliseconds of one call."""
    return timed_ms(lambda: function.remote(block))


def peer(block: bytes) -> float:
    """Return the milliseconds to send to another process, which keeps and acknowledges it."""
    here, there = socket.socketpair()
    child = os.fork()
    if child == 0:
        kept = bytearray(len(block))
        got = 0
        while got < len(kept):
            got += there.recv_into(memoryview(kept)[got:])
        there.sendall(b"k")
        os._exit(0)

    def send() -> None:
        here.sendall(block)
        assert here.recv(1) == b"k"

    took_ms = timed_ms(send)
    os.waitpid(child, 0)
    here.close()
    there.close()
    return took_ms
