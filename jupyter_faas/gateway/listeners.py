"""Where a gateway listens, and the connections that come in there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from jupyter_faas.gateway.http import Door
from jupyter_faas.gateway.repeats import RepeatingServer
from jupyter_faas.wire.exchange import Exchange
from jupyter_faas.wire.server import HttpServerProtocol

_BACKLOG = 1024


class Listeners:
    """A TCP port, one for calls of replicas if that is another, and a socket of this machine.

    Args:
        door: Takes the requests.
        host: Address to listen at.
        port: Of everything; 0: any.
        calls_port: Of calls alone; 0: none of its own.
        socket: Path of the socket that only this user can open.
    """

    def __init__(self, door: Door, host: str, port: int, calls_port: int, socket: Path) -> None:
        self.port = port
        """That it listens at, once it does."""
        self._door = door
        self._host = host
        self._calls_port = calls_port
        self._socket = socket
        self._is_winding_down = False
        self.connections: set[HttpServerProtocol] = set()
        """Those that are open."""
        self.servers: list[asyncio.Server] = []
        """What accepts them."""

    @property
    def url(self) -> str:
        """Where plain HTTP goes, without a trailing slash."""
        return self._url(self.port)

    @property
    def calls_url(self) -> str:
        """Where replicas of this machine send their calls."""
        return self._url(self._calls_port or self.port)

    @property
    def address(self) -> str:
        """Where clients on this machine go."""
        return f"unix:{self._socket}"

    async def open(self) -> None:
        """Listen.

        Raises:
            OSError: An address is taken.
        """
        self.port = await self._listen(self._everything, self.port)
        if self._calls_port:
            await self._listen(self._calls_only, self._calls_port)
        loop = asyncio.get_running_loop()
        old = os.umask(0o177)
        try:
            local = await loop.create_unix_server(
                self._everything, str(self._socket), backlog=_BACKLOG
            )
        finally:
            os.umask(old)
        self.servers.append(local)

    def wind_down(self) -> None:
        """Answer what comes, and have clients go elsewhere for the next."""
        self._is_winding_down = True
        for connection in tuple(self.connections):
            connection.wind_down()

    def close(self) -> None:
        """Accept no more; what is open stays open."""
        for server in self.servers:
            server.close()

    def retire(self) -> None:
        """Close what is open, each after the answer that it owes."""
        for connection in tuple(self.connections):
            connection.retire()
        with suppress(FileNotFoundError):
            self._socket.unlink()

    async def _listen(self, protocol: Callable[[], HttpServerProtocol], port: int) -> int:
        """Listen on a TCP port; return which it is."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(protocol, self._host, port, backlog=_BACKLOG)
        self.servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def _url(self, port: int) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{port}"

    def _everything(self) -> HttpServerProtocol:
        return self._connection_to(self._door)

    def _calls_only(self) -> HttpServerProtocol:
        return self._connection_to(self._door.calls_only)

    def _connection_to(self, door: Callable[[Exchange], None]) -> HttpServerProtocol:
        made = RepeatingServer(door, self._door.repeated, connections=self.connections)
        if self._is_winding_down:
            made.wind_down()
        return made
