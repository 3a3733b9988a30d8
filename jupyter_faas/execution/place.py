"""Where user code finds itself: directory, module path, environment, memory limit, `__main__`."""

from __future__ import annotations

import builtins
import importlib
import os
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.core.model import Place

MIB = 1 << 20
THREAD_STACK_BYTES = 8 * MIB
"""What one thread's stack counts against RLIMIT_DATA, used or not."""


def enter(place: Place | None, env: Mapping[str, str]) -> None:
    """Go where the notebook is: its directory, its `sys.path`, its variables and the function's.

    Raises:
        InvalidSpec: The directory is not there (any more).
    """
    if place is not None:
        _change_directory(place.cwd)
        _extend_path(place.sys_path)
        _replace_environment(place.environ)
    os.environ.update(env)
    # Python children of the function deliver their lines as they print them.
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    if "TZ" in os.environ:
        time.tzset()


def limit_memory(memory_mib: int, threads: int = 0) -> None:
    """Let this process take `memory_mib` of data beyond what it has now.

    RLIMIT_DATA, not RLIMIT_AS: numpy alone maps 200 MiB that it never touches.

    Args:
        memory_mib: What the function's own data may take.
        threads: Threads the runner itself will start; their stacks come on top.
    """
    page = resource.getpagesize()
    data_bytes = int(Path("/proc/self/statm").read_bytes().split()[5]) * page
    allowed = data_bytes + memory_mib * MIB + (threads + 2) * THREAD_STACK_BYTES
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        allowed = min(allowed, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))


def fresh_main() -> None:
    """Give user code an empty `__main__`; the runner's own is nothing it should find."""
    sys.modules["__main__"] = ModuleType("__main__")
    sys.argv[:] = [""]


def refuse_input() -> None:
    """Make `input()` say at once that nobody can answer."""

    def no_input(prompt: Any = "", /) -> NoReturn:
        del prompt
        raise RuntimeError(
            "input() cannot be answered in a function that runs remotely: pass the value as an "
            "argument."
        )

    builtins.input = no_input


def _change_directory(cwd: str) -> None:
    try:
        os.chdir(cwd)
    except OSError as error:
        raise InvalidSpec(
            f"The notebook's directory {cwd!r} cannot be used here: {error.strerror}. "
            "Relative paths of the function would lead nowhere; restart the kernel in a "
            "directory that exists and call again."
        ) from error


def _extend_path(sys_path: tuple[str, ...]) -> None:
    # The runner's own entries stay at the end: it imports parts of itself when it needs them.
    own = [entry for entry in sys.path if entry and entry not in sys_path]
    sys.path[:] = [*sys_path, *own]
    # The zygote may have listed folders before the newest package was installed.
    importlib.invalidate_caches()


def _replace_environment(environ: Mapping[str, str]) -> None:
    for name in list(os.environ):
        if name not in environ:
            del os.environ[name]
    os.environ.update(environ)
