"""`f.map`, `f.starmap`, `f.for_each`: a function over many inputs, each with its `.aio` twin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Never, TypeVar

from jupyter_faas.client import answers
from jupyter_faas.core.errors import InvalidSpec

if TYPE_CHECKING:
    from jupyter_faas.client.deployable import Deployable
    from jupyter_faas.client.map_aio import AsyncMapIterator
    from jupyter_faas.client.map_iterator import MapIterator
    from jupyter_faas.client.map_plan import MapPlan
    from jupyter_faas.client.map_run import MapRun

T = TypeVar("T")
R = TypeVar("R")

DEFAULTS: Mapping[str, Any] = {
    "order_outputs": True,
    "return_exceptions": False,
    "engine": "auto",
    "chunksize": "auto",
    "progress": None,
}
LATER: Mapping[str, str] = {
    "order_outputs": "`.results()` gives what is kept in input order",
    "return_exceptions": "say it to `.results(return_exceptions=True)`",
    "progress": "`.progress()` shows how it goes",
}
"""Of the arguments of `map`, those that a kept map has later; and where."""
_NONE: Mapping[str, Any] = {}


class _Face:
    """One way to map, of one function or method."""

    __slots__ = ("_handle", "_method")

    def __init__(self, handle: Deployable, method: str | None = None) -> None:
        self._handle = handle
        self._method = method

    def _plan(
        self,
        shape: str,
        inputs: tuple[Iterable[Any], ...],
        kwargs: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> MapPlan:
        from jupyter_faas.client import map_plan  # noqa: PLC0415 - only for who maps

        _check(shape, options)
        make: Callable[..., Any] = map_plan.starred if shape == "starmap" else map_plan.zipped
        return map_plan.MapPlan(
            self._handle,
            self._method,
            make(inputs[0], kwargs) if shape == "starmap" else make(inputs, kwargs),
            map_plan.total_of(inputs),
            {**DEFAULTS, **options},
            shape=shape,
            never_blocks=map_plan.are_here(inputs),
        )

    def _begin(
        self,
        begin: Callable[[MapPlan], R],
        shape: str,
        inputs: tuple[Iterable[Any], ...],
        kwargs: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> R:
        """Begin a map; its function's card ends also if that fails."""
        from jupyter_faas.client import map_plan  # noqa: PLC0415 - only for who maps

        __tracebackhide__ = True
        plan: MapPlan | None = None
        name = self._handle.name if self._method is None else f"{self._handle.name}.{self._method}"
        map_plan.refuse_awaited(f"{name}.{shape}", inputs)
        try:
            plan = self._plan(shape, inputs, kwargs, options)
            return begin(plan)
        except BaseException:
            if plan is not None:
                plan.route.left()
            raise


def _check(shape: str, options: Mapping[str, Any]) -> None:
    """Check the names of the arguments of one way to map.

    Raises:
        InvalidSpec: There is no such argument.
    """
    later = LATER if shape == "spawn_map" else _NONE
    there = [name for name in DEFAULTS if name not in later]
    for name in sorted(set(options) - set(there)):
        why = later.get(name) or f"there are kwargs, {', '.join(there)}"
        raise InvalidSpec(f"{shape} has no argument {name!r}: {why}.")


class Map(_Face, Generic[T]):
    """`f.map(xs)`: results as they stream back."""

    __slots__ = ()

    @answers.unframed
    def __call__(
        self,
        iterable: Iterable[Any],
        /,
        *iterables: Iterable[Any],
        kwargs: Mapping[str, Any] = _NONE,
        **options: Any,
    ) -> MapIterator[T]:
        """Run it over all inputs; return an iterator over the results. It starts now.

        Args:
            iterable: Inputs, also endless ones.
            *iterables: Second, third … arguments; the shortest ends it.
            kwargs: Keyword arguments of every call.
            **options: order_outputs=True: in input order, else as they come.
                return_exceptions=False: the first error in input order is raised and ends the
                rest; True: errors are results. engine="auto", "replicas" or "ray".
                chunksize="auto": items per chunk. progress=None: shown where a person watches.

        Raises:
            InvalidSpec: An option is unknown or out of range.
            FaasError: Why there is no map.
        """
        from jupyter_faas.client.map_iterator import MapIterator  # noqa: PLC0415 - who maps

        __tracebackhide__ = True
        return self._begin(MapIterator[T], "map", (iterable, *iterables), kwargs, options)

    def aio(
        self,
        iterable: Iterable[Any] | AsyncIterator[Any],
        /,
        *iterables: Iterable[Any],
        kwargs: Mapping[str, Any] = _NONE,
        **options: Any,
    ) -> AsyncMapIterator[T]:
        """Do the same for a coroutine: `async for y in f.map.aio(xs)`.

        It starts when iteration does. Leaving the loop ends the rest.
        """
        from jupyter_faas.client.map_aio import AsyncMapIterator  # noqa: PLC0415 - asyncio

        given: Any = (iterable, *iterables)
        return AsyncMapIterator(lambda: self._plan("map", given, kwargs, options))


