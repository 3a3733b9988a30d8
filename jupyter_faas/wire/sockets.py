"""Socket options and questions that asyncio has no words for."""

from __future__ import annotations

import contextlib
import select
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the blocking client needs no event loop: 70 ms of a script's start
    import asyncio

_LEFT = select.POLLRDHUP | select.POLLHUP | select.POLLERR


def tune(transport: asyncio.BaseTransport, buffer_bytes: int) -> None:
    """Give a Unix socket large buffers and a TCP socket no delay; others are left as they are."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        tune_socket(sock, buffer_bytes)


def tune_socket(sock: socket.socket, buffer_bytes: int) -> None:
    """The same for a bare socket. The kernel caps the size at `net.core.wmem_max`."""
    with contextlib.suppress(OSError):
        if sock.family == socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        elif sock.family in {socket.AF_INET, socket.AF_INET6}:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def has_peer_left(transport: asyncio.BaseTransport) -> bool:
    """Return whether the other end has closed or reset, without reading; costs one system call."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLRDHUP)
    return any(mask & _LEFT for _, mask in poll.poll(0))
