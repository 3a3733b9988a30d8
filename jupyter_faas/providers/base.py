"""The protocol of a provider: who creates and ends replicas, wherever they live.

The gateway decides how many and which; a provider makes it so and says what it sees. A replica
is handed over generic (started, reachable, unspecialised): specialising is the gateway's work
and the same for every provider. One contract suite (tests/providers/contract.py) runs against
all of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from jupyter_faas.core.model import Revision, RevisionSpec, Value


class ReplicaStarted(Value):
    """A generic runner is reachable."""

    replica: str
    address: str
    """`unix:PATH` or `HOST:PORT`."""
    node: str = ""
    pid: int | None = None


class ReplicaPending(Value):
    """A replica is not there yet, and why: shown to people while they wait."""

    replica: str
    reason: str


class ReplicaGone(Value):
    """A replica has ended or could not be made. Said exactly once, the last word about it."""

    replica: str
    reason: str
    """`stopped`, `crashed`, `out_of_memory`, `node_lost`, `start_failed`."""
    detail: str = ""


ReplicaEvent = ReplicaStarted | ReplicaPending | ReplicaGone


class Inventory(Value):
    """What runners of one environment can import."""

    python: str
    modules: dict[str, str] = {}
    """Distribution name (normalised, lower case) → version."""
    top_level: tuple[str, ...] = ()
    """Importable top-level module names of those distributions."""


class Provider(Protocol):
    """Creates and ends replicas. All methods are called from the gateway's loop."""

    name: str

    async def open(self) -> None:
        """Get ready; ends what an earlier gateway of this state directory left behind."""

    def check(self, spec: RevisionSpec) -> None:
        """Refuse what replicas here can never have, before anything is deployed.

        Raises:
            InvalidSpec: Names the setting, and where it works.
        """

    async def start(self, revision: Revision, replica_ids: Sequence[str]) -> None:
        """Begin to make these replicas; returns at once, the outcome comes from `watch`."""

    async def stop(self, replica_id: str, *, grace_s: float = 0.0) -> None:
        """End a replica: SIGTERM (drain), SIGKILL after `grace_s`. Unknown ids are ignored."""

    def watch(self) -> AsyncIterator[ReplicaEvent]:
        """Yield what happens to replicas, in order. One reader."""

    async def inventory(self, revision_python: str, interpreter: str | None) -> Inventory:
        """Return what a runner of this Python (and, locally, interpreter) can import.

        Raises:
            EnvironmentMismatch: No runner has this Python minor.
        """

    async def close(self) -> None:
        """End every replica and everything this provider started."""
