"""The directory of the replicas' sockets: private, and short enough for a socket's address.

Where the state directory is too deep for that, a short one named after it is used instead.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from jupyter_faas.core.errors import ProviderError
from jupyter_faas.core.settings import MAX_SOCKET_PATH_BYTES

LONGEST_SOCKET_NAME = "/" + "r" * 16 + ".sock"


def run_directory(wanted: Path, environ: Mapping[str, str]) -> Path:
    """Return `wanted`, or a short private directory if sockets in it would not fit.

    Made with mode 0700 if it is not there.

    Raises:
        ProviderError: It cannot be made, belongs to somebody else, or is open to others.
    """
    for candidate in (wanted, *_short(wanted, environ)):
        if len(os.fsencode(f"{candidate}{LONGEST_SOCKET_NAME}")) <= MAX_SOCKET_PATH_BYTES:
            return make_private(candidate)
    raise ProviderError(
        f"{wanted} is too long for the address of a socket ({MAX_SOCKET_PATH_BYTES} bytes): "
        "set FAAS_STATE_DIR or XDG_RUNTIME_DIR to a shorter path."
    )


def make_private(directory: Path) -> Path:
    """Make a directory that only its owner may enter, or check that it is one.

    Raises:
        ProviderError: It cannot be made, belongs to somebody else, or is open to others.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
    except OSError as error:
        raise ProviderError(f"{directory} cannot be made: {error.strerror}.") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise ProviderError(f"{directory} is not a directory of this user; sockets need one.")
    if stat.S_IMODE(found.st_mode) & 0o077:
        directory.chmod(0o700)
    return directory


def _short(wanted: Path, environ: Mapping[str, str]) -> list[Path]:
    name = f"faas-{os.getuid()}-{hashlib.sha256(os.fsencode(wanted)).hexdigest()[:12]}"
    runtime = environ.get("XDG_RUNTIME_DIR")
    roots = [Path(runtime)] if runtime and os.path.isdir(runtime) else []
    return [root / name for root in (*roots, Path("/tmp"))]  # noqa: S108 - private, checked
