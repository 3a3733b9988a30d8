"""Giving numerical libraries their threads back after a fork.

The zygote imports them with one thread each (a fork copies only one), so a worker would compute on
one core for ever: OpenBLAS reads its variable only when it is loaded. Its setter is called instead;
the libraries are found once, in the zygote, because reading the memory map takes a while.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

_SETTERS = (
    "openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "scipy_openblas_set_num_threads64_",
)

Setter = Callable[[int], Any]


def find_setters() -> list[Setter]:
    """Return the thread setters of the OpenBLAS libraries that this process has loaded."""
    found: list[Setter] = []
    for path in _loaded_libraries():
        with suppress(OSError):
            library = ctypes.CDLL(path)
            names = [name for name in _SETTERS if hasattr(library, name)]
            found.extend(getattr(library, name) for name in names[:1])
    return found


def restore(setters: list[Setter]) -> None:
    """Let the libraries use every core this process may run on."""
    cores = len(os.sched_getaffinity(0))
    if cores == 1:
        return
    for setter in setters:
        setter(cores)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(cores)


def _loaded_libraries() -> list[str]:
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return []
    paths = {line.rpartition(" ")[2] for line in lines if "openblas" in line}
    return sorted(path for path in paths if path.startswith("/"))
