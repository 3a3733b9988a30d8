"""`jupyter-faas driver`: runs maps. Started by the gateway at the first map."""

from __future__ import annotations

import click


@click.command
def driver() -> int:
    """Run the maps of one gateway.

    Not for people: a gateway starts it when it has a map to run, and tells it where it is on
    standard input.
    """
    from jupyter_faas.fanout.process import main  # noqa: PLC0415 - only when it runs

    return main()
