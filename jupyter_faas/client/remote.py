"""`.remote`: calling a handle over there, from a thread or from a coroutine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast

from jupyter_faas.client import answers, invoke
from jupyter_faas.core.model import Kind

if TYPE_CHECKING:
    from jupyter_faas.client.deployable import Deployable

P = ParamSpec("P")
S = TypeVar("S")
A = TypeVar("A")

_STREAMS = (Kind.GENERATOR, Kind.ASYNC_GENERATOR)


class Remote(Generic[P, S, A]):
    """Calls a function, or one method of a class, on the platform.

    Args:
        handle: Deploys what must be deployed and knows the way.
        kind: Whether there is one result or a stream of items.
        method: Of a class; None: the function itself.
    """

    __slots__ = ("_handle", "_is_stream", "_method")

    def __init__(self, handle: Deployable, kind: Kind, method: str | None = None) -> None:
        self._handle = handle
        self._is_stream = kind in _STREAMS
        self._method = method

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> S:
        """Run it there and wait: the result, or for a generator an iterator over its items.

        Deploys first if this code is not deployed. Raises what the function raises, or a
        `FaasError` that says why there is no result.
        """
        __tracebackhide__ = True
        run = invoke.stream if self._is_stream else invoke.call
        try:
            return cast(S, run(self._handle.route(), self._method, args, kwargs))
        except BaseException as error:
            answers.without_frames(error)
            raise

    def aio(self, /, *args: P.args, **kwargs: P.kwargs) -> A:
        """Do the same for a coroutine: `await f.remote.aio(x)`, `async for y in f.remote.aio(x)`.

        A task that is cancelled cancels its call.
        """
        # asyncio is half of this package's import time: only for who uses it
        from jupyter_faas.client import invoke_aio  # noqa: PLC0415 - asyncio, first .aio only

        run: Any = invoke_aio.stream if self._is_stream else invoke_aio.call
        return cast(A, run(self._handle, self._method, args, kwargs))

    def __repr__(self) -> str:
        method = f".{self._method}" if self._method else ""
        return f"<{self._handle.name}{method}.remote>"
