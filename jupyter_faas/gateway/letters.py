"""Writes what makes a generic runner a replica of its revision: package, secrets and seal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from jupyter_faas.core.errors import ProviderError
from jupyter_faas.gateway.fleet_ports import FleetSettings
from jupyter_faas.gateway.replica import Replica
from jupyter_faas.gateway.specialise import (
    Letter,
    Surroundings,
    letter_to,
    specialisation,
    with_secrets,
)
from jupyter_faas.providers.base import Provider

if TYPE_CHECKING:
    from jupyter_faas.gateway.keys import Keys
    from jupyter_faas.wire.heads import Buffer


class Letters:
    """Writes them for one gateway.

    Args:
        provider: Knows secrets.
        settings: Where packages are.
        surroundings: What replicas are told of the gateway; its address is known once it listens.
        keys: What leaves this machine is sealed with them; None: nothing does.
    """

    def __init__(
        self,
        provider: Provider,
        settings: FleetSettings,
        surroundings: Surroundings,
        keys: Keys | None,
    ) -> None:
        self._provider = provider
        self._settings = settings
        self._keys = keys
        self.surroundings = surroundings

    async def write(self, replica: Replica) -> Letter:
        """Write the letter to a replica whose address and seal are known.

        Raises:
            ProviderError: The package is nowhere, or its runner takes nothing sealed.
            FaasError: A secret is missing, or the function may not use it.
        """
        spec = replica.entry.revision.spec
        path = self._settings.package_path(spec.code.digest)
        told = specialisation(replica, path, self.surroundings)
        told = await with_secrets(told, spec.secrets, self._provider.secrets)
        blob = b"" if path is not None else await self._package(spec.code.digest)
        return letter_to(replica, told, blob, self._keys)

    async def write_ahead(self, replica: Replica) -> Letter:
        """Write it and connect, for the letter and for the watch, before anything can be sent."""
        upstream = replica.upstream
        assert upstream is not None
        letter, *_ = await asyncio.gather(
            self.write(replica), upstream.connect_ahead(), upstream.connect_ahead()
        )
        return letter

    async def _package(self, digest: str) -> Buffer:
        blob = await self._settings.package(digest)
        if blob is None:
            raise ProviderError(
                f"The package sha256:{digest[:12]}… is nowhere to be found: deploy it again."
            )
        return blob
