"""What one invocation prints: sent line by line while lines are few, in batches when they are many.

A partial line, or what is left of a flood, is sent after `FLUSH_S`. Nothing is held without a
limit: printing waits where it may, and where it must not the oldest is dropped and counted.
`streams.py` brings the text here.
"""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

FLUSH_S = 0.02
"""A partial line, or a line of a flood, waits no longer than this (seconds)."""
BATCH_BYTES = 16 << 10
"""So much pending output is sent without waiting."""
CHUNK_BYTES = 64 << 10
"""Largest text handed to `Send` at once."""
CROWDED_BYTES = 64 << 10
"""Beyond this much pending output, printing waits for the caller."""
HOLD_BYTES = 1 << 20
"""So much is held for a caller that takes nothing, where printing may not wait; more is dropped."""
BURST_LINES = 32
"""So many lines per `FLUSH_S` are sent one by one."""

Send = Callable[[int, bytes], bool]
"""(stream, text) → whether it was taken; False: no room now. May block where that is harmless."""
WaitRoom = Callable[[], bool]
"""Waits until there may be room; False: waiting is not allowed in this thread."""


class Burst:
    """Says whether things are still few: the first `BURST_LINES` of each `FLUSH_S`."""

    __slots__ = ("_count", "_window_end_s")

    def __init__(self) -> None:
        self._window_end_s = 0.0
        self._count = 0

    def admits(self) -> bool:
        """Count one more; return whether it is still one of few."""
        now_s = time.monotonic()
        if now_s >= self._window_end_s:
            self._window_end_s = now_s + FLUSH_S
            self._count = 0
        self._count += 1
        return self._count <= BURST_LINES


class Pending(Protocol):
    """Something that may have to be sent a moment later."""

    def flush_soon(self) -> None:
        """Send what can be sent without waiting for anybody."""


class Flusher:
    """One thread that sends what is still pending a moment later; sleeps when nothing is.

    Started on first use. Raw locks: a condition could be left locked by an asynchronous exception.
    """

    def __init__(self) -> None:
        self._waiting: set[Pending] = set()
        self._gate = _thread.allocate_lock()
        self._gate.acquire()
        self._is_started = False

    def later(self, output: Pending) -> None:
        """Have `output` flushed within `FLUSH_S`. Any thread; cheap when it is asked already."""
        if output in self._waiting:
            return
        self._waiting.add(output)
        if not self._is_started:
            self._is_started = True
            _thread.start_new_thread(self._run, ())
        with suppress(RuntimeError):
            self._gate.release()

    def _run(self) -> None:
        while True:
            self._gate.acquire()
            time.sleep(FLUSH_S)
            for _ in range(len(self._waiting)):  # popped one by one: others add meanwhile
                self._waiting.pop().flush_soon()


class CallOutput:
    """Output of one invocation, in the order in which it was written, both streams together.

    Args:
        send: Where the text goes.
        flusher: Flushes what is pending.
        wait_room: Back-pressure for `send`s that do not block; None: they do.
    """

    def __init__(self, send: Send, flusher: Flusher, wait_room: WaitRoom | None = None) -> None:
        self._send = send
        self._flusher = flusher
        self._wait_room = wait_room
        self._lock = threading.RLock()
        self._pending: list[tuple[int, bytes]] = []
        self._size = 0
        self._dropped = 0
        self._is_sending = False
        self._burst = Burst()

    @property
    def has_pending(self) -> bool:
        """Whether something has not been sent yet."""
        return bool(self._pending)

    def write(self, stream: int, data: bytes) -> None:
        """Take text; waits where the caller is slow and waiting is allowed."""
        with self._lock:
            self._pending.append((stream, data))
            self._size += len(data)
            if self._is_sending:  # a signal handler or finaliser that prints, inside `_flush`
                return
            is_due = self._size >= BATCH_BYTES or (_ends_line(data) and self._burst.admits())
            if is_due:
                self._flush()
        if self._size >= CROWDED_BYTES:
            self._make_room()
        if self._pending:
            self._flusher.later(self)

    def write_whole(self, stream: int, body: bytes) -> None:
        """Take a body that must stay one, in order with the text (streams above 2)."""
        with self._lock:
            self._pending.append((stream, body))
            self._size += len(body)
            if not self._is_sending:
                self._flush()
        if self._pending:
            self._flusher.later(self)

    def flush(self) -> None:
        """Send all that is pending, as far as there is room."""
        with self._lock:
            if self._pending and not self._is_sending:
                self._flush()

    def flush_all(self) -> None:
        """Send all that is pending; waits for room if this thread may."""
        self.flush()
        while self._pending and self._wait_room is not None and self._wait_room():
            self.flush()

    def flush_soon(self) -> None:
        """Send what can be sent without waiting for anybody; the rest is tried again later."""
        if self._lock.acquire(blocking=False):
            try:
                if not self._is_sending:
                    self._flush()
            except OSError:
                return  # the channel is gone, and this process with it
            finally:
                self._lock.release()
        if self._pending:
            self._flusher.later(self)

    def redirect(self, send: Send) -> None:
        """Send everything from here on to another place: the invocation has ended."""
        with self._lock:
            self._send = send
            self._wait_room = None

    def _make_room(self) -> None:
        while self._size >= CROWDED_BYTES:
            if self._wait_room is None or not self._wait_room():
                self._trim()
                return
            self.flush()

    def _flush(self) -> None:
        pending, self._pending, self._size = self._pending, [], 0
        self._is_sending = True
        chunks = _merge(pending)
        done = 0
        try:
            for stream, text in chunks:
                if not self._send_with_notice(stream, text):
                    break
                done += 1
        finally:
            self._is_sending = False
            if done < len(chunks):
                self._pending = chunks[done:] + self._pending
                self._size = sum(len(text) for _, text in self._pending)

    def _send_with_notice(self, stream: int, text: bytes) -> bool:
        if self._dropped:
            notice = f"\n[{self._dropped:,} bytes of output were dropped: the reader is slow]\n"
            if not self._send(stream, notice.encode()):
                return False
            self._dropped = 0
        return self._send(stream, text)

    def _trim(self) -> None:
        """Hold no more than `HOLD_BYTES`; what is oldest is dropped, and counted."""
        with self._lock:
            while self._size > HOLD_BYTES:
                _, text = self._pending.pop(0)
                self._size -= len(text)
                self._dropped += len(text)


def _ends_line(data: bytes) -> bool:
    return b"\n" in data or b"\r" in data


def _merge(pending: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Join neighbours of one stream; no text is longer than `CHUNK_BYTES`. Others stay whole."""
    merged: list[tuple[int, bytes]] = []
    run: list[bytes] = []
    for index, (stream, data) in enumerate(pending):
        if stream > 2:
            merged.append((stream, data))
            continue
        run.append(data)
        if index + 1 == len(pending) or pending[index + 1][0] != stream:
            text = b"".join(run) if len(run) > 1 else data
            run = []
            merged.extend(
                (stream, text[start : start + CHUNK_BYTES])
                for start in range(0, len(text), CHUNK_BYTES)
            )
    return merged
