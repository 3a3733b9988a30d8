"""Opens a package in a worker: from a blob to something that can be called.

The caller has checked the blob's digest; this is the one place that unpickles code. Whatever user
code raises while it is loaded (an import, a class's `__init__`) passes through with its
traceback.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from jupyter_faas.core.classes import ClassTable
from jupyter_faas.core.errors import BadRequest, InvalidSpec
from jupyter_faas.core.inline import FILE_NAME, compile_source
from jupyter_faas.core.model import Kind
from jupyter_faas.core.package import Manifest, open_package
from jupyter_faas.core.pickling import TableUnpickler, reader
from jupyter_faas.core.references import lookup
from jupyter_faas.core.sections import Buffer
from jupyter_faas.core.specialisation import Specialisation
from jupyter_faas.execution.modules import ShippedModules, remember_lines

_FRESH_NAMES = frozenset(vars(ModuleType("fresh")))
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


class Loaded:
    """The code of one revision, ready to be called.

    Attributes:
        kind: What calling it gives.
        methods: Of a class: its remote methods.
        classes: The table to read and write payloads with.
        name: Name of the function, for people.
    """

    def __init__(
        self, manifest: Manifest, entry: Any, classes: ClassTable, modules: ShippedModules
    ) -> None:
        self.name = manifest.name
        self.kind = manifest.kind
        self.methods = manifest.methods
        self.classes = classes
        self._modules = modules
        self._entry = entry() if self.kind is Kind.CLASS else entry
        self._is_closed = False

    def call(self, method: str | None = None) -> Callable[..., Any]:
        """Return the function, or a method of the class's one instance.

        Raises:
            BadRequest: There is no such method; names the ones there are.
        """
        if self.kind is not Kind.CLASS:
            if method:
                raise BadRequest(f"{self.name} is a function; it has no method {method!r}.")
            return self._entry  # type: ignore[no-any-return]  # - user code has any type
        if method not in self.methods:
            names = ", ".join(self.methods)
            asked = f"no method {method!r}" if method else "to be called by a method"
            raise BadRequest(f"class {self.name} has {asked}: there are {names}.")
        return getattr(self._entry, method)  # type: ignore[no-any-return]

    def close(self) -> None:
        """Run the class's `close()`, if it has one, and take the package's modules out.

        Raises:
            Exception: What `close()` raises.
        """
        if self._is_closed:
            return
        self._is_closed = True
        try:
            closing = getattr(self._entry, "close", None)
            if self.kind is Kind.CLASS and callable(closing):
                closing()
        finally:
            self._modules.close()


def load(blob: Buffer, specialisation: Specialisation | None = None) -> Loaded:
    """Unpickle a package and make it callable; a class is instantiated once.

    The notebook's functions get `__main__` as their globals if that is still empty, as it is in a
    worker: then user code can pickle its classes and functions by name (multiprocessing does).

    Args:
        blob: The package, digest checked. It must stay unchanged: captured arrays lie in it.
        specialisation: What the runner was told to become.

    Raises:
        EnvironmentMismatch: The package was made by another Python minor version.
        Exception: Whatever user code raises while it is loaded.
    """
    del specialisation
    manifest, sections = open_package(blob, PYTHON)
    if manifest.inline is not None:
        return _load_inline(manifest, manifest.inline)
    plain, entry, *buffers = sections
    for name, text in manifest.files.items():
        remember_lines(name, text)
    classes = ClassTable(None)
    modules = ShippedModules(manifest.sources, pickle.loads(plain))  # noqa: S301 - digest checked
    modules.open()
    scope = _notebook_scope()
    modules.mark(scope)
    try:
        target = _entry(manifest, entry, buffers, classes, scope)
        return Loaded(manifest, target, classes, modules)
    except BaseException:
        modules.close()
        raise


def _load_inline(manifest: Manifest, source: str) -> Loaded:
    """Run inline source as a module, and take its entry.

    Raises:
        InvalidSpec: The source has run and not made the entry.
    """
    scope = _notebook_scope()
    remember_lines(FILE_NAME, source)
    exec(compile_source(source), scope)  # noqa: S102 - what it is for
    if manifest.qualname not in scope:
        raise InvalidSpec(f"The source has run, but there is no `{manifest.qualname}` after it.")
    target = _unwrapped(scope[manifest.qualname])
    return Loaded(manifest, target, ClassTable(None), ShippedModules((), {}))


def _unwrapped(found: Any) -> Any:
    """Return the function that a remote function of the client was made of."""
    return found.__wrapped__ if hasattr(type(found), "__faas_handle__") else found


def _notebook_scope() -> dict[str, Any]:
    main = sys.modules.get("__main__")
    is_empty = main is not None and _FRESH_NAMES.issuperset(vars(main))
    return vars(main) if main is not None and is_empty else {"__name__": "__main__"}


def _entry(
    manifest: Manifest,
    entry: memoryview,
    buffers: list[memoryview],
    classes: ClassTable,
    scope: dict[str, Any],
) -> Any:
    if buffers and buffers[0].readonly:
        buffers = [memoryview(bytearray(buffer)) for buffer in buffers]
    unpickled = TableUnpickler(reader(entry), classes, buffers, scope).load()
    if manifest.module is None:
        _publish(unpickled, scope)
        return unpickled
    return _unwrapped(lookup(importlib.import_module(manifest.module), manifest.qualname))


def _publish(target: Any, scope: dict[str, Any]) -> None:
    """Give the entry its name among the globals, unless something else has it."""
    name = getattr(target, "__qualname__", "")
    if getattr(target, "__module__", None) == "__main__" and name.isidentifier():
        scope.setdefault(name, target)
