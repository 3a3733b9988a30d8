"""Ending user code that will not end by itself, without ever hitting the platform's own code.

Two ways, by where a call runs. `MainThreadGate`: one call at a time in the main thread; SIGINT
becomes KeyboardInterrupt in it, at most once per call, and never between calls or inside a
shielded section (a half-sent frame would break the channel). `ThreadGate`: a call in a pool
thread gets an asynchronous exception; one that comes too late is taken back.
"""

from __future__ import annotations

import ctypes
import signal
import threading

# Not signal.getsignal: that makes an enum of it, 8 µs per call.
from _signal import getsignal  # type: ignore[import-not-found]  # - typeshed lacks the C module
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

_SIGINT = int(signal.SIGINT)

_set_async_exc = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_async_exc.argtypes = [ctypes.c_ulong, ctypes.py_object]


class _TakenBack(BaseException):
    """Takes the place of an interrupt that came too late."""


class MainThreadGate:
    """Lets SIGINT through to user code of the main thread, and only to it."""

    def __init__(self) -> None:
        self._is_armed = False
        self._is_pending = False
        self._shields = 0
        self._main = threading.main_thread().ident
        self._handler = self._on_sigint

    def install(self) -> None:
        """Take over SIGINT. Main thread only."""
        signal.signal(signal.SIGINT, self._handler)

    def run(self, work: Callable[[], T]) -> T:
        """Run user code; KeyboardInterrupt may come out of it, nothing comes after it.

        `_on_sigint` disarms as it raises, so the interrupt that hits the `finally` is the last.
        """
        if getsignal(_SIGINT) is not self._handler:
            self.install()
        self._is_pending = False
        try:
            self._is_armed = True
            return work()
        finally:
            self._is_armed = False

    def shield(self) -> None:
        """Begin a section that must not be cut; other threads are never cut."""
        if threading.get_ident() == self._main:
            self._shields += 1

    def unshield(self) -> None:
        """End such a section; an interrupt that came meanwhile is raised now."""
        if threading.get_ident() != self._main:
            return
        self._shields -= 1
        if self._is_pending and not self._shields and self._is_armed:
            self._is_pending = self._is_armed = False
            raise KeyboardInterrupt

    def _on_sigint(self, signum: int, frame: FrameType | None) -> None:
        del signum, frame
        if not self._is_armed:
            return
        if self._shields:
            self._is_pending = True
            return
        self._is_armed = False
        raise KeyboardInterrupt


class ThreadGate:
    """Ends the call that one pool thread is running."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread_id: int | None = None
        self._is_cancelled = False

    def run(self, work: Callable[[], T]) -> T:
        """Run user code in this thread; KeyboardInterrupt may come out of it, never later."""
        try:
            try:
                self._enter()
                return work()
            finally:
                self._leave()
        finally:
            if self._is_cancelled:
                _take_back()

    def cancel(self) -> None:
        """Raise KeyboardInterrupt in the code, now or as soon as it begins. Any thread."""
        with self._lock:
            if self._is_cancelled:
                return
            self._is_cancelled = True
            if self._thread_id is not None:
                _set_async_exc(self._thread_id, ctypes.py_object(KeyboardInterrupt))

    def _enter(self) -> None:
        with self._lock:
            if self._is_cancelled:
                raise KeyboardInterrupt
            self._thread_id = threading.get_ident()

    def _leave(self) -> None:
        with self._lock:
            self._thread_id = None


def _take_back() -> None:
    """Remove an asynchronous exception that may still wait for this thread.

    Setting it to NULL would do that too, but leaves Python 3.11's eval breaker set for good: all
    later code takes the slow path, and under a tracer the thread loops for ever.
    """
    try:
        _set_async_exc(threading.get_ident(), ctypes.py_object(_TakenBack))
        while True:
            pass
    except _TakenBack:
        pass
