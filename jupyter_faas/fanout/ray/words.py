"""What a driver and a Ray host say to each other: lines of JSON, on pipes or on a connection.

A host that is a driver's child shuts Ray down and ends when its standard input closes. One that
listens serves several drivers: a connection that closes ends the replicas of its driver.
"""

from __future__ import annotations

import msgspec

from jupyter_faas.core.model import PROTOCOL_VERSION

TOKEN_VARIABLE = "FAAS_RAY_HOST_TOKEN"  # noqa: S105 - a name
"""Of a host that listens: what drivers must show."""


class HostStart(msgspec.Struct, kw_only=True):
    """The first line: who speaks, and how Ray is to be started; a host that listens has started."""

    protocol: int = PROTOCOL_VERSION
    token: str = ""
    """Shown to a host that listens."""
    environ: dict[str, str] = {}
    """Of the replicas: the shell's basics. Empty: those of where a seat is."""
    address: str = ""
    """A Ray cluster that runs already; empty: one of our own."""
    cpus: int = 0
    """CPUs for Ray; 0: all."""
    memory_bytes: int = 0
    """Size of Ray's object store; 0: the least it takes."""


class Open(msgspec.Struct, tag="open", tag_field="do", kw_only=True):
    """Start a generic replica on a seat."""

    seat: int
    replica: str
    socket: str = ""
    """Path to listen on, if the seat is on this machine."""
    trust: bytes = b""
    """Ed25519 key of the driver: a replica that others can reach takes its word only."""


class Close(msgspec.Struct, tag="close", tag_field="do", kw_only=True):
    """End a replica at once."""

    seat: int
    replica: str


class Want(msgspec.Struct, tag="want", tag_field="do", kw_only=True):
    """The driver's maps could use so many seats now."""

    seats: int
    busy: tuple[int, ...] = ()
    """Seats that have chunks."""


Order = Open | Close | Want


class Up(msgspec.Struct, tag="up", tag_field="is", kw_only=True):
    """Ray runs, with these seats."""

    seats: tuple[int, ...]
    took_s: float = 0.0
    version: str = ""
    python: str = ""
    """Minor version of the seats' Python."""
    seat_mib: int = 0
    """Memory that a replica may take there; 0: not known."""


class Seats(msgspec.Struct, tag="seats", tag_field="is", kw_only=True):
    """Seats have come or gone: these there are now."""

    seats: tuple[int, ...]
    leaving: tuple[int, ...] = ()
    """What runs there may end; nothing more is to be begun."""


class Failed(msgspec.Struct, tag="failed", tag_field="is", kw_only=True):
    """There is no Ray for this driver; the host says nothing more."""

    why: str


class Opened(msgspec.Struct, tag="opened", tag_field="is", kw_only=True):
    """A replica listens; or `why` it does not."""

    seat: int
    replica: str
    address: str = ""
    """`unix:PATH` or `HOST:PORT`."""
    is_here: bool = True
    """On the host's machine."""
    why: str = ""
    is_gone: bool = False
    """There is no such seat any more: that says nothing about the replica."""


Event = Up | Seats | Failed | Opened
