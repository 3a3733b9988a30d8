"""A blocking byte channel to a gateway: a bare socket with kernel time limits, or TLS.

Errors are translated here, once: not connected is `GatewayUnavailable`, cut is `GatewayLost`, late
is `TimeoutError`.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jupyter_faas.core.errors import GatewayLost, GatewayUnavailable
from jupyter_faas.wire.address import Address
from jupyter_faas.wire.heads import Buffer
from jupyter_faas.wire.sockets import tune_socket

if TYPE_CHECKING:
    import ssl

_SOCKET_BUFFER_BYTES = 1024 * 1024
_MAX_PARTS = 512  # of one sendmsg; the kernel takes 1024 (IOV_MAX)
CLOSED = (
    "The gateway closed the connection before the answer was complete; the code may have run. "
    "Its log says why."
)


class Unsent(ConnectionError):
    """The other side had closed: not one byte was accepted."""


class Channel:
    """A connected Unix or TCP socket. Owned by one thread; `cut` may come from any."""

    __slots__ = ("_limit_s", "_poll", "_sock", "is_reused")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._limit_s: float | None = None
        # A fifth of what a peek costs, which raises when all is well.
        self._poll = select.poll()
        self._poll.register(sock.fileno(), select.POLLIN | select.POLLRDHUP)
        self.is_reused = False
        """Whether it has carried a call before: then the other side may have closed it idle."""

    def is_stale(self) -> bool:
        """Return whether the other side has closed, or said something nobody asked for."""
        return bool(self._poll.poll(0))

    def limit(self, timeout_s: float | None) -> None:
        """Let each later send or receive take at most this long.

        Raises:
            TimeoutError: No time is left.
        """
        if timeout_s == self._limit_s:
            return
        if timeout_s is not None and timeout_s <= 0:
            raise TimeoutError("no time is left")
        self._limit_s = timeout_s
        seconds, fraction = divmod(timeout_s or 0.0, 1)
        value = struct.pack("@ll", int(seconds), max(1, int(fraction * 1e6)) if timeout_s else 0)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)

    def send(self, parts: Sequence[Buffer]) -> bool:
        """Send all parts, large ones from where they are.

        Returns:
            False if the other side stopped to read: it may have answered and closed.

        Raises:
            Unsent: Nothing was accepted.
            TimeoutError: The other side did not read in time.
        """
        sent_bytes = 0
        pending = list(parts)
        try:
            while pending:
                size = self._send_some(pending)
                sent_bytes += size
                advance(pending, size)
        except BlockingIOError as error:
            raise TimeoutError("the gateway did not read the request in time") from error
        except ConnectionError as error:
            if not sent_bytes:
                raise Unsent("the gateway had closed the connection") from error
            return False
        return True

    def receive(self, size: int) -> bytes:
        """Return what is there, at least one byte and at most `size`.

        Raises:
            GatewayLost: The other side closed.
            TimeoutError: Nothing came in time.
        """
        return self._checked(size, 0)

    def receive_large(self, size: int) -> bytes:
        """Return `size` bytes in one piece of memory; fewer if a signal came in between."""
        return self._checked(size, socket.MSG_WAITALL)

    def cut(self) -> None:
        """End both directions: whoever waits in `receive` or `send` wakes up."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def _send_some(self, pending: list[Buffer]) -> int:
        if len(pending) == 1:
            return self._sock.send(pending[0])
        return self._sock.sendmsg(pending[:_MAX_PARTS])

    def _checked(self, size: int, flags: int) -> bytes:
        try:
            data = self._sock.recv(size, flags)
        except (BlockingIOError, TimeoutError) as error:
            raise TimeoutError("the gateway did not answer in time") from error
        except OSError as error:
            raise GatewayLost(CLOSED) from error
        if not data:
            raise GatewayLost(CLOSED)
        return data


class TlsChannel(Channel):
    """The same over TLS: no scatter-gather, no peeking, Python's own time limits."""

    __slots__ = ("_tls",)

    def __init__(self, sock: ssl.SSLSocket) -> None:
        super().__init__(sock)
        self._tls = sock

    def is_stale(self) -> bool:
        """Return whether the other side has closed; session tickets that came are taken in."""
        if not super().is_stale():
            return False
        self._tls.setblocking(False)
        try:
            self._tls.recv(1)
        except OSError as error:
            return type(error).__name__ != "SSLWantReadError"
        finally:
            self._tls.settimeout(self._limit_s)
        return True

    def limit(self, timeout_s: float | None) -> None:
        """Let each later send or receive take at most this long."""
        if timeout_s is not None and timeout_s <= 0:
            raise TimeoutError("no time is left")
        self._limit_s = timeout_s
        self._tls.settimeout(timeout_s)

    def _send_some(self, pending: list[Buffer]) -> int:
        return self._tls.send(pending[0])

    def _checked(self, size: int, flags: int) -> bytes:
        return super()._checked(size, 0)


def open_channel(address: Address, timeout_s: float) -> Channel:
    """Connect.

    Raises:
        GatewayUnavailable: Nobody accepts there within `timeout_s` seconds; says what to do.
    """
    try:
        if address.kind == "unix":
            return Channel(_connect_unix(address.path, timeout_s))
        sock = socket.create_connection((address.host, address.port), timeout_s)
        tune_socket(sock, _SOCKET_BUFFER_BYTES)
        if address.kind == "tls":
            return TlsChannel(_wrap(sock, address.host))
        sock.settimeout(None)
        return Channel(sock)
    except OSError as error:
        raise unavailable(address, error, timeout_s) from error


def unavailable(address: Address, error: OSError, timeout_s: float) -> GatewayUnavailable:
    """Return the error for a gateway that could not be reached, with advice."""
    reason = error.strerror or str(error) or type(error).__name__
    if isinstance(error, TimeoutError | BlockingIOError):
        reason = f"no connection within {timeout_s:g} s"
    return GatewayUnavailable(
        f"No gateway answers at {address}: {reason}. Nothing was sent. Is it running "
        "(`jupyter-faas status`)? `faas.connect(url)` or FAAS_GATEWAY_URL chooses another one; "
        "without either, one is started on this machine."
    )


def _connect_unix(path: str, timeout_s: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        tune_socket(sock, _SOCKET_BUFFER_BYTES)
        # With a Python timeout a full backlog would fail at once (EAGAIN) instead of waiting.
        limit = struct.pack("@ll", int(timeout_s), int(timeout_s % 1 * 1e6))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        sock.connect(path)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", 0, 0))
    except BaseException:
        sock.close()
        raise
    return sock


def _wrap(sock: socket.socket, host: str) -> ssl.SSLSocket:
    import ssl  # noqa: PLC0415 - 15 ms of every notebook's start, for a gateway with TLS only

    try:
        return ssl.create_default_context().wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise


def advance(pending: list[Buffer], size: int) -> None:
    """Drop the `size` bytes that were sent from the front of `pending`, without copying."""
    while pending and size >= len(pending[0]):
        size -= len(pending[0])
        del pending[0]
    if size:
        pending[0] = memoryview(pending[0])[size:]
