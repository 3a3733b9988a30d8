"""Forking a front or a worker: what the child keeps, and what it must let go.

Called by the zygote only. A worker's ends of its pipes go to the front over the replica's link,
with a pidfd: a pid could have been given to another process before a signal arrives.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from jupyter_faas.execution.library_threads import Setter
from jupyter_faas.runner.admission import Trust
from jupyter_faas.runner.channel import rights

Role = Callable[[], int]

_CAUGHT = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)
"""What the zygote has handlers for."""
LIBRARY_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class BecomeRole(BaseException):
    """Raised in a forked child; `role` is what it runs, and returns its exit code."""

    def __init__(self, role: Role) -> None:
        super().__init__()
        self.role = role


class Replica:
    """A front and its workers, as the zygote sees them."""

    def __init__(
        self, name: str, address: str, link: socket.socket, trust: Trust | None = None
    ) -> None:
        self.name = name
        self.address = address
        self.link = link
        self.trust = trust
        self.front_pid = 0
        self.pid = 0
        """Of its front, also when that has ended."""
        self.worker_pids: set[int] = set()
        self.reason = ""
        self.detail = ""
        self.kill_at_s: float | None = None
        link.setblocking(False)

    def say(self, event: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
        """Tell the front something; a front that is gone need not know."""
        with suppress(OSError):
            self.link.sendmsg([msgspec.msgpack.encode(event)], rights(fds) if fds else [])


class Forks:
    """Makes the processes of a replica.

    Args:
        close_all: Closes, in a child, what the zygote holds and no child may keep.
        trust: Whose specialisations fronts take; None: those of whoever reaches them.
    """

    def __init__(self, close_all: Callable[[], None], trust: Trust | None = None) -> None:
        self._close_all = close_all
        self._trust = trust

    def front(self, replica: Replica, link: socket.socket) -> int:
        """Fork a front; returns its pid. In the child `BecomeRole` is raised."""
        pid = fork()
        if pid:
            return pid
        forked()
        self._close_all()
        raise BecomeRole(partial(_front, link, replica.address, replica.trust or self._trust))

    def worker(self, replica: Replica, thread_setters: list[Setter], script: bytes) -> int:
        """Fork a worker and send the front its descriptors; returns its pid."""
        ours, theirs = socket.socketpair()
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        life_read, life_write = os.pipe()
        crash = os.memfd_create("faas-crash")
        pid = fork()
        if pid == 0:
            forked()
            self._close_all()
            ours.close()
            for fd, standard in ((out_write, 1), (err_write, 2)):
                os.dup2(fd, standard)
                os.close(fd)
            for fd in (out_read, err_read, life_write):
                os.close(fd)
            raise BecomeRole(partial(_worker, theirs, life_read, crash, thread_setters, script))
        theirs.close()
        pidfd = os.pidfd_open(pid)
        to_front = (ours.fileno(), out_read, err_read, life_write, pidfd, crash)
        replica.say({"ev": "worker", "pid": pid}, to_front)
        ours.close()
        used = (out_read, out_write, err_read, err_write, life_read, life_write, pidfd, crash)
        for fd in used:
            os.close(fd)
        return pid


def fork() -> int:
    """Fork; a signal to the child waits until `forked` has made it an ordinary process.

    The zygote's handlers would take it: the child would not hear of it, and the zygote, with whom
    it still shares what wakes up, would take it for its own, and end everything.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _CAUGHT)
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def forked() -> None:
    """Undo in a child what only the zygote has: its signals, its session, its thread limits.

    What it inherits is kept from the garbage collector, which would write to all of it and so
    copy it: 5 MB a process, and 10 ms of the first full collection.
    """
    gc.freeze()
    signal.set_wakeup_fd(-1)
    for signum in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(signum, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    for name in LIBRARY_THREADS:
        os.environ.pop(name, None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _CAUGHT)


def limit_library_threads() -> None:
    """Keep numerical libraries from starting threads while the zygote imports them."""
    for name in LIBRARY_THREADS:
        os.environ[name] = "1"


# The imports are the zygote's, at its start (`__main__.py`): here they only find their module.


def _front(link: socket.socket, address: str, trust: Trust | None) -> int:
    from jupyter_faas.runner import front  # noqa: PLC0415 - a cycle otherwise

    return front.main(link, address, trust)


def _worker(
    channel: socket.socket,
    life_fd: int,
    crash_fd: int,
    thread_setters: list[Setter],
    script: bytes,
) -> int:
    from jupyter_faas.runner import worker  # noqa: PLC0415 - a cycle otherwise

    return worker.main(channel, life_fd, crash_fd, thread_setters, script)
