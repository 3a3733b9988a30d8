"""Keeps the local modules of several packages apart in one process.

`sys.modules` has room for one `helpers`; two functions deployed from two notebooks may each have
brought their own. The newest package's modules are in `sys.modules`; code of an older one has its
owner in its globals, and its import statements are run with the owner's modules put in for that
moment. A worker serves one package and never pays for this: the import statement is replaced only
while two packages with modules are open. `importlib.import_module` and other code that reads
`sys.modules` itself finds the newest.
"""

from __future__ import annotations

import builtins
import importlib
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from types import ModuleType
from typing import Any, Protocol

OWNER = "__faas_package__"
"""Name in the globals of a package's code."""


class Owner(Protocol):
    """The modules of one package."""

    tops: frozenset[str]
    """Their top-level names."""
    is_in: bool

    def put_in(self) -> None:
        """Make its modules the ones that are imported."""

    def take_out(self) -> None:
        """Leave the names to others."""


class _Open:
    """The packages that are open in this process, the newest last."""

    def __init__(self) -> None:
        self.owners: list[Owner] = []
        self.outside: dict[str, ModuleType] = {}
        self.lock = threading.RLock()
        self.plain_import = builtins.__import__


_OPEN = _Open()


def take_names(tops: Collection[str]) -> dict[str, ModuleType]:
    """Take modules with these top-level names, submodules included, out of `sys.modules`."""
    names = [name for name in list(sys.modules) if name.partition(".")[0] in tops]
    return {name: sys.modules.pop(name) for name in names}


def opened(owner: Owner) -> None:
    """Give the names of a package to it."""
    with _OPEN.lock:
        for rival in _rivals(owner):
            rival.take_out()
        _OPEN.outside.update(take_names(owner.tops))
        owner.put_in()
        importlib.invalidate_caches()
        _OPEN.owners.append(owner)
        if len(_OPEN.owners) == 2:
            _OPEN.plain_import = builtins.__import__
            builtins.__import__ = _import


def closed(owner: Owner) -> None:
    """Take the names of a package away; the next one that wants them gets them."""
    with _OPEN.lock:
        if owner not in _OPEN.owners:
            return
        _OPEN.owners.remove(owner)
        if owner.is_in:
            owner.take_out()
            heirs = [one for one in _OPEN.owners if one.tops & owner.tops]
            if heirs:
                heirs[-1].put_in()
        wanted = frozenset().union(*(one.tops for one in _OPEN.owners))
        for name in list(_OPEN.outside):
            if name.partition(".")[0] not in wanted:
                sys.modules[name] = _OPEN.outside.pop(name)
        if len(_OPEN.owners) == 1 and builtins.__import__ is _import:
            builtins.__import__ = _OPEN.plain_import


def _rivals(owner: Owner) -> list[Owner]:
    return [one for one in _OPEN.owners if one.is_in and one.tops & owner.tops]


def _import(
    name: str,
    globals: Mapping[str, Any] | None = None,
    locals: Mapping[str, Any] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    owner = globals.get(OWNER) if globals is not None else None
    with _OPEN.lock:
        if owner is None or owner.is_in or owner not in _OPEN.owners:
            return _OPEN.plain_import(name, globals, locals, fromlist, level)
        rivals = _rivals(owner)
        for rival in rivals:
            rival.take_out()
        owner.put_in()
        try:
            return _OPEN.plain_import(name, globals, locals, fromlist, level)
        finally:
            owner.take_out()
            for rival in rivals:
                rival.put_in()
