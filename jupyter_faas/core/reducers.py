"""Reducers for things that pickle cannot send as they are but that can be made anew.

One table, type → reducer, read by the pickler and by the fingerprint, so that both see the same.
A cached function travels with an empty cache; weak dictionaries as what they hold; IPython's
stand-ins for builtins as the builtins.
"""

from __future__ import annotations

import builtins
import functools
import sys
import weakref
from collections.abc import Callable
from types import FunctionType, MethodType
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


def reduce_function(function: FunctionType) -> Reduced | None:
    """Return the reduction of a function that IPython puts in a builtin's place, else None."""
    module = function.__globals__.get("__name__", "")
    if module == "IPython.core.interactiveshell" and function.__name__ == "open":
        return getattr, (builtins, "open")
    if module == "IPython.core.display_functions" and function.__name__ == "display":
        return find_display, ()
    if module == "IPython.core.getipython" and function.__name__ == "get_ipython":
        return find_no_shell, ()
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


def _reduce_method(method: MethodType) -> Reduced:
    owner = type(method.__self__).__module__ or ""
    if method.__name__ == "get_ipython" and owner.startswith(("IPython.", "ipykernel.")):
        return find_no_shell, ()
    return MethodType, (method.__func__, method.__self__)


REDUCERS: dict[type, Callable[[Any], Reduced]] = {
    type(functools.lru_cache(len)): _reduce_cache,
    functools.cached_property: _reduce_cached_property,
    weakref.WeakKeyDictionary: _reduce_weak,
    weakref.WeakValueDictionary: _reduce_weak,
    MethodType: _reduce_method,
}
"""Exact types only; `functools.partial` and the like pickle by themselves."""
