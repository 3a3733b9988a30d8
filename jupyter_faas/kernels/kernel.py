"""What a forked child becomes: ipykernel, as if `python -m ipykernel_launcher` had been run.

Imported by the zygote, with all of ipykernel, before it forks; `run` is called in the child.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import random
import select
import socket
import sys
import tempfile
import threading
import time
from typing import Any

from ipykernel.kernelapp import IPKernelApp

from jupyter_faas.kernels.birth import LAUNCHER, environ_after_fork, split
from jupyter_faas.kernels.order import BOUND, REFUSED, STARTED, Handed, Order, read_order
from jupyter_faas.runner.family import name_process

NO_POLLER = 1
"""For `parent_handle`: ipykernel then watches no parent (its own is the zygote), and does not tell
the terminal how to connect."""

# Imported while a kernel gets ready. None may start a thread or bring numpy, here and below.
_ALSO = (
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "faulthandler",
    "ipykernel.debugger",
    "jupyter_faas.client.connect",
    "jupyter_faas.client.decorator",
    "jupyter_faas.notebook.kernel",
    "jupyter_faas.notebook.magics",
    "psutil",
    "sqlite3",
    "tornado.platform.asyncio",
)


WHEN_IDLE = ("jupyter_faas.client.deployment", "jupyter_faas.client.embedded")
"""Imported with a kernel's first call: by the zygote when nobody waits for a kernel."""


def preload() -> None:
    """Import what a kernel needs until it is ready; what a version does not have is left out."""
    for name in _ALSO:
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)


def run(handed: Handed, server: int, name: str) -> int:
    """Become the kernel that was ordered; return its exit code.

    Args:
        handed: From the server.
        server: A pidfd of it: the kernel ends when it does.
        name: What `ps` shows for a plain interpreter.
    """
    os.setsid()
    name_process(name)
    order = read_order(handed.order)
    os.close(handed.order)
    try:
        os.chdir(order.cwd)
    except OSError as error:
        _say(handed.link, REFUSED + f"its directory cannot be entered: {error}".encode())
        return 1
    # Whoever ordered it may have given up since: then this kernel must not be.
    if not _say(handed.link, STARTED, os.pidfd_open(os.getpid())):
        return 1
    _take_streams(handed)
    _take_over(order)
    threading.Thread(target=_end_with, args=(server,), daemon=True, name="faas-life").start()
    app: Any = IPKernelApp.instance(parent_handle=NO_POLLER)
    _say_when_bound(app, handed.link)
    app.initialize(sys.argv[1:])
    app.start()
    return 0


def _take_streams(handed: Handed) -> None:
    for fd, standard in ((handed.stdout, 1), (handed.stderr, 2)):
        os.dup2(fd, standard)
        os.close(fd)
    stdout: Any = sys.stdout
    if stdout is not None and not stdout.write_through:  # as an interpreter decides it at its start
        stdout.reconfigure(line_buffering=os.isatty(1))


def _take_over(order: Order) -> None:
    """Replace what differs from kernel to kernel."""
    asked = {os.fsdecode(name): os.fsdecode(text) for name, text in order.environ.items()}
    environ = environ_after_fork(os.environ, asked)
    os.environ.clear()  # and with it the C library's
    os.environ.update(environ)
    time.tzset()
    tempfile.tempdir = None
    importlib.invalidate_caches()
    random.seed()
    launcher = importlib.util.find_spec(LAUNCHER)
    _, _, arguments = split(order.command)
    sys.argv = [str(launcher and launcher.origin), *arguments]
    sys.orig_argv = list(order.command)


def _say_when_bound(app: Any, link: socket.socket) -> None:
    """Tell the server when the ports are open: that is when the connection file is complete."""
    write = app.write_connection_file

    def write_and_say(**kwargs: Any) -> None:
        write(**kwargs)
        _say(link, BOUND)
        link.close()

    # On this instance, not in a subclass, whose name would be in every line of the log.
    app.write_connection_file = write_and_say


def _end_with(server: int) -> None:
    """End when the server has, however it did. As ipykernel does when its parent is gone."""
    poll = select.poll()
    poll.register(server, select.POLLIN)
    while not poll.poll():
        pass
    os._exit(1)


def _say(link: socket.socket, message: bytes, fd: int | None = None) -> bool:
    """Tell the server; return whether it listens. A pidfd that is sent is closed here."""
    try:
        socket.send_fds(link, [message], [] if fd is None else [fd])
    except OSError:
        return False
    finally:
        if fd is not None:
            os.close(fd)
    return True
