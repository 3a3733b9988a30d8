"""What a driver is told at its start. Apart: who starts it need not import what it is made of."""

from __future__ import annotations

import msgspec

from jupyter_faas.core.mapping import Seating
from jupyter_faas.wire.kept import LinkTo


class RayHostAt(msgspec.Struct):
    """What serves the seats of a Ray cluster."""

    address: str
    """`HOST:PORT`."""
    token: str = ""
    """Shown there."""


class DriverStart(msgspec.Struct, kw_only=True):
    """The first line of a driver's input (JSON): what it needs to know, and nobody else."""

    listen: str
    """Path of the Unix socket to listen on."""
    gateway: str
    """Address of the gateway."""
    token: str = ""
    """Of the gateway; may call functions."""
    tokens: dict[str, str] = {}
    """The same by namespace, where no one token is good for all."""
    is_one_machine: bool = True
    """All replicas run on this machine: there are as many CPUs as here."""
    maps_dir: str = ""
    """Where maps that are kept lie; empty: none are."""
    kept: LinkTo | None = None
    """What keeps maps for several gateways; `maps_dir` is a cache then."""
    keep_s: float = 7 * 86_400.0
    """How long after their end."""
    idle_exit_s: float = 120.0
    """Unused for so long, it ends; 0: never."""
    run_dir: str = ""
    """Private directory for sockets; empty: it starts no Ray."""
    ray_hosts: dict[str, RayHostAt] = {}
    """By namespace, what serves seats to its functions; `""`: to all. Empty: Ray starts here."""
    ray_address: str = ""
    ray_cpus: int = 0
    ray_memory_bytes: int = 0
    warm: Seating | None = None
    """Start Ray at once, with this Python."""
