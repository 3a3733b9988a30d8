"""Plain data in the globals of local modules: it travels beside their source.

A module's functions see in the runner what they see here: a threshold that the notebook has set,
a configuration that was read from a file. Only what functions can read counts, and a name that
still holds the literal its source gives it needs nothing.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from jupyter_faas.core.modules import ModuleSource
from jupyter_faas.core.references import nested_codes
from jupyter_faas.core.source import parse

MAX_BYTES = 64 * 1024
_ATOMS = frozenset((int, float, str, bool, type(None), bytes, complex))
_CONTAINERS = frozenset((list, tuple, set, frozenset))
_MAX_ITEMS = 20_000
_MAX_DEPTH = 50


class ModuleData(NamedTuple):
    """Plain data of one module.

    Attributes:
        values: What must be set after the import, by name.
        names: Every name to watch: whose change would change `values`.
    """

    values: dict[str, Any]
    names: tuple[str, ...]


def module_data(modules: Iterable[ModuleSource], used: frozenset[str]) -> dict[str, ModuleData]:
    """Return the plain data of loaded modules, by module.

    Args:
        modules: Local modules that travel.
        used: Names that functions use, as globals or attributes.
    """
    found = {}
    for source in modules:
        module = sys.modules.get(source.name)
        if module is not None:
            found[source.name] = _data_of(vars(module), source, used)
    return found


def used_names(modules: Iterable[ModuleSource]) -> frozenset[str]:
    """Return the names that functions of these modules use."""
    names: set[str] = set()
    for source in modules:
        for code in nested_codes(parse(source.source).code)[1:]:
            names.update(code.co_names)
    return frozenset(names)


def is_plain(value: Any) -> bool:
    """Return whether a value is plain data of at most 64 KiB."""
    budget = [_MAX_ITEMS]
    return _is_plain(value, budget, 0) and len(pickle.dumps(value, 5)) <= MAX_BYTES


def set_globals(module_globals: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Set plain data; a container is changed in place, since others may hold it already."""
    for name, value in values.items():
        now: Any = module_globals.get(name)
        if type(now) is type(value) and isinstance(now, dict | set):
            now.clear()
            now.update(value)
        elif type(now) is type(value) and isinstance(now, list):
            now[:] = value
        else:
            module_globals[name] = value


def _data_of(own: dict[str, Any], source: ModuleSource, used: frozenset[str]) -> ModuleData:
    literals = parse(source.source).literals
    names = [
        name
        for name in sorted(used.intersection(own))
        if not (name.startswith("__") and name.endswith("__")) and is_plain(own[name])
    ]
    values = {
        name: own[name]
        for name in names
        if not (name in literals and _is_same(own[name], literals[name]))
    }
    return ModuleData(values, tuple(names))


def _is_same(value: Any, literal: Any) -> bool:
    return type(value) is type(literal) and bool(value == literal)


def _is_plain(value: Any, budget: list[int], depth: int) -> bool:
    budget[0] -= 1
    if budget[0] < 0 or depth > _MAX_DEPTH:
        return False
    kind = type(value)
    if kind in _ATOMS:
        return True
    if kind is dict:
        return all(
            _is_plain(key, budget, depth + 1) and _is_plain(item, budget, depth + 1)
            for key, item in value.items()
        )
    return kind in _CONTAINERS and all(_is_plain(item, budget, depth + 1) for item in value)
