"""Gives the run of a kept map its inputs out of the file; what has its outcome is not run again."""

from __future__ import annotations

from collections.abc import Callable

from jupyter_faas.core.batch import RAISED
from jupyter_faas.core.sections import Buffer
from jupyter_faas.fanout.booked import Begun, lost_item
from jupyter_faas.fanout.flight import error_body
from jupyter_faas.fanout.ledger import Ledger
from jupyter_faas.fanout.run import Run

_FEED = 256
"""So many inputs are read from the file at a time."""
_FEED_BYTES = 4 << 20


class Feed:
    """The inputs of one kept map.

    Args:
        inputs: They.
        outcomes: What is done; what may have run, and may not again, is told here.
        begun: What may have begun; None: everything may run again.
        on_lost: Called when an item got its outcome without a run.
    """

    def __init__(
        self,
        inputs: Ledger,
        outcomes: Ledger,
        begun: Begun | None,
        on_lost: Callable[[], None],
    ) -> None:
        self._inputs = inputs
        self._outcomes = outcomes
        self._begun = begun
        self._on_lost = on_lost
        self._fed = 0
        self._is_feeding = False

    def rewind(self) -> None:
        """Begin with the first input again: for another run."""
        self._fed = 0

    def give(self, run: Run, total: int | None) -> None:
        """Give a run what it wants.

        Args:
            run: Takes inputs.
            total: How many there will be; None: more may come.
        """
        if self._is_feeding:
            return
        self._is_feeding = True
        try:
            while not run.is_over and run.chunks.wants_inputs and self._fed < len(self._inputs):
                self._give_some(run)
            if total is not None and self._fed == total and run.chunks.total is None:
                run.close_inputs()
        finally:
            self._is_feeding = False

    def _give_some(self, run: Run) -> None:
        payloads: list[Buffer] = []
        size = 0
        while self._fed < len(self._inputs) and len(payloads) < _FEED and size < _FEED_BYTES:
            if self._is_settled(self._fed):
                if payloads:
                    break
                run.skip()
            else:
                payloads.append(self._inputs.read(self._fed).body)
                size += len(payloads[-1])
                if self._begun is not None and (tries := self._begun.tries(self._fed)):
                    run.chunks.has_raised(self._fed, tries)
            self._fed += 1
        run.take(payloads)

    def _is_settled(self, index: int) -> bool:
        """Whether an item has its outcome; one that may have run, and may not again, gets it."""
        if index in self._outcomes:
            return True
        if self._begun is None or index not in self._begun.lost:
            return False
        self._outcomes.add(index, RAISED, error_body(lost_item(index)))
        self._on_lost()
        return True
