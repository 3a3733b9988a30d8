"""A kept map's files at the service that all gateways share, as they grow.

Here they are a cache: the next driver, on whatever gateway, goes on from what the service has.
What is there always makes sense: inputs come before their number, outcomes before the end.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from jupyter_faas.core.errors import FaasError, known
from jupyter_faas.wire.kept import KeptLink, MapHead

if TYPE_CHECKING:
    from jupyter_faas.fanout.kept import KeptMap

FILES = ("inputs", "outcomes", "prints", "begun")
PIECE_BYTES = 4 << 20
PAUSE_S, MOST_PAUSE_S = 0.2, 2.0
"""Between two writes, while outcomes come: a multiple of what the last one took, within these."""
_PAUSES = 4.0
RETRY_S = 1.0
_json = msgspec.json.Encoder().encode
_log = logging.getLogger(__name__)


class File(Protocol):
    """A file of a kept map that only grows."""

    found_size: int
    """Bytes it had when it was opened."""

    @property
    def size(self) -> int:
        """Bytes of all that is whole in it."""

    def raw(self, at: int, length: int) -> bytes:
        """Return a piece that is there."""

    def close(self) -> None:
        """Close it."""


class Mirror:
    """Writes one map to the service.

    Args:
        kept: The map.
        link: To the service.
        turn: Of this driver with it; None: the service does not have it yet.
    """

    def __init__(self, kept: KeptMap, link: KeptLink, turn: int | None = None) -> None:
        self._kept = kept
        self._link = link
        self._loop = asyncio.get_running_loop()
        self.turn = turn or 0
        self._is_begun = turn is not None
        self._written = [one.size if self._is_begun else 0 for one in kept.files]
        self._marked = self._mark_of(kept) if self._is_begun else (None, None)
        self.is_due = False
        """Something here is not at the service yet."""
        self._is_urgent = asyncio.Event()
        self._trouble: FaasError | None = None
        self._is_failing = asyncio.Event()
        self._is_pushed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.is_lost = False
        """Another gateway has taken it over."""

    def poke(self) -> None:
        """Something has been added, or has changed."""
        self.is_due = True
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._write())

    async def settled(self) -> None:
        """Wait until the service has all that is here now, or the map is another's.

        Raises:
            ProviderError: The service fails; it is tried on all the same.
        """
        self._is_urgent.set()
        self.poke()
        assert self._task is not None
        failing = asyncio.ensure_future(self._is_failing.wait())
        try:
            await asyncio.wait({self._task, failing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            failing.cancel()
        if not self._task.done():
            assert self._trouble is not None
            raise self._trouble
        self._task.result()

    async def has(self, file: int, size: int) -> bool:
        """Wait until the service has so much of a file, however long; False: the map is lost."""
        while self._written[file] < size and not self.is_lost:
            self._is_pushed.clear()
            self._is_urgent.set()
            self.poke()
            await self._is_pushed.wait()
        return not self.is_lost

    def stop(self) -> None:
        """Write nothing more."""
        if self._task is not None:
            self._task.cancel()

    async def _write(self) -> None:
        while self.is_due and not self.is_lost:
            began_s = self._loop.time()
            try:
                self.is_due = False
                await self._push()
            except Exception as error:
                # Also a defect: items that wait to be written down wait for this task alone.
                self._trouble = known(error)
                _log.warning("%s cannot be kept yet: %s", self._kept.id, self._trouble.detail)
                self.is_due = True
                self._is_failing.set()
                await asyncio.sleep(RETRY_S)
            else:
                self._is_failing.clear()
                await self._rest(_PAUSES * (self._loop.time() - began_s))
        self._is_urgent.clear()
        self._is_pushed.set()

    async def _rest(self, pause_s: float) -> None:
        """Let more come together, unless somebody waits."""
        try:
            async with asyncio.timeout(min(max(PAUSE_S, pause_s), MOST_PAUSE_S)):
                await self._is_urgent.wait()
        except TimeoutError:
            pass

    async def _push(self) -> None:
        kept, link = self._kept, self._link
        mark = self._mark_of(kept)
        ends = [one.size for one in kept.files]
        if not self._is_begun:
            place = (kept.id, kept.order.namespace, kept.order.function)
            await link.ask("map_begin", type(None), place, kept.started_at, _json(kept.order))
            self._is_begun = True
        # Together: where each costs a request of its own, they go with one.
        sized = enumerate(zip(kept.files, ends, strict=True))
        pushes = [self._push_file(file, content, end) for file, (content, end) in sized]
        for error in await asyncio.gather(*pushes, return_exceptions=True):
            if error is not None:
                raise error
        if mark != self._marked and not self.is_lost:
            state = _json(kept.status())
            values = (kept.id, self.turn, *mark, state, kept.now())
            if await link.ask("map_mark", bool, *values):
                self._marked = mark
            else:
                self.is_lost = True

    async def _push_file(self, file: int, content: File, end: int) -> None:
        while self._written[file] < end and not self.is_lost:
            at = self._written[file]
            piece = content.raw(at, min(PIECE_BYTES, end - at))
            where = (self._kept.id, self.turn, file, at)
            is_ours = await self._link.ask("map_write", bool, *where, piece)
            if is_ours:
                self._written[file] = at + len(piece)
            else:
                self.is_lost = True  # whatever was answered to the other files
            self._is_pushed.set()

    def _mark_of(self, kept: KeptMap) -> tuple[int | None, bytes | None]:
        return kept.total, None if kept.ended is None else _json(kept.ended)


async def fetch(link: KeptLink, id: str, root: Path) -> int | None:
    """Write the files of a map as the service has them; return the turn, None: there is no such.

    Args:
        link: To the service.
        id: Of the map.
        root: Directory of directories of maps.
    """
    head = await link.find("map_head", MapHead, id)
    if head is None:
        return None
    directory = root / id
    directory.mkdir(mode=0o700, parents=True)
    (directory / "order").write_bytes(head.order)
    os.utime(directory / "order", (head.at, head.at))  # it says when the map began
    for file, name in enumerate(FILES):
        with (directory / name).open("xb") as out:
            while piece := await link.ask("map_read", bytes, id, file, out.tell()):
                out.write(piece)
    if head.total is not None:
        (directory / "whole").write_bytes(b"%d" % head.total)
    if head.ended is not None:
        (directory / "ended").write_bytes(head.ended)
    return head.turn


async def cut(link: KeptLink, kept: KeptMap) -> None:
    """Have the service drop what a killed driver has left of a last record, as `kept` has."""
    for file, content in enumerate(kept.files):
        if content.found_size != content.size:
            await link.ask("map_cut", type(None), kept.id, file, content.size)
