"""Where the gateway of this server is: found, not started; started only when told to.

What blocks (a look at the state file, a health check, a port-forward) runs in a thread. The store
of a gateway that has ended is read by a command of its own: this layer knows no store.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from subprocess import DEVNULL, PIPE

from jupyter_faas.client.connect import find
from jupyter_faas.client.embedded import ensure_gateway, gateway_environ, own_command
from jupyter_faas.client.gateway import Gateway, Headers, Parts
from jupyter_faas.client.state_file import GatewayState, load_settings, read_state
from jupyter_faas.core.errors import GatewayUnavailable, InternalError
from jupyter_faas.core.settings import StatePaths
from jupyter_faas.wire.aio import AsyncConnection, AsyncResponse
from jupyter_faas.wire.aio_stream import Streamed

LOOK_S = 0.1
"""Between two looks at whether the state file is another one: microseconds each."""
READ_S = 20.0
"""So long may reading the store take."""

Mark = tuple[int, int]


class Place:
    """Finds the gateway that the settings of this process mean."""

    def __init__(self) -> None:
        self._gateway: Gateway | None = None
        self._mark: Mark = (0, 0)

    async def find(self) -> Gateway | None:
        """Look for the gateway anew; None: it is the embedded one, which does not run.

        Raises:
            FaasError: It is there and cannot be reached, or a setting cannot be used.
        """
        mark = self.mark()
        found = await asyncio.to_thread(lambda: find(load_settings()))
        self.forget()
        self._gateway, self._mark = found, mark
        return found

    async def reach(self, *, may_start: bool) -> Gateway:
        """Return the gateway as it was found last, if nothing has changed since.

        Raises:
            GatewayUnavailable: It does not run, and may not be started or cannot be.
            FaasError: It is there and cannot be reached.
        """
        if self._gateway is not None and self._mark == self.mark():
            return self._gateway
        found = await self.find()
        if found is None and may_start:
            return await self.start()
        if found is None:
            raise GatewayUnavailable("The gateway does not run: an action or a call starts it.")
        return found

    async def start(self) -> Gateway:
        """Return the gateway, started if it is the embedded one and does not run.

        Raises:
            FaasError: It cannot be started, or it is there and cannot be reached.
        """
        found = await self.find()
        if found is None:
            await asyncio.to_thread(_start)
            found = await self.find()
        if found is None:
            raise GatewayUnavailable("The gateway has started and has ended at once.")
        return found

    async def ask(
        self,
        method: str,
        path: Callable[[Gateway], str],
        headers: Headers = (),
        body: Parts | Streamed = (),
        *,
        may_start: bool,
    ) -> tuple[Gateway, AsyncConnection, AsyncResponse]:
        """Send a request; return who got it, and the head of the answer with its connection.

        Raises:
            GatewayUnavailable: Nobody listens, nor at a second look; nothing was sent.
            FaasError: See `reach`; it was sent, and the gateway has gone.
        """
        for is_last in (False, True):
            gateway = await self.reach(may_start=may_start)
            try:
                connection, response = await gateway.aio.open(method, path(gateway), headers, body)
            except GatewayUnavailable:
                if is_last:
                    raise
                self.forget()  # it was killed: it may have to be started
            else:
                return gateway, connection, response
        raise AssertionError("the last try raises")

    def release(self, gateway: Gateway, connection: AsyncConnection) -> None:
        """Keep a connection whose answer has been read to its end."""
        if gateway is self._gateway and connection.is_idle:
            gateway.aio.release(connection)
        else:
            connection.close()

    def forget(self) -> None:
        """Give up what was found; what is going on there ends by itself."""
        gateway, self._gateway = self._gateway, None
        if gateway is not None:
            gateway.aio.close()

    def mark(self) -> Mark:
        """Return what is another after an embedded gateway has started or ended."""
        with suppress(OSError):
            found = self._paths.state_file.stat()
            return found.st_mtime_ns, found.st_ino
        return (0, 0)

    async def changed(self, mark: Mark, timeout_s: float) -> None:
        """Wait until an embedded gateway has started or ended since `mark` was seen."""
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        # Looked at, not told: a stat costs nothing, and a watch would need a library.
        while self.mark() == mark and asyncio.get_running_loop().time() < deadline_s:  # noqa: ASYNC110 - see above
            await asyncio.sleep(LOOK_S)

    def last(self) -> GatewayState | None:
        """Return what the last embedded gateway has said of itself; None: there never was one."""
        return read_state(self._paths)

    async def stored(self) -> bytes:
        """Return the state that the embedded gateway has stored, as JSON.

        Raises:
            InternalError: It cannot be read; says why.
        """
        process = await asyncio.create_subprocess_exec(
            *own_command("state", "--stored"),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env=gateway_environ(load_settings()),
        )
        try:
            async with asyncio.timeout(READ_S):
                told, complaint = await process.communicate()
        except BaseException:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if process.returncode:
            raise InternalError(complaint.decode("utf-8", "replace").strip())
        return told

    @cached_property
    def _paths(self) -> StatePaths:
        return StatePaths(load_settings().state_dir)


def _start() -> None:
    with warnings.catch_warnings(action="ignore"):  # of another version: pages see which
        ensure_gateway(load_settings())
