"""A seat: the Ray actor that holds one CPU of a node for replicas of ours.

Ray decides where seats are and ends them; what runs on one is a replica like any other, forked
from a zygote of the seat's own. So a crash, a time-out or a memory limit in an item costs a fork,
not an actor. The zygote ends when the control socket closes: with the actor, however that ended.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from jupyter_faas.providers.local.process import basics_of

_START_S = 30.0
_MOST_BYTES = 1 << 20


class Seat:
    """Starts and ends replicas on this node.

    Args:
        environ: Of the replicas; empty: this node's basics. Never all of Ray's: its token is there.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fd = theirs.fileno()
        command = [sys.executable, "-P", "-m", "jupyter_faas.runner", "zygote"]
        self._zygote = subprocess.Popen(  # noqa: S603 - this interpreter, our module
            [*command, "--control-fd", str(fd)],
            pass_fds=(fd,),
            stdin=subprocess.DEVNULL,
            env={**(environ or basics_of(os.environ)), "FAAS_SEAT": str(os.getpid())},
            start_new_session=True,
        )
        theirs.close()
        self._control.settimeout(_START_S)
        self._await("ready", "")

    def ready(self) -> None:
        """Return once there is something to fork from: Ray calls this after `__init__`."""

    def open(self, replica: str, listen: str, trust: bytes) -> str:
        """Start a generic replica; returns where it listens, once it does.

        Args:
            replica: Its name.
            listen: `unix:PATH`, or `HOST:0` where others must reach it.
            trust: Whose specialisations it takes; empty: those of whoever reaches it.

        Raises:
            RuntimeError: It does not start.
        """
        self._tell(op="replica", id=replica, address=listen, trust=trust, spare=True)
        return str(self._await("started", replica).get("address", listen))

    def close(self, replica: str) -> None:
        """End a replica and all it has started, at once."""
        self._tell(op="stop", id=replica, grace_s=0.0)

    def _tell(self, **order: Any) -> None:
        self._control.send(msgspec.msgpack.encode(order))

    def _await(self, wanted: str, replica: str) -> dict[str, Any]:
        """Read events until the wanted one; those of other replicas mean nothing here."""
        while True:
            try:
                message = self._control.recv(_MOST_BYTES)
            except TimeoutError:
                raise RuntimeError("The replica did not start in time.") from None
            if not message:
                raise RuntimeError("The process that replicas are forked from has ended.")
            said: dict[str, Any] = msgspec.msgpack.decode(message)
            if said.get("id", "") != replica:
                continue
            if said.get("ev") == wanted:
                return said
            if said.get("ev") == "gone":
                raise RuntimeError(str(said.get("detail") or said.get("reason")))
