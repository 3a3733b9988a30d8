"""How a driver comes to its host: starts one as its child, or connects to one that listens."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Mapping, Sequence
from typing import Protocol

from jupyter_faas.wire.address import parse_address
from jupyter_faas.wire.child import Child, start_child

_END_S = 10.0
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 5), (socket.TCP_KEEPINTVL, 2), (socket.TCP_KEEPCNT, 3))


class Talk(Protocol):
    """A line to a host that is reached."""

    @property
    def reader(self) -> asyncio.StreamReader:
        """What it says."""

    @property
    def writer(self) -> asyncio.StreamWriter:
        """What it is told."""

    async def close(self) -> None:
        """Let it go, and wait until it has gone."""


class Way(Protocol):
    """The way to a host.

    Attributes:
        is_remote: It is there already, and others' too: coming to it costs nothing.
        start_s: One that has said nothing by then will not.
        lost: What to say when its line ends.
        again_s: After coming to it, so long nobody does again.
    """

    @property
    def is_remote(self) -> bool:
        """See above."""

    @property
    def start_s(self) -> float:
        """See above."""

    @property
    def lost(self) -> str:
        """See above."""

    @property
    def again_s(self) -> float:
        """See above."""

    async def reach(self) -> Talk:
        """Return a line to it.

        Raises:
            OSError: It cannot be reached; the text says how, as a sentence.
        """


class ChildWay:
    """Starts a host on this machine.

    Args:
        command: Starts one.
        environ: Its environment.
    """

    is_remote = False
    start_s = 120.0
    again_s = 10.0
    lost = "Ray has ended; it is started again when a map has use for it."

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self._command = command
        self._environ = dict(environ)

    async def reach(self) -> Talk:
        """See `Way`."""
        try:
            return _ChildTalk(await start_child(self._command, self._environ))
        except OSError as error:
            text = f"The process that starts Ray cannot be started: {error.strerror}."
            raise OSError(text) from error


class _ChildTalk:
    def __init__(self, child: Child) -> None:
        self.reader, self.writer = child.reader, child.writer
        self._child = child

    async def close(self) -> None:
        await self._child.close(_END_S)


class RemoteWay:
    """Connects to a host that listens.

    Args:
        address: `HOST:PORT`.
    """

    is_remote = True
    start_s = 10.0
    again_s = 2.0

    def __init__(self, address: str) -> None:
        self._address = address
        self.lost = f"The line to Ray's head at {address} has ended."

    async def reach(self) -> Talk:
        """See `Way`."""
        where = parse_address(self._address)
        try:
            async with asyncio.timeout(self.start_s):
                reader, writer = await asyncio.open_connection(where.host, where.port)
        except (OSError, TimeoutError) as error:
            why = str(error) or "it took too long"
            raise OSError(f"Ray's head does not answer at {self._address}: {why}.") from error
        link: socket.socket = writer.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            link.setsockopt(socket.IPPROTO_TCP, option, value)
        return _RemoteTalk(reader, writer)


class _RemoteTalk:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()
