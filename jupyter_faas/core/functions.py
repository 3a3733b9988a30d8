"""What defines a function that must travel by value, taken apart and put together again.

Functions of one notebook share one globals dict in the other process, which holds what any of
them uses. A function made inside a module's function (a decorator's wrapper) keeps that module's
own globals: they are not copied, so that locks, caches and classes of the module stay what they
are.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from jupyter_faas.core.references import attribute_names, global_names, home_module

_SCOPE_NAMES = ("__name__", "__package__", "__file__", "__path__")


class FunctionState(NamedTuple):
    """What is set on a function after its creation, so that it may refer to itself."""

    attributes: dict[str, Any]
    own_dict: dict[str, Any]
    captured: dict[str, Any]
    submodules: tuple[str, ...]


def captured_globals(function: FunctionType) -> dict[str, Any]:
    """Return the globals a notebook's function uses, by name; those of a module stay there."""
    if home_module(function) is not None:
        return {}
    scope = function.__globals__
    return {name: scope[name] for name in global_names(function.__code__) if name in scope}


def scope_of(function: FunctionType) -> dict[str, Any]:
    """Return what a fresh globals dict of the function's notebook starts with."""
    return {
        name: function.__globals__[name] for name in _SCOPE_NAMES if name in function.__globals__
    }


def state_of(function: FunctionType) -> FunctionState:
    """Return everything of a function but its code and its scope."""
    captured = captured_globals(function)
    attributes = {
        "__name__": function.__name__,
        "__qualname__": function.__qualname__,
        "__module__": function.__module__,
        "__doc__": function.__doc__,
        "__defaults__": function.__defaults__,
        "__kwdefaults__": function.__kwdefaults__,
        "__annotations__": function.__annotations__,
    }
    if type_params := getattr(function, "__type_params__", ()):
        attributes["__type_params__"] = type_params
    submodules = used_submodules(function.__code__, captured.values())
    return FunctionState(attributes, dict(vars(function)), captured, submodules)


def make(
    code: CodeType, scope: dict[str, Any] | str, closure: tuple[CellType, ...] | None
) -> FunctionType:
    """Create a bare function in a globals dict, or in the named module's own globals."""
    if isinstance(scope, str):
        scope = vars(importlib.import_module(scope))
    scope.setdefault("__builtins__", builtins)
    return FunctionType(code, scope, None, None, closure)


def make_in(
    notebook: dict[str, Any],
    code: CodeType,
    scope: dict[str, Any] | str,
    closure: tuple[CellType, ...] | None,
) -> FunctionType:
    """Do what `make` does; a notebook's functions get `notebook` as their globals."""
    if isinstance(scope, dict):
        notebook.update(scope)
        scope = notebook
    return make(code, scope, closure)


def fill(function: FunctionType, state: FunctionState) -> None:
    """Set what defines a bare function."""
    for name in state.submodules:
        importlib.import_module(name)
    function.__globals__.update(state.captured)
    for name, value in state.attributes.items():
        setattr(function, name, value)
    function.__dict__.update(state.own_dict)


def reduce_code(code: CodeType) -> tuple[Any, ...]:
    """Return the reduction of a code object: the arguments of its type (Python 3.11 and later).

    With its file name, which cloudpickle ≥ 3.1.3 leaves out: tracebacks find a cell's lines by it.
    """
    arguments = (
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_nlocals,
        code.co_stacksize,
        code.co_flags,
        code.co_code,
        code.co_consts,
        code.co_names,
        code.co_varnames,
        code.co_filename,
        code.co_name,
        code.co_qualname,
        code.co_firstlineno,
        code.co_linetable,
        code.co_exceptiontable,
        code.co_freevars,
        code.co_cellvars,
    )
    return CodeType, arguments


def reduce_cell(cell: CellType) -> tuple[Any, ...]:
    """Reduce a cell such that functions that share it go on sharing it, and cycles end."""
    try:
        state = (cell.cell_contents,)
    except ValueError:  # not assigned yet
        return CellType, ()
    return CellType, (), state, None, None, fill_cell


def fill_cell(cell: CellType, state: tuple[Any]) -> None:
    """Set what a cell holds."""
    cell.cell_contents = state[0]


def used_submodules(code: CodeType, values: Any) -> tuple[str, ...]:
    """Return loaded submodules that code reaches as attributes of the packages in `values`.

    `import concurrent.futures` binds `concurrent` alone; without this the other process would
    import only that.
    """
    packages = [v.__name__ for v in values if isinstance(v, ModuleType) and hasattr(v, "__path__")]
    if not packages:
        return ()
    names = attribute_names(code)
    found = set()
    for package in packages:
        prefix = package + "."
        for loaded in list(sys.modules):
            if loaded.startswith(prefix) and names.issuperset(loaded[len(prefix) :].split(".")):
                found.add(loaded)
    return tuple(sorted(found))
