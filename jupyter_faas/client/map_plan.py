"""What one map is to do: its function, its inputs as calls, its options checked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sized
from typing import TYPE_CHECKING, Any

from jupyter_faas.client import answers
from jupyter_faas.client.map_left import Left
from jupyter_faas.client.map_progress import MapProgress
from jupyter_faas.client.session import session
from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.core.mapping import ENGINES, MapOrder
from jupyter_faas.core.model import Kind

if TYPE_CHECKING:
    from jupyter_faas.client.deployable import Deployable

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class MapPlan:
    """One map, made where it is called: its prints and its bar belong to that cell.

    Args:
        handle: The function or class.
        method: Of a class.
        calls: Makes an iterator over the arguments of each item.
        total: Number of items; None: not known.
        options: `order_outputs`, `return_exceptions`, `engine`, `chunksize`, `progress`.
        shape: `map`; `for_each`: only errors come back; `spawn_map`: it outlasts its caller.
        never_blocks: The inputs are there already.

    Raises:
        InvalidSpec: An option is out of range, or the function yields.
    """

    def __init__(
        self,
        handle: Deployable,
        method: str | None,
        calls: Callable[[], Any],
        total: int | None,
        options: Mapping[str, Any],
        *,
        shape: str = "map",
        never_blocks: bool = False,
    ) -> None:
        if handle.kind_of(method) in (Kind.GENERATOR, Kind.ASYNC_GENERATOR):
            raise InvalidSpec(f"`{handle.name}` yields: a map needs a function that returns.")
        wants_results = shape != "for_each"
        self.name = handle.name if method is None else f"{handle.name}.{method}"
        self.returns_exceptions = bool(options["return_exceptions"])
        self.order = MapOrder(
            function=handle.name,
            method=method,
            is_ordered=bool(options["order_outputs"]) and wants_results,
            stops_at_error=not self.returns_exceptions,
            wants_results=wants_results,
            engine=_engine(options["engine"]),
            chunk_size=_chunk_size(options["chunksize"]),
            total=total,
            is_kept=shape == "spawn_map",
        )
        self.output = session.output.bind()
        self.progress = MapProgress(f"{self.name}.map", session.monotonic_s, total=total)
        # Of a kept map the gateway's side has the inputs: nothing is held here.
        self.left = Left(self.progress.name, 1 if self.order.is_kept else handle.map_tries)
        self._display = session.map_display()
        self._wants_display = options["progress"]
        self.is_silent = options["progress"] is False
        self.calls = calls()
        self.never_blocks = never_blocks
        self.handle = handle
        self.route = handle.route()

    def show(self) -> None:
        """Begin to show how it goes."""
        self.progress.begin(self._display, self._wants_display)


def total_of(iterables: tuple[Iterable[Any], ...]) -> int | None:
    """Return how many items there will be, if each of the inputs knows its length or one does."""
    lengths = [len(one) for one in iterables if isinstance(one, Sized)]
    return min(lengths) if len(lengths) == len(iterables) and lengths else None


def are_here(iterables: tuple[Iterable[Any], ...]) -> bool:
    """Return whether taking from these never waits for anything."""
    return all(type(one) in (list, tuple, range) for one in iterables)


def is_awaited(inputs: Any) -> bool:
    """Return whether inputs come only by awaiting them."""
    return hasattr(inputs, "__aiter__") and not hasattr(inputs, "__iter__")


def refuse_awaited(call: str, iterables: tuple[Iterable[Any], ...]) -> None:
    """Refuse inputs that would have to be awaited, where nothing can be.

    Raises:
        InvalidSpec: There are some.
    """
    for one in filter(is_awaited, iterables):
        raise InvalidSpec(
            f"{call} cannot await its inputs, and {type(one).__name__} is asynchronous: call "
            f"{call}.aio in a coroutine."
        )


def zipped(iterables: tuple[Iterable[Any], ...], kwargs: Mapping[str, Any]) -> Callable[[], Any]:
    """Return what makes the calls of `map`: one argument from each iterable.

    Of one asynchronous iterable (for `.aio`) they come asynchronously too.

    Raises:
        InvalidSpec: An asynchronous one is among several.
    """
    named = dict(kwargs)
    only: Any = iterables[0]
    if len(iterables) == 1 and is_awaited(only):
        return lambda: _awaited(only, named, lambda one: (one,))
    if any(map(is_awaited, iterables)):
        raise InvalidSpec(
            "An asynchronous iterable must be the only one: let it yield tuples of arguments, for "
            "`starmap.aio`."
        )
    inputs = tuple(map(_iterator, iterables))  # here: it is the caller's mistake now
    return lambda: ((args, named) for args in zip(*inputs, strict=False))


async def _awaited(
    inputs: Any, named: dict[str, Any], arguments: Callable[[Any], tuple[Any, ...]]
) -> AsyncIterator[Arguments]:
    async for one in inputs:
        yield arguments(one), named


def starred(tuples: Iterable[Iterable[Any]], kwargs: Mapping[str, Any]) -> Callable[[], Any]:
    """Return what makes the calls of `starmap`: each item is a tuple of arguments."""
    named = dict(kwargs)
    if is_awaited(tuples):
        return lambda: _awaited(tuples, named, tuple)
    inputs = _iterator(tuples)
    return lambda: ((_arguments(number, args), named) for number, args in enumerate(inputs))


def _iterator(inputs: Iterable[Any]) -> Iterator[Any]:
    try:
        return iter(inputs)
    except TypeError:
        error = TypeError(f"a map goes over iterables, and {type(inputs).__name__} is none.")
    answers.throw(error)


def _arguments(number: int, args: Iterable[Any]) -> tuple[Any, ...]:
    try:
        return tuple(args)
    except TypeError:
        what = f"item {number} is no tuple of arguments but {type(args).__name__}"
        error = TypeError(f"starmap: {what}. map takes single arguments.")
    answers.throw(error)


def _engine(engine: Any) -> str:
    if engine not in ENGINES:
        raise InvalidSpec(f"engine={engine!r}: allowed is one of {', '.join(map(repr, ENGINES))}.")
    return str(engine)


def _chunk_size(size: Any) -> int:
    if size == "auto":
        return 0
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise InvalidSpec(f"chunksize={size!r}: allowed is 'auto' or a number of items, 1 or more.")
    return size
