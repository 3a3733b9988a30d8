"""What a runner can import: asked rarely, so found out at the first question and kept."""

from __future__ import annotations

import re
import sys
from functools import cache

_SEPARATORS = re.compile(r"[-_.]+")


@cache
def installed() -> tuple[dict[str, str], tuple[str, ...]]:
    """Return normalised distribution names with versions, and importable top-level names."""
    from importlib import metadata  # noqa: PLC0415 - 20 ms that a replica need not pay at birth

    modules: dict[str, str] = {}
    for one in metadata.distributions():
        name = one.metadata["Name"]
        if name:
            modules.setdefault(_SEPARATORS.sub("-", name).lower(), one.version)
    names = {*metadata.packages_distributions(), *sys.builtin_module_names}
    names.update(sys.stdlib_module_names)
    return modules, tuple(sorted(names))
