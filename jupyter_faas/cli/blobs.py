"""`jupyter-faas blobs`: keeps packages, calls and maps for the gateways of a cluster."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from jupyter_faas.core.errors import InvalidSpec


@click.command
def blobs() -> int:
    """Keep packages, calls and maps for the gateways of a cluster.

    Runs until it is interrupted. Part of what `jupyter-faas install` prints; needs
    FAAS_BLOBS_KEY_FILE. With FAAS_BLOB_URL=s3://… calls and maps are kept there, and the disk is
    of no account.
    """
    import asyncio  # noqa: PLC0415 - `--help` need not wait for it

    from jupyter_faas.cli.blobs_serve import serve  # noqa: PLC0415 - as above
    from jupyter_faas.client.state_file import load_settings  # noqa: PLC0415 - as above

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
    asyncio.run(serve(settings, key))
    return 0
