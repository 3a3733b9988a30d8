"""Whether values are what they were: by content, as far as that is quick.

Used by `watch.py` only. Up to 64 KiB are compared, functions, classes and modules in them by
identity; larger values have no content here.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from jupyter_faas.core.pickling import dispatch_table
from jupyter_faas.core.reducers import stand_in
from jupyter_faas.core.references import is_by_value
from jupyter_faas.core.walk import ATOMS

SMALL_BYTES = 64 * 1024


class _TooLarge(Exception):
    """The content is larger than is compared by value."""


def content_of(value: Any, met: Callable[[Any], None] | None = None) -> bytes:
    """Return what a value holds, for comparing; `met` is told of definitions in it.

    Raises:
        Exception: It is too large, or cannot be pickled.
    """
    if type(value) is dict and len(value) < 32 and _is_flat(value):
        return repr(value).encode("utf-8", "surrogatepass")  # three times as fast
    sink = _Limited()
    _ContentPickler(sink, met).dump(value)
    return b"".join(sink.chunks)


def is_same(now: Any, then: Any, content: bytes | None) -> bool:
    """Return whether a name means what it meant: the same value, or one that is made the same.

    Args:
        now: What it holds.
        then: What it held.
        content: Of `then`, as it was; None: it has none.
    """
    if content is not None:
        try:
            return content_of(now) == content
        except Exception:
            return False
    return now is then or is_equal(now, then) or _is_same_definition(now, then)


def is_equal(now: Any, then: Any) -> bool:
    """Return whether two plain values are the same."""
    kind = type(now)
    return kind is type(then) and kind in ATOMS and now == then


def _is_same_definition(now: Any, then: Any) -> bool:
    now, then = getattr(now, "__wrapped__", now), getattr(then, "__wrapped__", then)
    if isinstance(now, FunctionType) and isinstance(then, FunctionType):
        return now.__code__ == then.__code__ and _are_equal(
            (now.__defaults__, now.__kwdefaults__), (then.__defaults__, then.__kwdefaults__)
        )
    if isinstance(now, type) and isinstance(then, type):
        return _is_same_class(now, then)
    return False


def _is_same_class(now: type, then: type) -> bool:
    if now is then:
        return True
    mine, theirs = _written(now), _written(then)
    return mine.keys() == theirs.keys() and all(
        _is_same_definition(value, theirs[name]) or _are_equal(value, theirs[name])
        for name, value in mine.items()
    )


def _written(cls: type) -> dict[str, Any]:
    """Return what the body of a class has, methods without their wrapping."""
    found = {}
    for name, value in vars(cls).items():
        inner = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
        if not name.startswith("__") or isinstance(inner, FunctionType):
            found[name] = inner
    return found


def _are_equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except Exception:
        return False


class _Limited:
    """A sink that gives up when more comes than is compared by value."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self._left = SMALL_BYTES

    def write(self, chunk: Any, /) -> None:
        self._left -= memoryview(chunk).nbytes
        if self._left < 0:
            raise _TooLarge
        self.chunks.append(bytes(chunk))


class _ContentPickler(pickle.Pickler):
    """Pickles the content of values; functions, classes and modules in them by identity."""

    def __init__(self, sink: _Limited, met: Callable[[Any], None] | None) -> None:
        self.dispatch_table = dispatch_table()
        super().__init__(sink, 5)
        self._met = met

    def reducer_override(self, value: Any) -> Any:
        """Reduce definitions to their id."""
        if isinstance(value, FunctionType | type):
            if not is_by_value(value):
                return NotImplemented
        elif not isinstance(value, ModuleType):
            return stand_in(value) or NotImplemented
        if self._met is not None:
            self._met(value)
        return _token, (id(value),)


def _token(identity: int) -> int:
    """Stand for a definition in the content of a value."""
    return identity


def _is_flat(value: dict[Any, Any]) -> bool:
    return ATOMS.issuperset(map(type, value.values())) and ATOMS.issuperset(map(type, value))
