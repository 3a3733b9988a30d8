"""Asks the fronts of long calls whether they live.

A front that has ended is noticed at once: its link is cut. One that hangs (stopped, or in the
kernel) keeps its connections, and its callers would wait for their time-outs, its slots for
longer. Calls ask for a pulse; fronts without one are given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from jupyter_faas.core.model import ReplicaState
from jupyter_faas.gateway.replica import Replica
from jupyter_faas.wire.upstream import AnswerLost, request

if TYPE_CHECKING:
    from jupyter_faas.core.slots import Replica as SlotsReplica

AFTER_S = 2.0
"""Calls that are shorter ask nothing; also the pause between two questions to one front."""

PATIENCE_S = 10.0
"""A front that is silent for so long hangs; on a machine that is merely full it gets its turn."""


class Pulse:
    """Watches over replicas that are busy for long.

    Args:
        give_up: Told of a replica that does not answer.
        after_s: See `AFTER_S`.
        patience_s: See `PATIENCE_S`.
    """

    def __init__(
        self,
        give_up: Callable[[SlotsReplica, str], None],
        *,
        after_s: float = AFTER_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.after_s = after_s
        self.patience_s = patience_s
        self._give_up = give_up
        self._asked: dict[str, asyncio.Task[None]] = {}

    def watch_over(self, replica: SlotsReplica, busy_s: float) -> None:
        """Ask a replica that holds a call for `busy_s` seconds, if that is long; cheap."""
        if busy_s < self.after_s or replica.id in self._asked or not isinstance(replica, Replica):
            return
        task = asyncio.get_running_loop().create_task(self._ask(replica))
        self._asked[replica.id] = task
        task.add_done_callback(lambda _: self._asked.pop(replica.id, None))

    def close(self) -> None:
        """Ask no more."""
        for task in tuple(self._asked.values()):
            task.cancel()

    async def _ask(self, replica: Replica) -> None:
        if replica.upstream is None or replica.state is ReplicaState.LOST:
            return
        try:
            await request(replica.upstream, "GET", "/v1/runner", timeout_s=self.patience_s)
        except TimeoutError:
            self._give_up(replica, f"it has not answered for {self.patience_s:g} s")
        except (AnswerLost, OSError):
            pass  # it has ended: its link says so
        await asyncio.sleep(self.after_s)
