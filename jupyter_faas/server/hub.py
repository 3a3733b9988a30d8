"""Between the one link to the gateway and the pages: who is told what, who wants what.

Everything runs in the Jupyter server's loop. The link exists while there is a page (and a moment
longer: pages are reloaded); without pages nothing is held and nothing is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from jupyter_faas.core.errors import FaasError, GatewayLost
from jupyter_faas.server import status
from jupyter_faas.server.event import Event, Snapshot
from jupyter_faas.server.followers import Calls, Log
from jupyter_faas.server.link import Link, fetch_state
from jupyter_faas.server.outbox import Bounds
from jupyter_faas.server.page import Page
from jupyter_faas.server.place import Place
from jupyter_faas.server.status import GatewayStatus

LINGER_S = 5.0
"""The link outlives the last page for so long."""


class Hub:
    """Serves all pages of one Jupyter server.

    Args:
        place: Where the gateway is.
        bounds: How much may wait for one page.
    """

    def __init__(self, place: Place, bounds: Bounds = Bounds()) -> None:
        self.place = place
        self.bounds = bounds
        self.status = GatewayStatus(state="connecting")
        self._pages: set[Page] = set()
        self._stored: Snapshot | None = None
        self._link: Link | None = None
        self._following: asyncio.Task[None] | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._calls = Calls(place, self._on_call)
        self._logs: dict[str, Log] = {}
        self._snapshots = _Shared(self._fetch)

    # -- pages

    def join(self, page: Page) -> None:
        """Serve a page from now on."""
        self._pages.add(page)
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        if self._link is None:
            self.status = GatewayStatus(state="connecting")
            self._link = Link(self.place, self)
            self._following = asyncio.get_running_loop().create_task(self._link.run())
        page.outbox.put_status(self.status)
        if self._stored is not None:
            page.outbox.put_snapshot(self._stored)
        page.wake()

    def leave(self, page: Page) -> None:
        """A page is gone."""
        self._pages.discard(page)
        self.rewish()
        if not self._pages and self._link is not None:
            self._leaving = asyncio.get_running_loop().call_later(LINGER_S, self._unlink)

    def rewish(self) -> None:
        """Follow what any page wants, and nothing else."""
        self._calls.want(name for page in self._pages for name in page.wish.calls)
        wanted = {name for page in self._pages for name in page.wish.logs}
        for name in self._logs.keys() - wanted:
            self._logs.pop(name).close()
        for name in wanted - self._logs.keys():
            self._logs[name] = Log(self.place, name, self._line_teller(name))

    def newest_lines(self, function: str) -> list[bytes]:
        """Return the last records of a log that is followed."""
        log = self._logs.get(function)
        return [] if log is None else list(log.newest)

    @property
    def is_live(self) -> bool:
        """Whether the gateway answers now."""
        return self._link is not None and self.status.state == "live"

    async def snapshot(self) -> Snapshot:
        """Return the state, asked for after this call; one question serves who comes meanwhile.

        Raises:
            FaasError: It cannot be had, or another gateway has answered than the one whose events
                are told: all pages get the state of one of them in a moment.
        """
        snapshot = await self._snapshots.get()
        if self._link is not None and snapshot.epoch != self._link.epoch:
            self._link.begin_anew()
            raise GatewayLost("Another gateway has answered.")
        return snapshot

    async def look(self) -> tuple[GatewayStatus, bytes | None]:
        """Return how the gateway is and its state, also without any page; starts nothing."""
        try:
            return await self._look()
        except (FaasError, OSError, msgspec.MsgspecError) as error:
            state = "reconnecting" if self.status.state == "live" else "connecting"
            return msgspec.structs.replace(self.status, state=state, reason=str(error)), None

    async def start(self) -> GatewayStatus:
        """Have a gateway; return how it is.

        Raises:
            FaasError: The embedded one cannot be started.
        """
        gateway = await self.place.start()
        try:
            snapshot = await fetch_state(self.place, gateway)
        except FaasError as error:
            return GatewayStatus(state="connecting", url=gateway.location.url, reason=error.detail)
        return status.live(snapshot, gateway.location.url)

    async def close(self) -> None:
        """End everything: the server ends."""
        for page in tuple(self._pages):
            page.close()
        self._pages.clear()
        self.rewish()
        if self._leaving is not None:
            self._leaving.cancel()
        following = self._following
        self._unlink()
        if following is not None:
            await asyncio.wait((following,))
        await asyncio.sleep(0)  # connections that were cut are closed in the next turn

    async def _look(self) -> tuple[GatewayStatus, bytes | None]:
        if self._stored is not None:
            return self.status, self._stored.data
        if self.is_live:
            return self.status, (await self._snapshots.get()).data
        gateway = await self.place.find()
        if gateway is not None:
            snapshot = await fetch_state(self.place, gateway)
            return status.live(snapshot, gateway.location.url), snapshot.data
        last = self.place.last()
        if last is None:
            return GatewayStatus(state="none", reason=status.NONE), None
        return status.asleep(last), await self.place.stored()

    # -- the link

    def on_status(self, status: GatewayStatus) -> None:
        """The gateway is in another state."""
        if status == self.status:
            return
        self.status = status
        if status.state in ("live", "none"):
            self._stored = None
        for page in self._pages:
            page.outbox.put_status(status)
            page.wake()

    def on_snapshot(self, snapshot: Snapshot, *, is_other: bool) -> None:
        """This is the state now."""
        self._stored = None if snapshot.epoch else snapshot
        for page in self._pages:
            page.outbox.put_snapshot(snapshot, is_other=is_other)
            page.wake()

    def on_event(self, event: Event) -> None:
        """Something has happened."""
        for page in self._pages:
            page.outbox.put_event(event)
            page.wake()

    # -- what only some want

    def _on_call(self, event: Event) -> None:
        for page in self._pages:
            if event.function in page.wish.calls:
                page.outbox.put_call(event)
                page.wake()

    def _line_teller(self, function: str) -> Callable[[bytes], None]:
        def tell(line: bytes) -> None:
            for page in self._pages:
                if function in page.wish.logs:
                    page.outbox.put_line(function, line)
                    page.wake()

        return tell

    async def _fetch(self) -> Snapshot:
        gateway = await self.place.reach(may_start=False)
        return await fetch_state(self.place, gateway)

    def _unlink(self) -> None:
        self._leaving = None
        if self._following is not None:
            self._following.cancel()
        self._link = self._following = None
        self._stored = None
        self.place.forget()


class _Shared:
    """One question for everybody who asks before it is put."""

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, Snapshot]]) -> None:
        self._ask = ask
        self._now: asyncio.Task[Snapshot] | None = None
        self._next: asyncio.Task[Snapshot] | None = None

    async def get(self) -> Snapshot:
        """Return an answer to a question that was put after this call."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._turn(self._now))
            self._next.add_done_callback(_looked_at)
        return await asyncio.shield(self._next)

    async def _turn(self, before: asyncio.Task[Snapshot] | None) -> Snapshot:
        if before is not None:
            await asyncio.wait((before,))
        self._now, self._next = self._next, None
        return await self._ask()


def _looked_at(task: asyncio.Task[Snapshot]) -> None:
    """Who asked may be gone: an error that nobody waits for is none."""
    if not task.cancelled():
        task.exception()
