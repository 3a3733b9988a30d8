"""Carries one connection of this machine over tunnels: one after the other, if need be.

A tunnel that ends takes its connection along: what was sent may have run. A request of which no
byte was sent when its tunnel turned out to be dead goes over another one, and its caller does not
notice. Whether bytes begin a request is seen without reading HTTP: they are the first after an
answer, and begin with a method.

Requests that cross with the end of their tunnel: this side stops to receive first, which makes a
later `send` of the caller fail with nothing accepted (unix(7): EPIPE; he connects anew), and only
then looks at what has come before.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Awaitable, Callable

from jupyter_faas.client.kube.tunnel import Tunnel

_PIECE_BYTES = 256 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_METHODS = (b"GET ", b"POST ", b"PUT ", b"PATCH ", b"DELETE ", b"HEAD ", b"OPTIONS ")


class Carrier:
    """One accepted connection.

    Args:
        reader: What its caller sends.
        writer: What its caller gets.
        is_good: Whether a tunnel that was idle can be trusted with a request.

    Attributes:
        has_cut: Of the caller's last request only a part has come, and nothing was sent.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        is_good: Callable[[Tunnel], Awaitable[bool]],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._is_good = is_good
        self._is_between = True  # nothing sent since the last byte of an answer
        self._unsent = b""
        self._is_last = False
        self.has_cut = False

    async def carry(self, tunnel: Tunnel) -> bool:
        """Carry bytes both ways until one side ends; True: go on with another tunnel."""
        up = asyncio.ensure_future(self._upward(tunnel))
        down = asyncio.ensure_future(self._downward(tunnel))
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        finally:
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
        if not (self._unsent or self._is_last or tunnel.is_open) and self._is_between:
            await self._late_request()
        return bool(self._unsent)

    async def _upward(self, tunnel: Tunnel) -> None:
        while data := self._unsent or await self._reader.read(_PIECE_BYTES):
            if self._is_between and data.startswith(_METHODS):
                self._unsent = data
                if not await self._is_good(tunnel):
                    return
                self._is_between, self._unsent = False, b""
            await tunnel.send(data)
        if self._is_last:
            await asyncio.Event().wait()  # the caller has not gone: he could say nothing more

    async def _downward(self, tunnel: Tunnel) -> None:
        while (data := await tunnel.receive()) is not None:
            self._is_between = True
            self._writer.write(data)
            await self._writer.drain()

    async def _late_request(self) -> None:
        """Stop to receive, then take the request that had come before."""
        with contextlib.suppress(OSError):
            self._writer.get_extra_info("socket").shutdown(socket.SHUT_RD)
        data = await self._reader.read()
        self._is_last = True
        if is_whole(data):
            self._unsent = data
        else:
            self.has_cut = bool(data)


def is_whole(request: bytes) -> bool:
    """Return whether these bytes are one request with its body."""
    head, end, body = request.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    wanted = int(length[1]) if length else 0
    return bool(end) and request.startswith(_METHODS) and len(body) == wanted
