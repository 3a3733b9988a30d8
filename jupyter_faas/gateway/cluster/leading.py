"""What the leader of a cluster's gateways does for all of them, as a part of each gateway.

`attach` it to a gateway before that is started. Functions need no leader; without one nothing
breaks, things that nobody wants only stay longer.
"""

from __future__ import annotations

from typing import Protocol

from jupyter_faas.gateway.autoscaler import Scaled
from jupyter_faas.gateway.chores import Chores
from jupyter_faas.gateway.replica import Replica

EVERY_S = 5.0


class Leadership(Protocol):
    """The wish to lead; on a cluster a Lease."""

    @property
    def is_leader(self) -> bool:
        """Whether this gateway leads now."""

    def start(self) -> None:
        """Begin to ask for it."""

    async def close(self) -> None:
        """Ask no more, and release it."""


class Pods(Protocol):
    """Replicas of all gateways."""

    async def abandoned(self) -> list[str]:
        """Return replicas that nobody brings up."""

    async def stop(self, replica_id: str, *, grace_s: float = 0.0) -> None:
        """End one, whoever has made it."""


class Leading:
    """A part of a gateway; see `service.Part`.

    Args:
        leader: Tells whether this gateway leads.
        pods: Looked through for replicas that nobody brings up.
        every_s: How often.
    """

    def __init__(self, leader: Leadership, pods: Pods, every_s: float = EVERY_S) -> None:
        self._leader = leader
        self._pods = pods
        chores = {"replicas that nobody brings up are ended": self._end_abandoned}
        self._chores = Chores(lambda: leader.is_leader, chores, every_s)

    async def start(self) -> None:
        """Ask to lead, and do the chores while this gateway does."""
        self._leader.start()
        self._chores.start()

    async def close(self) -> None:
        """Stop; the next one leads at once."""
        await self._chores.close()
        await self._leader.close()

    def on_replica(self, replica: Replica) -> None:
        """Nothing follows from it here."""

    def on_scaled(self, scaled: Scaled) -> None:
        """Nothing follows from it here."""

    async def _end_abandoned(self) -> None:
        for replica_id in await self._pods.abandoned():
            await self._pods.stop(replica_id)
