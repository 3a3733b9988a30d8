"""What the items of a map print, on its way to people: each item's text decoded apart."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_faas.client.output import BoundOutput, LogWriter

if TYPE_CHECKING:
    from jupyter_faas.client.answers import Body
    from jupyter_faas.wire.frames import Frame

_MOST_WRITERS = 256


class ItemPrints:
    """Writers for the items that print just now.

    Args:
        output: Returns where an item's prints go.
    """

    def __init__(self, output: Callable[[], BoundOutput]) -> None:
        self._output = output
        self._writers: dict[int, LogWriter] = {}

    def log(self, frame: Frame) -> None:
        """Pass one LOG frame on; its tag names the item."""
        writer = self._writers.pop(frame.tag, None)
        if writer is None:
            writer = LogWriter(self._output(), _read_bundle)
            if len(self._writers) >= _MOST_WRITERS:
                self._writers.pop(next(iter(self._writers)))
        self._writers[frame.tag] = writer
        writer.log(frame.stream, frame.body)


class ItemLines:
    """Takes the prints of one item apart into lines.

    Args:
        lines: Where whole lines go.
    """

    def __init__(self, lines: deque[str]) -> None:
        self._lines = lines
        self._begun = ""

    def write(self, stream: int, text: str) -> None:
        """Take text."""
        *whole, self._begun = (self._begun + text).split("\n")
        self._lines.extend(whole)

    def display(self, bundle: dict[str, Any]) -> None:
        """Take the text of what was displayed."""
        self._lines.append(str((bundle.get("data") or {}).get("text/plain", "")))

    def end(self) -> None:
        """A line that was begun is whole now."""
        if self._begun:
            self._lines.append(self._begun)
            self._begun = ""


def _read_bundle(body: Body) -> dict[str, Any]:
    return msgspec.msgpack.decode(body, type=dict[str, Any])
