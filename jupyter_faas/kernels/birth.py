"""Which kernels can be forked, and from what kind of zygote. Pure.

What the interpreter and the imported packages read only when they start must be the same in the
zygote as in a kernel started plainly: kernels that differ in it come from different zygotes.
Everything else of a kernel's environment is set after the fork.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

LAUNCHER = "ipykernel_launcher"
"""The module a plain start runs."""

PARENT = "JPY_PARENT_PID"
"""Set by a plain start; ipykernel looks at it once, when it is imported."""

FORWARDED = frozenset({"env", "cwd", "stdout", "stderr", "kernel_id", "extra_arguments"})
"""What may be asked for with a kernel and be given to a forked one."""

# Not forwarded before the fork although their prefix is in _READ_AT_START: they are a kernel's own.
_OWN = frozenset({PARENT, "JPY_SESSION_NAME", "JPY_INTERRUPT_EVENT"})

# fmt: off
_READ_AT_START = (
    # the interpreter, the dynamic linker and the C library
    "PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "GLIBC_", "OPENSSL_", "SSL_", "COVERAGE_",
    # ipykernel and what it imports
    "IPYTHON", "JUPYTER", "JPY_", "TRAITLETS_", "TORNADO_", "PYZMQ_", "ZMQ_", "PSUTIL_",
    "PYDEV", "DEBUG_PYDEVD", "DEBUGPY_", "GEVENT_", "PYCHARM_", "PATHS_FROM_ECLIPSE", "XDG_",
)
# fmt: on
_READ_AT_START_WHOLE = frozenset({"HOME", "USER", "TERM", "DISPLAY"})


class NotForkable(Exception):
    """This kernel has to be started plainly; the text says why, as the end of a sentence."""


class Birth(NamedTuple):
    """What a zygote is started with. Equal births share a zygote."""

    interpreter: str
    flags: tuple[str, ...]
    """Of the interpreter, before `-m`."""
    environ: tuple[tuple[str, str], ...]


def birth_of(command: Sequence[str], environ: Mapping[str, str], options: Iterable[str]) -> Birth:
    """Return what the zygote of a kernel is started with.

    Args:
        command: The command of a plain start.
        environ: The kernel's environment.
        options: Names of what else is asked for, as for `subprocess.Popen`.

    Raises:
        NotForkable: The command is no ipykernel, or something is asked for that a fork cannot give.
    """
    if unknown := sorted(set(options) - FORWARDED):
        raise NotForkable(f"{', '.join(unknown)} is asked for, which a forked kernel cannot have")
    interpreter, flags, _ = split(command)
    if not os.path.isabs(interpreter):
        raise NotForkable(f"its interpreter, {interpreter!r}, is not an absolute path")
    # An entry that is not absolute would mean another directory in the zygote.
    entries = environ.get("PYTHONPATH")
    if entries and not all(os.path.isabs(entry) for entry in entries.split(os.pathsep)):
        raise NotForkable("PYTHONPATH has an entry that is not an absolute path")
    at_start = {name: text for name, text in environ.items() if _is_read_at_start(name)}
    return Birth(interpreter, tuple(flags), tuple(sorted(at_start.items())))


def split(command: Sequence[str]) -> tuple[str, list[str], list[str]]:
    """Return interpreter, its flags, and the arguments of ipykernel.

    Raises:
        NotForkable: It is not `python [flags] -m ipykernel_launcher [arguments]`.
    """
    words = list(command)
    if "-m" in words[1:-1]:
        at = words.index("-m", 1)
        if words[at + 1] == LAUNCHER:
            return words[0], words[1:at], words[at + 2 :]
    raise NotForkable(f"its command is not `python -m {LAUNCHER}`")


def plain_command(command: Sequence[str], why: str) -> list[str]:
    """Return the command of a plain start whose banner says why it is one."""
    try:
        split(command)
    except NotForkable:
        return list(command)
    banner = f"This kernel was started plainly, not forked: {why}.\n"
    return [*command, f"--InteractiveShell.banner2={banner}"]


def kernel_environ(environ: Mapping[str, str], server_pid: int) -> dict[str, str]:
    """Return the environment of a forked kernel: as a plain start gives it."""
    return {**environ, PARENT: str(server_pid)}


def environ_after_fork(zygote: Mapping[str, str], asked: Mapping[str, str]) -> dict[str, str]:
    """Return what a kernel's environment is once it has forked.

    Args:
        zygote: Of the zygote now: what it was started with, and what the interpreter and imports
            have set since, as they would in a kernel started plainly (debugpy does).
        asked: The kernel's.
    """
    set_since = {
        name: text for name, text in zygote.items() if name not in asked or _is_read_at_start(name)
    }
    return {**asked, **set_since}


def _is_read_at_start(name: str) -> bool:
    if name in _OWN:
        return False
    return name in _READ_AT_START_WHOLE or name.startswith(_READ_AT_START)
