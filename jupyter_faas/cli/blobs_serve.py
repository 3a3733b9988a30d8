"""The life of the blobs service: composed, and ended by a signal."""

from __future__ import annotations

import asyncio
import logging
import time

import click

from jupyter_faas.cli.ending import first_of, told_to_end
from jupyter_faas.core.errors import ProviderError
from jupyter_faas.core.settings import Settings, StatePaths
from jupyter_faas.gateway.blob_service import BlobService
from jupyter_faas.gateway.bucket.keeping import InBucket
from jupyter_faas.gateway.keeping import Keeping, OnVolume
from jupyter_faas.gateway.objects import SCHEMES

RETRY_S = 2.0
"""Between two tries to read what is kept, when that cannot be."""
_log = logging.getLogger(__name__)


async def serve(settings: Settings, key: bytes) -> None:
    """Keep what is to be kept until a signal comes; a store that is away is waited for.

    Args:
        settings: Effective settings.
        key: What gateways show.

    Raises:
        InvalidSpec: The store cannot be used.
        ProviderError: Another process keeps them now: this one must not take them back by itself.
    """
    told = told_to_end()
    root = StatePaths(settings.state_dir).blobs
    while not told.is_set():
        keeping = keeping_of(settings)
        service = BlobService(root, key, settings.max_body_bytes, keeping=keeping)
        try:
            await service.start(settings.host, settings.port)
            where = settings.blob_url or root
            click.echo(f"Calls and maps are kept in {where}, port {service.port}.")
            await first_of(told.wait(), keeping.is_lost.wait())
        except ProviderError as error:
            _log.warning("%s: it is tried again", error.detail)
            await first_of(told.wait(), asyncio.sleep(RETRY_S))
        finally:
            await service.stop()
        if keeping.is_taken:
            raise ProviderError(
                f"Another process keeps calls and maps in {settings.blob_url}: one is enough, and "
                "two installations need two prefixes."
            )


def keeping_of(settings: Settings) -> Keeping:
    """Return where calls and maps are kept."""
    database = StatePaths(settings.state_dir).database
    if settings.blob_url.partition("://")[0] in SCHEMES:
        return InBucket(settings.blob_url, database, time.time)
    return OnVolume(database, time.time)
