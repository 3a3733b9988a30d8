"""Where local replicas of this process's functions run: its interpreter and surroundings.

A relative path, a module next to the notebook and a package installed a minute ago then mean the
same there as here. Of the environment only the shell's basics go along; the rest may hold
secrets, and what a function needs is named in `env=`.
"""

from __future__ import annotations

import os
import sys

from jupyter_faas.core.model import Place

_BASICS = (
    "HOME",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
)


def here() -> Place:
    """Return the interpreter and surroundings of this process as they are now."""
    cwd = os.getcwd()
    environ = {name: os.environ[name] for name in _BASICS if name in os.environ}
    environ |= {name: value for name, value in os.environ.items() if name.startswith("LC_")}
    return Place(
        interpreter=sys.executable,
        cwd=cwd,
        sys_path=tuple(entry or cwd for entry in sys.path),
        environ=environ,
    )
