"""The kernel zygote: has imported ipykernel, started nothing, and forks a kernel for each order.

`python -m jupyter_faas.kernels --control-fd N --server-fd N`, started by `nursery.py` in the
Jupyter server. One thread and no event loop, or it forks nothing. It reaps its kernels and tells
the server how they ended; kernels do not depend on it and go on when it is killed. When the server
hangs up it takes no more orders and stays until its last kernel has ended; when the server itself
has ended it kills what has not ended with it.
"""

from __future__ import annotations

import importlib
import os
import select
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from jupyter_faas.kernels.order import ENDED, REFUSED, STALE, Handed, receive_order
from jupyter_faas.providers.local.site_stamp import SiteStamp

_IDLE_MS = 1000.0
"""How long nothing has been ordered when there is time for an import."""

_GRACE_S = 2.0
"""How long kernels may take to end by themselves when the server has."""


class BecomeKernel(BaseException):
    """Raised in a forked child, so that none of the zygote's frames is below user code."""

    def __init__(self, handed: Handed) -> None:
        super().__init__()
        self.handed = handed


class _Child(NamedTuple):
    pid: int
    pidfd: int
    link: socket.socket


class Zygote:
    """Forks and reaps.

    Args:
        control: Orders come from here; its end means that no more will.
        server: pidfd of the Jupyter server.
        stamp: What was installed before anything was imported.
        when_idle: Modules to import while nothing is ordered.
    """

    def __init__(
        self, control: socket.socket, server: int, stamp: SiteStamp, when_idle: Sequence[str] = ()
    ) -> None:
        self._control = control
        self._server = server
        self._stamp = stamp
        self._when_idle = list(when_idle)
        self._children: dict[int, _Child] = {}
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._poll.register(server, select.POLLIN)
        self._is_taking = True

    def run(self) -> None:
        """Serve until the server has hung up and no kernel is left, or it has ended.

        Raises:
            BecomeKernel: In a forked child.
        """
        while self._is_taking or self._children:
            events = self._poll.poll(_IDLE_MS if self._when_idle else None)
            if not events:
                with suppress(Exception):  # a kernel that needs it will say what is wrong
                    importlib.import_module(self._when_idle.pop(0))
            for fd, _ in events:
                if fd == self._server:
                    self._end_all()
                    return
                if fd == self._control.fileno():
                    self._hear()
                elif fd in self._children:
                    self._reap(self._children.pop(fd))

    def _hear(self) -> None:
        handed = receive_order(self._control)
        if handed is None:
            self._is_taking = False
            self._poll.unregister(self._control)
            return
        refusal = self._refusal()
        if not refusal:
            try:
                self._fork(handed)
            except OSError as error:
                refusal = REFUSED + f"its zygote cannot fork: {error}".encode()
        if refusal:
            with suppress(OSError):
                handed.link.send(refusal)
            handed.link.close()
        for fd in (handed.stdout, handed.stderr, handed.order):
            os.close(fd)

    def _refusal(self) -> bytes:
        """Return why nothing may be forked now; empty: nothing is against it."""
        if not self._stamp.is_current():
            return STALE
        threads = len(os.listdir("/proc/self/task"))
        if threads > 1:
            return REFUSED + b"something in its environment starts threads with the interpreter"
        return b""

    def _fork(self, handed: Handed) -> None:
        pid = os.fork()
        if pid == 0:
            self._let_go()
            raise BecomeKernel(handed)
        child = _Child(pid, os.pidfd_open(pid), handed.link)
        self._children[child.pidfd] = child
        self._poll.register(child.pidfd, select.POLLIN)

    def _let_go(self) -> None:
        """Close, in a child, what only the zygote may hold."""
        self._control.close()
        for child in self._children.values():
            os.close(child.pidfd)
            child.link.close()

    def _reap(self, child: _Child) -> None:
        self._poll.unregister(child.pidfd)
        os.close(child.pidfd)
        _, status = os.waitpid(child.pid, 0)
        with suppress(OSError):
            child.link.send(ENDED + str(status).encode())
        child.link.close()

    def _end_all(self) -> None:
        """Wait for kernels to end with the server; kill those that do not, with their groups."""
        give_up_s = time.monotonic() + _GRACE_S
        for child in self._children.values():
            poll = select.poll()
            poll.register(child.pidfd, select.POLLIN)
            if not poll.poll(1000 * max(0.0, give_up_s - time.monotonic())):
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
