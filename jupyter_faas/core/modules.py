"""Modules that a function uses: local ones travel as source, installed ones by name.

Local is what lies outside the standard library and the installed packages: a file next to the
notebook, a package under development. Which of them a function needs is found by reading import
statements, from the modules it refers to onwards; whether a module has been loaded by chance does
not matter, so that the answer is the same in every kernel.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import sysconfig
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from jupyter_faas.core.model import Value
from jupyter_faas.core.references import Import, imports, nested_codes, own_imports
from jupyter_faas.core.source import Source, parse, read_source

PLATFORM = frozenset(("jupyter_faas", "cloudpickle"))
"""What every runner has by itself."""


class ModuleSource(Value, kw_only=True):
    """One local module as it travels."""

    name: str
    source: str
    is_package: bool
    origin: str
    """Path of the file where it was captured; empty for a namespace package."""
    is_edited: bool = False
    """The file has changed since it was imported; what is sent is not what runs here."""
    is_loaded: bool
    """It was imported in the notebook, so the runner imports it before the first call."""


class Located(NamedTuple):
    """Where a module is found."""

    origin: str | None
    search: tuple[str, ...] | None
    """Folders of its submodules; None: it is no package."""


class Missing(NamedTuple):
    """A module that an import statement names and that cannot be found."""

    module: str
    importer: str


class Modules(NamedTuple):
    """Everything the code of a function imports, directly or through local modules."""

    local: dict[str, ModuleSource]
    """By name, in the order in which the notebook has imported them."""
    installed: tuple[str, ...]
    """Top-level names of installed packages, sorted."""
    missing: tuple[Missing, ...]
    opaque: tuple[str, ...]
    """Local modules without source (compiled extensions): they cannot travel."""


def collect(used: Iterable[ModuleType], codes: Iterable[CodeType], owner: str) -> Modules:
    """Find what functions need.

    Args:
        used: Modules that they refer to.
        codes: Their code; import statements in it count.
        owner: What to call them in `Missing.importer`.
    """
    finder = _Collector()
    for module in used:
        finder.require(module.__name__, owner, is_guarded=True)
    for code in codes:
        for one in imports(code):
            finder.follow(one, package="", importer=owner)
    return finder.finish()


def is_local(name: str) -> bool:
    """Return whether a module's source must travel."""
    return _kind(name) == "local"


def installed_version(name: str) -> str:
    """Return the version of an installed top-level module, or an empty string.

    Without `importlib.metadata`, whose import alone costs more than a whole capture may.
    """
    loaded = sys.modules.get(name)
    version = getattr(loaded, "__version__", None)
    if isinstance(version, str):
        return version
    return _distribution_versions().get(name.lower().replace("-", "_"), "")


