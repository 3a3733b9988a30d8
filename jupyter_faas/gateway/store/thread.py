"""A thread that runs jobs one after the other for an event loop: where SQLite may block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from jupyter_faas.core.errors import ProviderError

T = TypeVar("T")

_Job = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class JobThread:
    """Runs callables in order in one thread of its own; awaiting one never blocks the loop.

    A job runs to its end even if whoever awaits it is cancelled.

    Args:
        name: Shown by debuggers.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._is_over = False

    def start(self) -> None:
        """Start the thread; once."""
        self._thread.start()

    def submit(self, work: Callable[[], T]) -> Awaitable[T]:
        """Queue `work`; what it returns or raises comes from awaiting the result.

        A stopped thread would never answer: awaiting raises `ProviderError` then.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._is_over:
            future.set_exception(ProviderError("What was asked for has been closed meanwhile."))
        else:
            self._jobs.put((work, future, loop))
        return future

    async def stop(self) -> None:
        """Let queued jobs finish, then end the thread."""
        ending = self.submit(lambda: self._jobs.put(None))
        self._is_over = True
        await ending
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, future, loop = job
            result, error = None, None
            try:
                result = work()
            except BaseException as caught:
                error = caught
            try:
                loop.call_soon_threadsafe(_settle, future, result, error)
            except RuntimeError:
                return  # The loop is closed: nobody is left to answer.


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
