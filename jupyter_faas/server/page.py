"""One page: what it wants to see, and a task that tells it, at its pace.

One message is under way at a time: what comes meanwhile waits in the outbox, where newer events
replace older ones. A page that says nothing for a minute is not displayed any more and is dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import msgspec

from jupyter_faas.core.errors import FaasError
from jupyter_faas.server.outbox import Outbox

if TYPE_CHECKING:
    from jupyter_faas.server.hub import Hub

SILENT_S = 60.0
"""Pages say that they live each 20 s."""
_log = logging.getLogger(__name__)

Name = Annotated[str, msgspec.Meta(max_length=63, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]


class Watch(msgspec.Struct, frozen=True, tag="watch", tag_field="type"):
    """What a page wants to see besides the state of everything."""

    calls: Annotated[list[Name], msgspec.Meta(max_length=50)] = []
    """Functions whose single calls are told."""
    logs: Annotated[list[Name], msgspec.Meta(max_length=20)] = []
    """Functions whose logs are followed."""
    max_hz: Annotated[float, msgspec.Meta(ge=0.1, le=20)] = 4.0
    """Most updates a second."""


class Alive(msgspec.Struct, frozen=True, tag="alive", tag_field="type"):
    """A page is still displayed, and asks whether it is still heard."""


_read = msgspec.json.Decoder(Watch | Alive).decode


class Page:
    """One page as the hub serves it.

    Args:
        hub: Serves it.
        send: Sends one message; returns when it is on its way, raises if the page is gone.
        drop: Ends the connection; the argument says why, for people.

    Attributes:
        outbox: What it is still to be told.
        wish: What it wants to see.
    """

    def __init__(
        self,
        hub: Hub,
        send: Callable[[bytes], Awaitable[None]],
        drop: Callable[[str], None],
    ) -> None:
        self._hub = hub
        self._send = send
        self._drop = drop
        self.outbox = Outbox(hub.bounds)
        self.wish = Watch()
        self._woken = asyncio.Event()
        self._heard_s = 0.0
        self._task: asyncio.Task[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Begin to tell it."""
        loop = asyncio.get_running_loop()
        self._heard_s = loop.time()
        self._task = loop.create_task(self._tell())
        self._look_whether_it_lives()
        self._hub.join(self)

    def hear(self, message: str | bytes) -> None:
        """Take what it says.

        Raises:
            msgspec.MsgspecError: It cannot be understood; the text names what is wrong.
        """
        self._heard_s = asyncio.get_running_loop().time()
        said = _read(message)
        if isinstance(said, Watch):
            before, self.wish = self.wish, said
            self._hub.rewish()
            for function in set(said.logs) - set(before.logs):
                for line in self._hub.newest_lines(function):
                    self.outbox.put_line(function, line)
        else:
            self.outbox.put_sign_of_life()
        self.wake()

    def wake(self) -> None:
        """There may be something to tell."""
        self._woken.set()

    def close(self) -> None:
        """It is gone: hold nothing for it."""
        if self._task is not None:
            self._task.cancel()
        if self._watchdog is not None:
            self._watchdog.cancel()
        self._hub.leave(self)

    async def _tell(self) -> None:
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                if self.outbox.is_behind and self._hub.is_live:
                    for message in self.outbox.take_status():
                        await self._send(message)
                    await self._catch_up()
                for message in self.outbox.take():
                    await self._send(message)
                await self._pause()
        except OSError as error:
            self._drop(str(error))
        except Exception:
            _log.exception("a page cannot be told what there is")
            self._drop("The server failed; its log says how.")

    async def _catch_up(self) -> None:
        try:
            snapshot = await self._hub.snapshot()
        except (FaasError, OSError, msgspec.MsgspecError):
            return  # asked again a moment later, while it is live
        if self.outbox.is_behind:  # else the link has brought a newer one meanwhile
            self.outbox.put_snapshot(snapshot)

    async def _pause(self) -> None:
        """Keep the pace that the page asked for, unless something is urgent."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + 1 / self.wish.max_hz
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline_s):
                while not self.outbox.is_urgent:
                    await self._woken.wait()
                    self._woken.clear()
        if self.outbox.has_news or (self.outbox.is_behind and self._hub.is_live):
            self._woken.set()

    def _look_whether_it_lives(self) -> None:
        loop = asyncio.get_running_loop()
        left_s = self._heard_s + SILENT_S - loop.time()
        if left_s <= 0:
            self._drop("The page has said nothing for too long.")
        else:
            self._watchdog = loop.call_later(left_s, self._look_whether_it_lives)
