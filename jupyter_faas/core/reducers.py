"""Reducers for things that pickle cannot send as they are but that can be made anew.

One table, type → reducer, read by the pickler and by the fingerprint, so that both see the same.
A cached function travels with an empty cache; weak dictionaries as what they hold; IPython's
stand-ins for builtins as the builtins; the generator that a library draws from as that of the
library there; exceptions without a second run of their `__init__`.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import sys
import weakref
from collections.abc import Callable
from types import (
    FunctionType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

from jupyter_faas.core.references import importable_name

Reduced = str | tuple[Any, ...]


def rebuild_cache(function: Callable[..., Any], maxsize: int | None, typed: bool) -> Any:
    """Return `function` behind an empty cache."""
    return functools.lru_cache(maxsize=maxsize, typed=typed)(function)


def rebuild_cached_property(function: Callable[..., Any], name: str | None) -> Any:
    """Return a `cached_property` that knows its name: `__set_name__` is not run again."""
    made: Any = functools.cached_property(function)
    made.attrname = name
    return made


def rebuild_weak(kind: type, items: list[tuple[Any, Any]]) -> Any:
    """Return a weak dictionary of `kind` with `items`."""
    return kind(items)


def rebuild_exception(kind: type[BaseException], arguments: tuple[Any, ...]) -> BaseException:
    """Return an exception of `kind` with `args`, made by the built-in type under it alone."""
    made: BaseException = kind.__new__(kind, *arguments)
    for base in kind.__mro__:
        if type(vars(base).get("__init__")) is WrapperDescriptorType:
            base.__init__(made, *arguments)  # type: ignore[misc]
            break
    return made


def reduce_exception(exc: BaseException) -> tuple[Any, ...] | None:
    """Return the reduction of an exception whose class has an `__init__` in Python, else None.

    `BaseException.__reduce__` calls the class with `args`, which are what `__init__` gave to
    `super().__init__`, rarely what it takes itself. None also where the class says in Python how
    it is pickled.
    """
    kind = type(exc)
    is_plain = type(kind.__reduce__) is MethodDescriptorType and (
        kind.__reduce_ex__ is object.__reduce_ex__
    )
    if not is_plain or type(kind.__init__) is not FunctionType:
        return None
    reduced = exc.__reduce__()
    assert isinstance(reduced, tuple)
    make, arguments, *state = reduced
    return (rebuild_exception, (make, arguments), *state) if make is kind else None


def find_generator(module: str, name: str) -> Any:
    """Return the generator that the functions of `random` or `numpy.random` share here."""
    return getattr(importlib.import_module(module), name)


def find_display() -> Any:
    """Return what `display` is here: the runner's, IPython's if it is loaded, else `print`."""
    found = getattr(builtins, "display", None)
    if found is None and "IPython" in sys.modules:
        found = getattr(sys.modules["IPython"], "display", None)
        found = getattr(found, "display", found)
    return found or print


def no_shell() -> None:
    """Stand in for `get_ipython`: a replica has no IPython shell."""
    return None


def find_no_shell() -> Any:
    """Return the stand-in for `get_ipython`."""
    return no_shell


def stand_in(value: Any) -> tuple[Any, ...] | None:
    """Return the reduction of what stands in another thing's place; None for all else.

    A module of a class of its own (a lazy one, this very package) goes by its name, as others do.

    `open`, `exit`, `quit`, `display` and `get_ipython` of a notebook become the builtins, the
    runner's `display`, and a `get_ipython` that gives None, as it does outside of IPython.

    The generator behind `random.random` and `numpy.random.rand` is found anew: with its state, all
    replicas would draw the same numbers, as `from numpy.random import rand` captures its method.
    """
    kind = type(value)
    if (where := GENERATORS.get(kind.__name__)) is not None:
        is_shared = kind.__module__ == where[0] and find_generator(*where) is value
        return (find_generator, where) if is_shared else None
    if kind is FunctionType:
        return _STAND_INS.get((value.__globals__.get("__name__"), value.__name__))
    if kind is MethodType and value.__name__ == "get_ipython":
        owner = type(value.__self__).__module__ or ""
        return (find_no_shell, ()) if owner.startswith(("IPython.", "ipykernel.")) else None
    if kind.__module__ == "IPython.core.autocall":
        return getattr, (sys, "exit")
    if kind is not ModuleType and issubclass(kind, ModuleType):
        name = value.__name__
        return (importlib.import_module, (name,)) if sys.modules.get(name) is value else None
    return None


def _reduce_cache(cached: Any) -> Reduced:
    if importable_name(cached) is not None:
        return str(cached.__qualname__)
    parameters = cached.cache_parameters()
    return rebuild_cache, (cached.__wrapped__, parameters["maxsize"], parameters["typed"])


def _reduce_cached_property(one: Any) -> Reduced:
    return rebuild_cached_property, (one.func, one.attrname)


def _reduce_weak(one: Any) -> Reduced:
    return rebuild_weak, (type(one), list(one.items()))


_STAND_INS: dict[tuple[Any, str], tuple[Any, ...]] = {
    ("IPython.core.interactiveshell", "_modified_open"): (getattr, (builtins, "open")),
    ("IPython.core.interactiveshell", "open"): (getattr, (builtins, "open")),
    ("IPython.core.display_functions", "display"): (find_display, ()),
    ("IPython.core.getipython", "get_ipython"): (find_no_shell, ()),
}

GENERATORS = {
    "Random": ("random", "_inst"),
    "RandomState": ("numpy.random.mtrand", "_rand"),
}
"""Where the one that is shared is found, by the name of its type."""

REDUCERS: dict[type, Callable[[Any], Reduced]] = {
    type(functools.lru_cache(len)): _reduce_cache,
    functools.cached_property: _reduce_cached_property,
    weakref.WeakKeyDictionary: _reduce_weak,
    weakref.WeakValueDictionary: _reduce_weak,
}
"""Exact types only; `functools.partial` and the like pickle by themselves."""
