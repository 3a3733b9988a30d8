"""Items that may run once: that one begins is on disk before it may.

A kept map outlives its driver, and what the next one does not know it would run again. So where
the function says `idempotent=False`, a chunk waits until its begin has been written down: chunks
that come together wait once. What had begun and has no outcome when a driver takes the map up may
have run: it is told so, and does not run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

from jupyter_faas.core.batch import GIVEN_BACK, RAISED, Head
from jupyter_faas.core.chunks import Given
from jupyter_faas.core.errors import FaasError, GatewayLost, InternalError
from jupyter_faas.core.mapping import MapOrder
from jupyter_faas.core.sections import Buffer
from jupyter_faas.fanout.base import Backend, Caller, Errand, Report
from jupyter_faas.fanout.ledger import GONE, Ledger

_OPEN, _CLOSED = 1, 2
"""It may have begun, and its end is not known; it has not begun, or raised and may be retried."""


class Begun(Ledger):
    """What is known of the begins of items that have no outcome yet.

    Args:
        path: Made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.lost = frozenset(self.of_kind(_OPEN))
        """Items that had begun when an earlier driver ended; some have an outcome."""

    def open(self, indices: Iterable[int]) -> None:
        """Note that items may begin from now on."""
        self.extend((index, _OPEN, bytes([self.tries(index)])) for index in indices)

    def take_back(self, indices: Iterable[int]) -> None:
        """Note that items have not begun after all."""
        self.extend((index, _CLOSED, bytes([self.tries(index)])) for index in indices)

    def raised(self, indices: Iterable[int]) -> None:
        """Note that items have ended with an error of their own."""
        self.extend((i, _CLOSED, bytes([min(255, self.tries(i) + 1)])) for i in indices)

    def tries(self, index: int) -> int:
        """Return how often an item has raised."""
        return self.read(index).body[0] if index in self else 0

    def forget(self) -> None:
        """Let all of them run again: somebody has asked for it."""
        self.extend((index, GONE, b"") for index in range(len(self)) if index in self)
        self.lost = frozenset()


def lost_item(index: int) -> FaasError:
    """Return the error of an item that may have run, and may not run again."""
    return GatewayLost(
        f"Item {index} may have run: what ran the map went away meanwhile, and idempotent=False "
        "forbids to run it again. If it may after all: .retry_failed()."
    )


class Booked:
    """A backend whose chunks wait until their begin is written down.

    Args:
        inner: Where they go then.
        begun: Where it is written down.
        settle: Waits until that is durable; False: the map is another driver's now.
    """

    def __init__(self, inner: Backend, begun: Begun, settle: Callable[[], Awaitable[bool]]) -> None:
        self.inner = inner
        self.begun = begun
        self._settle = settle
        self._waiting: list[BookedErrand] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """That of the backend."""
        return self.inner.name

    @property
    def note(self) -> str:
        """That of the backend."""
        return self.inner.note

    @property
    def is_metered(self) -> bool:
        """As the backend says."""
        return self.inner.is_metered

    def most_slots(self, order: MapOrder) -> int:
        """As many as the backend has."""
        return self.inner.most_slots(order)

    def send(
        self, order: MapOrder, caller: Caller, given: Given, budget_s: float, report: Report
    ) -> BookedErrand:
        """Send a chunk once its begin is written down."""
        errand = BookedErrand(
            self, given, report, lambda told: self.inner.send(order, caller, given, budget_s, told)
        )
        self._waiting.append(errand)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._book())
        return errand

    async def close(self) -> None:
        """Write nothing more; the backend is others' too."""
        self.stop()

    def stop(self) -> None:
        """Write nothing more."""
        if self._task is not None:
            self._task.cancel()

    async def _book(self) -> None:
        while self._waiting:
            together, self._waiting = self._waiting, []
            await self._book_together(together)
        self._task = None

    async def _book_together(self, errands: Sequence[BookedErrand]) -> None:
        try:
            self.begun.open(i for one in errands if not one.is_over for i in one.given.indices)
            is_ours = await self._settle()
        except Exception as error:
            # Whatever it is: they wait for this task alone.
            for one in errands:
                one.refuse(InternalError(f"What begins cannot be written down: {error}."))
            return
        for one in errands:
            if is_ours and not one.is_over:
                one.begin()


class BookedErrand:
    """One chunk that is written down first. It hears what becomes of it, for `Begun` too.

    Args:
        booked: Where it waits.
        given: The chunk.
        report: Told what becomes of it.
        send: Sends it.
    """

    def __init__(
        self, booked: Booked, given: Given, report: Report, send: Callable[[Report], Errand]
    ) -> None:
        self.given = given
        self.is_over = False
        self._begun = booked.begun
        self._report = report
        self._send = send
        self._errand: Errand | None = None

    def begin(self) -> None:
        """Send it."""
        self._errand = self._send(self)

    def refuse(self, error: FaasError) -> None:
        """It goes nowhere."""
        if not self.is_over:
            self.is_over = True
            self._report.on_refused(error)

    def cancel(self) -> None:
        """End its code; nothing is reported any more."""
        if self._errand is not None:
            self._errand.cancel()
        elif not self.is_over:
            self._begun.take_back(self.given.indices)
        self.is_over = True

    def on_batch(self, head: Head, payloads: Sequence[Buffer]) -> None:
        """Something is said about items; outcomes are written down before what is noted here."""
        self._report.on_batch(head, payloads)
        self._begun.take_back(_said(head, GIVEN_BACK))
        self._begun.raised(_said(head, RAISED))

    def on_log(self, stream: int, text: Buffer) -> None:
        """The running item has printed."""
        self._report.on_log(stream, text)

    def on_end(self, error: FaasError | None, traceback: str = "") -> None:
        """The worker is done with it: what it has said nothing about has not begun."""
        if error is None:
            self._begun.take_back(tuple(self.given.chunk.items))
        self._report.on_end(error, traceback)

    def on_refused(self, error: FaasError) -> None:
        """Nothing of it has run."""
        self._begun.take_back(tuple(self.given.chunk.items))
        self._report.on_refused(error)

    def on_died(self, error: FaasError, *, is_own: bool, is_told: bool = False) -> None:
        """The worker is gone."""
        self._report.on_died(error, is_own=is_own, is_told=is_told)


def _said(head: Head, kind: int) -> list[int]:
    if kind not in head.kinds:
        return []
    return [index for index, said in zip(head.indices, head.kinds, strict=True) if said == kind]
