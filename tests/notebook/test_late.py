"""Output after the end of its cell: the screen it is shown on, and when a place is left for it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from jupyter_faas.notebook.cells import CellMemory, RunCell
from jupyter_faas.notebook.late import CellEnds, LateOutput, Screen
from jupyter_faas.wire.frames import STDERR, STDOUT
from tests.support import wait_until


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (["a\n", "b"], "a\nb"),
        (["10 %\r", "20 %\r", "30 %"], "30 %"),
        (["10 %\r20 %\r"], "20 %"),
        (["a\r\nb\r\n"], "a\nb\n"),
        (["half ", "line\n"], "half line\n"),
        (["x\n\n"], "x\n\n"),
    ],
)
def test_a_screen_shows_what_a_terminal_would(written: list[str], shown: str) -> None:
    screen = Screen()
    for text in written:
        screen.write(text)
    assert screen.text == shown


def test_of_too_much_the_newest_lines_are_kept() -> None:
    screen = Screen(kept=100)
    for number in range(1000):
        screen.write(f"line {number}\n")
    assert len(screen.text) <= 110
    assert screen.text.startswith("…\n")
    assert screen.text.endswith("line 999\n")


class Kernel:
    """What IPython tells, by hand."""

    def __init__(self) -> None:
        self.parent: dict[str, Any] = {"header": {"msg_id": "one"}}
        self.memory = CellMemory(lambda: self.parent)
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.ended: list[RunCell] = []
        self.ends = CellEnds(self.memory.cell, self._late, lambda: True)
        self.memory.cell().endings.append(lambda: self.ended.append(self.memory.cell()))

    def _late(self, cell: RunCell) -> LateOutput:
        return LateOutput(cell, lambda kind, content: self.sent.append((kind, content)))

    @property
    def texts(self) -> list[str]:
        return [content["data"]["text/plain"] for _, content in self.sent]


@pytest.fixture
def kernel() -> Any:
    kernel = Kernel()
    kernel.memory.install()
    yield kernel
    kernel.memory.uninstall()


def test_a_cell_that_nothing_outlives_leaves_no_place(kernel: Kernel) -> None:
    kernel.ends.before()
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
    kernel.ends.after()
    assert kernel.sent == []
    assert kernel.ended[0].has_ended


def test_a_thread_that_goes_on_writes_into_the_place_of_its_cell(kernel: Kernel) -> None:
    go_on = threading.Event()
    seen: list[RunCell] = []

    def work() -> None:
        go_on.wait(10)
        seen.append(kernel.memory.cell())
        seen[0].late.write(STDOUT, "later\n")
        seen[0].late.write(STDERR, "careful\n")

    kernel.ends.before()
    thread = threading.Thread(target=work)
    thread.start()
    kernel.ends.after()
    assert kernel.sent[0][0] == "display_data"
    kernel.parent = {"header": {"msg_id": "two"}}
    go_on.set()
    thread.join()
    assert seen[0].id == "one"
    wait_until(lambda: "careful" in kernel.texts[-1], seen=lambda: kernel.texts)
    assert kernel.sent[-1][0] == "update_display_data"
    assert kernel.texts[-1].startswith("later\n")
    assert not seen[0].is_kept


def test_an_older_text_never_comes_after_a_newer_one(kernel: Kernel) -> None:
    texts: list[str] = []
    overtaken = threading.Event()

    def send(_kind: str, content: dict[str, Any]) -> None:
        text = content["data"]["text/plain"]
        if text == "one\n":
            writer.start()
            overtaken.wait(0.5)  # it never comes
        elif text:
            overtaken.set()
        texts.append(text)

    late = LateOutput(kernel.memory.cell(), send)
    writer = threading.Thread(target=late.write, args=(STDOUT, "two\n"))
    late.write(STDOUT, "one\n")
    wait_until(lambda: len(texts) == 3, seen=lambda: texts)
    writer.join()
    assert texts == ["", "one\n", "one\ntwo\n"]


def test_a_display_with_an_id_is_replaced_among_the_text(kernel: Kernel) -> None:
    late = LateOutput(
        kernel.memory.cell(), lambda kind, content: kernel.sent.append((kind, content))
    )
    late.write(STDOUT, "before\n")
    late.display("10 %\n", "bar")
    late.write(STDOUT, "after\n")
    late.display("done\n", "bar")
    late.display("other\n")
    assert late.knows("bar")
    assert not late.knows("")
    wait_until(
        lambda: kernel.texts[-1] == "before\ndone\nafter\nother\n", seen=lambda: kernel.texts
    )


def test_an_idle_pool_keeps_no_cell_and_its_waiting_tasks_do(kernel: Kernel) -> None:
    go_on = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        kernel.ends.before()
        pool.submit(int).result()
        wait_until(lambda: not kernel.memory.cell().is_kept)
        kernel.ends.after()
        assert kernel.sent == []
        kernel.parent = {"header": {"msg_id": "two"}}
        kernel.ends.before()
        pool.submit(go_on.wait, 10)
        waiting = pool.submit(kernel.memory.cell)
        kernel.ends.after()
        assert len(kernel.sent) == 1
        go_on.set()
        assert waiting.result().id == "two"


def test_a_cell_inside_a_cell_is_no_end(kernel: Kernel) -> None:
    kernel.ends.before()
    kernel.ends.before()
    kernel.ends.after()
    assert kernel.ended == []
    kernel.ends.after()
    assert [cell.id for cell in kernel.ended] == ["one"]
    kernel.ends.after()  # the cell that imported us began before
    assert len(kernel.ended) == 2


def test_what_writes_under_a_cell_keeps_it_as_long_as_it_lives(kernel: Kernel) -> None:
    class Call: ...

    call = Call()
    cell = kernel.memory.cell()
    cell.keep(call)
    assert cell.is_kept
    del call
    assert not cell.is_kept
