"""Cheap tests whether what was captured is still what it was.

Runs before every warm call, so each probe costs well under a microsecond: rebound names by
identity (small plain values also by equality), containers and objects up to 64 KiB by content,
larger ones by identity only. A probe may say "changed" too often, never too seldom: a new capture
then finds the same fingerprint and nothing is deployed.
"""

from __future__ import annotations

import pickle
import sys
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType
from typing import Any

from jupyter_faas.core.contents import content_of, is_equal, is_same
from jupyter_faas.core.reducers import stand_in
from jupyter_faas.core.references import global_names, home_module, is_by_value
from jupyter_faas.core.source import stamp_of
from jupyter_faas.core.walk import ATOMS

_PATCHER = "IPython.extensions.deduperreload.deduperreload"
"""Changes functions of edited modules in place: their files must be looked at then."""

_MISSING: Any = type("Missing", (), {"__repr__": lambda self: "<missing>"})()
_EMPTY: Any = type("Empty", (), {})()


class Watch:
    """Collects probes while something is captured, and runs them afterwards."""

    def __init__(self) -> None:
        self._names: list[tuple[dict[str, Any], tuple[tuple[str, Any], ...]]] = []
        self._cells: list[tuple[CellType, Any]] = []
        self._codes: list[tuple[FunctionType, CodeType, Any, Any]] = []
        self._classes: list[tuple[type, int, tuple[tuple[str, Any], ...]]] = []
        self._contents: list[tuple[Any, bytes]] = []
        self._seen: dict[int, Any] = {}
        self._large: dict[int, Any] = {}
        self._files: list[tuple[str, tuple[int, int]]] = []
        self._modules: list[tuple[str, ModuleType, Any]] = []

    def is_current(self) -> bool:
        """Return whether nothing has changed since the probes were made."""
        for scope, names in self._names:
            get = scope.get
            for name, value in names:
                now = get(name, _MISSING)
                if now is not value and not is_equal(now, value):
                    return False
        for module_name, module, spec in self._modules:
            if sys.modules.get(module_name) is not module or module.__spec__ is not spec:
                return False
        for function, code, defaults, kwdefaults in self._codes:
            if function.__code__ is not code or function.__defaults__ is not defaults:
                return False
            if function.__kwdefaults__ is not kwdefaults:
                return False
        if self._files and not self._are_files_current():
            return False
        return self._are_closures_current() and self._are_contents_current()

    def changed_names(self) -> list[str]:
        """Return the watched names whose values are others now, as people know them.

        Stricter than `is_current`: a cell that was run again and defined the same once more has
        changed nothing. Large values are compared by identity.
        """
        contents = {id(value): content for value, content in self._contents}
        changed: dict[str, None] = {}
        for scope, names in self._names:
            module = scope.get("__name__", "__main__")
            prefix = "" if module == "__main__" else f"{module}."
            for name, value in names:
                if not is_same(scope.get(name, _MISSING), value, contents.get(id(value))):
                    changed[prefix + name] = None
        return list(changed)

    def _are_closures_current(self) -> bool:
        for cell, value in self._cells:
            now = _content(cell)
            if now is not value and not is_equal(now, value):
                return False
        for cls, count, attributes in self._classes:
            own = vars(cls)
            if len(own) - ("__slotnames__" in own) != count:
                return False
            for name, value in attributes:
                if own.get(name, _MISSING) is not value:
                    return False
        return True

    def _are_files_current(self) -> bool:
        try:
            return all(stamp_of(path) == stamp for path, stamp in self._files)
        except OSError:
            return False

    def _are_contents_current(self) -> bool:
        for value, content in self._contents:
            try:
                if content_of(value) != content:
                    return False
            except Exception:
                return False
        return True

    def add(self, value: Any) -> None:
        """Watch a value and everything it reaches."""
        kind = type(value)
        if kind in ATOMS or kind is ModuleType or kind is BuiltinFunctionType:
            return
        if id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if stand_in(value) is not None:
            return
        if kind is FunctionType:
            self._add_function(value)
        elif isinstance(value, type):
            self._add_class(value)
        elif (function := getattr(value, "__wrapped__", None)) is not None and callable(value):
            self.add(function)
        else:
            self._add_content(value)

    def is_large(self, value: Any) -> bool:
        """Return whether a change of `value` in place is not noticed."""
        return id(value) in self._large

    def size_of(self, value: Any) -> int | None:
        """Return how many bytes a watched value takes when pickled, about; None: not known."""
        for watched, content in self._contents:
            if watched is value:
                return len(content)
        return approximate_bytes(value) if self.is_large(value) else None

    def add_module(self, module: ModuleType, names: tuple[str, ...]) -> None:
        """Watch whether a local module is reloaded, and the plain data at `names`."""
        self._modules.append((module.__name__, module, module.__spec__))
        if _PATCHER in sys.modules and module.__file__ is not None:
            self._files.append((module.__file__, stamp_of(module.__file__)))
        self.add_names(vars(module), names)

    def add_names(self, scope: dict[str, Any], names: tuple[str, ...]) -> None:
        """Watch names of a namespace, and what they hold."""
        held = tuple((name, scope.get(name, _MISSING)) for name in names)
        self._names.append((scope, held))
        for _, value in held:
            if value is not _MISSING:
                self.add(value)

    def _add_function(self, function: FunctionType) -> None:
        if not is_by_value(function):
            return
        self._codes.append(
            (function, function.__code__, function.__defaults__, function.__kwdefaults__)
        )
        for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self.add(value)
        for cell in function.__closure__ or ():
            content = _content(cell)
            self._cells.append((cell, content))
            if content is not _EMPTY:
                self.add(content)
        if home_module(function) is None:
            self.add_names(function.__globals__, global_names(function.__code__))
        for value in vars(function).values():
            self.add(value)

    def _add_class(self, cls: type) -> None:
        if not is_by_value(cls) or cls.__module__ in ("builtins", "types"):
            return
        own = dict(vars(cls))
        own.pop("__dict__", None)
        own.pop("__weakref__", None)
        own.pop("__slotnames__", None)  # pickle puts it there
        count = len(vars(cls)) - ("__slotnames__" in vars(cls))
        self._classes.append((cls, count, tuple(own.items())))
        for name, value in own.items():
            if name.startswith("__") and not isinstance(value, FunctionType):
                continue  # what dataclasses, enums and annotations keep there is not edited
            inner = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
            if isinstance(inner, FunctionType | type | list | dict | set):
                self.add(inner)
        for base in cls.__bases__:
            self.add(base)

    def _add_content(self, value: Any) -> None:
        met: list[Any] = []
        try:
            self._contents.append((value, content_of(value, met.append)))
        except Exception:
            # Too large, or not to be pickled: from now on identity has to do.
            self._large[id(value)] = value
        for definition in met:
            self.add(definition)


def approximate_bytes(value: Any) -> int:
    """Return about how large a large object is: its buffer, or a sample of its items."""
    size = getattr(value, "nbytes", None)
    if isinstance(size, int):
        return size
    try:
        if isinstance(value, list | tuple | set | frozenset | dict) and value:
            return _sampled_bytes(list(value.items() if isinstance(value, dict) else value))
        return int(value.memory_usage(deep=False).sum())
    except Exception:
        return sys.getsizeof(value)


def _sampled_bytes(items: list[Any]) -> int:
    sample = items[:: max(1, len(items) // 50)]
    return len(pickle.dumps(sample, 5)) * len(items) // len(sample)


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _EMPTY
