"""Carries one connection of this machine over tunnels: one after the other, if need be.

A tunnel that ends takes its connection along: what was sent may have run. A request of which no
byte was sent when its tunnel turned out to be dead goes over another one, and its caller does not
notice. Whether bytes begin a request is seen without reading HTTP: they are the first after an
answer, and begin with a method.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from jupyter_faas.client.kube.tunnel import Tunnel

_PIECE_BYTES = 256 * 1024
_LATE_S = 0.001
"""A request that crosses with the end of its tunnel is waited for so long."""
_METHODS = (b"GET ", b"POST ", b"PUT ", b"PATCH ", b"DELETE ", b"HEAD ", b"OPTIONS ")


class Carrier:
    """One accepted connection.

    Args:
        reader: What its caller sends.
        writer: What its caller gets.
        is_good: Whether a tunnel that was idle can be trusted with a request.
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
        if not self._unsent and not tunnel.is_open and self._is_between:
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

    async def _downward(self, tunnel: Tunnel) -> None:
        while (data := await tunnel.receive()) is not None:
            self._is_between = True
            self._writer.write(data)
            await self._writer.drain()

    async def _late_request(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LATE_S):
                data = await self._reader.read(_PIECE_BYTES)
                if data.startswith(_METHODS):
                    self._unsent = data
