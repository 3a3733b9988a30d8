"""The process that runs this gateway's maps: started at the first one, again after it has gone.

The gateway holds its standard input: whatever ends the gateway closes that, and ends the driver.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence

from jupyter_faas.core.errors import ProviderError

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
        self._process: Process | None = None
        self._path = ""
        self._count = 0
        self._lock = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """Of the driver; None: there is none."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

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
        process = self._process
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _END_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _start(self, *, may_be_killed: bool) -> None:
        self._count += 1
        path = self._socket_path(self._count)
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, stderr=None, env=self._environ, cwd="/"
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(self._told(path) + b"\n")
        try:
            line = await asyncio.wait_for(process.stdout.readline(), _START_S)
        except TimeoutError:
            line = b""
        if line.strip() != b"ready":
            has_ended = line == b"" and process.stdout.at_eof()
            if not has_ended:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            if await process.wait() < 0 and has_ended and may_be_killed:
                return
            raise ProviderError(
                "The process that runs maps does not start; the gateway's log says why."
            )
        self._process, self._path = process, path
