"""Which cell a piece of code belongs to, also in threads and pools that outlive the cell.

In a thread, ipykernel knows only the newest cell. While this is installed, `Thread.start` and
`ThreadPoolExecutor.submit` remember the cell they were called in; `cell()` then answers for the
thread's (or task's) own cell. Only a private context variable is set: what user threads print
goes where it always went.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

Message = dict[str, Any]

OWN_THREADS = "jupyter-faas"
"""Our own threads are called so: they work for a cell and do not keep it."""

_remembered: ContextVar[RunCell | None] = ContextVar("faas_cell", default=None)


class RunCell:
    """One run of one cell.

    Attributes:
        parent: Its execute request: what is published with it appears under the cell.
        has_ended: The kernel has told the front end that it is done.
        late: What takes output from then on; None: nothing was to be expected.
        endings: What is shown in it and has a last form: each is called when the cell ends, and
            when a map that it started ends.
    """

    def __init__(self, parent: Message) -> None:
        self.parent = parent
        self.has_ended = False
        self.late: Any = None
        self.endings: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._running = 0
        self._users: weakref.WeakSet[Any] = weakref.WeakSet()

    @property
    def id(self) -> str:
        """Of the execute request."""
        return str((self.parent.get("header") or {}).get("msg_id", ""))

    @property
    def is_kept(self) -> bool:
        """Whether threads or tasks that it started still run, or something writes under it."""
        return self._running > 0 or len(self._users) > 0

    def keep(self, user: Any) -> None:
        """Note that something may write under the cell as long as it lives."""
        self._users.add(user)

    def refresh(self) -> None:
        """Write what has a last form."""
        for ending in tuple(self.endings):
            ending()

    def count(self, by: int) -> None:
        """Note that a thread or task has begun (1) or ended (-1)."""
        with self._lock:
            self._running += by


class CellMemory:
    """Remembers cells for threads and pool tasks, from `install` to `uninstall`.

    Args:
        newest: Returns the kernel's parent message for the calling context.
    """

    def __init__(self, newest: Callable[[], Message]) -> None:
        self._newest = newest
        self._start = threading.Thread.start
        self._submit = ThreadPoolExecutor.submit
        self._known: weakref.WeakValueDictionary[str, RunCell] = weakref.WeakValueDictionary()
        self._current: RunCell | None = None

    def cell(self) -> RunCell:
        """Return the run of the cell that the calling code belongs to."""
        remembered = _remembered.get()
        if remembered is not None:
            return remembered
        parent = self._newest() or {}
        id = str((parent.get("header") or {}).get("msg_id", ""))
        known = self._known.get(id)
        if known is None:
            known = self._known[id] = RunCell(parent)
        self._current = known  # the newest one stays, whoever lets go of it
        return known

    def parent(self) -> Message:
        """Return the parent message of that cell."""
        return self.cell().parent

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
            cell = self.cell()
            future: Future[Any] = submit_plainly(pool, _in_cell, cell, fn, *args, **kwargs)
            cell.count(1)
            future.add_done_callback(lambda _future: cell.count(-1))
            return future

        return submit

    def _start_in_cell(self, thread: threading.Thread) -> None:
        cell, run = self.cell(), thread.run
        # A pool's workers live as long as the pool: its tasks are counted, not they.
        is_counted = not thread.name.startswith(OWN_THREADS) and not _is_worker(thread)

        def run_in_cell() -> None:
            _remembered.set(cell)
            # The instance attribute makes a cycle: gone before the thread's own work begins.
            thread.__dict__.pop("run", None)
            try:
                run()
            finally:
                cell.count(-is_counted)

        thread.run = run_in_cell  # type: ignore[method-assign]  # - wraps this one thread
        cell.count(is_counted)
        try:
            self._start(thread)
        except BaseException:
            cell.count(-is_counted)
            raise


def _is_worker(thread: threading.Thread) -> bool:
    target = getattr(thread, "_target", None)
    return getattr(target, "__module__", "") == "concurrent.futures.thread"


def _replace(owner: type, name: str, value: Callable[..., Any]) -> None:
    setattr(owner, name, value)


def _in_cell(cell: RunCell, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    token = _remembered.set(cell)
    try:
        return fn(*args, **kwargs)
    finally:
        _remembered.reset(token)
