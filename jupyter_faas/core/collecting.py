"""Collects what one capture finds: the pickle, the modules it needs, what to watch."""

from __future__ import annotations

import linecache
import pickle
import sys
from collections.abc import Iterable
from types import CodeType, FunctionType, ModuleType
from typing import Any

from jupyter_faas.core import plain
from jupyter_faas.core.classdata import whole
from jupyter_faas.core.classes import ClassTable
from jupyter_faas.core.culprit import Step, find_path, not_serializable
from jupyter_faas.core.errors import NotSerializable
from jupyter_faas.core.fingerprint import code_fingerprint
from jupyter_faas.core.functions import captured_globals, used_submodules
from jupyter_faas.core.model import Kind
from jupyter_faas.core.modules import Modules, collect
from jupyter_faas.core.package import Manifest, Package
from jupyter_faas.core.pickling import ByValuePickler, Chunks
from jupyter_faas.core.references import attribute_names, home_module, is_by_value, lookup
from jupyter_faas.core.signature import kind_of, methods_of
from jupyter_faas.core.watch import Watch

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
_IN_BAND_BYTES = 16 * 1024
_MAX_FILE_BYTES = 256 * 1024


class Collection:
    """What one capture has found.

    Args:
        target: The function or class.
        name: What to call it.
        classes: The table of this process's classes.
    """

    def __init__(self, target: Any, name: str, classes: ClassTable) -> None:
        self.target = target
        self.name = name
        self.classes = classes
        self.kind = kind_of(target)
        self.handles: list[Any] = []
        self.codes: dict[CodeType, None] = {}
        self.used: dict[str, ModuleType] = {}
        self.package: Package | None = None
        self.problem: NotSerializable | None = None
        self.path: list[Step] = []
        self.watch = Watch()
        self.plain: dict[str, dict[str, Any]] = {}
        self.modules = Modules({}, (), (), ())
        self._files: set[str] = set()
        self._watched: dict[str, tuple[str, ...]] = {}
        self._buffers: list[memoryview] = []
        self._chunks = Chunks()

    def collect(self) -> None:
        """Pickle the target, and find its modules and their plain data."""
        module = self._home()
        self._pickle(None if module is not None else self.target)
        self.modules = collect(self.used.values(), self.codes, self.name)
        names = plain.used_names(self.modules.local.values())
        names = names.union(*(attribute_names(code) for code in self.codes))
        data = plain.module_data(self.modules.local.values(), names)
        self.plain = {name: one.values for name, one in data.items() if one.values}
        self._watched = {name: one.names for name, one in data.items()}
        if self.problem is None:
            self.package = self._pack(module)

    def watch_all(self) -> None:
        """Make the probes that tell when this capture is out of date."""
        self.watch.add(self.target)
        for name, names in self._watched.items():
            self.watch.add_module(sys.modules[name], names)

    def fingerprint(self) -> str:
        """Return the digest of code and captured values."""
        if self.problem is not None:
            return ""
        return code_fingerprint(self.target, self.modules.local, self.plain)

    def see(self, value: Any) -> None:
        """Take note of an object that is about to be pickled."""
        kind = type(value)
        if kind is FunctionType:
            self._see_function(value)
        elif isinstance(value, ModuleType):
            self.used.setdefault(value.__name__, value)
        elif hasattr(kind, "__faas_handle__"):
            if getattr(value, "__wrapped__", None) is not self.target:
                self.handles.append(value)
        else:
            self._see_module(getattr(value, "__module__", None))

    def _see_function(self, function: FunctionType) -> None:
        self._see_module(function.__module__)
        if not is_by_value(function):
            return
        self.codes[function.__code__] = None
        home = home_module(function)
        if home is not None:
            self.used.setdefault(home.__name__, home)
        else:
            self._files.add(function.__code__.co_filename)
        values = captured_globals(function).values()
        for name in used_submodules(function.__code__, values):
            self.used.setdefault(name, sys.modules[name])

    def _see_module(self, name: Any) -> None:
        module = sys.modules.get(name) if isinstance(name, str) else None
        if module is not None and name not in ("__main__", "__mp_main__", "builtins"):
            self.used.setdefault(module.__name__, module)

    def _home(self) -> ModuleType | None:
        """Return the local module whose attribute the target is; None: it goes by value."""
        name = getattr(self.target, "__module__", None)
        module = sys.modules.get(name) if isinstance(name, str) else None
        if module is None or name in ("__main__", "__mp_main__"):
            return None
        found = lookup(module, getattr(self.target, "__qualname__", "<locals>"))
        is_wrapped = hasattr(type(found), "__faas_handle__") and (
            getattr(found, "__wrapped__", None) is self.target
        )
        if found is not self.target and not is_wrapped:
            return None
        self.used[module.__name__] = module
        return module

    def _pickle(self, entry: Any) -> None:
        pickler = ByValuePickler(self._chunks, whole(self.classes), self._keep, self.see)
        try:
            pickler.dump(entry)
        except Exception as exc:
            self.path = find_path(entry, self.name)
            self.problem = not_serializable(entry, self.name, exc, self.path)

    def _keep(self, buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < _IN_BAND_BYTES:
            return True
        self._buffers.append(raw)
        return False

    def _pack(self, module: ModuleType | None) -> Package:
        manifest = Manifest(
            python=PYTHON,
            name=self.name,
            kind=self.kind,
            methods=methods_of(self.target) if self.kind is Kind.CLASS else {},
            module=None if module is None else module.__name__,
            qualname=getattr(self.target, "__qualname__", ""),
            sources=tuple(self.modules.local.values()),
            files=_texts(self._files),
        )
        return Package(manifest, pickle.dumps(self.plain, 5), self._chunks, self._buffers)


def _texts(names: Iterable[str]) -> dict[str, str]:
    """Return the text of the cells and scripts that code comes from, for tracebacks."""
    found = {}
    for name in names:
        lines = linecache.getlines(name)
        text = "".join(lines)
        if text and len(text) <= _MAX_FILE_BYTES:
            found[name] = text
    return dict(sorted(found.items()))
