"""What the server says to a zygote, and what it hears of one kernel.

An order is a message of descriptors on the zygote's control socket: `[link, stdout, stderr,
order]`, the last a memory file with the `Order` (an environment may be larger than a message may
be). On the link, a socket pair of this kernel alone, come: STARTED with its pidfd, BOUND when its
ports are open, ENDED with the status of `waitpid`; or REFUSED with the reason, and nothing more.
"""

from __future__ import annotations

import os
import socket
from typing import NamedTuple

import msgspec

STARTED, BOUND, ENDED, REFUSED, STALE = b"s", b"b", b"e", b"r", b"o"
"""First byte of a message on the link. STALE: the zygote is older than what is installed."""

MAX_MESSAGE_BYTES = 4096
FDS_OF_AN_ORDER = 4


class Order(msgspec.Struct, frozen=True, array_like=True):
    """One kernel as it is asked for. Texts as the operating system has them."""

    command: list[str]
    """As a plain start would have it."""
    environ: dict[bytes, bytes]
    cwd: bytes


class Handed(NamedTuple):
    """The descriptors of an order, in a zygote."""

    link: socket.socket
    stdout: int
    stderr: int
    order: int


def make_order(command: list[str], environ: dict[str, str], cwd: str) -> Order:
    """Return an order; everything is encoded as the operating system does."""
    encoded = {os.fsencode(name): os.fsencode(text) for name, text in environ.items()}
    return Order(command, encoded, os.fsencode(cwd))


def send_order(control: socket.socket, order: Order, link: int, stdout: int, stderr: int) -> None:
    """Give a zygote an order.

    Raises:
        OSError: It is gone, or takes nothing.
    """
    memory = os.memfd_create("faas-kernel")
    try:
        with os.fdopen(memory, "wb", closefd=False) as file:
            file.write(msgspec.msgpack.encode(order))
        socket.send_fds(control, [b"k"], [link, stdout, stderr, memory])
    finally:
        os.close(memory)


def receive_order(control: socket.socket) -> Handed | None:
    """Return the next order's descriptors; None: the server has hung up."""
    flags = socket.MSG_CMSG_CLOEXEC
    message, fds, _, _ = socket.recv_fds(control, MAX_MESSAGE_BYTES, FDS_OF_AN_ORDER, flags)
    if not message or len(fds) != FDS_OF_AN_ORDER:
        return None
    return Handed(socket.socket(fileno=fds[0]), *fds[1:])


def read_order(fd: int) -> Order:
    """Return the order in a memory file."""
    with os.fdopen(os.dup(fd), "rb") as file:
        file.seek(0)
        return msgspec.msgpack.decode(file.read(), type=Order)
