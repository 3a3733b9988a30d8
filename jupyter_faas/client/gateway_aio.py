"""A gateway's connections for event loops: the twin of `Gateway.open`, one pool per loop."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from jupyter_faas.core.errors import GatewayLost, GatewayUnavailable
from jupyter_faas.wire.aio import AsyncConnection, AsyncResponse
from jupyter_faas.wire.aio_stream import Streamed

if TYPE_CHECKING:
    from jupyter_faas.client.gateway import Gateway, Headers, Parts


class AsyncGateway:
    """Asynchronous connections to `gateway`, which decides where it is."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._pools: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Pool] = (
            weakref.WeakKeyDictionary()
        )

    async def open(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: Parts | Streamed = (),
        *,
        timeout_s: float | None = None,
    ) -> tuple[AsyncConnection, AsyncResponse]:
        """Send a request; return the connection with the head of the answer.

        Raises:
            GatewayUnavailable: Nobody listens; nothing was sent.
            GatewayLost: It was sent, and the gateway went away before it answered.
        """
        gateway = self._gateway
        for is_last in (not gateway.may_start, True):
            location = gateway.location
            if gateway.access is not None and gateway.access.is_due():
                await asyncio.to_thread(gateway.renew)
            connection = await self._take()
            try:
                response = await connection.request(
                    method, target, (gateway.authorization, *headers), body, timeout_s=timeout_s
                )
            except GatewayUnavailable:
                connection.close()
                if is_last:
                    raise
                await asyncio.to_thread(gateway.find_again, location)
            except TimeoutError as error:
                connection.close()
                raise GatewayLost(gateway.silence(timeout_s)) from error
            except BaseException:
                connection.close()
                raise
            else:
                return connection, response
        raise AssertionError("the last try raises")

    def release(self, connection: AsyncConnection) -> None:
        """Keep a connection of the running loop whose answer has been read to its end."""
        self._pools[asyncio.get_running_loop()].idle.append(connection)

    def close(self) -> None:
        """Close idle connections of the running loop."""
        pool = self._pools.get(asyncio.get_running_loop())
        while pool is not None and pool.idle:
            pool.idle.pop().close()

    async def _take(self) -> AsyncConnection:
        loop = asyncio.get_running_loop()
        pool = self._pools.get(loop)
        if pool is None:
            pool = self._pools[loop] = _Pool()
            await pool.begin()
        if pool.idle:
            return pool.idle.pop()
        gateway = self._gateway
        return AsyncConnection(
            gateway.location.address, connect_timeout_s=gateway.connect_timeout_s
        )


class _Pool:
    """Idle connections of one loop; closed when it shuts down its asynchronous generators.

    `asyncio.run` does that last: it is the only word a library gets that a loop is about to end.
    """

    def __init__(self) -> None:
        self.idle: list[AsyncConnection] = []
        self._end = _close_at_end(self.idle)

    async def begin(self) -> None:
        """Register with the running loop."""
        await anext(self._end)


async def _close_at_end(idle: list[AsyncConnection]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        while idle:
            idle.pop().close()
