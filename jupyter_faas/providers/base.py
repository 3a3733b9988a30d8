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


class Seal(Value):
    """What a specialisation is sealed to: one start of one runner."""

    public_key: bytes
    """X25519, 32 bytes raw."""
    nonce: bytes
    pod_uid: str


class ReplicaComing(Value):
    """A generic runner listens and will most likely be this replica in a moment.

    Nothing may be told to it before `ReplicaStarted`: what that takes can be made ready. Said
    again if it turns out to be another runner; a provider need not say it at all.
    """

    replica: str
    address: str
    seal: Seal | None = None


class ReplicaStarted(Value):
    """A generic runner is reachable."""

    replica: str
    address: str
    """`unix:PATH` or `HOST:PORT`."""
    node: str = ""
    pid: int | None = None
    how: str = ""
    """How it came to be: `forked`, `forked ahead`, `claimed`, `created`."""
    seal: Seal | None = None
    """None: it takes a specialisation in plain."""


class ReplicaPending(Value):
    """A replica is not there yet, and why: shown to people while they wait."""

    replica: str
    reason: str
    """A sentence without its full stop."""
    code: str = ""
    """One word for machines, e.g. `PoolEmpty`, `Unschedulable`, `ImagePullFailed`."""


class ReplicaFound(Value):
    """There is a replica that this gateway has not started: another one has, or an earlier one.

    It may be specialised or not (its front says so); whoever owns the function may adopt it.
    """

    replica: str
    namespace: str
    function: str
    revision_id: str
    address: str
    node: str = ""
    seal: Seal | None = None


class ReplicaMisfit(Value):
    """A replica serves with less than its revision asks for, or not any more."""

    replica: str
    reason: str
    """A sentence without its full stop; empty: it has got what it should have."""


class ReplicaLeaving(Value):
    """Somebody else ends this replica: it drains. `ReplicaGone` follows."""

    replica: str
    reason: str


class ReplicaGone(Value):
    """A replica has ended or could not be made. Said exactly once, the last word about it.

    Also said of replicas that others have started.
    """

    replica: str
    reason: str
    """`stopped`, `crashed`, `out_of_memory`, `node_lost`, `start_failed`."""
    detail: str = ""
    code: str = ""
    """One word for machines on why a start has failed, e.g. `ImagePullFailed`, `QuotaExceeded`."""
    is_final: bool = False
    """Of a failed start: the next one would fail as well, somebody must change something."""


ReplicaEvent = (
    ReplicaComing
    | ReplicaStarted
    | ReplicaPending
    | ReplicaFound
    | ReplicaMisfit
    | ReplicaLeaving
    | ReplicaGone
)


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
    reason_s: float
    """How long after a replica's front has gone the provider may take to say why."""
    is_shared: bool
    """Whether replicas live on without the gateway that started them: others can adopt them."""

    async def open(self) -> None:
        """Get ready. What ends with its gateway and was left behind by an earlier one is ended."""

    def check(self, spec: RevisionSpec) -> None:
        """Refuse what replicas here can never have, before anything is deployed.

        Raises:
            InvalidSpec: Names the setting, and where it works.
        """

    async def start(
        self, revision: Revision, replica_ids: Sequence[str], *, made_to_measure: bool = False
    ) -> None:
        """Begin to make these replicas; returns at once, the outcome comes from `watch`.

        Args:
            revision: That they are to serve.
            replica_ids: Names that they have from now on.
            made_to_measure: They have what the revision asks for from their birth, though that
                takes longer: see `ReplicaMisfit`.
        """

    def adopted(self, revision: Revision, replica_id: str) -> None:
        """A replica that somebody else has started is this gateway's to care for from now on."""

    async def stop(self, replica_id: str, *, grace_s: float = 0.0) -> None:
        """End a replica: SIGTERM (drain), SIGKILL after `grace_s`. Unknown ids are ignored."""

    def watch(self) -> AsyncIterator[ReplicaEvent]:
        """Yield what happens to replicas, in order. One reader."""

    async def known(self, namespace: str, function: str) -> list[ReplicaFound]:
        """Return the replicas of a function that exist, whoever has made them.

        A gateway that becomes the function's owner adopts them: what happens to them later is
        told by `watch`, and `stop` ends them, as if it had started them.
        """

    async def secrets(self, namespace: str, names: Sequence[str]) -> dict[str, str]:
        """Return the variables that these secrets give to a function of `namespace`.

        Raises:
            ProviderError: A secret is missing, or functions may not use it; `reason` says which.
        """

    async def inventory(self, revision_python: str, interpreter: str | None) -> Inventory:
        """Return what a runner of this Python (and, locally, interpreter) can import.

        Raises:
            EnvironmentMismatch: No runner has this Python minor.
        """

    async def close(self) -> None:
        """Stop; replicas that cannot live without this gateway are ended."""
