"""How a deployment goes, step by step, for whoever watches: the deployment card.

`Progress` collects what happened and how long it took; a `DeployDisplay` shows it while it runs
and when it is over. In a notebook that is a card that updates itself, in a terminal one line on
stderr, in a script nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from jupyter_faas.client import markup

if TYPE_CHECKING:
    from jupyter_faas.core.report import Report


@dataclass
class Progress:
    """One deployment so far.

    Attributes:
        name: The function.
        clock: Monotonic seconds.
        revision: Its number, once known.
        state: `deploying`, `ready`, `known` (this code was live already) or `failed`.
        fields: Labelled lines of the card: changed, captured, where, call it.
        steps: Finished steps and how long each took, in seconds.
        running: The step under way; empty: none.
        reason: Why it failed, and what to do.
        step_s: When the running step began, by `clock`.
        waiting: What the running step waits for, as the cluster says it; empty: nothing known.
    """

    name: str
    clock: Callable[[], float]
    revision: int | None = None
    state: str = "deploying"
    fields: list[tuple[str, str]] = field(default_factory=list)
    steps: list[tuple[str, float]] = field(default_factory=list)
    running: str = ""
    reason: str = ""
    step_s: float = 0.0
    waiting: str = ""

    def begin(self, step: str) -> None:
        """Note that a step begins, and the one before is over."""
        now_s = self.clock()
        self._close(now_s)
        self.running, self.step_s = step, now_s

    def wait(self, reason: str) -> None:
        """Note what the running step waits for."""
        self.waiting = reason

    def end(self, state: str) -> None:
        """Note that it is over: `ready`, `known`."""
        self._close(self.clock())
        self.state = state

    def fail(self, reason: str) -> None:
        """Note that it is over and did not work."""
        self.end("failed")
        self.reason = reason

    def _close(self, now_s: float) -> None:
        if self.running:
            self.steps.append((self.running, now_s - self.step_s))
            self.running = ""

    def title(self) -> str:
        """Return the card's title: `score  ·  revision 4`."""
        number = f"  ·  revision {self.revision}" if self.revision else ""
        return f"{self.name}{number}"

    def aside(self) -> str:
        """Return what stands at the right of the title: `ready in 38 ms`."""
        total = markup.duration(sum(seconds for _, seconds in self.steps))
        said = {"ready": f"ready in {total}", "failed": "✕ not ready", "known": "live already"}
        return said.get(self.state) or self._running_text()

    def _running_text(self) -> str:
        """Return `start …`, and after a while what it waits for."""
        if not self.running or not self.waiting:
            return f"{self.running or self.state} …"
        return f"◌ waiting {self.clock() - self.step_s:.0f} s: {self.waiting}"

    def lines(self) -> list[tuple[str, str]]:
        """Return the card's labelled lines."""
        steps = " → ".join(f"{name} {markup.duration(seconds)}" for name, seconds in self.steps)
        lines = [line for line in self.fields if line[0] != "call it"]
        lines.append(("steps", steps))
        if self.state == "failed":
            return [*lines, ("✕", self.reason)]
        return lines + [line for line in self.fields if line[0] == "call it"]

    def __repr__(self) -> str:
        return markup.text_fields(self.title(), self.aside(), self.lines())

    def _repr_html_(self) -> str:
        return markup.html_fields(self.title(), self.aside(), self.lines())


class DeployDisplay(Protocol):
    """Shows deployments."""

    def update(self, progress: Progress) -> None:
        """Show the present step; called when one begins and while it waits, from any thread."""

    def finish(self, progress: Progress) -> None:
        """Show how it ended."""

    def report(self, report: Report) -> None:
        """Show a capture report that needs attention, before anything is sent."""

    def warn(self, sentence: str) -> None:
        """Say one sentence to the person, under the cell that made the call."""


class TerminalDisplay:
    """The card on stderr if a person reads it there; a script's output stays its own."""

    def __init__(self) -> None:
        self._said: tuple[str, str] = ("", "")

    def update(self, progress: Progress) -> None:
        """Say what is waited for, once: a line that is overwritten says less than the card."""
        said = (progress.name, progress.waiting)
        if progress.waiting and said != self._said:
            self._said = said
            if sys.stderr is not None and sys.stderr.isatty():
                print(f"{progress.name}: {progress.aside()}", file=sys.stderr)

    def finish(self, progress: Progress) -> None:
        """Print the card."""
        if sys.stderr is not None and sys.stderr.isatty():
            print(repr(progress), file=sys.stderr)

    def report(self, report: Report) -> None:
        """Print the tree."""
        if sys.stderr is not None and sys.stderr.isatty():
            print(report.text(), file=sys.stderr)

    def warn(self, sentence: str) -> None:
        """Print the sentence on stderr."""
        if sys.stderr is not None:
            print(sentence, file=sys.stderr)
