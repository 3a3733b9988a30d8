"""The small files of a kept map: its number of inputs, how it ended."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


class Ended(msgspec.Struct):
    """How a map ended."""

    state: str
    at: float
    """Seconds since the epoch."""
    reason: str = ""
    """Why it could not go on."""


def write(path: Path, content: bytes) -> None:
    """Write a small file, whole or not at all, also against a power cut."""
    new = path.with_name(path.name + ".new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)
    new.rename(path)


def read_number(path: Path) -> int | None:
    """Return the number in a file; None: there is no such file."""
    try:
        return int(path.read_bytes())
    except FileNotFoundError:
        return None


def read_ended(path: Path) -> Ended | None:
    """Return how a map ended; None: it has not."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Ended)
    except FileNotFoundError:
        return None
