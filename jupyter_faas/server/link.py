"""The one link to the gateway that serves all pages: finds it, follows its events, finds it again.

A coroutine that ends only when it is cancelled. It reads the state once and events from there on;
after a cut it goes on from the last number, and if the gateway says that this is gone (410: it
was restarted) from a new state. An embedded gateway that has ended is waited for, not started.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn, Protocol

import msgspec

from jupyter_faas.client.answers import problem_of
from jupyter_faas.client.gateway import Gateway
from jupyter_faas.core.errors import EventsGone, FaasError, GatewayLost
from jupyter_faas.server import status
from jupyter_faas.server.event import Event, Snapshot, read_event, read_snapshot
from jupyter_faas.server.place import Place
from jupyter_faas.server.status import GatewayStatus
from jupyter_faas.wire.aio import AsyncResponse
from jupyter_faas.wire.sse import Event as SseEvent
from jupyter_faas.wire.sse import EventDecoder

MAX_HZ = 20
"""Batches of events a second from the gateway; pages have their own pace."""
SILENCE_S = 40.0
"""The gateway says something every 15 s; one that is silent for so long is lost."""
ANSWER_S = 20.0
RESTART_S = 10.0
"""An embedded gateway that was killed is expected back for so long."""
PAUSES_S = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0)
"""Before the next try, and the next."""
STEADY_S = 1.0
"""A stream that was cut before is no success: the next try waits longer."""
FOREVER_S = 3600.0

_log = logging.getLogger(__name__)


class Hearer(Protocol):
    """Who is told what the link finds."""

    def on_status(self, status: GatewayStatus) -> None:
        """The gateway is in another state."""

    def on_snapshot(self, snapshot: Snapshot, *, is_other: bool) -> None:
        """This is the state now; with `is_other` of another gateway process than before."""

    def on_event(self, event: Event) -> None:
        """Something has happened."""


class Link:
    """Follows the gateway of one place.

    Args:
        place: Where it is looked for.
        hearer: Told everything.
    """

    def __init__(self, place: Place, hearer: Hearer) -> None:
        self._place = place
        self._hearer = hearer
        self._since = ""
        self._epoch = ""
        self._tries = 0
        self._live: GatewayStatus | None = None
        self._lost_s = self._opened_s = 0.0
        self._response: AsyncResponse | None = None

    @property
    def epoch(self) -> str:
        """Of the gateway process whose events are told; empty: of none."""
        return self._epoch

    def begin_anew(self) -> None:
        """Read the state and follow events from there, as if the stream had been cut."""
        self._since = ""
        self._tries = 0
        if self._response is not None:
            self._response.close()

    async def run(self) -> NoReturn:
        """Follow the gateway until cancelled."""
        while True:
            mark = self._place.mark()
            try:
                gateway = await self._place.find()
                pause_s = await self._wait_for_it() if gateway is None else 0.0
                if gateway is not None:
                    await self._follow(gateway)
            except (FaasError, OSError, msgspec.MsgspecError, ValueError) as error:
                pause_s = self._failed(error)
            except Exception as error:
                _log.exception("the link to the gateway failed")
                pause_s = self._failed(error)
            await self._place.changed(mark, pause_s)

    # -- a gateway that is there

    async def _follow(self, gateway: Gateway) -> NoReturn:
        """Tell what happens until it is lost.

        Raises:
            FaasError: It cannot be reached, refuses, or is lost.
        """
        try:
            await self._events(gateway, self._since or await self._begin(gateway))
        except EventsGone:
            await self._events(gateway, await self._begin(gateway))
        raise AssertionError("events do not end")

    async def _begin(self, gateway: Gateway) -> str:
        """Tell the state; return from where events go on.

        Where there are several gateways events come from the same one: the connection that is
        released here is the one that is taken next.
        """
        snapshot = await fetch_state(self._place, gateway)
        self._live = status.live(snapshot, gateway.location.url)
        is_other, self._epoch = snapshot.epoch != self._epoch, snapshot.epoch
        self._hearer.on_status(self._live)
        self._hearer.on_snapshot(snapshot, is_other=is_other)
        self._since = f"{snapshot.epoch}.{snapshot.seq}"
        return self._since

    async def _events(self, gateway: Gateway, since: str) -> NoReturn:
        path = gateway.control_path(f"/v1/events?since={since}&max_hz={MAX_HZ}")
        async with opened(gateway, path) as response:
            self._response = response
            if self._live is not None:
                self._hearer.on_status(self._live)
            self._opened_s = asyncio.get_running_loop().time()
            decoder = EventDecoder()
            async for piece in pieces_of(response, SILENCE_S):
                for event in decoder.feed(piece):
                    self._take(event)
        raise GatewayLost(status.RESTARTING)

    def _take(self, event: SseEvent) -> None:
        if event.event == "snapshot":
            self._hearer.on_snapshot(read_snapshot(event.data.encode()), is_other=False)
        else:
            self._hearer.on_event(read_event(event))
        self._since = event.id

    # -- a gateway that is not

    def _failed(self, error: Exception) -> float:
        """Tell why it is not reached; return how long to wait before the next try."""
        now_s = asyncio.get_running_loop().time()
        if self._opened_s and now_s - self._opened_s > STEADY_S:
            self._tries = 0
        self._opened_s = 0.0
        pause_s = PAUSES_S[min(self._tries, len(PAUSES_S) - 1)]
        self._tries += 1
        if self._tries == 1:
            # Nothing is told before another look: it may have ended as it should.
            self._lost_s = now_s
            return pause_s
        detail = error.detail if isinstance(error, FaasError) else f"It cannot be read: {error}."
        self._lost(status.RESTARTING if isinstance(error, GatewayLost) else detail)
        return pause_s

    def _lost(self, reason: str) -> None:
        if self._live is None:
            self._hearer.on_status(GatewayStatus(state="connecting", reason=reason))
        else:
            self._hearer.on_status(
                msgspec.structs.replace(self._live, state="reconnecting", reason=reason)
            )

    async def _wait_for_it(self) -> float:
        """Tell what there was of an embedded gateway that does not run; return how long to wait."""
        last = self._place.last()
        if last is None:
            self._forget()
            self._hearer.on_status(GatewayStatus(state="none", reason=status.NONE))
            return FOREVER_S
        left_s = self._lost_s + RESTART_S - asyncio.get_running_loop().time()
        if last.pid and self._live is not None and left_s > 0:
            self._lost(status.RESTARTING)
            return left_s
        self._forget()
        try:
            stored = read_snapshot(await self._place.stored())
        except (FaasError, OSError, msgspec.MsgspecError) as error:
            self._hearer.on_status(
                status.asleep(last, f"What it has stored cannot be read: {error}")
            )
            return FOREVER_S
        self._hearer.on_status(status.asleep(last))
        self._hearer.on_snapshot(stored, is_other=True)
        return FOREVER_S

    def _forget(self) -> None:
        self._live = None
        self._since = self._epoch = ""
        self._tries = 0


async def fetch_state(place: Place, gateway: Gateway) -> Snapshot:
    """Return the state now.

    Raises:
        FaasError: It cannot be had.
    """
    connection, response = await gateway.aio.open(
        "GET", gateway.control_path("/v1/state"), (), timeout_s=ANSWER_S
    )
    try:
        content = await response.read()
    except BaseException:
        connection.close()
        raise
    place.release(gateway, connection)
    if response.status != 200:
        raise problem_of(response.status, response.headers, content)
    return read_snapshot(content)


@asynccontextmanager
async def opened(gateway: Gateway, path: str) -> AsyncIterator[AsyncResponse]:
    """Ask for what does not end; give the answer that has begun, and close its connection.

    Raises:
        FaasError: It was refused; the error of its problem document.
    """
    try:
        async with asyncio.timeout(ANSWER_S):
            connection, response = await gateway.aio.open("GET", path, ())
    except TimeoutError:
        raise GatewayLost(f"It has not answered within {ANSWER_S:g} s.") from None
    try:
        if response.status != 200:
            async with asyncio.timeout(ANSWER_S):
                raise problem_of(response.status, response.headers, await response.read())
        yield response
    finally:
        connection.close()


async def pieces_of(
    response: AsyncResponse, silence_s: float | None
) -> AsyncGenerator[bytes, None]:
    """Yield what comes.

    Raises:
        GatewayLost: It was cut, or nothing has come for `silence_s`.
    """
    pieces = response.iter_body()
    while True:
        try:
            async with asyncio.timeout(silence_s):
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise GatewayLost(f"Nothing has come for {silence_s or 0:g} s.") from None
        yield piece
