"""Maps and what is kept, at a gateway of a cluster: the driver beside it, the service for all."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import msgspec

from jupyter_faas.core.settings import Settings, StatePaths
from jupyter_faas.fanout.start import DriverStart, RayHostAt
from jupyter_faas.gateway.driver_host import DriverHost
from jupyter_faas.gateway.kept_maps import KeptMaps
from jupyter_faas.gateway.keys import Keys
from jupyter_faas.gateway.service import GatewayService
from jupyter_faas.providers.local.run_dir import run_directory
from jupyter_faas.wire.kept import KeptLink

_OF_STORES = ("AWS_", "AZURE_", "GOOGLE_")
"""How the names of the variables begin that say where an object store is, and with which key."""


def share_kept(service: GatewayService, link: KeptLink) -> None:
    """Have a gateway keep calls and maps together with the others; its store has the link, too."""
    link.holder = service.ids.prefix
    link.there = lambda: seen_by(service)
    keep_s = service.settings.map_retention_s
    kept = KeptMaps(service.maps, link, service.owns_name, keep_s, service.wall_clock)
    service.attach(kept)


def seen_by(service: GatewayService) -> list[str]:
    """Return the prefixes of the gateways that a gateway has a link to."""
    several = service.several
    return [] if several is None else [peer.prefix for peer in several.peers.all()]


def driver_host(
    service: GatewayService, keys: Keys, link: KeptLink | None, environ: Mapping[str, str]
) -> DriverHost:
    """Return what starts the process of the maps, beside this gateway.

    It does not get the credentials of an object store: what it keeps it gives to the blobs service.
    """
    settings = service.settings
    run_dir = run_directory(StatePaths(settings.state_dir).run, environ)
    own = settings.gateway_token  # where that opens everything
    tokens = {} if own else {name: keys.call_token(name) for name in settings.namespaces}

    def told(listen: str) -> bytes:
        start = DriverStart(
            listen=listen,
            gateway=service.listeners.address,
            token=own,
            tokens=tokens,
            is_one_machine=False,
            maps_dir="" if link is None else str(StatePaths(settings.state_dir).maps),
            kept=None if link is None else link.told(),
            ray_hosts=_ray_hosts(settings, keys),
        )
        return msgspec.json.encode(start)

    return DriverHost(
        [sys.executable, "-P", "-m", "jupyter_faas", "driver"],
        {name: text for name, text in environ.items() if not name.startswith(_OF_STORES)},
        lambda number: str(run_dir / f"m{os.getpid()}-{number}.sock"),
        told,
    )


def _ray_hosts(settings: Settings, keys: Keys) -> dict[str, RayHostAt]:
    """Return what serves the seats of each namespace's Ray cluster."""
    if not settings.ray_host:
        return {}
    return {
        name: RayHostAt(
            settings.ray_host.replace("{namespace}", name),
            settings.ray_host_token or keys.ray_host_token(name),
        )
        for name in settings.namespaces
    }
