"""Open-loop load over plain HTTP: calls start when the clock says, whatever the answers do.

A closed loop slows down with the server and hides what a person would see. Every answer is kept,
so that a test can check its value, its revision and the sum of all outcomes.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

Link = tuple[asyncio.StreamReader, asyncio.StreamWriter]

MOST_OPEN = 500
"""So many calls are under way at most: after a standstill all that is overdue would come at once,
and the gateway refuses what its waiting room has no place for."""


@dataclass(frozen=True)
class Seen:
    """One call as its caller saw it."""

    sent: Any
    status: int
    value: Any
    revision: str
    started_s: float
    took_s: float


class Target(Protocol):
    """Where calls go."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""

    @property
    def token(self) -> str:
        """What is shown there."""


@dataclass
class Load:
    """Calls to one function of a gateway, over as many kept-alive connections as they need."""

    gateway: Target
    name: str
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._idle: list[Link] = []
        self._address = self.gateway.address
        self._head = (
            f"POST /function/{self.name} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {self.gateway.token}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()

    async def call(self, argument: Any) -> Seen:
        """Make one call and keep what came back; a broken connection is status 0."""
        started_s = time.monotonic()
        try:
            status, headers, body = await self._exchange(json.dumps(argument).encode())
        except (OSError, asyncio.IncompleteReadError) as error:
            status, headers, body = 0, {}, json.dumps(repr(error)).encode()
        took_s = time.monotonic() - started_s
        revision = headers.get("faas-revision", "")
        one = Seen(argument, status, json.loads(body or b"null"), revision, started_s, took_s)
        self.seen.append(one)
        return one

    async def at_rate(
        self, per_s: float, duration_s: float, first: int = 0, *, until: asyncio.Event | None = None
    ) -> None:
        """Start `per_s` calls each second for `duration_s`, then wait for all answers.

        With `until`: as long as that is not set; the time is then how long it may take at most.
        """
        begin = time.monotonic()
        calls: set[asyncio.Task[Seen]] = set()
        for n in itertools.takewhile(lambda n: n < per_s * duration_s, itertools.count()):
            if until is not None and until.is_set():
                break
            wait_s = begin + n / per_s - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            calls.add(asyncio.create_task(self.call(first + n)))
            if len(calls) >= MOST_OPEN:
                ended, calls = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.gather(*ended)
        await asyncio.gather(*calls)
        self.close()

    async def at_once(self, arguments: list[Any]) -> None:
        """Start all of these calls together, and wait for all answers."""
        await asyncio.gather(*(self.call(argument) for argument in arguments))
        self.close()

    def statuses(self) -> Counter[int]:
        return Counter(one.status for one in self.seen)

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()

    async def _exchange(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        link = self._reused() or await asyncio.open_connection(*self._address)
        try:
            status, headers, answer = await self._ask(link, body)
        except BaseException:  # also a caller that leaves: closing is how the gateway hears of it
            link[1].close()
            raise
        if headers.get("connection", "").lower() == "close":
            link[1].close()
        else:
            self._idle.append(link)
        return status, headers, answer

    def _reused(self) -> Link | None:
        """Return a connection that is not in use; one whose end has been heard is none."""
        while self._idle:
            link = self._idle.pop()
            if not link[0].at_eof() and link[0].exception() is None:
                return link
            link[1].close()
        return None

    async def _ask(self, link: Link, body: bytes) -> tuple[int, dict[str, str], bytes]:
        reader, writer = link
        writer.write(self._head + str(len(body)).encode() + b"\r\n\r\n" + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.split(":", 1) for line in head[1:] if ":" in line)
        headers = {name.lower(): value.strip() for name, value in pairs}
        answer = await reader.readexactly(int(headers["content-length"]))
        return int(head[0].split()[1]), headers, answer


def run(work: Callable[[], Awaitable[None]]) -> None:
    """Run load from a synchronous test."""

    async def main() -> None:
        await work()

    asyncio.run(main())
