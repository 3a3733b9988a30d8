"""A terminal with bars on it: text that comes while one is shown stands above it.

tqdm's bar is the terminal's last line. What is written while it stands there is drawn into it,
unless the bar is cleared before and drawn again below. That works for whole lines only: one that
was begun waits for its end, or for the bar's.
"""

from __future__ import annotations

import sys
import threading
from typing import Any, TextIO

from jupyter_faas.wire.frames import STDERR, STDOUT

_MOST_BEGUN = 4096
"""Characters of a line that is waited for; a longer one is ended here."""


class Terminal:
    """stdout and stderr of the process, as they are when something is written."""

    def __init__(self) -> None:
        # Reentrant: a map that is dropped writes its last line from wherever that happens.
        self._lock = threading.RLock()
        self._begun = {STDOUT: "", STDERR: ""}

    @property
    def is_watched(self) -> bool:
        """Whether a person reads stderr."""
        return _is_terminal(sys.stderr)

    def write(self, stream: int, text: str) -> None:
        """Write and flush, so that a pipe's reader sees each line when it is printed."""
        target = sys.stderr if stream == STDERR else sys.stdout
        if target is None:
            return
        with self._lock:
            bars = _bars() if _is_terminal(target) else None
            text = self._begun[stream] + text
            self._begun[stream] = ""
            if bars is not None:
                whole, newline, begun = text.rpartition("\n")
                text = whole + newline
                begun = _last_drawn(begun)
                if len(begun) > _MOST_BEGUN:
                    text, begun = f"{text}{begun}\n", ""
                self._begun[stream] = begun
            if text:
                _write(target, text, bars)

    def say(self, line: str) -> None:
        """Write one line to stderr."""
        begun = "\n" if self._begun[STDERR] else ""
        self.write(STDERR, f"{begun}{line}\n")

    def bar_ended(self) -> None:
        """Write what waited for its end, if that was the last bar."""
        if _bars() is None:
            for stream in self._begun:
                self.write(stream, "")


def _last_drawn(line: str) -> str:
    """Return what is to be seen of a line that was drawn over again and again."""
    drawn = line.rstrip("\r")
    return drawn.rpartition("\r")[2] + line[len(drawn) :][:1]


def _write(target: TextIO, text: str, bars: Any) -> None:
    if bars is None:
        target.write(text)
        target.flush()
        return
    with bars.external_write_mode(file=target):
        target.write(text)
        target.flush()


def _bars() -> Any:
    """Return tqdm, if bars of it are shown, a person's own or ours; else None."""
    tqdm: Any = getattr(sys.modules.get("tqdm.std"), "tqdm", None)
    if tqdm is None:
        return None
    with tqdm.get_lock():
        is_shown = any(not getattr(bar, "disable", True) for bar in tqdm._instances)
    return tqdm if is_shown else None


def _is_terminal(target: Any) -> bool:
    isatty = getattr(target, "isatty", None)
    return bool(isatty is not None and isatty())
