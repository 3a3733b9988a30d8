"""`jupyter-faas blobs`: keeps packages and accepted calls for the gateways of a cluster."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.core.settings import Settings, StatePaths


@click.command
def blobs() -> int:
    """Keep packages, calls and maps for the gateways of a cluster.

    Runs until it is interrupted. Part of what `jupyter-faas install` prints; needs
    FAAS_BLOBS_KEY_FILE.
    """
    from jupyter_faas.client.state_file import load_settings  # noqa: PLC0415 - only when it runs

    settings = load_settings()
    if not settings.blobs_key_file:
        raise InvalidSpec("FAAS_BLOBS_KEY_FILE must name the file with the key of the gateways.")
    try:
        key = Path(settings.blobs_key_file).read_bytes()
    except OSError as error:
        raise InvalidSpec(
            f"FAAS_BLOBS_KEY_FILE={settings.blobs_key_file} cannot be read: {error.strerror}."
        ) from error
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    _run(settings, key)
    return 0


def _run(settings: Settings, key: bytes) -> None:
    import asyncio  # noqa: PLC0415 - `--help` need not wait for it

    asyncio.run(_serve(settings, key))


async def _serve(settings: Settings, key: bytes) -> None:
    from jupyter_faas.cli.ending import told_to_end  # noqa: PLC0415 - only when it runs
    from jupyter_faas.gateway.blob_service import BlobService  # noqa: PLC0415 - as above

    told = told_to_end()
    paths = StatePaths(settings.state_dir)
    root = paths.blobs
    service = BlobService(root, key, settings.max_body_bytes, database=paths.database)
    await service.start(settings.host, settings.port)
    click.echo(f"Packages are kept in {root}, port {service.port}.")
    await told.wait()
    await service.stop()
