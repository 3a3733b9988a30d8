"""Starts a zygote process: argv, environment, descriptors. Called by the provider, and by the CLI.

The CLI calls `spawn_zygote` as the gateway's very first act, so that the zygote imports while the
gateway does: nothing here may import asyncio or subprocess (100 ms). Never waits for anything.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jupyter_faas
from jupyter_faas.core.errors import ProviderError

CONTROL_FD = 3
"""Descriptor number of the control socket inside the zygote."""

MARK = "FAAS_ZYGOTE_OF"
"""Variable that marks whatever a zygote starts; `leftovers.py` finds it in /proc."""

# fmt: off
_BASICS = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR",
    "LD_LIBRARY_PATH", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "VIRTUAL_ENV", "CONDA_PREFIX",
    "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX",
)
# fmt: on

Command = Callable[[str, Sequence[str]], list[str]]


class ZygoteProcess(NamedTuple):
    """A zygote that has been started and not yet listened to."""

    pid: int
    control: socket.socket
    """Non-blocking SOCK_SEQPACKET; its end is the zygote's end."""
    log_path: Path
    log_offset: int
    """Where this process's own lines begin in the log."""


class Birth(NamedTuple):
    """What a zygote of one Python environment is started with."""

    interpreter: str
    pythonpath: str = ""
    preload: tuple[str, ...] = ()


def zygote_command(interpreter: str, preload: Sequence[str]) -> list[str]:
    """Return the argv of a zygote; `-P` keeps a `random.py` in the working directory out."""
    argv = [interpreter, "-P", "-m", "jupyter_faas.runner", "zygote"]
    argv += ["--control-fd", str(CONTROL_FD)]
    return [*argv, "--preload", ",".join(preload)] if preload else argv


def own_pythonpath() -> str:
    """Return where a child of this interpreter finds this package; empty if it is installed."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(jupyter_faas.__file__)))
    return "" if is_site_directory(root) else root


def pythonpath_of(sys_path: Sequence[str]) -> str:
    """Return the entry of a kernel's `sys.path` its jupyter_faas was imported from.

    Empty when it is installed there (the interpreter finds it by itself) or not to be seen.
    """
    for entry in sys_path:
        if os.path.isfile(os.path.join(entry, "jupyter_faas", "runner", "__init__.py")):
            return "" if is_site_directory(entry) else entry
    return ""


def is_site_directory(path: str) -> bool:
    """Return whether an interpreter adds this directory to its path without being told."""
    return os.path.basename(path.rstrip("/")) in ("site-packages", "dist-packages")


def birth_of_own(preload: Sequence[str]) -> Birth:
    """Return how a zygote of the gateway's own interpreter is started."""
    return Birth(sys.executable, own_pythonpath(), tuple(preload))


def spawn_zygote(
    birth: Birth,
    run_dir: Path,
    environ: Mapping[str, str],
    command: Command = zygote_command,
) -> ZygoteProcess:
    """Start a zygote in a session of its own and return at once.

    Args:
        birth: Interpreter, search path and modules to import.
        run_dir: Existing directory of this gateway's sockets; the log is beside them.
        environ: The gateway's environment; only the shell's basics are passed on, no token.
        command: Makes the argv.

    Raises:
        ProviderError: The interpreter cannot be executed.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    log_path = run_dir / "runners.log"
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    offset = os.fstat(log).st_size
    try:
        pid = os.posix_spawn(
            birth.interpreter,
            command(birth.interpreter, birth.preload),
            zygote_environ(environ, birth.pythonpath, run_dir),
            # The log first: it may itself be descriptor 3 here.
            file_actions=[
                (os.POSIX_SPAWN_DUP2, null, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), CONTROL_FD),
            ],
            setsid=True,
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE],
        )
    except OSError as error:
        ours.close()
        raise ProviderError(
            f"Python at {birth.interpreter} cannot be started: {error.strerror}. "
            "Is the environment of the notebook's kernel still there?"
        ) from error
    finally:
        os.close(log)
        os.close(null)
        theirs.close()
    return ZygoteProcess(pid, ours, log_path, offset)


def zygote_environ(
    environ: Mapping[str, str], pythonpath: str, run_dir: Path, owner: int | None = None
) -> dict[str, str]:
    """Return the environment of a zygote: the shell's basics and the mark of its gateway."""
    kept = basics_of(environ)
    if pythonpath:
        kept["PYTHONPATH"] = pythonpath
    kept[MARK] = mark_of(run_dir, os.getpid() if owner is None else owner)
    return kept


def basics_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what user code finds of an environment: the shell's basics."""
    kept = {name: environ[name] for name in _BASICS if name in environ}
    return kept | {name: text for name, text in environ.items() if name.startswith("LC_")}


def mark_of(run_dir: Path, owner: int) -> str:
    """Return the value of `MARK` for what the gateway with pid `owner` starts."""
    return f"{run_dir}:{owner}"
