"""The zygote's first steps, and the way from it to a kernel: see `zygote.py` and `kernel.py`."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from jupyter_faas.kernels.zygote import BecomeKernel, Zygote
from jupyter_faas.providers.local.site_stamp import SiteStamp
from jupyter_faas.runner.family import name_process


def main(argv: Sequence[str]) -> int:
    """Be a zygote, and in each of its children a kernel; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m jupyter_faas.kernels", description=__doc__)
    parser.add_argument("--control-fd", type=int, required=True, help="socket to the server")
    parser.add_argument("--server-fd", type=int, required=True, help="pidfd of the server")
    options = parser.parse_args(argv)
    for fd in (options.control_fd, options.server_fd):
        os.set_inheritable(fd, False)
    # Before ipykernel is imported: what is installed meanwhile makes this zygote old.
    stamp = SiteStamp(sys.path)
    from jupyter_faas.kernels import kernel  # noqa: PLC0415 - ipykernel comes with it

    kernel.preload()
    name = Path("/proc/self/comm").read_text().strip()
    name_process("faas-kernels")
    control = socket.socket(fileno=options.control_fd)
    zygote = Zygote(control, options.server_fd, stamp, kernel.WHEN_IDLE)
    try:
        zygote.run()
    except BecomeKernel as become:
        handed = become.handed
    else:
        os._exit(0)
    del zygote
    return kernel.run(handed, options.server_fd, name)
