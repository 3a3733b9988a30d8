"""The bar of a map that nobody reads is true all the same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_faas.client import map_watch
from jupyter_faas.client.map_left import Left
from jupyter_faas.client.map_outcomes import Outcomes
from jupyter_faas.client.map_progress import MapProgress
from jupyter_faas.client.map_watch import MapWatch
from jupyter_faas.core.mapping import MapState
from tests.support import wait_until

THREAD = "jupyter-faas-map"


class Display:
    """A bar under a cell, or (`shows_remarks=False`) in a terminal."""

    is_watched = True

    def __init__(self, *, shows_remarks: bool = True) -> None:
        self.shows_remarks = shows_remarks

    def update(self, progress: MapProgress) -> None: ...

    def finish(self, progress: MapProgress) -> None: ...


class Watched:
    """A map whose reader tells what the test says, and a gateway that knows more."""

    def __init__(self, directory: Path, *, is_cell: bool = True) -> None:
        self.progress = MapProgress("f.map", lambda: 0.0, total=9)
        self.progress.begin(Display(shows_remarks=is_cell))
        location = SimpleNamespace(address=f"unix:{directory}/nobody.sock")
        gateway = SimpleNamespace(
            location=location,
            connect_timeout_s=1.0,
            control_path=str,
            authorization=(b"A", b"b"),
            access=None,
        )
        self.plan: Any = SimpleNamespace(
            name="f", output=None, progress=self.progress, left=Left("f.map", 3), is_silent=False,
            returns_exceptions=True, order=SimpleNamespace(wants_results=True),
            route=SimpleNamespace(gateway=gateway),
        )  # fmt: skip
        self.outcomes = Outcomes(self.plan)


def state(done: int, state: str = "running") -> MapState:
    return MapState(id="m", function="f", state=state, total=9, done=done)


def is_watching() -> bool:
    return any(thread.name == THREAD for thread in threading.enumerate())


@pytest.fixture
def looking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """Make looks quick, and have them see what is given."""
    monkeypatch.setattr(map_watch, "LOOK_S", 0.001)
    yield lambda look: monkeypatch.setattr(MapWatch, "_look", look)
    wait_until(lambda: not is_watching())


def test_what_nobody_reads_is_looked_at_until_it_has_ended(tmp_path: Path, looking: Any) -> None:
    watched = Watched(tmp_path)
    seen = iter([state(3), state(5), state(9, "done")])
    looking(lambda _self: next(seen))
    MapWatch(watched.plan, watched.outcomes)
    wait_until(lambda: not is_watching())
    assert watched.progress.done == 9
    assert next(seen, None) is None


def test_who_reads_knows_better(tmp_path: Path, looking: Any) -> None:
    watched = Watched(tmp_path)
    looks = []

    def look(_self: MapWatch) -> MapState:
        looks.append(1)
        watched.outcomes.note(state(6))  # meanwhile
        return state(2)

    looking(look)
    watch = MapWatch(watched.plan, watched.outcomes)
    wait_until(lambda: len(looks) > 2)
    watch.end()
    assert watched.progress.done == 6


def test_after_the_end_nothing_older_is_told(tmp_path: Path, looking: Any) -> None:
    watched = Watched(tmp_path)
    has_asked, has_ended = threading.Event(), threading.Event()

    def look(_self: MapWatch) -> MapState:
        has_asked.set()
        has_ended.wait(20.0)
        return state(2)

    looking(look)
    watch = MapWatch(watched.plan, watched.outcomes)
    assert has_asked.wait(20.0)
    watch.end()
    watched.progress.note(done=9)
    has_ended.set()
    wait_until(lambda: not is_watching())
    assert watched.progress.done == 9


def test_a_gateway_that_does_not_answer_is_asked_again_but_not_for_ever(
    tmp_path: Path, looking: Any
) -> None:
    watched = Watched(tmp_path)
    ask, asked = MapWatch._look, []

    def look(self: MapWatch) -> MapState | None:
        asked.append(1)
        return state(4) if len(asked) == 2 else ask(self)  # nobody listens there

    looking(look)
    MapWatch(watched.plan, watched.outcomes)
    wait_until(lambda: not is_watching())
    assert watched.progress.done == 4
    assert len(asked) == 2 + map_watch._MOST_MISSES


def test_a_map_that_ends_while_its_bar_is_drawn_does_not_block(
    tmp_path: Path, looking: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path)
    looking(lambda _self: state(3))
    watches: list[MapWatch] = []
    # As a collection of garbage does it: in this thread, in the middle of anything.
    monkeypatch.setattr(watched.outcomes, "note", lambda _state: watches[0].end())
    watches.append(MapWatch(watched.plan, watched.outcomes))
    wait_until(lambda: not is_watching())


def test_a_terminals_bar_is_left_alone(tmp_path: Path) -> None:
    watched = Watched(tmp_path, is_cell=False)
    MapWatch(watched.plan, watched.outcomes)
    assert not is_watching()
