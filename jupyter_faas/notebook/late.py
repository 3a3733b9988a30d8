"""Output that comes when its cell has ended: it goes into a place the cell has left for it.

A front end takes streams only for cells that run; after a reload of the page it has forgotten
even which message belongs to which cell. What it takes at any time is an update of a display id
that was made in the cell. So a cell that ends while something may still print leaves an empty
display, and all that is printed later is shown there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jupyter_faas.notebook.cells import RunCell
from jupyter_faas.wire.frames import STDERR

KEPT_CHARACTERS = 64 * 1024
"""The newest output is kept; a front end gets all of it with each update."""

KEPT_PARTS = 100
"""Displays and the text between them; the oldest go."""

OURS = "jupyter-faas"

PAUSE_S = 0.08
"""Between two updates: a line is there within 0.1 s."""

_RED, _PLAIN = "\x1b[31m", "\x1b[0m"

Send = Callable[[str, dict[str, Any]], None]
"""Publishes a message of this kind and content under the cell."""


class Screen:
    """Text as a terminal shows it: a carriage return writes the line anew. Pure."""

    def __init__(self, kept: int = KEPT_CHARACTERS) -> None:
        self._kept = kept
        self._done = ""
        self._line = ""
        self._is_returned = False

    @property
    def text(self) -> str:
        """What is on the screen."""
        return self._done + self._line

    def write(self, text: str) -> None:
        """Add text; of what is too long the oldest lines go."""
        for piece in text.replace("\r\n", "\n").splitlines(keepends=True):
            self._piece(piece)
        if len(self._done) > self._kept:
            self._done = "…\n" + self._done[-self._kept :].partition("\n")[2]

    def _piece(self, piece: str) -> None:
        body = piece.rstrip("\n\r")
        if body and self._is_returned:
            self._line, self._is_returned = "", False
        self._line += body
        if piece.endswith("\r"):
            self._is_returned = True
        elif piece.endswith("\n"):
            self._done += self._line + "\n"
            self._line, self._is_returned = "", False


def named(transient: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata that keep a display id of ours where notebooks are saved.

    A front end forgets display ids when its page is loaded anew; our extension reads them here.
    """
    display_id = str(transient.get("display_id", ""))
    return {OURS: {"display_id": display_id}} if display_id.startswith("faas-") else {}


@dataclass
class _Shown:
    """A display among the output, by its text."""

    text: str
    display_id: str


class LateOutput:
    """The place one cell has left.

    Args:
        cell: It; its end is under way.
        send: Publishes under it.
    """

    def __init__(self, cell: RunCell, send: Send) -> None:
        self._id = f"faas-late-{cell.id}"
        self._send = send
        self._parts: list[Screen | _Shown] = []
        self._lock = threading.RLock()  # a collection in here may print
        self._timer: threading.Timer | None = None
        send("display_data", self._content())

    def write(self, stream: int, text: str) -> None:
        """Show text of a stream; stderr in red."""
        with self._lock:
            last = self._parts[-1] if self._parts else None
            screen = last if isinstance(last, Screen) else Screen()
            if screen is not last:
                self._add(screen)
            screen.write(f"{_RED}{text}{_PLAIN}" if stream == STDERR else text)
            self._flush_soon()

    def display(self, text: str, display_id: str = "") -> None:
        """Show the text of a display; what has the same id is replaced."""
        with self._lock:
            known = self._shown(display_id)
            if known is None:
                self._add(_Shown(text, display_id))
            else:
                known.text = text
            self._flush_soon()

    def knows(self, display_id: str) -> bool:
        """Return whether a display of this id is shown here."""
        return self._shown(display_id) is not None

    def _shown(self, display_id: str) -> _Shown | None:
        for part in self._parts:
            if isinstance(part, _Shown) and part.display_id == display_id != "":
                return part
        return None

    def _add(self, part: Screen | _Shown) -> None:
        self._parts.append(part)
        del self._parts[:-KEPT_PARTS]

    def _flush_soon(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(PAUSE_S, self._flush)
            self._timer.name, self._timer.daemon = "jupyter-faas-late", True
            self._timer.start()

    def _flush(self) -> None:
        with self._lock:  # also as it is sent: an older text must not come after a newer one
            self._timer = None
            self._send("update_display_data", self._content())

    def _content(self) -> dict[str, Any]:
        data = {"text/plain": "".join(part.text for part in self._parts)}
        transient = {"display_id": self._id}
        return {"data": data, "metadata": named(transient), "transient": transient}


class CellEnds:
    """Hears from IPython when cells begin and end.

    Args:
        cell: Returns the cell that runs.
        leave_place: Makes the place for late output of a cell.
        is_expected: Whether threads that still run may call functions at all.
    """

    def __init__(
        self,
        cell: Callable[[], RunCell],
        leave_place: Callable[[RunCell], LateOutput],
        is_expected: Callable[[], bool],
    ) -> None:
        self._cell = cell
        self._leave_place = leave_place
        self._is_expected = is_expected
        self._depth = 0

    @property
    def is_running(self) -> bool:
        """Whether a cell runs."""
        return self._depth > 0

    def before(self, _info: object = None) -> None:
        """A cell begins; a magic runs cells inside cells."""
        self._depth += 1

    def after(self, _result: object = None) -> None:
        """A cell ends."""
        self._depth = max(0, self._depth - 1)
        if self._depth:
            return
        cell = self._cell()
        cell.refresh()
        if cell.is_kept and self._is_expected():
            cell.late = self._leave_place(cell)
        cell.has_ended = True
