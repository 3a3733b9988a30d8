"""`@serverless`: makes a remote function of a function, and does nothing else.

No network, no pickling: what decorating costs is a look at the arguments.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, ParamSpec, Protocol, TypeVar, Unpack, overload

from jupyter_faas.client import answers
from jupyter_faas.client.classes import RemoteClass
from jupyter_faas.client.function import RemoteFunction
from jupyter_faas.client.iterators import RemoteAsyncIterator, RemoteIterator
from jupyter_faas.client.options import DEFAULTS, Arguments
from jupyter_faas.client.session import session
from jupyter_faas.client.target import Target, make_target

P = ParamSpec("P")
T = TypeVar("T")
Plain = RemoteFunction[P, T, T, Coroutine[Any, Any, T]]
Awaited = RemoteFunction[P, Coroutine[Any, Any, T], T, Coroutine[Any, Any, T]]
Items = RemoteFunction[P, Iterator[T], RemoteIterator[T], RemoteAsyncIterator[T]]
AsyncItems = RemoteFunction[P, AsyncIterator[T], RemoteIterator[T], RemoteAsyncIterator[T]]


class Decorator(Protocol):
    """What `@serverless(...)` returns: goes above a function or a class."""

    @overload
    def __call__(self, code: type[T], /) -> RemoteClass[T]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, code: Callable[P, Coroutine[Any, Any, T]], /) -> Awaited[P, T]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # - a class is callable too
        self, code: Callable[P, AsyncIterator[T]], /
    ) -> AsyncItems[P, T]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # - a class is callable too
        self, code: Callable[P, Iterator[T]], /
    ) -> Items[P, T]: ...
    @overload
    def __call__(self, code: Callable[P, T], /) -> Plain[P, T]: ...


@overload
def serverless(code: type[T], /) -> RemoteClass[T]: ...  # type: ignore[overload-overlap]
@overload
def serverless(code: Callable[P, Coroutine[Any, Any, T]], /) -> Awaited[P, T]: ...
@overload
def serverless(  # type: ignore[overload-overlap]  # - a class is callable too
    code: Callable[P, AsyncIterator[T]], /
) -> AsyncItems[P, T]: ...
@overload
def serverless(  # type: ignore[overload-overlap]  # - a class is callable too
    code: Callable[P, Iterator[T]], /
) -> Items[P, T]: ...
@overload
def serverless(code: Callable[P, T], /) -> Plain[P, T]: ...
@overload
def serverless(**arguments: Unpack[Arguments]) -> Decorator: ...
@answers.unframed
def serverless(code: Any = None, /, **arguments: Any) -> Any:
    """Make a function or class callable on the platform too.

    `f(x)` runs here as before; `f.remote(x)` runs there and deploys first if this code is not
    deployed. On a class, public methods are remote: `M.predict.remote(x)`.

    Args:
        code: The function or class; None: `@serverless(...)` with arguments.
        **arguments: name, min_containers, max_containers, memory …: limits, time-outs and
            surroundings of a replica; the signature lists them with their defaults.

    Raises:
        InvalidSpec: An argument is unknown or out of range, at the decorator's line.
    """
    __tracebackhide__ = True
    if code is not None:
        return _handle(make_target(code, arguments, session.cell()))
    # Checked now: the mistake is in this line, not where the function is defined.
    make_target(_example, arguments)
    return answers.unframed(lambda code: _handle(make_target(code, arguments, session.cell())))


def _handle(target: Target) -> Any:
    if isinstance(target.code, type):
        return RemoteClass(target.name, target.methods, target=target, local=target.code)
    return RemoteFunction(target.name, target.kind, target=target, local=target.code)


def _example() -> None:
    """Stand in for the function that is not there yet."""


serverless.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        inspect.Parameter("code", inspect.Parameter.POSITIONAL_ONLY, default=None),
        *(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
            for name, default in DEFAULTS.items()
        ),
    ]
)
