"""How a map is shown: its numbers, its line, its bar, and how often."""

from __future__ import annotations

import io
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from tqdm import tqdm

from jupyter_faas.client import map_lines
from jupyter_faas.client.map_progress import MAX_FAILURES, MapProgress, TerminalMapDisplay
from jupyter_faas.client.map_run import MapRun
from jupyter_faas.client.pace import Pace
from jupyter_faas.client.session import Session
from jupyter_faas.core.mapping import MapState
from jupyter_faas.wire.frames import STDERR, STDOUT

NASTY = "<script>alert(1)</script>"


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Seen:
    """Records what is shown."""

    def __init__(self, is_watched: bool = True) -> None:
        self.is_watched = self.shows_remarks = is_watched
        self.lines: list[str] = []
        self.ends: list[str] = []

    def update(self, progress: MapProgress) -> None:
        self.lines.append(repr(progress))

    def finish(self, progress: MapProgress) -> None:
        self.ends.append(repr(progress))


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_line_has_the_form_of_tqdm(clock: Clock) -> None:
    progress = MapProgress("score.map", clock, total=10_000)
    clock.now_s += 41.5
    progress.note(done=7102, running=8, failed=3)
    assert repr(progress) == (
        "score.map  71 %|███████▏  | 7102/10000  [00:41<00:16, 171/s]  3 failed"
    )


def test_without_a_total_it_counts(clock: Clock) -> None:
    progress = MapProgress("score.map", clock)
    assert repr(progress) == "score.map  0 done  [00:00<?, ?/s]"
    clock.now_s += 4
    progress.note(done=2)
    assert repr(progress) == "score.map  2 done  [00:04<?, 0.50/s]"


def test_one_line_stays_at_the_end(clock: Clock) -> None:
    seen = Seen()
    progress = MapProgress("score.map", clock, total=10_000)
    with progress.shown(seen):
        progress.note(done=10_000, failed=3)
        for index in range(3):
            progress.name_failure(index, "ValueError: empty text\nsecond line")
        clock.now_s += 58
    assert seen.ends == ["score.map: 10 000 in 58.0 s, 3 failed"]
    assert progress.failures[0] == (0, "ValueError: empty text")
    progress.end("cancelled")
    assert len(seen.ends) == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(), "score.map: cancelled after 5 of 9, 0 ms"),
        (GeneratorExit(), "score.map: cancelled after 5 of 9, 0 ms"),
        (
            RuntimeError("the driver is gone"),
            "score.map: ✕ stopped after 5, 0 ms: RuntimeError: the driver is gone",
        ),
        (
            ValueError("x" * 1_000_000 + "\nsecond line"),
            f"score.map: ✕ stopped after 5, 0 ms: ValueError: {'x' * 300} …",
        ),
    ],
)
def test_how_it_ended_is_told(clock: Clock, error: BaseException, said: str) -> None:
    seen = Seen()
    progress = MapProgress("score.map", clock, total=9, done=5)
    with pytest.raises(type(error)), progress.shown(seen):
        raise error
    assert seen.ends == [said]


def test_who_does_not_watch_is_told_nothing(clock: Clock) -> None:
    for seen, wanted in ((Seen(is_watched=False), None), (Seen(), False)):
        with MapProgress("m", clock).shown(seen, wanted) as progress:
            progress.note(done=1)
        assert (seen.lines, seen.ends) == ([], [])
    asked = Seen(is_watched=False)
    with MapProgress("m", clock).shown(asked, wanted=True):
        pass
    assert len(asked.lines) == len(asked.ends) == 1


def test_what_comes_from_functions_is_text_in_html(clock: Clock) -> None:
    progress = MapProgress(NASTY, clock, total=2, run_id=NASTY)
    assert "<script" not in progress._repr_html_()
    progress.name_failure(0, NASTY)
    progress.end("failed", NASTY)
    assert "<script" not in progress._repr_html_()
    assert "&lt;script" in progress._repr_html_()


def test_the_bar_tells_workers_and_the_slowest_item(clock: Clock) -> None:
    progress = MapProgress("score.map", clock, total=4, done=1, running=2)
    progress.note(workers=(1.0, 0.5, 0.0), slowest=(6881, 2.1))
    html = progress._repr_html_()
    assert 'aria-valuenow="25"' in html
    assert "2 running" in html
    assert "█" in html
    assert "slowest item 2.1 s (#6881)" in html
    progress.note(slowest=(6881, 0.2), remark=f"Ray does not start: {NASTY}")
    html = progress._repr_html_()
    assert "slowest" not in html
    assert "Ray does not start: &lt;script&gt;" in html
    progress.end("done")
    assert "Ray does not start" in progress._repr_html_()


