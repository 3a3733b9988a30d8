"""What watching costs the gateway: 200 functions at 500 calls a second, 50 readers of events.

The gateway is whole and its front answers at once, so that what is measured is the gateway. The
same load runs with no reader, with one as the Jupyter server has for all its pages (20 batches a
second), and with 50 as panels have (4 a second), in turns; what counts is CPU, not time.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from bench.harness import Row, cpu_s
from bench.proxy import TOKEN, Proxy, child, front

FUNCTIONS = 200
CALLS_PER_S = 500
READERS = 50
ROUNDS = 5
SECONDS = 3.0
AT_MOST = 0.10

_NAMES = [f"f-{number}" for number in range(FUNCTIONS)]
_HEAD = f"HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {TOKEN}\r\n"


class Readers:
    """Readers of events, and how much they got.

    Attributes:
        events: Told to all of them together.
    """

    def __init__(self) -> None:
        self.events = 0

    async def read(self, port: int, max_hz: int) -> None:
        """Read until cancelled."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        try:
            writer.write(f"GET /v1/events?max_hz={max_hz} {_HEAD}\r\n".encode())
            while piece := await reader.read(1 << 20):
                self.events += piece.count(b"\ndata: ")
        finally:
            writer.close()


def run() -> list[Row]:
    """Measure in turns."""
    with tempfile.TemporaryDirectory(prefix="faas-watchers-") as directory:
        root = Path(directory)
        with front(root) as socket, _gateway(root, socket) as gateway:
            return asyncio.run(_measure(gateway))


async def _measure(gateway: Proxy) -> list[Row]:
    cases = {"none": (0, 4), "server": (1, 20), "panels": (READERS, 4)}
    shares: dict[str, list[float]] = {name: [] for name in cases}
    told: dict[str, list[int]] = {name: [] for name in cases}
    calls = asyncio.create_task(_call(gateway.port))
    await asyncio.sleep(2.0)  # every function has its replica
    for _ in range(ROUNDS):
        for name, (count, max_hz) in cases.items():
            async with _reading(gateway.port, count, max_hz) as readers:
                before, began_s, seen = cpu_s(gateway.pid), time.monotonic(), readers.events
                await asyncio.sleep(SECONDS)
                took_s = time.monotonic() - began_s
                shares[name].append((cpu_s(gateway.pid) - before) / took_s)
                told[name].append(readers.events - seen)
            if calls.done():
                calls.result()
    calls.cancel()
    await asyncio.gather(calls, return_exceptions=True)
    return [
        _row(shares, told, "panels", f"{READERS} readers, 4 batches a second each"),
        _row(shares, told, "server", "one reader for all pages of a Jupyter server, 20 a second"),
    ]


def _row(shares: dict[str, list[float]], told: dict[str, list[int]], name: str, who: str) -> Row:
    extra = statistics.median(a - b for a, b in zip(shares[name], shares["none"], strict=True))
    events = statistics.median(told[name]) / SECONDS
    each_us = extra / events * 1e6 if events else 0.0
    return Row(
        f"gateway CPU for {who}: {FUNCTIONS} functions, {CALLS_PER_S} calls/s",
        f"{extra:.1%} of a core ({events:.0f} events/s, {each_us:.2f} µs each)",
        f"≤ {AT_MOST:.0%}",
        extra <= AT_MOST,
        {
            "extra_share": extra,
            "events_per_s": events,
            "event_cpu_us": each_us,
            "without_readers_share": statistics.median(shares["none"]),
        },
    )


async def _call(port: int) -> None:
    """Call all functions in turn, at a steady pace, until cancelled."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heads = [
        f"POST /function/{name} {_HEAD}Content-Type: application/json\r\n"
        "Content-Length: 1\r\n\r\n1".encode()
        for name in _NAMES
    ]
    draining = asyncio.create_task(_drain(reader))
    began_s, sent = time.monotonic(), 0
    try:
        while not draining.done():
            due = int((time.monotonic() - began_s) * CALLS_PER_S)
            for number in range(sent, due):
                writer.write(heads[number % FUNCTIONS])
            sent = max(sent, due)
            await asyncio.sleep(0.005)
        draining.result()
    finally:
        draining.cancel()
        writer.close()


async def _drain(reader: asyncio.StreamReader) -> None:
    while piece := await reader.read(1 << 16):
        if b"HTTP/1.1 5" in piece or b"HTTP/1.1 4" in piece:
            raise RuntimeError(f"calls fail: {piece[:500]!r}")


@asynccontextmanager
async def _reading(port: int, count: int, max_hz: int) -> AsyncIterator[Readers]:
    readers = Readers()
    tasks = [asyncio.create_task(readers.read(port, max_hz)) for _ in range(count)]
    await asyncio.sleep(0.7)
    try:
        yield readers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.2)


@contextmanager
def _gateway(root: Path, socket: str) -> Iterator[Proxy]:
    state = root / "state"
    state.mkdir(mode=0o700)
    command = (sys.executable, "-m", "bench.peers.gateway_stub", str(state), socket, TOKEN, *_NAMES)
    with child(*command) as running:
        assert running.stdout is not None
        yield Proxy(running.pid, int(running.stdout.readline()))
