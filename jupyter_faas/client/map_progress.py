"""How a map goes, for whoever watches: a bar in a notebook, one line in a terminal.

Whoever runs the map keeps the numbers and says when they have changed:

```python
progress = MapProgress("score.map", total=len(inputs), clock=session.monotonic_s)
with progress.shown(session.map_display(), wanted=None):  # f.map(progress=…)
    progress.note(done=12, running=4)  # as often as it likes: shown at most 4 times a second
    progress.name_failure(3, "ValueError: empty text")
# leaving shows the last line: `10 000 in 58 s, 3 failed`
```

The display is made in the cell that starts the map and stays under it, whichever thread reports
and however late. Where nobody watches (a script's stderr into a file) nothing is shown.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from jupyter_faas.client import map_lines
from jupyter_faas.client.pace import Pace
from jupyter_faas.client.terminal import Terminal

MAX_FAILURES = 50
"""So many failed items are told by name; of all others only the number."""


@dataclass
class MapProgress:
    """One map so far.

    Attributes:
        name: What runs: `score.map`.
        clock: Monotonic seconds.
        total: Inputs in all; None: not known (yet).
        done: Items that have ended, failed ones too.
        running: Items that run now.
        failed: Items that failed.
        run_id: Of a stored run; empty: its results go to the caller alone.
        state: `running`, `done`, `cancelled` or `failed`.
        reason: Why the whole map failed, in a sentence.
        workers: How busy each worker is, 0 to 1.
        slowest: The item that has run longest: its index and its seconds.
        remark: A sentence worth knowing, e.g. why Ray takes no part.
        failures: The first failed items: index and what was raised, one line.
        started_s: When it began, by `clock`.
        ended_s: When it ended; None: it has not.
    """

    name: str
    clock: Callable[[], float]
    total: int | None = None
    done: int = 0
    running: int = 0
    failed: int = 0
    run_id: str = ""
    state: str = "running"
    reason: str = ""
    workers: tuple[float, ...] = ()
    slowest: tuple[int, float] | None = None
    remark: str = ""
    failures: list[tuple[int, str]] = field(default_factory=list)
    started_s: float = -1.0
    ended_s: float | None = None
    _display: MapDisplay | None = None

    def __post_init__(self) -> None:
        if self.started_s < 0:
            self.started_s = self.clock()

    @property
    def is_shown(self) -> bool:
        """Whether a display shows it: then remarks are seen there."""
        return self._display is not None and self._display.shows_remarks

    @property
    def elapsed_s(self) -> float:
        """How long it has run, in seconds."""
        return (self.clock() if self.ended_s is None else self.ended_s) - self.started_s

    @contextmanager
    def shown(self, display: MapDisplay, wanted: bool | None = None) -> Iterator[MapProgress]:
        """Show it on a display while entered; leaving by an error shows that.

        Args:
            display: Made where the map was started: `session.map_display()`.
            wanted: False: show nothing. None: the display decides whether a person watches.
        """
        self.begin(display, wanted)
        try:
            yield self
        except BaseException as error:
            is_cancelled = isinstance(error, (KeyboardInterrupt, GeneratorExit))
            self.end("cancelled" if is_cancelled else "failed", map_lines.one_line(error))
            raise
        self.end("done")

    def begin(self, display: MapDisplay, wanted: bool | None = None) -> None:
        """Begin to show it; the caller ends it with `end`."""
        if wanted or (wanted is None and display.is_watched):
            self._display = display
            display.update(self)

    def note(self, **numbers: Any) -> None:
        """Take new numbers, any of the attributes above, and show them if it is time to."""
        for name, value in numbers.items():
            setattr(self, name, value)
        if self._display is not None:
            self._display.update(self)

    @property
    def names_failures(self) -> bool:
        """Whether failed items are still told by name."""
        return len(self.failures) < MAX_FAILURES

    def name_failure(self, index: int, text: str) -> None:
        """Tell a failed item by name; what counts it is `note`."""
        if self.names_failures:
            self.failures.append((index, map_lines.in_line(text)))

    def end(self, state: str, reason: str = "") -> None:
        """Note that it is over (`done`, `cancelled`, `failed`) and show the last line; once."""
        if self.ended_s is not None:
            return
        self.ended_s, self.state, self.running = self.clock(), state, 0
        self.reason = reason if state == "failed" else ""
        display, self._display = self._display, None
        if display is not None:
            display.finish(self)

    def __repr__(self) -> str:
        return map_lines.line(self)

    def _repr_html_(self) -> str:
        return map_lines.html(self)


class MapDisplay(Protocol):
    """Shows one map."""

    @property
    def is_watched(self) -> bool:
        """Whether a person can see it."""

    @property
    def shows_remarks(self) -> bool:
        """Whether remarks are part of what is shown."""

    def update(self, progress: MapProgress) -> None:
        """Show the numbers if it is time to; called from any thread, as often as they change."""

    def finish(self, progress: MapProgress) -> None:
        """Show the one line that stays."""


class TerminalMapDisplay:
    """tqdm's bar on stderr, if that is a terminal; at the end one line in its place.

    Args:
        terminal: Keeps lines and bars apart.
    """

    shows_remarks = False

    def __init__(self, terminal: Terminal | None = None) -> None:
        self._terminal = terminal or Terminal()
        self._bar: Any = None
        self._pace: Pace | None = None

    @property
    def is_watched(self) -> bool:
        """Whether a person reads stderr."""
        return self._terminal.is_watched

    def update(self, progress: MapProgress) -> None:
        """Draw the bar with the present numbers."""
        if self._pace is None:
            self._pace = Pace(progress.clock)
            self._bar = _bar(progress)
        if not self._pace.is_due():
            return
        bar = self._bar
        bar.total, bar.n = progress.total, progress.done
        bar.set_postfix_str(map_lines.failed_text(progress), refresh=False)
        bar.refresh()

    def finish(self, progress: MapProgress) -> None:
        """Replace the bar by the line that stays."""
        if self._bar is not None:
            self._bar.close()
        self._terminal.say(map_lines.line(progress))
        self._terminal.bar_ended()


def _bar(progress: MapProgress) -> Any:
    from tqdm import tqdm  # noqa: PLC0415 - only for who watches a map in a terminal

    class Bar(tqdm):  # type: ignore[misc]  # - tqdm has no types
        # tqdm's own thread only looks for bars that are late: there is nothing for it to do here.
        monitor_interval = 0

    return Bar(
        desc=progress.name,
        total=progress.total,
        leave=False,
        mininterval=0,
        dynamic_ncols=True,
        file=sys.stderr,
    )
