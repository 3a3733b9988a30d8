"""What a driver and its Ray host say to each other: lines of JSON on the host's pipes.

The driver holds the host's standard input: when it closes, the host shuts Ray down and ends.
"""

from __future__ import annotations

import msgspec


class HostStart(msgspec.Struct, kw_only=True):
    """The first line: how Ray is to be started."""

    run_dir: str
    """Private directory for sockets of replicas."""
    environ: dict[str, str]
    """Of the replicas: the shell's basics."""
    address: str = ""
    """A Ray cluster that runs already; empty: one of our own."""
    cpus: int = 0
    """CPUs for Ray; 0: all."""
    memory_bytes: int = 0
    """Size of Ray's object store; 0: the least it takes."""
    token: str = ""
    """What Ray's processes show one another; empty: made here."""


class Open(msgspec.Struct, tag="open", tag_field="do", kw_only=True):
    """Start a generic replica on a seat."""

    seat: int
    replica: str
    socket: str


class Close(msgspec.Struct, tag="close", tag_field="do", kw_only=True):
    """End a replica at once."""

    seat: int
    replica: str


Order = Open | Close


class Up(msgspec.Struct, tag="up", tag_field="is", kw_only=True):
    """Ray runs, with so many seats."""

    seats: int
    took_s: float
    version: str = ""


class Failed(msgspec.Struct, tag="failed", tag_field="is", kw_only=True):
    """Ray does not start; the host ends."""

    why: str


class Opened(msgspec.Struct, tag="opened", tag_field="is", kw_only=True):
    """A replica listens; or `why` it does not."""

    seat: int
    replica: str
    why: str = ""


Event = Up | Failed | Opened
