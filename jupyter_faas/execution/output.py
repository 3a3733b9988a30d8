"""What user code prints, caught per invocation.

`sys.stdout` and `sys.stderr` become `ContextStream`s: each write goes to the `CallOutput` of the
invocation that the context variable `sink` names, whatever thread or task it comes from. A line is
sent at once while lines are few; a flood is sent in batches, and a partial line after `FLUSH_S`.
What C code and subprocesses write to the descriptors is not seen here: the runner reads the pipes.
"""

from __future__ import annotations

import _thread
import io
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Protocol

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

sink: ContextVar[CallOutput | None] = ContextVar("jupyter_faas_output", default=None)


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


class ContextStream(io.TextIOBase):
    """A text stream that writes to whatever invocation is running.

    Args:
        stream: 1 stdout, 2 stderr; also its descriptor.
        fallback: Gets what is written outside any invocation.
    """

    def __init__(self, stream: int, fallback: CallOutput) -> None:
        self._stream = stream
        self._fallback = fallback
        self._is_forked = False
        self.buffer = _BytesFace(self)
        self.mode = "w"
        self.name = "<stdout>" if stream == 1 else "<stderr>"
        self.line_buffering = True
        os.register_at_fork(after_in_child=self._after_fork)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Always UTF-8."""
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """What becomes of lone surrogates."""
        return "backslashreplace"

    def write(self, text: str, /) -> int:
        """Write to the running invocation; returns the number of characters."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if text:
            self.write_bytes(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Write bytes to the running invocation."""
        if self._is_forked:
            _write_all(self._stream, data)
        else:
            (sink.get() or self._fallback).write(self._stream, data)

    def flush(self) -> None:
        """Send what is pending of the running invocation."""
        if not self._is_forked:
            (sink.get() or self._fallback).flush()

    def fileno(self) -> int:
        """The descriptor that subprocesses inherit."""
        return self._stream

    def writable(self) -> bool:
        """Always."""
        return True

    def isatty(self) -> bool:
        """Never."""
        return False

    def reconfigure(self, **options: Any) -> None:
        """Accepted and ignored: the stream is UTF-8 and flushed by line."""

    def close(self) -> None:
        """Ignored: the next invocation prints too."""

    def _after_fork(self) -> None:
        """In a forked child there is no channel (it is the parent's): use the descriptor."""
        self._is_forked = True


class _BytesFace(io.BufferedIOBase):
    """`sys.stdout.buffer`."""

    def __init__(self, stream: ContextStream) -> None:
        self._text = stream

    def write(self, data: Any, /) -> int:
        data = bytes(data)
        self._text.write_bytes(data)
        return len(data)

    def flush(self) -> None:
        if not self._text.closed:
            self._text.flush()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._text.fileno()

    def close(self) -> None:
        pass


def install(fallback: CallOutput) -> None:
    """Make `sys.stdout` and `sys.stderr` follow the invocation."""
    sys.stdout = sys.__stdout__ = ContextStream(1, fallback)  # type: ignore[assignment,misc]
    sys.stderr = sys.__stderr__ = ContextStream(2, fallback)  # type: ignore[assignment,misc]


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


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
