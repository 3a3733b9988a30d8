"""All kept maps of one driver: brought back at its start, dropped when their time is over."""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from jupyter_faas.core.errors import InvocationNotFound
from jupyter_faas.core.mapping import MapOrder
from jupyter_faas.fanout.kept import Begin, KeptMap

_log = logging.getLogger(__name__)


class Shelf:
    """Kept maps, by id.

    Args:
        root: Directory of their directories; None: nothing is kept here.
        keep_s: How long after its end a map is kept, seconds.
        begin: Begins a run.
        wall_clock: Seconds since the epoch.
    """

    def __init__(
        self, root: Path | None, keep_s: float, begin: Begin, wall_clock: Callable[[], float]
    ) -> None:
        self.maps: dict[str, KeptMap] = {}
        self._root = root
        self._keep_s = keep_s
        self._begin = begin
        self._wall_clock = wall_clock

    @property
    def is_busy(self) -> bool:
        """Whether one of them runs."""
        return any(not kept.is_over for kept in self.maps.values())

    def restore(self) -> None:
        """Bring back what an earlier driver has left, and go on with what has not ended."""
        if self._root is None or not self._root.is_dir():
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
        if not kept.is_over:
            kept.start()

    def begin(self, order: MapOrder) -> KeptMap:
        """Begin a map whose inputs are to come.

        Raises:
            InvocationNotFound: Nothing is kept here.
        """
        if self._root is None:
            raise InvocationNotFound("This gateway keeps no maps: read the results of .map().")
        directory = self._root / f"map-{secrets.token_hex(6)}"
        kept = KeptMap(directory, order, self._begin, self._wall_clock)
        self.maps[kept.id] = kept
        kept.start()
        return kept

    def discard(self, kept: KeptMap) -> None:
        """Forget a map."""
        self.maps.pop(kept.id, None)
        kept.discard()

    def sweep(self) -> None:
        """Drop what has ended long ago."""
        oldest = self._wall_clock() - self._keep_s
        for kept in list(self.maps.values()):
            if kept.ended is not None and kept.ended.at < oldest and not kept.on_news:
                self.discard(kept)

    def close(self) -> None:
        """Stop all; the next driver goes on."""
        for kept in self.maps.values():
            kept.let_go()


def has_unfinished(root: Path) -> bool:
    """Return whether a driver would have something to go on with."""
    if not root.is_dir():
        return False
    return any(
        (path / "whole").exists() and not (path / "ended").exists() for path in root.iterdir()
    )
