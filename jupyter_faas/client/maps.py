"""`f.map`, `f.starmap`, `f.for_each`: a function over many inputs, each with its `.aio` twin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

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

        unknown = sorted(set(options) - set(DEFAULTS))
        if unknown:
            raise InvalidSpec(
                f"{shape} has no argument {unknown[0]!r}: there are kwargs, {', '.join(DEFAULTS)}."
            )
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
        __tracebackhide__ = True
        plan: MapPlan | None = None
        try:
            plan = self._plan(shape, inputs, kwargs, options)
            return begin(plan)
        except BaseException:
            if plan is not None:
                plan.route.left()
            raise


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
        tuples: Iterable[Iterable[Any]],
        /,
        *,
        kwargs: Mapping[str, Any] = _NONE,
        **options: Any,
    ) -> AsyncMapIterator[T]:
        """Do the same for a coroutine."""
        from jupyter_faas.client.map_aio import AsyncMapIterator  # noqa: PLC0415 - asyncio

        return AsyncMapIterator(lambda: self._plan("starmap", (tuples,), kwargs, options))


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
        **options: Any,
    ) -> MapRun[T]:
        """Begin it, and return its handle once all inputs are kept; they must end.

        An item that fails costs the others nothing: `.failed()` tells, `.retry_failed()` runs it
        again. Of the options of `map` it knows engine and chunksize.

        Raises:
            NotSerializable: An input cannot travel; nothing is kept.
            FaasError: Why there is no map.
        """
        from jupyter_faas.client.map_run import spawn  # noqa: PLC0415 - only for who maps

        __tracebackhide__ = True
        return self._begin(spawn, "spawn_map", (iterable, *iterables), kwargs, options)

    async def aio(
        self,
        iterable: Iterable[Any],
        /,
        *iterables: Iterable[Any],
        kwargs: Mapping[str, Any] = _NONE,
        **options: Any,
    ) -> MapRun[T]:
        """Do the same for a coroutine."""
        import asyncio  # noqa: PLC0415 - half of this package's import time: only for .aio

        return await asyncio.to_thread(self, iterable, *iterables, kwargs=kwargs, **options)


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