def test_of_many_failures_the_first_are_named(clock: Clock) -> None:
    progress = MapProgress("score.map", clock)
    for index in range(MAX_FAILURES + 7):
        progress.name_failure(index, "KeyError: 1")
    progress.note(failed=MAX_FAILURES + 7)
    progress.end("done")
    assert len(progress.failures) == MAX_FAILURES
    assert "and 7 more" in progress._repr_html_()


def test_the_first_is_shown_at_once_and_then_four_a_second(clock: Clock) -> None:
    pace = Pace(clock)
    shown = 0
    for _ in range(1000):
        shown += pace.is_due()
        clock.now_s += 0.01
    assert 38 <= shown <= 41
    assert pace.is_due() or pace.left_s > 0


@pytest.mark.parametrize(
    ("share", "bar"), [(0, "    "), (0.5, "██  "), (0.53, "██▏ "), (2, "████")]
)
def test_a_bar_is_as_long_as_its_share(share: float, bar: str) -> None:
    assert map_lines.bar(share, 4) == bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_and_keeps_one_line(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    start, me, started = threading.Thread.start, threading.current_thread(), list[str]()

    def noted(thread: threading.Thread) -> None:
        if threading.current_thread() is me:  # others may be at work here
            started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noted)
    progress = MapProgress("score.map", clock, total=1000)
    with progress.shown(TerminalMapDisplay()):
        for done in range(1000):
            clock.now_s += 0.01
            progress.note(done=done + 1)
    assert started == []
    written = terminal.getvalue()
    assert "score.map:" in written
    assert written.count("it/s") < 60
    assert written.rstrip("\n").rpartition("\r")[2] == "score.map: 1 000 in 10.0 s"


def screen(terminal: io.StringIO) -> list[str]:
    """What a terminal shows of what was written to it; a bar's numbers left out."""
    shown = []
    for line in terminal.getvalue().split("\n"):
        row = ""
        for part in line.split("\r"):
            row = part + row[len(part) :]
        shown.append(row.rstrip().partition("|")[0])
    return shown


def terminal_of(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make the process's two streams one terminal, for the running test."""
    one = Terminal()
    monkeypatch.setattr(sys, "stdout", one)
    monkeypatch.setattr(sys, "stderr", one)
    return one


def test_lines_stand_above_the_bar(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    watching = Session()
    out = watching.output.bind()
    with MapProgress("f.map", clock, total=3).shown(watching.map_display()) as progress:
        out.write(STDOUT, "item 0 says\nits ")
        out.write(STDERR, "a warning\n")
        assert screen(terminal) == ["item 0 says", "a warning", "f.map:   0%"]
        out.write(STDOUT, "word\nbegun")
        watching.display.warn("revision 1 answered")
        progress.note(done=3)
    out.write(STDOUT, " and ended\n")
    assert screen(terminal) == [
        "item 0 says",
        "a warning",
        "its word",
        "revision 1 answered",
        "f.map: 3 in 0 ms",
        "begun and ended",
        "",
    ]


def test_a_line_without_an_end_is_not_held_without_bound(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = terminal_of(monkeypatch)
    watching = Session()
    out = watching.output.bind()
    with MapProgress("f.map", clock, total=3).shown(watching.map_display()) as progress:
        for done in range(1, 101):
            out.write(STDOUT, f"\rloading {done} %")
        out.write(STDOUT, "\r")
        out.write(STDERR, "." * 5000)
        progress.note(done=3)
    assert screen(terminal) == ["." * 5000, "f.map: 3 in 0 ms", "loading 100 %"]


def test_the_line_of_one_map_stands_above_the_bar_of_another(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = terminal_of(monkeypatch)
    watching = Session()
    with MapProgress("slow.map", clock, total=3).shown(watching.map_display()) as slow:
        with MapProgress("quick.map", clock, total=1).shown(watching.map_display()):
            pass
        clock.now_s += 1
        slow.note(done=1)
        assert "quick.map: 1 in 0 ms" not in screen(terminal)[-1]
    assert screen(terminal)[-2] == "slow.map: 1 in 1.0 s"


def test_a_bar_of_the_persons_own_is_not_torn_either(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    with tqdm(total=2, desc="mine", file=terminal) as mine:
        Session().output.bind().write(STDOUT, "an item says\n")
        assert screen(terminal)[0] == "an item says"
        assert screen(terminal)[1].startswith("mine:")
        mine.update(2)


def test_a_file_gets_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with MapProgress("score.map", clock, total=3).shown(TerminalMapDisplay()) as progress:
        progress.note(done=3)
    assert capsys.readouterr() == ("", "")


def test_a_kept_map_that_has_ended_took_as_long_as_it_ran() -> None:
    state = MapState(
        id="m", function="f", state="done", total=4, done=4, started_at=100.0, ended_at=102.0
    )
    gateway: Any = SimpleNamespace(ask=lambda *_asked, **_as: state)
    told = MapRun[int](state, gateway).progress()
    assert 1.9 < told.elapsed_s < 60.0, "not the years since it began"
