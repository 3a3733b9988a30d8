"""Bearer tokens: making, keeping and comparing them. A token is in no message and no repr."""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from pathlib import Path

_TOKEN_BYTES = 32


class UnsafeFile(PermissionError):
    """A file with a secret can be read or written by others, or belongs to another user."""


def new_token() -> str:
    """Return a fresh token: 256 random bits, safe in URLs and headers."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def bearer_of(authorization: bytes | None) -> bytes | None:
    """Return the token of an `Authorization` header, or None if it carries none."""
    if authorization is None or authorization[:7].lower() != b"bearer ":
        return None
    return authorization[7:].strip() or None


def is_bearer(authorization: bytes | None, token: bytes) -> bool:
    """Return whether the header carries `token`; takes the same time wherever they differ."""
    given = bearer_of(authorization)
    return given is not None and hmac.compare_digest(given, token)


def write_secret(path: Path, text: str) -> None:
    """Write a file that only this user can read, all or nothing.

    Raises:
        OSError: It cannot be written.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)  # whatever the umask says
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def read_secret(path: Path) -> str:
    """Return the text of a file that only this user can read.

    Raises:
        FileNotFoundError: There is none.
        UnsafeFile: Others can read or write it, or it is another user's.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with open(descriptor, encoding="utf-8") as file:
        status = os.fstat(file.fileno())
        if status.st_uid != os.getuid():
            raise UnsafeFile(f"{path} belongs to another user")
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise UnsafeFile(f"{path} can be read by others: chmod 600 {path}")
        return file.read()
