"""What a driver needs of a backend, and a backend of a driver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from jupyter_faas.core.batch import Head
from jupyter_faas.core.chunks import Given
from jupyter_faas.core.errors import FaasError
from jupyter_faas.core.mapping import MapOrder
from jupyter_faas.core.sections import Buffer


class Caller(NamedTuple):
    """On whose behalf a map runs: what its chunks carry on."""

    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Parent, depth and trace of the call it was made in."""
    until_s: float | None = None
    """Deadline on the loop's clock."""


class Report(Protocol):
    """Told what becomes of one chunk; the last three end it, one of them is called once."""

    def on_batch(self, head: Head, payloads: Sequence[Buffer]) -> None:
        """Something is said about items."""

    def on_log(self, stream: int, text: Buffer) -> None:
        """The running item has printed."""

    def on_end(self, error: FaasError | None, traceback: str = "") -> None:
        """The worker is done with it; with an error: it was ended while an item ran."""

    def on_refused(self, error: FaasError) -> None:
        """Nothing of it has run."""

    def on_died(self, error: FaasError, *, is_own: bool, is_told: bool = False) -> None:
        """The worker is gone.

        `is_own`: it may have died of what it ran. `is_told`: somebody who outlived it says so, and
        has passed on all that it had reported.
        """


class Errand(Protocol):
    """One chunk on its way."""

    def cancel(self) -> None:
        """End its code; nothing is reported any more."""


class Backend(Protocol):
    """Where chunks run.

    Attributes:
        name: For people: `replicas`, `ray`.
        note: A sentence worth knowing; empty: none.
        is_metered: The gateway meters what runs here.
    """

    @property
    def name(self) -> str:
        """See above."""

    @property
    def note(self) -> str:
        """See above."""

    @property
    def is_metered(self) -> bool:
        """See above."""

    def most_slots(self, order: MapOrder) -> int:
        """Return how many chunks of a function may be under way at once."""

    def send(
        self, order: MapOrder, caller: Caller, given: Given, budget_s: float, report: Report
    ) -> Errand:
        """Send a chunk to a worker."""

    async def close(self) -> None:
        """Let go of everything."""
