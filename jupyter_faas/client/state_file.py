"""What the embedded gateway tells the processes of its user: where it is and its token.

Files of the state directory (0700), each 0600: `gateway.json` is written last by a gateway that
starts and says pid 0 once it has ended; its token and port outlive it, so that a restarted
gateway is found where the old one was. The only place that reads `faas.toml`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec

from jupyter_faas.core.errors import GatewayUnavailable, InvalidSpec
from jupyter_faas.core.settings import (
    MAX_SOCKET_PATH_BYTES,
    Origins,
    Settings,
    StatePaths,
    config_path,
)

TOKEN_BYTES = 32


class GatewayState(msgspec.Struct, frozen=True, kw_only=True):
    """Contents of `gateway.json`."""

    pid: int
    """0: it has ended."""
    socket: str
    url: str
    token: str
    provider: str = "local"
    version: str
    protocol: int
    started_at: float
    """Wall clock, seconds; for people only."""

    def __repr__(self) -> str:
        return f"GatewayState(pid={self.pid}, url={self.url!r}, version={self.version!r})"


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the effective settings of this process.

    Raises:
        InvalidSpec: A value cannot be used, or `faas.toml` cannot be read.
    """
    return settings_and_origins(environ)[0]


def settings_and_origins(environ: Mapping[str, str] = os.environ) -> tuple[Settings, Origins]:
    """Return the effective settings and where each came from, for `doctor`. Errors as above."""
    path = config_path(environ)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSpec(f"{path} cannot be read: {error}.") from error
    return Settings.load(environ, text)


def prepare_state_dir(paths: StatePaths) -> None:
    """Make the state directory, private to its user.

    Raises:
        GatewayUnavailable: It cannot be made, belongs to another user, or is too deep for the
            gateway's socket.
    """
    if len(os.fsencode(paths.socket)) > MAX_SOCKET_PATH_BYTES:
        raise GatewayUnavailable(
            f"{paths.socket} is too long for the address of a socket ({MAX_SOCKET_PATH_BYTES} "
            "bytes): set FAAS_STATE_DIR to a shorter path."
        )
    try:
        paths.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if paths.root.stat().st_mode & 0o077:
            paths.root.chmod(0o700)
    except OSError as error:
        raise GatewayUnavailable(
            f"The state directory {paths.root} cannot be used: {error.strerror}. "
            "Set FAAS_STATE_DIR to a directory of yours."
        ) from error


def read_state(paths: StatePaths) -> GatewayState | None:
    """Return what the last gateway wrote; None if there is nothing, or nothing readable."""
    try:
        return msgspec.json.decode(paths.state_file.read_bytes(), type=GatewayState)
    except (OSError, msgspec.DecodeError):
        return None


def write_state(paths: StatePaths, state: GatewayState) -> None:
    """Replace `gateway.json` at once: a reader sees the old one or the new one."""
    fresh = paths.state_file.with_suffix(f".{os.getpid()}.new")
    write_private(fresh, msgspec.json.format(msgspec.json.encode(state), indent=2))
    fresh.replace(paths.state_file)


def mark_ended(paths: StatePaths, pid: int) -> None:
    """Note that the gateway with this pid has ended, unless another has taken its place."""
    state = read_state(paths)
    if state is not None and state.pid == pid:
        write_state(paths, msgspec.structs.replace(state, pid=0))


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, from its first moment on."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)


def new_token() -> str:
    """Return a bearer token: 32 random bytes, URL-safe."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def last_lines(path: Path, count: int = 15) -> str:
    """Return the last lines of a log; empty if there is none."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - 16_384))
            lines = log.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(line for line in lines[-count:] if line.strip())
