"""Keeps the bar of a map true while nobody reads its results.

How a map goes comes along with its outcomes. One that is made in a cell and read in a later one
would stand at nothing meanwhile, though its items run: then the gateway is asked.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

from jupyter_faas.core.errors import FaasError
from jupyter_faas.core.mapping import PATH, MapState
from jupyter_faas.wire.blocking import BlockingConnection

if TYPE_CHECKING:
    from jupyter_faas.client.map_outcomes import Outcomes
    from jupyter_faas.client.map_plan import MapPlan

LOOK_S = 1.0
"""What has been told no longer ago than this is shown as it is."""
_TIMEOUT_S = 5.0
_MOST_MISSES = 10
"""A gateway that says nothing so often in a row is not asked any more."""
_state = msgspec.json.Decoder(MapState).decode


class MapWatch:
    """Looks after the bar of one map, if one is shown under a cell.

    A terminal's bar is left alone: it would be drawn over what is typed there meanwhile.

    Args:
        plan: What is mapped.
        outcomes: Takes what is seen, unless its reader has told meanwhile.
    """

    def __init__(self, plan: MapPlan, outcomes: Outcomes) -> None:
        self._outcomes = outcomes
        self._left = plan.left
        self._gateway = plan.route.gateway
        self._over = threading.Event()
        self._lock = threading.RLock()  # a collection in here may end the map
        if plan.progress.is_shown:
            threading.Thread(target=self._run, name="jupyter-faas-map", daemon=True).start()

    def end(self) -> None:
        """The map is over: nothing is told from here any more."""
        with self._lock:
            self._over.set()

    def _run(self) -> None:
        outcomes, noted, misses = self._outcomes, 0, 0
        while misses < _MOST_MISSES and not self._over.wait(LOOK_S):
            before, noted = noted, outcomes.notes
            if noted != before:
                continue
            state = self._look()
            if state is None:
                misses += 1
                continue
            misses = 0
            with self._lock:
                if self._over.is_set():
                    return
                if outcomes.notes == noted:
                    outcomes.note(state)
                    noted = outcomes.notes
            if state.state != "running":
                return  # whoever reads sees how it has ended

    def _look(self) -> MapState | None:
        """Ask how it goes; None: the gateway does not say. It is never started for this."""
        gateway = self._gateway
        connection = BlockingConnection(
            gateway.location.address, connect_timeout_s=gateway.connect_timeout_s
        )
        target = gateway.control_path(f"{PATH}/{self._left.id}")
        try:
            if gateway.access is not None and gateway.access.is_due():
                gateway.renew()
            response = connection.request(
                "GET", target, (gateway.authorization,), timeout_s=_TIMEOUT_S
            )
            body = response.read()
            return _state(body) if response.status == 200 else None
        except (FaasError, OSError, msgspec.MsgspecError):
            return None
        finally:
            connection.close()
