"""Hears what the answers to one deployed handle's calls say, and has it said to the person."""

from __future__ import annotations

import contextlib
import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from jupyter_faas.client import control
from jupyter_faas.client.route import Route
from jupyter_faas.client.session import session
from jupyter_faas.client.waiting import Waiting
from jupyter_faas.core.errors import FaasError
from jupyter_faas.core.model import RevisionState

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_faas.client.deployment import Deployed
    from jupyter_faas.client.target import Target


class CallListener:
    """The listener of one deployed handle's route (client/route.py).

    Args:
        target: The code that was deployed.
        deployed: What became of it.
        forget: Has the gateway asked anew before the next call.
        recover: Deploys again after somebody has deleted the function.
    """

    def __init__(
        self,
        target: Target,
        deployed: Deployed,
        *,
        forget: Callable[[Route], None],
        recover: Callable[[Route], Route],
    ) -> None:
        self._target = target
        self._deployed = deployed
        self._forget = forget
        self._recover = recover
        self._is_left = False

    def waiting(self, route: Route) -> AbstractContextManager[None]:
        """Show that a call waits for its function to become ready."""
        return Waiting(self._deployed, route.gateway, lambda: self.on_left(route))

    def on_ready(self, route: Route) -> None:
        """A call was answered: it is ready."""
        self._deployed.is_pending = False
        self._deployed.finish()

    def on_other(self, number: int) -> None:
        """Another revision has answered."""
        own = self._deployed
        handle = self._target.code.__name__
        session.display.warn(
            f"{own.name}: revision {number} answered, not revision {own.number} with the code of "
            f"this notebook. {handle}.deploy() makes this code live again."
        )

    def on_failed(self, route: Route, error: FaasError) -> None:
        """A call was refused."""
        self._forget(route)
        if self._is_pending(route):
            self.on_left(route)  # the call was refused, not the revision
        else:
            self._deployed.fail(str(error))

    def on_lost(self, route: Route) -> Route | None:
        """The function is gone: deploy it again."""
        return self._recover(route)

    def on_left(self, route: Route) -> None:
        """Find out beside whether it is ready, once, for whoever reads its card."""
        progress = self._deployed.progress
        if progress is None or not progress.running or self._is_left:
            return
        if not session.display.is_watched:
            return
        self._is_left = True
        name = "jupyter-faas-card"
        threading.Thread(target=self._look_after, args=(route,), name=name, daemon=True).start()

    def _is_pending(self, route: Route) -> bool:
        """Return whether the revision has not failed; asked only if its card is to say so."""
        if self._deployed.progress is None:
            return True
        own = self._deployed
        with contextlib.suppress(FaasError, OSError):
            revision = control.settled(route.gateway, own.name, own.number, 0.0)
            return revision.state is not RevisionState.FAILED
        return False

    def _look_after(self, route: Route) -> None:
        from jupyter_faas.client import deployment  # noqa: PLC0415 - capture is heavy

        try:
            deployment.wait_ready(self._deployed, route.gateway, self._target.wait_s)
        except (FaasError, OSError) as error:
            self._deployed.fail(str(error))
        else:
            route.ready()
