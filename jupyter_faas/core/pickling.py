"""The pickler and unpickler under payloads and packages.

Functions and classes that another process cannot import go by value; everything else as pickle
does it. Classes are made and found through a `ClassTable`. Large `bytes` and buffers are handed
to `write` or to the buffer callback as they are, never joined.
"""

from __future__ import annotations

import copyreg
import functools
import io
import pickle
from collections.abc import Callable, Iterable
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any, Protocol

import cloudpickle

from jupyter_faas.core import functions
from jupyter_faas.core.classes import ClassTable
from jupyter_faas.core.reducers import GENERATORS, REDUCERS, reduce_exception, stand_in
from jupyter_faas.core.references import home_module, is_by_value

PROTOCOL = 5
_SMALL_READ = 256 * 1024

BufferCallback = Callable[[pickle.PickleBuffer], Any]
ClassReducer = Callable[[type], Any]


Reducers = dict[type, Callable[[Any], Any]]


def dispatch_table() -> Reducers:
    """Return reducers by exact type: ours, cloudpickle's, and what libraries have registered.

    One plain dict: pickle asks it for every object, and a `ChainMap` takes 4 µs to say no.
    """
    return _dispatch_table(tuple(copyreg.dispatch_table.values()))


@functools.lru_cache(maxsize=4)
def _dispatch_table(_registered: tuple[Any, ...]) -> Reducers:
    return {
        **copyreg.dispatch_table,
        **cloudpickle.Pickler.dispatch_table,
        **REDUCERS,
        CellType: functions.reduce_cell,
        CodeType: functions.reduce_code,
    }


class Sink(Protocol):
    """Where a pickler writes."""

    def write(self, chunk: Any, /) -> Any:
        """Take a chunk; it is not changed afterwards."""


class ByValuePickler(cloudpickle.Pickler):  # type: ignore[misc]  # - cloudpickle has no types
    """Pickles what a notebook defines by value.

    Args:
        sink: Gets the bytes.
        reduce_class: Reduction of a class that must go by value.
        buffer_callback: As in `pickle.Pickler`.
        seen: Called with each object that is no plain value, before it is pickled.
    """

    def __init__(
        self,
        sink: Sink,
        reduce_class: ClassReducer,
        buffer_callback: BufferCallback | None = None,
        seen: Callable[[Any], None] | None = None,
    ) -> None:
        self.dispatch_table = dispatch_table()
        super().__init__(sink, protocol=PROTOCOL, buffer_callback=buffer_callback)
        self._reduce_class = reduce_class
        self._seen = seen
        self._ordinary: set[type] = set()
        self._scopes: dict[int, dict[str, Any]] = {}

    def reducer_override(self, obj: Any) -> Any:
        """Return the reduction of functions and classes; called for all but plain values."""
        kind = type(obj)
        if kind in self._ordinary:
            return NotImplemented
        reduced = stand_in(obj)
        if reduced is not None:
            return reduced
        if self._seen is not None:
            self._seen(obj)
        if kind is FunctionType:
            return self._reduce_function(obj)
        if issubclass(kind, type):
            return self._reduce_type(obj)
        if issubclass(kind, BaseException):
            return reduce_exception(obj) or NotImplemented
        if self._seen is None and kind is not MethodType and kind.__name__ not in GENERATORS:
            self._ordinary.add(kind)
        return NotImplemented

    def _reduce_type(self, cls: type) -> Any:
        if cls.__module__ not in ("builtins", "types") and is_by_value(cls):
            return self._reduce_class(cls)
        return super().reducer_override(cls)

    def _reduce_function(self, function: FunctionType) -> Any:
        if not is_by_value(function):
            return NotImplemented
        home = home_module(function)
        scope: Any = home.__name__ if home is not None else self._scope(function)
        args = (function.__code__, scope, function.__closure__)
        return functions.make, args, functions.state_of(function), None, None, functions.fill

    def _scope(self, function: FunctionType) -> dict[str, Any]:
        key = id(function.__globals__)
        if key not in self._scopes:
            self._scopes[key] = functions.scope_of(function)
        return self._scopes[key]


class TableUnpickler(pickle.Unpickler):
    """Loads what `ByValuePickler` wrote; classes come from a `ClassTable`.

    Args:
        source: A file of the pickle.
        table: Resolves classes of notebooks.
        buffers: Out-of-band buffers.
        scope: Becomes the globals of the notebook's functions; None: a dict of their own.
    """

    def __init__(
        self,
        source: Any,
        table: ClassTable,
        buffers: Iterable[Any] | None = None,
        scope: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(source, buffers=buffers)
        self._table = table
        self._scope = scope

    def find_class(self, module: str, name: str) -> Any:
        """Return a global; what `core.classdata` defines works on the table of this unpickler."""
        found = super().find_class(module, name)
        if module == CLASS_MODULE:
            return functools.partial(found, self._table)
        if found is functions.make and self._scope is not None:
            return functools.partial(functions.make_in, self._scope)
        return found


CLASS_MODULE = "jupyter_faas.core.classdata"


class Chunks(list[Any]):
    """A sink that keeps chunks; large `bytes` stay the caller's own objects."""

    __slots__ = ()

    def write(self, chunk: Any, /) -> None:
        """Keep a chunk."""
        self.append(chunk)


class ViewReader:
    """A file over a buffer that never copies more than is asked for."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._at = 0

    def read(self, count: int = -1, /) -> bytes:
        """Return the next `count` bytes."""
        end = len(self._view) if count < 0 else self._at + count
        chunk = bytes(self._view[self._at : end])
        self._at += len(chunk)
        return chunk

    def readinto(self, target: Any, /) -> int:
        """Fill `target`; return how many bytes there were."""
        into = memoryview(target).cast("B")
        chunk = self._view[self._at : self._at + len(into)]
        into[: len(chunk)] = chunk
        self._at += len(chunk)
        return len(chunk)

    def readline(self) -> bytes:
        """Return the next line (only protocol 0 has lines)."""
        rest = bytes(self._view[self._at :])
        line = rest[: rest.find(b"\n") + 1 or len(rest)]
        self._at += len(line)
        return line


def reader(view: memoryview) -> Any:
    """Return a file to unpickle `view` from."""
    return io.BytesIO(view) if view.nbytes <= _SMALL_READ else ViewReader(view)
