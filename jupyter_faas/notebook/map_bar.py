"""A map's bar under the cell that started it.

A display id of that cell: it goes on after the cell has ended, from any thread, and an exported
notebook keeps the last line.
"""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, Any

from jupyter_faas.client.pace import Pace

if TYPE_CHECKING:
    from jupyter_faas.client.map_progress import MapProgress
    from jupyter_faas.notebook.output import CellOutput


class CellMapDisplay:
    """Shows one map under the cell in which this is made.

    Args:
        output: Knows the cell of the calling thread.
    """

    is_watched = shows_remarks = True

    def __init__(self, output: CellOutput) -> None:
        self._bound = output.place()
        self._id = f"faas-map-{secrets.token_hex(6)}"
        self._pace: Pace | None = None
        self._is_shown = False
        self._lock = threading.RLock()  # a collection in here may end the map

    def update(self, progress: MapProgress) -> None:
        """Show the bar if it is time to."""
        if self._pace is None:
            self._pace = Pace(progress.clock)
        if self._pace.is_due():
            self._show(progress)

    def finish(self, progress: MapProgress) -> None:
        """Show the line that stays, in the bar's place."""
        self._show(progress)
        self._bound.cell.refresh()

    def _show(self, progress: MapProgress) -> None:
        with self._lock:
            bundle: dict[str, Any] = {
                "data": {"text/plain": repr(progress), "text/html": progress._repr_html_()},
                "transient": {"display_id": self._id},
                "update": self._is_shown,
            }
            self._is_shown = True
            self._bound.display(bundle)
