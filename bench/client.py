"""A fast closed-loop HTTP client: as little work per call as Python allows, the same for peers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import uvloop


@dataclass
class Loaded:
    """What a run saw."""

    took_s: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    failed: int = 0

    @property
    def per_s(self) -> float:
        """Answered calls per second."""
        return len(self.latencies_ms) / self.took_s


class _Connection(asyncio.Protocol):
    """One connection that sends the next request when the answer to the last is whole."""

    def __init__(self, request: bytes, until_s: float, into: Loaded) -> None:
        self.ended = asyncio.get_running_loop().create_future()
        self._request = request
        self._until_s = until_s
        self._into = into
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if not _is_whole(self._answer):
            return
        now_s = time.perf_counter()
        if self._answer.startswith(b"HTTP/1.1 200"):
            self._into.latencies_ms.append((now_s - self._sent_s) * 1000)
        else:
            self._into.failed += 1
        if now_s < self._until_s:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _send(self) -> None:
        self._answer = b""
        self._sent_s = time.perf_counter()
        self._transport.write(self._request)  # type: ignore[attr-defined]  # a TCP transport


def load(
    address: tuple[str, int], request: bytes, *, connections: int, duration_s: float
) -> Loaded:
    """Call over and over on so many connections for so long; return every latency."""

    async def main() -> Loaded:
        loop = asyncio.get_running_loop()
        into = Loaded()
        began_s = time.perf_counter()
        made = [
            (
                await loop.create_connection(
                    lambda: _Connection(request, began_s + duration_s, into), *address
                )
            )[1]
            for _ in range(connections)
        ]
        await asyncio.gather(*(connection.ended for connection in made))
        into.took_s = time.perf_counter() - began_s
        return into

    return uvloop.run(main())


def _is_whole(answer: bytes) -> bool:
    """Return whether an answer with Content-Length, or chunked, has arrived to its end."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = answer[:end].lower()
    at = head.find(b"content-length:")
    if at < 0:
        return answer.endswith(b"0\r\n\r\n")
    length = int(head[at + 15 :].split(b"\r\n", 1)[0])
    return len(answer) >= end + 4 + length
