"""The driver's side of a Ray host: comes to it, hears it, tells it, lets it go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import msgspec

from jupyter_faas.core.errors import ProviderError, QueueFull
from jupyter_faas.fanout.ray.ways import Talk, Way
from jupyter_faas.fanout.ray.words import (
    Close,
    Event,
    Failed,
    HostStart,
    Open,
    Opened,
    Order,
    Up,
    Want,
)
from jupyter_faas.wire.child import tell

_WANT_S = 0.5
"""How often a host that scales its workers may be told how many seats are wanted."""

_events = msgspec.json.Decoder(Event)


class RayHouse:
    """Ray, once it is wanted.

    Args:
        way: To the host.
        start: The first line it is told.
        on_change: Called when `seats` or `trouble` has changed.

    Attributes:
        seats: Those that take replicas; none: it is not up.
        trouble: Why it is not there, as a sentence: what the last attempt came to.
        python: Minor version of the seats' Python, once it is up; empty: any will do.
        seat_mib: Memory that a replica may take there; 0: not known.
        wanted: Returns how many seats could be used now.
        busy: Returns which are.
        on_lost: Called with the seats that are gone.
    """

    def __init__(self, way: Way, start: HostStart, on_change: Callable[[], None]) -> None:
        self.seats: tuple[int, ...] = ()
        self.trouble = ""
        self.python = ""
        self.seat_mib = 0
        self.wanted: Callable[[], int] = lambda: 0
        self.busy: Callable[[], tuple[int, ...]] = lambda: ()
        self.on_lost: Callable[[Collection[int]], None] = lambda _seats: None
        self._way = way
        self._start = start
        self._on_change = on_change
        self._talk: Talk | None = None
        self._task: asyncio.Task[None] | None = None
        self._opening: dict[str, asyncio.Future[Opened]] = {}
        self._was_up = False
        self._why = ""  # what this attempt came to, the first that was said of it
        self._not_before_s = 0.0
        self._there: set[int] = set()
        """Seats, also those that take nothing more."""

    @property
    def is_remote(self) -> bool:
        """Whether it is there already: coming to it costs nothing, and may be tried again."""
        return self._way.is_remote

    @property
    def is_begun(self) -> bool:
        """Whether it has been asked for."""
        return self._task is not None

    def begin(self) -> None:
        """Come to it; `on_change` tells what became of it.

        Again when it has gone; but where it did not even start, only if coming to it is cheap.
        """
        loop = asyncio.get_running_loop()
        if self._task is not None:
            may_again = self._task.done() and (self.is_remote or self._was_up)
            if not may_again or loop.time() < self._not_before_s:
                return
        self._not_before_s = loop.time() + self._way.again_s
        self._was_up, self._why = False, ""
        self._task = loop.create_task(self._live())

    async def open(self, seat: int, replica: str, socket: str, trust: bytes) -> Opened:
        """Start a generic replica on a seat; returns when it listens.

        Raises:
            ProviderError: It does not start.
            QueueFull: The seat is gone; others may be free.
        """
        future: asyncio.Future[Opened] = asyncio.get_running_loop().create_future()
        self._opening[replica] = future
        try:
            self._tell(Open(seat=seat, replica=replica, socket=socket, trust=trust))
            return await future
        finally:
            self._opening.pop(replica, None)

    def shut(self, seat: int, replica: str) -> None:
        """End a replica, if there is still somebody to do it."""
        if self._talk is not None:
            self._tell(Close(seat=seat, replica=replica))

    def give_up(self, why: str) -> None:
        """It is of no use: its maps go elsewhere."""
        self.trouble = self._why = self._why or why
        self._set_seats(())
        for future in self._opening.values():
            if not future.done():
                future.set_exception(ProviderError(self.trouble))
        self._on_change()

    async def close(self) -> None:
        """Let it go, and wait until it has gone."""
        if self._talk is not None:
            await self._talk.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # -- inside

    async def _live(self) -> None:
        try:
            self._talk = talk = await self._way.reach()
        except OSError as error:
            self.give_up(str(error))
            return
        telling = None
        try:
            tell(talk.writer, msgspec.json.encode(self._start) + b"\n")
            async with asyncio.timeout(self._way.start_s):
                self._hear(await talk.reader.readline())
            if self.is_remote:
                telling = asyncio.get_running_loop().create_task(self._keep_telling())
            while line := await talk.reader.readline():
                self._hear(line)
        except TimeoutError:
            self._why = f"Ray has not started within {self._way.start_s:.0f} s."
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            self._why = f"{self._way.lost} {error}"
        finally:
            if telling is not None:
                telling.cancel()
            self._talk = None
            self.give_up(self._way.lost)
            await talk.close()

    async def _keep_telling(self) -> None:
        told = Want(seats=0)
        while True:
            want = Want(seats=self.wanted(), busy=self.busy())
            if want != told:
                self._tell(want)
                told = want
            await asyncio.sleep(_WANT_S)

    def _hear(self, line: bytes) -> None:
        if not line.strip():
            return
        event = _events.decode(line)
        if isinstance(event, Failed):
            self.give_up(event.why)
        elif isinstance(event, Opened):
            future = self._opening.get(event.replica)
            if future is None or future.done():
                return
            if event.why:
                kind = QueueFull if event.is_gone else ProviderError
                future.set_exception(kind(f"Ray starts no replica: {event.why}"))
            else:
                future.set_result(event)
        else:
            if isinstance(event, Up):
                self._was_up, self.trouble = True, ""
                self.python, self.seat_mib = event.python, event.seat_mib
                self._set_seats(event.seats)
            else:
                self._set_seats(event.seats, event.leaving)
            self._on_change()

    def _set_seats(self, seats: tuple[int, ...], leaving: tuple[int, ...] = ()) -> None:
        there = {*seats, *leaving}
        gone = self._there - there
        self.seats, self._there = seats, there
        if gone:
            self.on_lost(gone)

    def _tell(self, order: Order) -> None:
        if self._talk is None:
            raise ProviderError(self.trouble or "Ray is not up.")
        tell(self._talk.writer, msgspec.json.encode(order) + b"\n")