class StarMap(_Face, Generic[T]):
    """`f.starmap(tuples)`: like `map`, each input a tuple of arguments."""

    __slots__ = ()

    @answers.unframed
    def __call__(
        self,
        tuples: Iterable[Iterable[Any]],
        /,
        *,
        kwargs: Mapping[str, Any] = _NONE,
        **options: Any,
    ) -> MapIterator[T]:
        """Run `f(*t)` for each; arguments and errors are those of `map`."""
        from jupyter_faas.client.map_iterator import MapIterator  # noqa: PLC0415 - who maps

        __tracebackhide__ = True
        return self._begin(MapIterator[T], "starmap", (tuples,), kwargs, options)

    def aio(
        self,
        tuples: Iterable[Iterable[Any]] | AsyncIterator[Iterable[Any]],
        /,
        *,
        kwargs: Mapping[str, Any] = _NONE,
        **options: Any,
    ) -> AsyncMapIterator[T]:
        """Do the same for a coroutine."""
        from jupyter_faas.client.map_aio import AsyncMapIterator  # noqa: PLC0415 - asyncio

        given: Any = (tuples,)
        return AsyncMapIterator(lambda: self._plan("starmap", given, kwargs, options))


class SpawnMap(_Face, Generic[T]):
    """`f.spawn_map(xs)`: a map that goes on without its caller."""

    __slots__ = ()

    @answers.unframed
    def __call__(
        self,
        iterable: Iterable[Any],
        /,
        *iterables: Iterable[Any],
        kwargs: Mapping[str, Any] = _NONE,
        engine: str = "auto",
        chunksize: int | str = "auto",
        **others: Never,
    ) -> MapRun[T]:
        """Begin it, and return its handle once all inputs are kept; they must end.

        An item that fails costs the others nothing: `.failed()` tells, `.retry_failed()` runs it
        again. `.results()` is told in what way they are read, `.progress()` shows how it goes.

        Args:
            iterable: Inputs.
            *iterables: Second, third … arguments; the shortest ends it.
            kwargs: Keyword arguments of every call.
            engine: "auto", "replicas" or "ray".
            chunksize: "auto", or items per chunk.
            **others: There are none.

        Raises:
            InvalidSpec: There is no such argument, or one is out of range.
            NotSerializable: An input cannot travel; nothing is kept.
            FaasError: Why there is no map.
        """
        from jupyter_faas.client.map_run import spawn  # noqa: PLC0415 - only for who maps

        __tracebackhide__ = True
        options = {"engine": engine, "chunksize": chunksize, **others}
        return self._begin(spawn, "spawn_map", (iterable, *iterables), kwargs, options)

    async def aio(
        self,
        iterable: Iterable[Any] | AsyncIterator[Any],
        /,
        *iterables: Iterable[Any],
        kwargs: Mapping[str, Any] = _NONE,
        engine: str = "auto",
        chunksize: int | str = "auto",
        **others: Never,
    ) -> MapRun[T]:
        """Do the same for a coroutine; what comes asynchronously is collected first."""
        import asyncio  # noqa: PLC0415 - half of this package's import time: only for .aio

        from jupyter_faas.client import map_plan  # noqa: PLC0415 - only for who maps

        __tracebackhide__ = True
        _check("spawn_map", others)
        given: Any = iterable
        if map_plan.is_awaited(iterable):
            given = [x async for x in given]
        return await asyncio.to_thread(
            self, given, *iterables, kwargs=kwargs, engine=engine, chunksize=chunksize
        )


class ForEach(_Face):
    """`f.for_each(xs)`: for what it does, not for what it returns."""

    __slots__ = ()

    @answers.unframed
    def __call__(
        self,
        iterable: Iterable[Any],
        /,
        *iterables: Iterable[Any],
        kwargs: Mapping[str, Any] = _NONE,
        **options: Any,
    ) -> None:
        """Run it over all inputs and wait; results stay there. Arguments are those of `map`."""
        from jupyter_faas.client.map_iterator import MapIterator  # noqa: PLC0415 - who maps

        __tracebackhide__ = True
        inputs = (iterable, *iterables)
        for _ in self._begin(MapIterator[Any], "for_each", inputs, kwargs, options):
            pass

    async def aio(
        self,
        iterable: Iterable[Any] | AsyncIterator[Any],
        /,
        *iterables: Iterable[Any],
        kwargs: Mapping[str, Any] = _NONE,
        **options: Any,
    ) -> None:
        """Do the same for a coroutine."""
        from jupyter_faas.client.map_aio import AsyncMapIterator  # noqa: PLC0415 - asyncio

        given: Any = (iterable, *iterables)
        plan = lambda: self._plan("for_each", given, kwargs, options)  # noqa: E731 - one line
        async for _ in AsyncMapIterator[Any](plan):
            pass
