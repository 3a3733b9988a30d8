"""What replicas of an environment can import, read from the directories of its search path.

No process and no import: names and versions are in the names of the `.dist-info` directories
(PyPA binary distribution format), importable names are the entries themselves.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence

from jupyter_faas.providers.base import Inventory

_DISTRIBUTION = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(-.*)?\.(dist-info|egg-info)")
_SEPARATORS = re.compile(r"[-_.]+")


def read_inventory(version: str, sys_path: Sequence[str]) -> Inventory:
    """Return the distributions and importable names found along a search path.

    Args:
        version: Full version of the interpreter.
        sys_path: Its search path; the first of two equal names wins, as in an import.
    """
    modules: dict[str, str] = {}
    names: set[str] = set(sys.builtin_module_names) | set(sys.stdlib_module_names)
    for directory in sys_path:
        for entry in _entries(directory):
            if found := _DISTRIBUTION.fullmatch(entry):
                name = _SEPARATORS.sub("-", found["name"]).lower()
                modules.setdefault(name, found["version"])
                names.update(_declared(os.path.join(directory, entry)))
            elif module := _importable(entry):
                names.add(module)
    return Inventory(python=version, modules=modules, top_level=tuple(sorted(names)))


def _entries(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []  # a zip file, or not there


def _importable(entry: str) -> str:
    """Return the module's name of a file or directory on the path; empty if it is none."""
    name, _, rest = entry.partition(".")
    is_module = not rest or rest == "py" or rest.endswith(("so", "pyd"))
    return name if is_module and name.isidentifier() and name != "__pycache__" else ""


def _declared(dist_info: str) -> Iterator[str]:
    """Yield names a distribution declares: an editable one has no entry of its own."""
    try:
        with open(os.path.join(dist_info, "top_level.txt"), encoding="utf-8") as lines:
            yield from (line.strip() for line in lines if line.strip().isidentifier())
    except OSError:
        return
