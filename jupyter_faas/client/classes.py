"""A remote class: loaded once per worker, its methods called from here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from jupyter_faas.client import answers
from jupyter_faas.client.deployable import Deployable
from jupyter_faas.client.maps import ForEach, Map, SpawnMap, StarMap
from jupyter_faas.client.remote import Remote
from jupyter_faas.core.errors import UsageError
from jupyter_faas.core.model import Kind

if TYPE_CHECKING:
    from jupyter_faas.client.spawned import FunctionCall
    from jupyter_faas.client.target import Target

T = TypeVar("T")


class RemoteClass(Deployable, Generic[T]):
    """A class whose public methods also run on the platform.

    There, `__init__` runs once per worker, without arguments, before the replica is ready.
    `M()` makes an ordinary instance here; `M.predict.remote(x)` calls there.
    """

    def __init__(
        self,
        name: str,
        methods: Mapping[str, Kind],
        *,
        target: Target | None = None,
        local: type[T] | None = None,
        revision: int | None = None,
        wait_s: float | None = None,
    ) -> None:
        super().__init__(name, target=target, revision=revision, wait_s=wait_s)
        self._methods = dict(methods)
        self._local = local
        self._instance: T | None = None
        if local is not None:
            functools.update_wrapper(self, local, updated=())
        self._faces = {method: RemoteMethod(self, method, kind) for method, kind in methods.items()}

    def __call__(self, /, *args: Any, **kwargs: Any) -> T:
        """Make an instance here; nothing of it is remote."""
        return self._class()(*args, **kwargs)

    def __getattr__(self, name: str) -> RemoteMethod:
        face = self.__dict__.get("_faces", {}).get(name)
        if face is None:
            local = self.__dict__.get("_local")
            if local is not None and hasattr(local, name):
                return getattr(local, name)  # type: ignore[no-any-return]
            methods = ", ".join(self.__dict__.get("_methods", ()))
            raise AttributeError(f"{self.__dict__.get('_name')} has no {name!r}; it has {methods}.")
        return face  # type: ignore[no-any-return]  # - made for this class

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._methods]

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._class())

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        return (self._class(),)

    def local_instance(self) -> T:
        """Return the one instance that `.local` calls use here; made at the first."""
        if self._instance is None:
            self._instance = self._class()()
        return self._instance

    def kind_of(self, method: str | None) -> Kind:
        """Return what calling a method gives."""
        return self._methods[method or ""]

    def __faas_handle__(self) -> Any:
        """Return what travels in this object's place when another function captures it."""
        return self.__reduce__()

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild_class, (self.name, self._methods, self._local, self._revision))

    def _class(self) -> type[T]:
        if self._local is None:
            raise UsageError(f"{self.name} was looked up by name, its code is not here.")
        return self._local


class RemoteMethod:
    """One method of a remote class: `M.predict`.

    Attributes:
        remote: Calls it there: `M.predict.remote(x)`.
    """

    def __init__(self, owner: RemoteClass[Any], method: str, kind: Kind) -> None:
        self.remote: Remote[..., Any, Any] = Remote(owner, kind, method)
        self.map: Map[Any] = Map(owner, method)
        self.starmap: StarMap[Any] = StarMap(owner, method)
        self.for_each = ForEach(owner, method)
        self.spawn_map: SpawnMap[Any] = SpawnMap(owner, method)
        self._owner = owner
        self._method = method

    def __call__(self, instance: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call the plain method of an instance made here: `M.predict(m, x)`."""
        function: Callable[..., Any] = getattr(self._owner._class(), self._method)
        return function(instance, *args, **kwargs)

    def local(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call it here, on an instance that is made at the first such call."""
        return getattr(self._owner.local_instance(), self._method)(*args, **kwargs)

    @answers.unframed
    def spawn(self, /, *args: Any, **kwargs: Any) -> FunctionCall[Any]:
        """Have it run there and go on here; the returned handle gets the result, also later."""
        __tracebackhide__ = True
        from jupyter_faas.client import spawned  # noqa: PLC0415 - only for who spawns

        return spawned.spawn(self._owner.route(), self._method, args, kwargs)

    def __repr__(self) -> str:
        return f"<{self._owner.name}.{self._method}>"


def _rebuild_class(
    name: str, methods: dict[str, Kind], local: type | None, revision: int | None
) -> RemoteClass[Any]:
    return RemoteClass(name, methods, local=local, revision=revision)
