"""A remote function: the object that stands under a decorated function's name."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, TypeVar

from jupyter_faas.client import answers
from jupyter_faas.client.deployable import Deployable
from jupyter_faas.client.maps import ForEach, Map, SpawnMap, StarMap
from jupyter_faas.client.remote import Remote
from jupyter_faas.core.errors import UsageError
from jupyter_faas.core.model import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_faas.client.spawned import FunctionCall
    from jupyter_faas.client.target import Target

P = ParamSpec("P")
L = TypeVar("L")
"""What the plain call returns here."""
S = TypeVar("S")
"""What `.remote()` returns."""
A = TypeVar("A")
"""What `.remote.aio()` returns."""


class RemoteFunction(Deployable, Generic[P, L, S, A]):
    """A function that also runs on the platform.

    `f(x)` runs here, `f.remote(x)` there. Made by `@serverless` or `faas.function(name)`.

    Attributes:
        remote: Calls it there: `f.remote(x)`, `await f.remote.aio(x)`.
        map: Over many inputs: `for y in f.map(xs)`; also `starmap` and `for_each`.
    """

    remote: Remote[P, S, A]

    def __init__(
        self,
        name: str,
        kind: Kind,
        *,
        target: Target | None = None,
        local: Callable[P, L] | None = None,
        revision: int | None = None,
        wait_s: float | None = None,
    ) -> None:
        super().__init__(name, target=target, revision=revision, wait_s=wait_s)
        self.kind = kind
        self._local = local
        if local is not None:
            functools.update_wrapper(self, local)
            if kind is Kind.ASYNC and hasattr(inspect, "markcoroutinefunction"):
                inspect.markcoroutinefunction(self)
        self.remote = Remote(self, kind)
        self.map: Map[S] = Map(self)
        self.starmap: StarMap[S] = StarMap(self)
        self.for_each = ForEach(self)
        self.spawn_map: SpawnMap[S] = SpawnMap(self)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> L:
        """Run it here, unchanged."""
        __tracebackhide__ = True
        if self._local is None:
            _no_local_code(self.name)
        return self._local(*args, **kwargs)

    def local(self, /, *args: P.args, **kwargs: P.kwargs) -> L:
        """Run it here; the same as calling it."""
        __tracebackhide__ = True
        return self(*args, **kwargs)

    @answers.unframed
    def spawn(self, /, *args: P.args, **kwargs: P.kwargs) -> FunctionCall[S]:
        """Have it run there and go on here; the returned handle gets the result, also later.

        Raises:
            NotSerializable: An argument cannot be pickled; nothing was sent.
            FaasError: The gateway's reason why it does not keep the call.
        """
        __tracebackhide__ = True
        from jupyter_faas.client import spawned  # noqa: PLC0415 - only for who spawns

        return spawned.spawn(self.route(), None, args, kwargs)

    def kind_of(self, _method: str | None = None) -> Kind:
        """Return what calling it gives."""
        return self.kind

    def __faas_handle__(self) -> Any:
        """Return what travels in this object's place when another function captures it."""
        return self.__reduce__()

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild_function, (self.name, self.kind, self._local, self._revision))


def _rebuild_function(
    name: str, kind: Kind, local: Callable[..., Any] | None, revision: int | None
) -> RemoteFunction[..., Any, Any, Any]:
    return RemoteFunction(name, kind, local=local, revision=revision)


def _no_local_code(name: str) -> NoReturn:
    raise UsageError(f"{name} was looked up by name, its code is not here: {name}.remote(…).")
