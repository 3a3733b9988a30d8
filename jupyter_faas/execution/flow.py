"""Flow control of one call: how much it may send before its caller has taken some of it.

A window in bytes. Threads wait on a raw lock (a condition could be left locked by an asynchronous
exception), tasks on futures. Credit is given by the thread that reads the channel.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

_PATIENCE_S = 1.0
"""A waiting thread looks again after this long, whatever happened."""


class Flow:
    """What one call may still send.

    Args:
        window_bytes: Given at the start.
        loop: Whose thread must never wait in `wait`.
    """

    def __init__(self, window_bytes: int, loop: asyncio.AbstractEventLoop) -> None:
        self._left = window_bytes
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._lock = threading.Lock()
        self._gate = threading.Lock()
        self._gate.acquire()
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def has_room(self) -> bool:
        """Whether something may be sent; the last piece may exceed the window."""
        return self._left > 0

    def take(self, size: int) -> None:
        """Count `size` bytes as sent."""
        with self._lock:
            self._left -= size

    def give(self, size: int) -> None:
        """The caller has taken `size` bytes. Loop thread only."""
        with self._lock:
            self._left += size
        if self._left <= 0:
            return
        with suppress(RuntimeError):
            self._gate.release()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def wait(self) -> bool:
        """Wait for room in a thread; False at once in the loop's own."""
        if threading.get_ident() == self._loop_thread:
            return False
        while not self.has_room:
            self._gate.acquire(timeout=_PATIENCE_S)
        return True

    async def room(self) -> None:
        """Wait for room in a task."""
        while not self.has_room:
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter
