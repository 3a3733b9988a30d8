"""What the tests of maps on Ray deploy; apart, since a module of a function travels with it."""

from __future__ import annotations

import socket
import time

from jupyter_faas import serverless


@serverless(name="rayed", max_containers=2, cpu=0.01, memory=128)
def where(x: int, seconds: float = 0.0) -> tuple[int, str]:
    """Return the square of `x` and the pod that has made it."""
    time.sleep(seconds)
    return x * x, socket.gethostname()
