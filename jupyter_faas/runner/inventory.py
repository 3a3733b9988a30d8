"""What this environment can import: distributions with versions, and their top-level names."""

from __future__ import annotations

import importlib.metadata
import platform
import re
from collections.abc import Callable
from typing import Any


def tell_inventory(emit: Callable[[dict[str, Any]], None]) -> None:
    """Emit `{"ev": "inventory", python, modules, top_level}`. Slow (100 ms): in a child."""
    modules: dict[str, str] = {}
    for found in importlib.metadata.distributions():
        name = found.metadata["Name"]
        if name:
            modules.setdefault(re.sub(r"[-_.]+", "-", name).lower(), found.version)
    emit(
        {
            "ev": "inventory",
            "python": platform.python_version(),
            "modules": modules,
            "top_level": sorted(importlib.metadata.packages_distributions()),
        }
    )
