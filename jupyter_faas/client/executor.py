"""Remote calls for code that was written for `concurrent.futures`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import FunctionType, MethodType, TracebackType
from typing import Any, ParamSpec, TypeVar

from jupyter_faas.client.classes import RemoteClass
from jupyter_faas.client.decorator import serverless
from jupyter_faas.client.function import RemoteFunction
from jupyter_faas.client.underway import Underway
from jupyter_faas.core.canonical import digest_of
from jupyter_faas.core.errors import InvalidSpec, InvocationCancelled, UsageError

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_MAX_CALLS = 64


class Executor(ThreadPoolExecutor):
    """Runs functions on the platform: `with faas.Executor() as pool: pool.map(f, xs)`.

    A thread of this process waits for each running call. What is submitted is a remote function,
    or a plain one that becomes one, with the options given here. Interrupting the block, also while
    it waits at its end, cancels what runs and what waits.

    Args:
        max_calls: Calls that run at once, as far as the function's replicas allow.
        **options: Arguments of `@serverless` for plain functions.

    Raises:
        InvalidSpec: An argument is unknown or out of range.
    """

    def __init__(self, max_calls: int = DEFAULT_MAX_CALLS, **options: Any) -> None:
        _check(max_calls, options)
        super().__init__(max_calls, thread_name_prefix="faas-executor")
        self._options = options
        self._handles: dict[Any, RemoteFunction[..., Any, Any, Any]] = {}
        self._handles_lock = threading.Lock()
        self._underway = Underway()
        serverless(**options)  # whatever is wrong with them is said here

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call `fn` there; the future has its result or what it raised.

        Of a partial and of a bound method the function travels as code, the rest as arguments.

        Raises:
            UsageError: `fn` is no function that could run there.
        """
        code, args, kwargs = _taken_apart(fn, args, kwargs)  # type: ignore[assignment]
        return super().submit(self._call, self._handle(code), args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more; wait for what runs. Interrupting the wait cancels that.

        Args:
            wait: False: do not.
            cancel_futures: What has not begun never does.
        """
        try:
            super().shutdown(wait, cancel_futures=cancel_futures)
        except KeyboardInterrupt:
            self._end()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            self._end()
        self.shutdown()

    def _call(
        self,
        handle: RemoteFunction[..., Any, Any, Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        __tracebackhide__ = True
        try:
            with self._underway.call():
                return handle.remote(*args, **kwargs)
        except InvocationCancelled:
            if (route := handle.route_now()) is not None:
                route.left()  # a card that shows its deployment goes on without the call
            raise

    def _end(self) -> None:
        """Cancel what waits and what runs."""
        super().shutdown(wait=False, cancel_futures=True)
        self._underway.end()

    def _handle(self, fn: Any) -> RemoteFunction[..., Any, Any, Any]:
        if isinstance(fn, RemoteFunction):
            return fn
        if isinstance(fn, (type, RemoteClass)) or not hasattr(fn, "__code__"):
            raise UsageError(f"{fn!r} is no function: submit one defined with def or lambda.")
        same = _sameness(fn)
        with self._handles_lock:
            if same not in self._handles:
                self._handles[same] = self._made(fn)
            return self._handles[same]

    def _made(self, fn: Any) -> RemoteFunction[..., Any, Any, Any]:
        options = self._options
        if fn.__name__ == "<lambda>" and "name" not in options:
            # By what it does: another notebook's first lambda is another function.
            what = digest_of(fn.__code__)[:8]
            options = {**options, "name": f"lambda-{what}-{len(self._handles) + 1}"}
        handle: RemoteFunction[..., Any, Any, Any] = serverless(**options)(fn)
        return handle


def _sameness(fn: Any) -> Any:
    """Return a key that is equal for one function made again, as a lambda in a loop is.

    It holds while the first one lives: by identity is known what the function reads.
    """
    if not isinstance(fn, FunctionType) or vars(fn):
        return fn
    named = sorted((fn.__kwdefaults__ or {}).items())
    reads = [fn.__globals__, *(fn.__defaults__ or ()), *(value for _, value in named)]
    return fn.__code__, *map(id, [*reads, *(fn.__closure__ or ())])


def _check(max_calls: object, options: Mapping[str, Any]) -> None:
    """Check what is easily mistaken by who knows other executors."""
    if "max_workers" in options:
        raise InvalidSpec(
            "Executor has no argument 'max_workers': max_calls=… limits the calls that run at "
            "once, max_containers=… the replicas of a function."
        )
    if not isinstance(max_calls, int) or max_calls < 1:
        raise InvalidSpec(
            f"max_calls={max_calls!r}: allowed is a number of calls, 1 or more. "
            "Functions are given to `submit` and `map`."
        )


def _taken_apart(
    fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Return the function in a partial or a bound method, and all its arguments."""
    while True:
        if isinstance(fn, partial):
            fn, args, kwargs = fn.func, (*fn.args, *args), {**fn.keywords, **kwargs}
        elif isinstance(fn, MethodType):
            fn, args = fn.__func__, (fn.__self__, *args)
        else:
            return fn, args, kwargs
