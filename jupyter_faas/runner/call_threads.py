"""The threads in which synchronous calls of a worker run side by side."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


class CallThreads:
    """Threads for synchronous calls, started as they are needed and kept.

    As many as calls run at once: the front admits no more than `max_inputs`.
    """

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._idle = 0
        self._lock = threading.Lock()

    def submit(self, work: Callable[[], None]) -> None:
        """Run `work` in an idle thread, or in a new one."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            else:
                threading.Thread(target=self._run, daemon=True, name="faas-call").start()
        self._work.put(work)

    def _run(self) -> None:
        while True:
            self._work.get()()
            with self._lock:
                self._idle += 1
