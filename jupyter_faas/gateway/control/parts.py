"""What the control API needs of a gateway. The composition root has it all as attributes."""

from __future__ import annotations

from typing import Protocol

from jupyter_faas.core.settings import Settings
from jupyter_faas.gateway.auth import Judge
from jupyter_faas.gateway.blobs import Blobs
from jupyter_faas.gateway.calls import Calls
from jupyter_faas.gateway.entries import FunctionEntry
from jupyter_faas.gateway.events import EventLog
from jupyter_faas.gateway.kept.calls import KeptCalls
from jupyter_faas.gateway.logs import Logs
from jupyter_faas.gateway.map_news import MapNews
from jupyter_faas.gateway.metering import Metering
from jupyter_faas.gateway.registry import Registry
from jupyter_faas.gateway.store.base import Store
from jupyter_faas.gateway.views import Views
from jupyter_faas.providers.base import Provider


class Parts(Protocol):
    """Parts of one gateway."""

    settings: Settings
    authority: Judge
    provider: Provider
    store: Store
    registry: Registry
    blobs: Blobs
    calls: Calls
    kept: KeptCalls | None
    """None: this gateway keeps no calls."""
    metering: Metering
    events: EventLog
    logs: Logs
    views: Views
    map_news: MapNews
    started_at: float
    """Wall clock, seconds since the epoch."""

    def owns(self, entry: FunctionEntry) -> bool:
        """Return whether a function belongs to this gateway, not to one of the others."""

    async def fetch_package(self, digest: str) -> object:
        """Have a package here that was uploaded to another gateway, if there is one."""

    @property
    def url(self) -> str:
        """Where HTTP clients reach it, without a trailing slash."""
