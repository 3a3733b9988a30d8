"""The process that runs this gateway's maps: started at the first one, again after it has gone.

The gateway holds its standard input: whatever ends the gateway closes that, and ends the driver.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from jupyter_faas.core.errors import ProviderError
from jupyter_faas.wire.child import Child, start_child, tell

_START_S = 20.0
_END_S = 3.0
_TRIES = 3
"""So often one is started that somebody kills before it is ready."""


class DriverHost:
    """Keeps at most one driver.

    Args:
        command: Starts one.
        environ: Its environment.
        socket_path: Where the one of this number is to listen.
        told: Returns the first line of its input, for the socket it is to listen on.
    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        socket_path: Callable[[int], str],
        told: Callable[[str], bytes],
    ) -> None:
        self._command = command
        self._environ = dict(environ)
        self._socket_path = socket_path
        self._told = told
        self._child: Child | None = None
        self._path = ""
        self._count = 0
        self._lock = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """Of the driver; None: there is none."""
        return None if self._child is None else self._child.pid

    @property
    def running_address(self) -> str | None:
        """Where the driver listens; None: there is none."""
        return None if self.pid is None else f"unix:{self._path}"

    async def address(self) -> str:
        """Return where the driver listens; starts it if there is none.

        Raises:
            ProviderError: It does not start.
        """
        async with self._lock:
            tries_left = _TRIES
            while self.pid is None:
                tries_left -= 1
                await self._start(may_be_killed=tries_left > 0)
            return f"unix:{self._path}"

    async def close(self) -> None:
        """End the driver, and wait until it has."""
        if self._child is not None:
            await self._child.close(_END_S)

    async def _start(self, *, may_be_killed: bool) -> None:
        self._count += 1
        path = self._socket_path(self._count)
        child = await start_child(self._command, self._environ)
        tell(child.writer, self._told(path) + b"\n")
        try:
            line = await asyncio.wait_for(child.reader.readline(), _START_S)
        except TimeoutError:
            line = b""
        if line.strip() != b"ready":
            has_ended = line == b"" and child.reader.at_eof()
            code = await (child.wait() if has_ended else child.kill())
            if code < 0 and has_ended and may_be_killed:
                return
            raise ProviderError(
                "The process that runs maps does not start; the gateway's log says why."
            )
        self._child, self._path = child, path
