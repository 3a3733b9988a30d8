"""Local modules of a package, imported from the source that came with it.

A finder in front of all others: for the names it ships, the source wins over whatever the disk
has. Submodules that were not shipped are still found next to the original file, if that is here.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import CodeType, ModuleType
from typing import Any

from jupyter_faas.core.modules import ModuleSource
from jupyter_faas.core.plain import set_globals
from jupyter_faas.execution import separation
from jupyter_faas.execution.separation import take_names


class ShippedModules(importlib.abc.MetaPathFinder):
    """The modules of one package; put in by `open`, taken out by `close`.

    Args:
        sources: In the order in which the notebook has imported them.
        plain: Module → name → value, set after the imports.
    """

    def __init__(
        self, sources: Iterable[ModuleSource], plain: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._sources = {source.name: source for source in sources}
        self._plain = plain
        self.tops = frozenset(name.partition(".")[0] for name in self._sources)
        self.is_in = False
        self._own: dict[str, ModuleType] = {}

    def open(self) -> None:
        """Import what the notebook had imported, with the plain data it had.

        Raises:
            Exception: Whatever a module raises when it is imported.
        """
        if not self._sources:
            return
        separation.opened(self)
        try:
            for name, source in self._sources.items():
                if source.is_loaded:
                    importlib.import_module(name)
        except BaseException:
            self.close()
            raise
        for name, values in self._plain.items():
            set_globals(vars(sys.modules[name]), values)

    def close(self) -> None:
        """Take the modules out; names that were taken get their former modules."""
        if self._sources:
            separation.closed(self)

    def put_in(self) -> None:
        """Make this package's modules the ones that are imported."""
        sys.modules.update(self._own)
        sys.meta_path.insert(0, self)
        self.is_in = True

    def take_out(self) -> None:
        """Leave the names to others."""
        self._own = take_names(self.tops)
        sys.meta_path.remove(self)
        self.is_in = False

    def mark(self, scope: dict[str, Any]) -> None:
        """Make imports by code with these globals find this package's modules."""
        if self._sources:
            scope[separation.OWNER] = self

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a shipped module; None for all others."""
        del path, target
        source = self._sources.get(fullname)
        if source is None:
            return None
        spec = importlib.machinery.ModuleSpec(
            fullname,
            ShippedLoader(source, self),
            origin=source.origin or None,
            is_package=source.is_package,
        )
        spec.has_location = bool(source.origin)
        if source.is_package and source.origin:
            # What was not shipped may still lie next to the original.
            spec.submodule_search_locations = [os.path.dirname(source.origin)]
        return spec


class ShippedLoader(importlib.abc.InspectLoader):
    """Executes shipped source; tracebacks show its lines."""

    def __init__(self, source: ModuleSource, owner: ShippedModules) -> None:
        self._source = source
        self._owner = owner

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Leave it to the import system."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the source in the module's globals."""
        self._owner.mark(vars(module))
        remember_lines(self._file, self._source.source)
        exec(self.get_code(module.__name__), vars(module))  # noqa: S102 - what importing is

    def get_code(self, fullname: str) -> CodeType:
        """Return the compiled source."""
        return self.source_to_code(self._source.source, self._file)

    def get_source(self, fullname: str) -> str:
        """Return the source as it was shipped."""
        return self._source.source

    def is_package(self, fullname: str) -> bool:
        """Return whether it has submodules."""
        return self._source.is_package

    def get_filename(self, fullname: str) -> str:
        """Return the path the source had where it was captured."""
        return self._file

    def get_data(self, path: str) -> bytes:
        """Return a data file next to the original, if that is on this machine."""
        with open(path, "rb") as file:
            return file.read()

    @property
    def _file(self) -> str:
        return self._source.origin or f"<{self._source.name}>"


def remember_lines(file_name: str, text: str) -> None:
    """Let tracebacks show `text` as the content of a file, whatever the disk has."""
    lines = text.splitlines(keepends=True)
    linecache.cache[file_name] = (len(text), None, lines, file_name)
