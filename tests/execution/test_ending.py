"""Interrupts reach user code and nothing else."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from jupyter_faas.execution.ending import MainThreadGate, ThreadGate


@pytest.fixture
def gate() -> Iterator[MainThreadGate]:
    before = signal.getsignal(signal.SIGINT)
    gate = MainThreadGate()
    gate.install()
    yield gate
    signal.signal(signal.SIGINT, before)


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def test_user_code_is_interrupted(gate: MainThreadGate) -> None:
    with pytest.raises(KeyboardInterrupt):
        gate.run(interrupt)


def test_between_calls_nothing_happens(gate: MainThreadGate) -> None:
    interrupt()
    assert gate.run(lambda: 1) == 1
    interrupt()


def test_a_call_is_interrupted_once(gate: MainThreadGate) -> None:
    def swallow() -> str:
        try:
            interrupt()
        except KeyboardInterrupt:
            interrupt()
            return "went on"
        return "never"

    assert gate.run(swallow) == "went on"


def test_a_shielded_section_is_cut_only_at_its_end(gate: MainThreadGate) -> None:
    steps = []

    def work() -> None:
        gate.shield()
        try:
            interrupt()
            steps.append("whole")
        finally:
            gate.unshield()
        steps.append("never")

    with pytest.raises(KeyboardInterrupt):
        gate.run(work)
    assert steps == ["whole"]


def test_an_interrupt_held_back_by_a_shield_never_reaches_the_next_call(
    gate: MainThreadGate,
) -> None:
    gate.shield()
    interrupt()
    gate.unshield()
    assert gate.run(lambda: 2) == 2


def test_a_handler_that_user_code_has_set_is_replaced(gate: MainThreadGate) -> None:
    gate.run(lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    with pytest.raises(KeyboardInterrupt):
        gate.run(interrupt)


def test_other_threads_are_never_cut(gate: MainThreadGate) -> None:
    def elsewhere() -> None:
        gate.shield()
        gate.unshield()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    with pytest.raises(KeyboardInterrupt):
        gate.run(interrupt)


def test_code_in_a_thread_is_interrupted() -> None:
    gate, seen, started = ThreadGate(), [], threading.Event()

    def spin() -> None:
        started.set()
        end_s = time.monotonic() + 10
        while time.monotonic() < end_s:
            pass

    def run() -> None:
        try:
            gate.run(spin)
        except KeyboardInterrupt:
            seen.append("interrupted")

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(20)
    gate.cancel()
    gate.cancel()
    thread.join(20)
    assert seen == ["interrupted"]


def test_a_call_cancelled_before_it_began_does_not_begin() -> None:
    gate = ThreadGate()
    gate.cancel()
    with pytest.raises(KeyboardInterrupt):
        gate.run(lambda: pytest.fail("it ran"))


def test_a_late_cancel_hits_nothing() -> None:
    for _ in range(200):
        gate = ThreadGate()
        canceller = threading.Thread(target=gate.cancel)

        def work(canceller: threading.Thread = canceller) -> int:
            canceller.start()
            return 1

        with suppress(KeyboardInterrupt):
            assert gate.run(work) == 1
        canceller.join()
        for _ in range(50):  # an exception left behind would come here
            pass