def locate(name: str) -> Located | None:
    """Return where a module is found, without importing anything; None: nowhere."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        return _located(getattr(loaded, "__spec__", None), loaded)
    parent, _, _ = name.rpartition(".")
    if not parent:
        return _located(_find_top(name), None)
    above = locate(parent)
    if above is None or above.search is None:
        return None
    return _located(importlib.machinery.PathFinder.find_spec(name, list(above.search)), None)


class _Collector:
    def __init__(self) -> None:
        self.local: dict[str, ModuleSource] = {}
        self.installed: set[str] = set()
        self.missing: dict[str, Missing] = {}
        self.opaque: set[str] = set()
        self._done: set[str] = set()

    def finish(self) -> Modules:
        order = {name: at for at, name in enumerate(list(sys.modules))}
        names = sorted(self.local, key=lambda name: (order.get(name, len(order)), name))
        return Modules(
            {name: self.local[name] for name in names},
            tuple(sorted(self.installed)),
            tuple(self.missing[name] for name in sorted(self.missing)),
            tuple(sorted(self.opaque)),
        )

    def require(
        self, name: str, importer: str, *, is_guarded: bool, is_optional: bool = False
    ) -> bool:
        """Take note of a module and of what it needs; return whether it can be found.

        Args:
            name: Of the module.
            importer: What imports it.
            is_guarded: Its absence is nothing to report.
            is_optional: Nor need a runner have it.
        """
        if name in self._done:
            return name not in self.missing
        kind = _kind(name)
        if kind == "missing" and not is_guarded:
            self.missing[name] = Missing(name, importer)
        if kind in ("missing", "standard"):
            return kind == "standard"
        if kind == "installed":
            if not is_optional:
                self.installed.add(name.partition(".")[0])
            return True
        self._done.add(name)
        self._take(name)
        return True

    def follow(self, one: Import, package: str, importer: str, *, is_run: bool = False) -> None:
        """Take note of what an import statement names; `is_run`: it has worked here already."""
        base = _absolute(one, package)
        if not base:
            return
        found = True
        parts = base.split(".")
        for count in range(1, len(parts) + 1):
            found = found and self.require(
                ".".join(parts[:count]),
                importer,
                is_guarded=one.is_guarded or is_run,
                is_optional=one.is_guarded,
            )
        if found and _kind(base) == "local":
            for name in one.names:
                self.require(f"{base}.{name}", importer, is_guarded=True)

    def _take(self, name: str) -> None:
        located = locate(name)
        assert located is not None
        parent = name.rpartition(".")[0]
        if parent:
            self.require(parent, name, is_guarded=True)
        read = Source("", False) if located.origin is None else read_source(name, located.origin)
        if read is None:
            self.opaque.add(name)
            return
        is_package = located.search is not None
        self.local[name] = ModuleSource(
            name=name,
            source=read.text,
            is_package=is_package,
            origin=located.origin or "",
            is_edited=read.is_edited,
            is_loaded=name in sys.modules,
        )
        self._follow_source(name, read.text, is_package)

    def _follow_source(self, name: str, source: str, is_package: bool) -> None:
        package = name if is_package else name.rpartition(".")[0]
        code = parse(source).code
        for one in nested_codes(code):
            # What stands at the top level of a loaded module was found when that was imported.
            is_run = one is code and name in sys.modules
            for statement in own_imports(one):
                self.follow(statement, package, name, is_run=is_run)


def _kind(name: str) -> str:
    top = name.partition(".")[0]
    if top in ("__main__", "__mp_main__"):
        return "standard"
    if top in PLATFORM or top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return "standard"
    located = locate(name)
    if located is None:
        # Some packages make up submodules; a module inside a found package is not judged.
        return "installed" if "." in name and _kind(top) == "installed" else "missing"
    folders = (located.origin,) if located.origin else (located.search or ())
    return "installed" if any(_is_installed(path) for path in folders) else "local"


@lru_cache(maxsize=1024)
def _is_installed(path: str) -> bool:
    if not path.startswith("/") and ":" not in path[:3]:
        return path in ("built-in", "frozen")
    parts = Path(path).parts
    if "site-packages" in parts or "dist-packages" in parts:
        return True
    resolved = str(Path(path).resolve())
    return any(resolved.startswith(root) for root in _library_roots())


@lru_cache(maxsize=1)
def _library_roots() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    roots = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib") if paths.get(key)}
    return tuple(str(Path(root).resolve()) + "/" for root in roots)


def _find_top(name: str) -> importlib.machinery.ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None


def _located(spec: Any, module: ModuleType | None) -> Located | None:
    if spec is None:
        origin = getattr(module, "__file__", None)
        search = getattr(module, "__path__", None)
        return None if module is None else Located(origin or "built-in", _folders(search))
    origin = spec.origin if spec.has_location or spec.origin in ("built-in", "frozen") else None
    if origin is None and not spec.submodule_search_locations:
        origin = "built-in"
    return Located(origin, _folders(spec.submodule_search_locations))


def _folders(search: Any) -> tuple[str, ...] | None:
    return None if search is None else tuple(map(str, search))


def _absolute(one: Import, package: str) -> str:
    if not one.level:
        return one.module
    above = package.split(".")[: len(package.split(".")) - one.level + 1]
    return ".".join([*above, *([one.module] if one.module else [])]) if package else ""


@lru_cache(maxsize=1)
def _distribution_versions() -> dict[str, str]:
    versions: dict[str, str] = {}
    for folder in sys.path:
        if "site-packages" in folder or "dist-packages" in folder:
            for entry in Path(folder).glob("*.dist-info"):
                name, _, version = entry.name.removesuffix(".dist-info").rpartition("-")
                versions.setdefault(name.lower().replace("-", "_").replace(".", "_"), version)
    return versions
