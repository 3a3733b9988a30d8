"""Remote calls for code that was written for `concurrent.futures`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from jupyter_faas.client.classes import RemoteClass
from jupyter_faas.client.decorator import serverless
from jupyter_faas.client.function import RemoteFunction
from jupyter_faas.core.errors import UsageError

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_MAX_CALLS = 64


class Executor(ThreadPoolExecutor):
    """Runs functions on the platform: `with faas.Executor() as pool: pool.map(f, xs)`.

    A thread of this process waits for each running call. What is submitted is a remote function,
    or a plain one that becomes one, with the options given here.

    Args:
        max_calls: Calls that run at once, as far as the function's replicas allow.
        **options: Arguments of `@serverless` for plain functions.

    Raises:
        InvalidSpec: An option is unknown or out of range.
    """

    def __init__(self, max_calls: int = DEFAULT_MAX_CALLS, **options: Any) -> None:
        super().__init__(max_calls, thread_name_prefix="faas-executor")
        self._options = options
        self._handles: dict[Any, RemoteFunction[..., Any, Any, Any]] = {}
        self._handles_lock = threading.Lock()
        serverless(**options)  # whatever is wrong with them is said here

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call `fn` there; the future has its result or what it raised.

        Raises:
            UsageError: `fn` is no function that could run there.
        """
        return super().submit(self._handle(fn).remote, *args, **kwargs)

    def _handle(self, fn: Any) -> RemoteFunction[..., Any, Any, Any]:
        if isinstance(fn, RemoteFunction):
            return fn
        if isinstance(fn, (type, RemoteClass)) or not hasattr(fn, "__code__"):
            raise UsageError(f"{fn!r} is no function: submit one defined with def or lambda.")
        with self._handles_lock:
            if fn not in self._handles:
                self._handles[fn] = self._made(fn)
            return self._handles[fn]

    def _made(self, fn: Any) -> RemoteFunction[..., Any, Any, Any]:
        options = self._options
        if fn.__name__ == "<lambda>" and "name" not in options:
            options = {**options, "name": f"lambda-{len(self._handles) + 1}"}
        handle: RemoteFunction[..., Any, Any, Any] = serverless(**options)(fn)
        return handle
