"""Shows what a revision waits for while somebody waits for the revision.

A pod may be pending for reasons only the cluster knows: no node has room, an image is being
pulled. Whoever waits in `.deploy()` or in the first `.remote()` of new code reads them on the card.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING

from jupyter_faas.client import control
from jupyter_faas.client.session import session
from jupyter_faas.core.errors import FaasError

if TYPE_CHECKING:
    from jupyter_faas.client.deployment import Deployed
    from jupyter_faas.client.gateway import Gateway

LOOK_S = 1.0
"""So often the gateway is asked; what is ready sooner costs no question."""


class Waiting:
    """While it is entered, the card of a pending revision says what it waits for.

    Args:
        deployed: The revision; without a card nothing is shown and nobody asked.
        gateway: Where it is.
    """

    def __init__(self, deployed: Deployed, gateway: Gateway) -> None:
        self._deployed = deployed
        self._gateway = gateway
        self._over = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if self._deployed.is_pending and self._deployed.progress is not None:
            threading.Thread(target=self._look, name="jupyter-faas-waiting", daemon=True).start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._over.set()

    def _look(self) -> None:
        while not self._over.wait(LOOK_S):
            try:
                reason = control.pending_reason(
                    self._gateway, self._deployed.name, self._deployed.number
                )
            except (FaasError, OSError):
                continue  # whoever waits hears of it
            with self._lock:
                progress = self._deployed.progress
                if self._over.is_set() or progress is None:
                    return
                progress.wait(reason)
                session.display.update(progress)
