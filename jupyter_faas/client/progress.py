"""How a deployment goes, step by step, for whoever watches: the deployment card.

`Progress` collects what happened and how long it took; a `DeployDisplay` shows it while it runs
and when it is over. In a notebook that is a card that updates itself, in a terminal one line on
stderr, in a script nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from jupyter_faas.client import markup
from jupyter_faas.client.terminal import Terminal

if TYPE_CHECKING:
    from jupyter_faas.core.report import Report


_SOON_S = 0.5
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


@dataclass
class Progress:
    """One deployment so far.

    Attributes:
        name: The function.
        clock: Monotonic seconds.
        revision: Its number, once known.
        state: `deploying`, `ready`, `known` (this code was live already), `failed`, `interrupted`
            (nobody waits for it), or `refused` (it cannot be sent: a tree says why).
        fields: Labelled lines of the card: changed, captured, where, call it.
        steps: Finished steps and how long each took, in seconds.
        running: The step under way; empty: none.
        reason: Why it failed or is not waited for, and what to do.
        step_s: When the running step began, by `clock`.
        waiting: What the running step waits for, as the cluster says it; empty: nothing known.
        notes: What is known of a step beside its time: start → forked.
        diff: Of the source, against what this process deployed before; empty: none.
        curl: A line for a shell that calls it; empty: not known.
        key: Tells this deployment from others.
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
    notes: dict[str, str] = field(default_factory=dict)
    diff: str = ""
    curl: str = ""
    key: str = field(default_factory=lambda: secrets.token_hex(6))

    def begin(self, step: str) -> None:
        """Note that a step begins, and the one before is over."""
        now_s = self.clock()
        self._close(now_s)
        self.running, self.step_s = step, now_s

    def wait(self, reason: str) -> None:
        """Note what the running step waits for."""
        self.waiting = reason

    def measured(self, how: str, start_s: float, load_s: float) -> None:
        """Take what the gateway has measured of the start, which from here is one wait."""
        self.steps = [step for step in self.steps if step[0] != "start"]
        self.steps += [("start", start_s), ("load", load_s)]
        self.notes["start"] = how

    def end(self, state: str) -> None:
        """Note that it is over: `ready`, `known`, `refused`."""
        self._close(self.clock())
        self.state = state

    def fail(self, reason: str) -> None:
        """Note that it is over and did not work."""
        self.end("failed")
        self.reason = reason

    def interrupt(self, reason: str) -> None:
        """Note that it is not waited for any more."""
        self.end("interrupted")
        self.reason = reason

    def resume(self) -> None:
        """Note that somebody waits again: a card of its own, the time goes on."""
        if self.state == "interrupted":
            self.state, self.reason, self.waiting = "deploying", "", ""
            self.running, _ = self.steps.pop()
            self.key = secrets.token_hex(6)

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
        said = {
            "ready": f"ready in {total}",
            "failed": "✕ not ready",
            "interrupted": "✕ interrupted",
            "known": "live already",
            "refused": "✕ not sent",
        }
        return said.get(self.state) or self._running_text()

    def _running_text(self) -> str:
        """Return `start …`, after a while with its seconds and what it waits for."""
        spent_s = self.clock() - self.step_s
        if not self.running or (spent_s < _SOON_S and not self.waiting):
            return f"{self.running or self.state} …"
        if self.waiting:
            return f"◌ waiting {spent_s:.0f} s: {self.waiting}"
        mark = _SPINNER[int(spent_s * 4) % len(_SPINNER)]
        return f"{mark} {self.running} {spent_s:.1f} s"

    def lines(self) -> list[tuple[str, str]]:
        """Return the card's labelled lines."""
        steps = " → ".join(self._step_text(name, seconds) for name, seconds in self.steps)
        lines = [line for line in self.fields if line[0] != "call it"]
        lines += [("steps", steps)] if steps else []
        if self.state == "failed":
            return [*lines, ("✕", self.reason)]
        lines += [("✕", self.reason)] if self.state == "interrupted" else []
        return lines + [line for line in self.fields if line[0] == "call it"]

    def __repr__(self) -> str:
        lines = self.lines()
        if self.curl and self.state != "failed":
            lines.append(("http", self.curl))
        return markup.text_fields(self.title(), self.aside(), lines)

    def _repr_html_(self) -> str:
        more = markup.html_folded("diff", self.diff)
        if self.state != "failed":
            more += markup.html_folded("curl", self.curl)
        return markup.html_fields(self.title(), self.aside(), self.lines(), more)

    def _step_text(self, name: str, seconds: float) -> str:
        note = f" ({self.notes[name]})" if self.notes.get(name) else ""
        return f"{name} {markup.duration(seconds)}{note}"


class DeployDisplay(Protocol):
    """Shows deployments."""

    @property
    def is_watched(self) -> bool:
        """Whether a person can see it: what only people need is not asked for otherwise."""

    def update(self, progress: Progress) -> None:
        """Show the present step; called when one begins and while it waits, from any thread."""

    def finish(self, progress: Progress) -> None:
        """Show how it ended; `known` and `refused` only where the card is shown."""

    def report(self, report: Report) -> None:
        """Show a capture report that needs attention, before anything is sent."""

    def warn(self, sentence: str) -> None:
        """Say one sentence to the person, under the cell that made the call."""


class TerminalDisplay:
    """The card on stderr if a person reads it there; a script's output stays its own.

    Args:
        terminal: Keeps lines and bars apart.
    """

    def __init__(self, terminal: Terminal | None = None) -> None:
        self._terminal = terminal or Terminal()
        self._said: tuple[str, str] = ("", "")

    @property
    def is_watched(self) -> bool:
        """Whether stderr is a terminal."""
        return self._terminal.is_watched

    def update(self, progress: Progress) -> None:
        """Say what is waited for, once: a line that is overwritten says less than the card."""
        said = (progress.name, progress.waiting)
        if progress.waiting and said != self._said:
            self._said = said
            if self.is_watched:
                self._terminal.say(f"{progress.name}: {progress.aside()}")

    def finish(self, progress: Progress) -> None:
        """Print the card."""
        if self.is_watched and progress.state not in ("known", "refused"):
            self._terminal.say(repr(progress))

    def report(self, report: Report) -> None:
        """Print the tree."""
        if self.is_watched:
            self._terminal.say(report.text())

    def warn(self, sentence: str) -> None:
        """Print the sentence on stderr."""
        self._terminal.say(sentence)
