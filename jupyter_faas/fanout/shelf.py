"""All kept maps of one driver: brought back at its start, dropped when their time is over."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from jupyter_faas.core.errors import InvocationNotFound
from jupyter_faas.core.mapping import KEPT_PREFIX, MapOrder, MapTally
from jupyter_faas.fanout.kept import Begin, KeptMap
from jupyter_faas.fanout.mirror import Mirror, cut, fetch
from jupyter_faas.wire.background import Background
from jupyter_faas.wire.kept import KeptLink

CACHE_S = 600.0
"""A map that has ended and that a service has stays here for so long."""
RELEASE_S = 20.0
"""Items under way may take so long when a map goes to another gateway."""
LEAVE_S = 2.0
_LOOK_S = 0.05
_GONE = 64
"""Of so many maps that went is still told what is to be counted."""
_log = logging.getLogger(__name__)


class Shelf:
    """Kept maps, by id.

    Args:
        root: Directory of their directories; None: nothing is kept here.
        keep_s: How long after its end a map is kept, seconds.
        begin: Begins a run.
        wall_clock: Seconds since the epoch.
        link: To the service that keeps maps for all gateways; None: the directory is all there is.
    """

    def __init__(
        self,
        root: Path | None,
        keep_s: float,
        begin: Begin,
        wall_clock: Callable[[], float],
        link: KeptLink | None = None,
    ) -> None:
        self.link = link
        self.maps: dict[str, KeptMap] = {}
        self._root = root
        self._keep_s = keep_s
        self._begin = begin
        self._wall_clock = wall_clock
        self._coming: dict[str, asyncio.Task[KeptMap | None]] = {}
        self._leaving: set[str] = set()
        self._gone: deque[MapTally] = deque(maxlen=_GONE)
        self._background = Background("keeping a map")

    @property
    def is_busy(self) -> bool:
        """Whether one of them runs, or is not written down yet."""
        return any(not kept.is_end_written or kept.is_due for kept in self.maps.values())

    def tallies(self) -> tuple[MapTally, ...]:
        """Return what is to be counted of the maps here, and of those that went last."""
        return (*self._gone, *(kept.tally() for kept in self.maps.values()))

    def restore(self) -> None:
        """Bring back what an earlier driver has left, and go on with what has not ended."""
        if self._root is None or not self._root.is_dir():
            return
        if self.link is not None:
            shutil.rmtree(self._root)  # the service has it, and the gateway says what to take up
            return
        for directory in sorted(self._root.iterdir()):
            try:
                self._restore(directory)
            except Exception:
                _log.exception("the kept map in %s cannot be read", directory)

    def _restore(self, directory: Path) -> None:
        if not (directory / "whole").exists():
            shutil.rmtree(directory, ignore_errors=True)  # its caller left before all was here
            return
        kept = self.maps[directory.name] = KeptMap(directory, None, self._begin, self._wall_clock)
        if not kept.order.is_tallied:
            kept.leave_out()  # an earlier version has counted it item by item
        if not kept.is_over:
            kept.start()

    def begin(self, order: MapOrder) -> KeptMap:
        """Begin a map whose inputs are to come.

        Raises:
            InvocationNotFound: Nothing is kept here.
        """
        if self._root is None:
            raise InvocationNotFound("This gateway keeps no maps: read the results of .map().")
        directory = self._root / f"{KEPT_PREFIX}{secrets.token_hex(6)}"
        kept = KeptMap(directory, order, self._begin, self._wall_clock)
        if self.link is not None:
            kept.mirror = Mirror(kept, self.link)
        self.maps[kept.id] = kept
        kept.start()
        return kept

    async def fetch(self, id: str) -> KeptMap | None:
        """Take up a map that the service has, and go on with it; None: it has none of this id.

        The gateway holds it: nobody else runs it.

        Raises:
            ProviderError: The service is away.
        """
        if id in self.maps:
            return self.maps[id]
        task = self._coming.get(id)
        if task is None:
            task = self._coming[id] = asyncio.get_running_loop().create_task(self._fetch(id))
            task.add_done_callback(lambda _task: self._coming.pop(id, None))
        return await asyncio.shield(task)

    async def _fetch(self, id: str) -> KeptMap | None:
        assert self._root is not None
        assert self.link is not None
        directory = self._root / id
        shutil.rmtree(directory, ignore_errors=True)
        turn = await fetch(self.link, id, self._root)
        if turn is None:
            return None
        kept = KeptMap(directory, None, self._begin, self._wall_clock)
        await cut(self.link, kept)
        kept.mirror = Mirror(kept, self.link, turn)
        if turn:
            kept.leave_out()  # in turns of other gateways
        self.maps[id] = kept
        if not kept.is_over:
            kept.start()
        return kept

    async def release(self, id: str, grace_s: float = RELEASE_S) -> None:
        """Let another gateway have a map: what is under way may end, then all is written down."""
        kept = self.maps.get(id)
        if kept is None or self.link is None:
            return
        loop = asyncio.get_running_loop()
        until_s = loop.time() + grace_s
        while kept.hold_back() and loop.time() < until_s:  # noqa: ASYNC110 - rare: no event for it
            await asyncio.sleep(_LOOK_S)
        kept.stop()
        try:
            if kept.mirror is not None:
                await kept.mirror.settled()
        finally:
            await self._let_go(kept)

    async def _let_go(self, kept: KeptMap) -> None:
        """Forget a map here; what the service does not know of it by now runs again."""
        assert self.link is not None
        if self.maps.pop(kept.id, None) is not kept:
            return
        self._gone.append(kept.tally())
        kept.let_go()
        shutil.rmtree(kept.root, ignore_errors=True)
        if kept.mirror is None or not kept.mirror.is_lost:
            await self.link.ask("map_let_go", type(None), kept.id)

    def begin_release(self, id: str, grace_s: float = RELEASE_S) -> None:
        """Begin to let another gateway have a map; see `release`."""
        if id not in self._leaving:
            self._leaving.add(id)
            self._background.run(self._release(id, grace_s))

    async def _release(self, id: str, grace_s: float) -> None:
        try:
            await self.release(id, grace_s)
        finally:
            self._leaving.discard(id)

    def discard(self, kept: KeptMap) -> None:
        """Forget a map."""
        if self.maps.pop(kept.id, None) is not None:
            self._gone.append(kept.tally())
        kept.discard()
        if self.link is not None:
            self._background.run(self.link.ask("map_drop", type(None), [kept.id]))

    def sweep(self) -> None:
        """Drop what has ended long ago; write down what could not be written before."""
        is_cache = self.link is not None
        oldest = self._wall_clock() - (min(CACHE_S, self._keep_s) if is_cache else self._keep_s)
        for kept in list(self.maps.values()):
            kept.write_end()
            if kept.mirror is not None and kept.mirror.is_lost:
                self.begin_release(kept.id, 0.0)
            elif kept.ended is not None and kept.ended.at < oldest and not kept.on_news:
                if is_cache:
                    self.begin_release(kept.id)
                else:
                    self.discard(kept)

    async def leave(self) -> None:
        """This driver ends: have the service know how far everything is."""
        if self.link is not None:
            releases = [self.release(id, 0.0) for id in tuple(self.maps)]
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await asyncio.gather(*releases, return_exceptions=True)

    def close(self) -> None:
        """Stop all; the next driver goes on."""
        for kept in self.maps.values():
            kept.let_go()


def has_unfinished(root: Path, is_counted: Callable[[str], bool]) -> bool:
    """Return whether a driver would have something to go on with, or to tell.

    Args:
        root: Directory of directories of maps.
        is_counted: Whether it is known of a map, by its id, what it has come to.
    """
    if not root.is_dir():
        return False
    return any(
        (path / "whole").exists() and not ((path / "ended").exists() and is_counted(path.name))
        for path in root.iterdir()
    )
