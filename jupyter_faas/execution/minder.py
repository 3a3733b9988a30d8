"""Looks after chunks while their items run: one thread per worker, asleep when there is none."""

from __future__ import annotations

import _thread
import time
from contextlib import suppress
from typing import Protocol

TICK_S = 0.02
"""How often a running chunk is looked at."""


class Minded(Protocol):
    """Something that wants to be looked at now and then."""

    def tick(self, now_s: float) -> None:
        """Do what has become due; from the minder's thread, must not wait for anybody."""


class Minder:
    """Ticks what it watches. Raw locks: a condition could be left locked by an interrupt."""

    def __init__(self) -> None:
        self._watched: set[Minded] = set()
        self._gate = _thread.allocate_lock()
        self._gate.acquire()
        self._is_started = False

    def watch(self, minded: Minded) -> None:
        """Tick `minded` every `TICK_S` seconds, until `leave`."""
        self._watched.add(minded)
        if not self._is_started:
            self._is_started = True
            _thread.start_new_thread(self._run, ())
        with suppress(RuntimeError):
            self._gate.release()

    def leave(self, minded: Minded) -> None:
        """Tick it no more."""
        self._watched.discard(minded)

    def _run(self) -> None:
        while True:
            self._gate.acquire()
            while self._watched:
                time.sleep(TICK_S)
                now_s = time.monotonic()
                for minded in tuple(self._watched):
                    with suppress(OSError):  # the channel is gone, and this process with it
                        minded.tick(now_s)
