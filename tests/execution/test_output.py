"""Output of a call: in order, in batches, never more held than allowed."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from jupyter_faas.execution import output
from jupyter_faas.execution.output import (
    BATCH_BYTES,
    BURST_LINES,
    CHUNK_BYTES,
    HOLD_BYTES,
    CallOutput,
    Flusher,
)
from tests.support import wait_until


class Taker:
    """Takes output, or refuses it while it has no room."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, bytes]] = []
        self.has_room = True

    def send(self, stream: int, text: bytes) -> bool:
        if self.has_room:
            self.taken.append((stream, text))
        return self.has_room

    def text(self, stream: int = 1) -> bytes:
        return b"".join(text for kind, text in self.taken if kind == stream)


class NoFlusher(Flusher):
    """Remembers who wants to be flushed later."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[object] = []

    def later(self, output: object) -> None:
        self.asked.append(output)


def test_a_line_goes_at_once_and_a_partial_one_waits() -> None:
    taker, flusher = Taker(), NoFlusher()
    out = CallOutput(taker.send, flusher)
    out.write(1, b"par")
    assert taker.taken == []
    assert flusher.asked == [out]
    out.write(1, b"tial\n")
    assert taker.taken == [(1, b"partial\n")]


def test_carriage_returns_are_passed_through_at_once() -> None:
    taker = Taker()
    CallOutput(taker.send, NoFlusher()).write(2, b"10 %\r")
    assert taker.taken == [(2, b"10 %\r")]


def test_streams_keep_their_order_and_neighbours_are_joined() -> None:
    taker = Taker()
    out = CallOutput(taker.send, NoFlusher())
    for stream, text in [(1, b"a"), (1, b"b"), (2, b"c"), (1, b"d"), (3, b"x"), (3, b"y")]:
        out.write(stream, text)
    out.flush()
    assert taker.taken == [(1, b"ab"), (2, b"c"), (1, b"d"), (3, b"x"), (3, b"y")]


def test_a_flood_is_sent_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = SimpleNamespace(monotonic=lambda: 1.0)
    monkeypatch.setattr(output, "time", at_once)
    taker = Taker()
    out = CallOutput(taker.send, NoFlusher())
    line = b"x" * 99 + b"\n"
    for _ in range(10_000):
        out.write(1, line)
    out.flush()
    assert taker.text() == line * 10_000
    assert len(taker.taken) <= BURST_LINES + 10_000 * len(line) // BATCH_BYTES + 1


def test_one_huge_text_is_cut_into_chunks() -> None:
    taker = Taker()
    out = CallOutput(taker.send, NoFlusher())
    out.write(1, b"y" * (3 * CHUNK_BYTES + 1))
    assert [len(text) for _, text in taker.taken] == [CHUNK_BYTES] * 3 + [1]


def test_without_room_the_oldest_is_dropped_and_counted() -> None:
    taker = Taker()
    taker.has_room = False
    out = CallOutput(taker.send, NoFlusher(), wait_room=lambda: False)
    line = b"z" * 999 + b"\n"
    for _ in range(3000):
        out.write(1, line)
    taker.has_room = True
    out.flush()
    assert out.has_pending is False
    assert len(taker.text()) <= HOLD_BYTES + 200
    assert b"bytes of output were dropped" in taker.taken[0][1]


def test_printing_waits_for_room_where_it_may() -> None:
    taker = Taker()
    taker.has_room = False
    waits = []

    def wait() -> bool:
        waits.append(1)
        taker.has_room = True
        return True

    out = CallOutput(taker.send, NoFlusher(), wait)
    out.write(1, b"q" * (5 * HOLD_BYTES))
    assert len(taker.text()) == 5 * HOLD_BYTES
    assert waits


def test_a_send_that_prints_is_no_recursion() -> None:
    taken = []

    def send(stream: int, text: bytes) -> bool:
        if not taken:
            out.write(1, b"from inside\n")
        taken.append(text)
        return True

    out = CallOutput(send, NoFlusher())
    out.write(1, b"line\n")
    out.flush()
    assert taken == [b"line\n", b"from inside\n"]


def test_a_redirected_output_sends_elsewhere() -> None:
    before, after = Taker(), Taker()
    out = CallOutput(before.send, NoFlusher())
    out.write(1, b"1\n")
    out.redirect(after.send)
    out.write(1, b"2\n")
    assert (before.text(), after.text()) == (b"1\n", b"2\n")


def test_the_flusher_sends_what_is_pending_soon() -> None:
    taker = Taker()
    CallOutput(taker.send, Flusher()).write(1, b"partial")
    wait_until(lambda: taker.text() == b"partial")


def test_the_flusher_never_waits_for_a_busy_output() -> None:
    entered, leave = threading.Event(), threading.Event()

    def stuck(stream: int, text: bytes) -> bool:
        entered.set()
        leave.wait(60)
        return True

    flusher, taker = Flusher(), Taker()
    busy, other = CallOutput(stuck, flusher), CallOutput(taker.send, flusher)
    thread = threading.Thread(target=busy.write, args=(1, b"line\n"))
    thread.start()
    assert entered.wait(20)
    flusher.later(busy)
    other.write(1, b"partial")
    wait_until(lambda: taker.text() == b"partial")
    leave.set()
    thread.join()
