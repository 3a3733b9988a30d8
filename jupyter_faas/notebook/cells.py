"""Which cell a piece of code belongs to, also in threads and pools that outlive the cell.

In a thread, ipykernel knows only the newest cell. While this is installed, `Thread.start` and
`ThreadPoolExecutor.submit` remember the cell they were called in; `parent()` then answers for the
thread's (or task's) own cell. Only a private context variable is set: what user threads print
goes where it always went.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

_remembered: ContextVar[dict[str, Any] | None] = ContextVar("faas_cell", default=None)


class CellMemory:
    """Remembers cells for threads and pool tasks, from `install` to `uninstall`.

    Args:
        newest: Returns the kernel's parent message for the calling context.
    """

    def __init__(self, newest: Callable[[], dict[str, Any]]) -> None:
        self._newest = newest
        self._start = threading.Thread.start
        self._submit = ThreadPoolExecutor.submit

    def parent(self) -> dict[str, Any]:
        """Return the parent message of the cell the calling code belongs to."""
        return _remembered.get() or self._newest()

    def install(self) -> None:
        """Begin to remember."""
        _replace(threading.Thread, "start", self._remembering_start())
        _replace(ThreadPoolExecutor, "submit", self._remembering_submit())

    def uninstall(self) -> None:
        """Put everything back as it was."""
        _replace(threading.Thread, "start", self._start)
        _replace(ThreadPoolExecutor, "submit", self._submit)

    def _remembering_start(self) -> Callable[..., Any]:
        @functools.wraps(self._start)
        def start(thread: threading.Thread) -> None:
            self._start_in_cell(thread)

        return start

    def _remembering_submit(self) -> Callable[..., Any]:
        submit_plainly: Callable[..., Any] = self._submit

        @functools.wraps(submit_plainly)
        def submit(pool: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            return submit_plainly(pool, _in_cell, self.parent(), fn, *args, **kwargs)

        return submit

    def _start_in_cell(self, thread: threading.Thread) -> None:
        parent, run = self.parent(), thread.run

        def run_in_cell() -> None:
            _remembered.set(parent)
            # The instance attribute makes a cycle: gone before the thread's own work begins.
            thread.__dict__.pop("run", None)
            run()

        thread.run = run_in_cell  # type: ignore[method-assign]  # - wraps this one thread
        self._start(thread)


def _replace(owner: type, name: str, value: Callable[..., Any]) -> None:
    setattr(owner, name, value)


def _in_cell(parent: dict[str, Any], fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    token = _remembered.set(parent)
    try:
        return fn(*args, **kwargs)
    finally:
        _remembered.reset(token)
