"""A page as these tests play it: what it was told, and waiting until it is told something."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]


class Watcher:
    """Reads everything that comes on a WebSocket of the server extension."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.messages: list[Message] = []
        self.text = ""
        self.closed: tuple[int | None, str | None] | None = None
        self._came = asyncio.Event()
        self._task = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        while (text := await self.socket.read_message()) is not None:
            self.text += text
            self.messages.append(json.loads(text))
            self._came.set()
        self.closed = (self.socket.close_code, self.socket.close_reason)
        self._came.set()

    async def say(self, **message: Any) -> None:
        await self.socket.write_message(json.dumps(message))

    async def until(
        self, look: Callable[[Message], Any], timeout_s: float = 30.0, *, after: int = 0
    ) -> Any:
        """Return the first true value of `look` over the messages from number `after` on."""
        deadline = time.monotonic() + timeout_s
        seen = after
        while True:
            for message in self.messages[seen:]:
                seen += 1
                if value := look(message):
                    return value
            assert self.closed is None, f"closed: {self.closed}"
            self._came.clear()
            try:
                await asyncio.wait_for(self._came.wait(), deadline - time.monotonic())
            except TimeoutError:
                shown = [str(message)[:200] for message in self.messages[after:]]
                raise AssertionError(f"never told; told were {shown}") from None

    async def until_closed(self, timeout_s: float = 30.0) -> tuple[int | None, str | None]:
        await asyncio.wait_for(asyncio.shield(self._task), timeout_s)
        assert self.closed is not None
        return self.closed

    async def until_gateway(
        self, state: str, timeout_s: float = 30.0, *, after: int = 0
    ) -> Message:
        return await self.until(
            lambda one: (
                one["gateway"]
                if one["type"] == "gateway" and one["gateway"]["state"] == state
                else None
            ),
            timeout_s,
            after=after,
        )

    async def until_snapshot(self, timeout_s: float = 30.0, *, after: int = 0) -> Message:
        return await self.until(
            lambda one: one["state"] if one["type"] == "snapshot" else None, timeout_s, after=after
        )

    async def until_event(
        self, look: Callable[[Message], Any], timeout_s: float = 30.0, *, after: int = 0
    ) -> Message:
        return await self.until(
            lambda one: next(filter(look, one.get("events", ())), None), timeout_s, after=after
        )

    @property
    def count(self) -> int:
        return len(self.messages)

    async def close(self) -> None:
        self.socket.close()
        await self.until_closed()
