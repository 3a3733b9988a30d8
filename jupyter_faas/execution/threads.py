"""Threads started by a function belong to its invocation: they inherit its context variables.

Python gives a new thread an empty context, so what it prints, and what it calls remotely, would
belong to nobody. Installed in workers only.
"""

from __future__ import annotations

import contextvars
import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from jupyter_faas.core.context import current


def install() -> None:
    """Make threads and thread pools run in the context in which they were asked."""
    _patch_start()
    _patch_submit()


def _patch_start() -> None:
    original = threading.Thread.start

    @functools.wraps(original)
    def start(self: threading.Thread) -> None:
        if current.get() is not None:
            run, context = self.run, contextvars.copy_context()
            self.run = lambda: context.run(_run, self, run)  # type: ignore[method-assign]
        original(self)

    threading.Thread.start = start  # type: ignore[method-assign]  # - wraps every thread


def _run(thread: threading.Thread, run: Callable[[], None]) -> None:
    """Run it, and tell in its context what it raises: Python would do so when that is left."""
    try:
        run()
    except BaseException as error:
        if error.__traceback__ is not None:
            error.__traceback__ = error.__traceback__.tb_next  # without this frame
        args = (type(error), error, error.__traceback__, thread)
        threading.excepthook(threading.ExceptHookArgs(args))


def _patch_submit() -> None:
    original: Callable[..., Future[Any]] = ThreadPoolExecutor.submit

    @functools.wraps(original)
    def submit(
        self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        if current.get() is None:
            return original(self, fn, *args, **kwargs)
        return original(self, contextvars.copy_context().run, fn, *args, **kwargs)

    ThreadPoolExecutor.submit = submit  # type: ignore[method-assign, assignment]
