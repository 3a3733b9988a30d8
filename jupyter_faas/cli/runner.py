"""`jupyter-faas runner`: one replica on a TCP port, as in a pod."""

from __future__ import annotations

import os
import sys

import click


@click.command
@click.option(
    "--listen", default="127.0.0.1:8080", show_default=True, metavar="HOST:PORT", help="Address."
)
@click.option("--preload", default="", metavar="MODULE,…", help="Modules it is born with.")
def runner(listen: str, preload: str) -> None:
    """Run one generic replica, as in a pod.

    A gateway specialises it. Notebooks need none.
    """
    argv = [sys.executable, "-P", "-m", "jupyter_faas.runner", "serve", "--listen", listen]
    if preload:
        argv += ["--preload", preload]
    # The zygote must be born without what click and the rest have imported.
    os.execv(sys.executable, argv)  # noqa: S606 - no shell, our own program
