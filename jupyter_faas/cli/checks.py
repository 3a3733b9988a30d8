"""What `jupyter-faas doctor` looks at: each check yields problems, each with what to do.

Checks only look: they start nothing, and a gateway that hangs costs them a second.
"""

from __future__ import annotations

import os
import resource
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from jupyter_faas.cli.jupyter_checks import Piece, look_at_jupyter, places
from jupyter_faas.client.embedded import running_gateway
from jupyter_faas.client.state_file import GatewayState, last_lines, read_state
from jupyter_faas.core.errors import GatewayUnavailable
from jupyter_faas.core.settings import MAX_SOCKET_PATH_BYTES, PREFIX, Settings, StatePaths
from jupyter_faas.core.version import VERSION
from jupyter_faas.providers.local.leftovers import marked_processes
from jupyter_faas.providers.local.process import MARK

_FEW_FILES = 4096
_LITTLE_SPACE_BYTES = 200 << 20
_REMOTE_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"}
_NOT_SETTINGS = {f"{PREFIX}CONFIG", MARK}


class Problem(NamedTuple):
    """Something that is wrong, or will be."""

    what: str
    advice: str


class Findings(NamedTuple):
    """What was found."""

    state: GatewayState | None
    """Of the embedded gateway; None: it is not running."""
    problems: list[Problem]
    pieces: list[Piece]
    """What Jupyter should find; empty in an environment without it."""


def look(settings: Settings, environ: Mapping[str, str]) -> Findings:
    """Run every check."""
    paths = StatePaths(settings.state_dir)
    state, problems = _gateway(paths, settings)
    problems += _platform()
    problems += _limits()
    problems += _variables(environ)
    problems += _directory(paths)
    if state is None:
        problems += _leftovers(paths)
    where = places()
    pieces = [] if where is None else list(look_at_jupyter(where))
    problems += [Problem(piece.trouble, piece.advice) for piece in pieces if piece.trouble]
    return Findings(state, problems, pieces)


def _gateway(paths: StatePaths, settings: Settings) -> tuple[GatewayState | None, list[Problem]]:
    try:
        state = running_gateway(paths, min(1.0, settings.connect_timeout_s))
    except GatewayUnavailable as error:
        return read_state(paths), [Problem(error.detail, "See the end of its log.")]
    found = []
    written = read_state(paths)
    if state is None and written is not None and written.pid:
        found.append(
            Problem(
                f"The last gateway (pid {written.pid}) did not end by itself. "
                f"Its log ends with:\n{last_lines(paths.log, 5)}",
                "Nothing is lost; the next call starts a new one.",
            )
        )
    if state is not None and state.version != VERSION:
        found.append(
            Problem(
                f"The gateway is version {state.version}, this is {VERSION}.",
                "`jupyter-faas gateway --stop`: the next call starts this version.",
            )
        )
    return state, found


def _platform() -> Iterator[Problem]:
    if not sys.platform.startswith("linux"):
        yield Problem(
            f"The embedded gateway runs on Linux (and WSL), this is {sys.platform}.",
            "Use a gateway elsewhere: FAAS_GATEWAY_URL and FAAS_GATEWAY_TOKEN.",
        )
    elif not hasattr(os, "pidfd_open"):
        yield Problem("This Python has no pidfd_open.", "Use Linux 5.3 or later.")


def _limits() -> Iterator[Problem]:
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY and files < _FEW_FILES:
        yield Problem(
            f"A process may have {files} files open: a gateway under load needs more.",
            f"Raise the hard limit (`ulimit -Hn`) to {_FEW_FILES} or more.",
        )


def _variables(environ: Mapping[str, str]) -> Iterator[Problem]:
    known = {PREFIX + name.upper() for name in Settings.__struct_fields__} | _NOT_SETTINGS
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            yield Problem(f"{name} is set and is no setting.", "It has no effect; unset it.")


def _directory(paths: StatePaths) -> Iterator[Problem]:
    if len(os.fsencode(paths.socket)) > MAX_SOCKET_PATH_BYTES:
        yield Problem(
            f"{paths.socket} is too long for a socket ({MAX_SOCKET_PATH_BYTES} bytes).",
            "Set FAAS_STATE_DIR to a shorter path.",
        )
    if not paths.root.exists():
        return
    for path in (paths.root, paths.state_file, paths.database):
        yield from _privacy(path)
    if not os.access(paths.root, os.W_OK | os.X_OK):
        yield Problem(f"{paths.root} is not writable.", "Set FAAS_STATE_DIR to one that is.")
    elif shutil.disk_usage(paths.root).free < _LITTLE_SPACE_BYTES:
        yield Problem(f"The disk of {paths.root} is nearly full.", "Free some space.")
    if (kind := file_system(paths.root)) in _REMOTE_FILE_SYSTEMS:
        yield Problem(
            f"{paths.root} is on {kind}, where databases and sockets do not work well.",
            "Set FAAS_STATE_DIR to a directory of this machine.",
        )


def _privacy(path: Path) -> Iterator[Problem]:
    try:
        found = path.stat()
    except OSError:
        return
    if found.st_uid != os.getuid():
        yield Problem(f"{path} belongs to another user.", "Set FAAS_STATE_DIR to one of yours.")
    elif stat.S_IMODE(found.st_mode) & 0o077 and path.suffix != ".db":
        yield Problem(f"{path} is open to other users.", f"`chmod go= {path}`")


def _leftovers(paths: StatePaths) -> Iterator[Problem]:
    if left := [found.pid for found in marked_processes(paths.run)]:
        yield Problem(
            f"Processes of an earlier gateway are still here: {', '.join(map(str, left))}.",
            "The next gateway ends them; or `jupyter-faas gateway --stop` does.",
        )


def file_system(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Return the type of the file system a path is on; empty if it cannot be told."""
    try:
        rows = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return ""
    real = os.path.realpath(path)
    holding = [row for row in rows if os.path.commonpath([row[1], real]) == row[1]]
    return max(holding, key=lambda row: len(row[1]))[2] if holding else ""
