"""The deployment card under its cell: one, whichever threads move it and end it."""

from __future__ import annotations

from typing import Any

from jupyter_faas.client.progress import Progress
from jupyter_faas.notebook.kernel import CellDisplay


class Place:
    """A cell; keeps what is shown under it."""

    def __init__(self) -> None:
        self.shown: list[tuple[bool, str]] = []

    def place(self) -> Place:
        return self

    def display(self, bundle: dict[str, Any]) -> None:
        self.shown.append((bundle["update"], bundle["data"]["text/plain"]))


def test_a_card_that_has_ended_is_not_shown_again_by_who_was_about_to_move_it() -> None:
    cell: Any = Place()
    display, progress = CellDisplay(cell), Progress("score", lambda: 0.0)
    progress.begin("start")
    display.update(progress)
    progress.end("ready")
    display.update(progress)
    display.finish(progress)
    display.update(progress)
    (begun, ended) = cell.shown
    assert (begun[0], ended[0]) == (False, True)
    assert "ready in" in ended[1]
