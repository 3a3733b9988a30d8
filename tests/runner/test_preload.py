"""When the zygote imports ahead: not while it, or the machine, has something better to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from jupyter_faas.runner.preload import PATIENCE_S, Preloader

MODULE = "a_module_that_nobody_imports"  # one that is there already is not tried


class Trials:
    """Counts the trials that a preloader begins; the machine is as busy as it is told to be."""

    def __init__(self) -> None:
        self.count = 0
        self.is_busy = False
        self.preloader = Preloader(self._fork, lambda _report: None, lambda: self.is_busy)
        self.preloader.script = b"written"

    def turn_when_due(self) -> None:
        """Do what is due next, at the time it is due."""
        due_s = self.preloader.due_s()
        assert due_s is not None
        self.preloader.turn(due_s)

    def _fork(self, _work: Callable[[], None]) -> int:
        self.count += 1
        return 1 << 30


@pytest.fixture
def trials() -> Iterator[Trials]:
    trials = Trials()
    yield trials
    trials.preloader.close()


def test_a_module_is_tried_once_it_is_quiet(trials: Trials) -> None:
    trials.preloader.add((MODULE,))
    trials.turn_when_due()
    assert trials.count == 1


def test_a_module_waits_while_others_want_the_cpus(trials: Trials) -> None:
    trials.is_busy = True
    trials.preloader.add((MODULE,))
    for _ in range(3):
        trials.turn_when_due()
    assert trials.count == 0
    trials.is_busy = False
    trials.turn_when_due()
    assert trials.count == 1


def test_a_machine_that_is_always_busy_gets_its_modules_too(trials: Trials) -> None:
    trials.is_busy = True
    trials.preloader.add((MODULE,))
    began_s = trials.preloader.due_s()
    assert began_s is not None
    trials.preloader.turn(began_s + PATIENCE_S)
    assert trials.count == 1
