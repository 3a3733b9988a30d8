"""Keeps a deployment card moving while somebody waits: the running step's seconds, and why.

A pod may be pending for reasons only the cluster knows: no node has room, an image is being
pulled. Whoever waits in `.deploy()` or in the first `.remote()` of new code reads them on the card.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from jupyter_faas.client import control
from jupyter_faas.client.session import session
from jupyter_faas.core.errors import FaasError
from jupyter_faas.core.model import RevisionState

if TYPE_CHECKING:
    from jupyter_faas.client.deployment import Deployed
    from jupyter_faas.client.gateway import Gateway
    from jupyter_faas.client.progress import Progress

TICK_S = 0.25
"""So often the card moves; what is over sooner is shown once, when it is over."""

LOOK_TICKS = 4
"""So many ticks lie between two questions to the gateway; what is ready sooner costs none."""


class Ticking:
    """While it is entered, a card moves.

    Args:
        progress: What the card shows; None: there is no card, nothing is done.
        look: Returns what the running step waits for; asked every `LOOK_TICKS`.
    """

    def __init__(self, progress: Progress | None, look: Callable[[], str] | None = None) -> None:
        self._progress = progress
        self._ask = look
        self._over = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if self._progress is not None:
            threading.Thread(target=self._tick, name="jupyter-faas-card", daemon=True).start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._over.set()

    def _tick(self) -> None:
        ticks = 0
        while not self._over.wait(TICK_S):
            ticks += 1
            reason = self._look() if ticks % LOOK_TICKS == 0 else None
            with self._lock:
                progress = self._progress
                if self._over.is_set() or progress is None or not progress.running:
                    return
                if reason is not None:
                    progress.wait(reason)
                session.display.update(progress)

    def _look(self) -> str | None:
        try:
            return self._ask() if self._ask is not None else None
        except (FaasError, OSError):
            return None  # whoever waits hears of it


class Waiting(Ticking):
    """While it is entered, the card of a pending revision says what it waits for.

    A revision that is ready ends the card: what is waited for from then on is the function's code.

    Args:
        deployed: The revision; without a card nothing is shown and nobody asked.
        gateway: Where it is.
        left: Called when the wait fails: what becomes of the revision is not known then.
    """

    def __init__(
        self, deployed: Deployed, gateway: Gateway, left: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(
            deployed.progress if deployed.is_pending else None,
            lambda: _looked_at(deployed, gateway),
        )
        self._deployed = deployed
        self._left = left

    def __enter__(self) -> None:
        self._deployed.resume()
        super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        if isinstance(error, Exception):
            self._left()
        elif error is not None:
            self._deployed.interrupt()


def _looked_at(deployed: Deployed, gateway: Gateway) -> str:
    reason = control.pending_reason(gateway, deployed.name, deployed.number)
    if not reason:
        revision = control.settled(gateway, deployed.name, deployed.number, 0.0)
        if revision.state is RevisionState.READY:
            deployed.finish()
    return reason
