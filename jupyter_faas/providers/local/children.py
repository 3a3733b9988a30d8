"""The forked replicas of one environment, and the decisions about spares among them.

A child is known under an id of its own and, once it serves as a replica, under the gateway's. A
spare is a child that serves as none yet: good if the current zygote made it, better if it was
born with everything that zygote has imported by now. No I/O: `environment.py` does what is
decided here.
"""

from __future__ import annotations

from pathlib import Path

from jupyter_faas.providers.local.zygote import Zygote


class Child:
    """One forked replica, or one that its zygote has been told to fork."""

    __slots__ = (
        "id",
        "is_started",
        "is_stopping",
        "loaded",
        "pid",
        "replica",
        "socket",
        "zygote",
    )

    def __init__(self, zygote: Zygote, socket: Path, replica: str | None) -> None:
        self.id = socket.stem
        self.zygote = zygote
        self.socket = socket
        self.replica = replica
        """The gateway's id; None: a spare."""
        self.loaded = zygote.loaded
        """How many modules its zygote had imported when it was asked for."""
        self.pid: int | None = None
        self.is_started = False
        self.is_stopping = False

    @property
    def is_stale(self) -> bool:
        """Whether one born now would be born with more."""
        return self.loaded < self.zygote.loaded


class Children:
    """All children of one environment that are not gone."""

    def __init__(self) -> None:
        self._by_id: dict[str, Child] = {}
        self._by_replica: dict[str, Child] = {}

    def add(self, child: Child) -> None:
        """Note a child that is being made."""
        self._by_id[child.id] = child
        if child.replica is not None:
            self._by_replica[child.replica] = child

    def remove(self, child: Child) -> None:
        """Forget a child that is gone."""
        del self._by_id[child.id]
        if child.replica is not None:
            del self._by_replica[child.replica]

    def hand_over(self, spare: Child, replica: str) -> None:
        """Let a spare serve as a replica."""
        spare.replica = replica
        self._by_replica[replica] = spare

    def get(self, child_id: str) -> Child | None:
        """Return a child by its own id."""
        return self._by_id.get(child_id)

    def of_replica(self, replica: str) -> Child | None:
        """Return the child that serves as a replica."""
        return self._by_replica.get(replica)

    def of_zygote(self, zygote: Zygote) -> list[Child]:
        """Return what a zygote has made, oldest first."""
        return [child for child in self._by_id.values() if child.zygote is zygote]

    def is_birth_awaited(self) -> bool:
        """Return whether a replica that somebody waits for is being made."""
        return any(child.replica and not child.is_started for child in self._by_id.values())

    def spares(self) -> list[Child]:
        """Return the spares that have not been told to end, oldest first."""
        return [
            child
            for child in self._by_id.values()
            if child.replica is None and not child.is_stopping
        ]

    def best_spare(self, zygote: Zygote | None) -> Child | None:
        """Return a spare of this zygote that can be used at once; the newest has most."""
        usable = [child for child in self.spares() if child.is_started and child.zygote is zygote]
        return usable[-1] if usable else None

    def missing_spares(self, zygote: Zygote, count: int) -> int:
        """Return how many have to be made so that `count` are as good as they can be."""
        good = [child for child in self.spares() if child.zygote is zygote and not child.is_stale]
        return max(0, count - len(good))

    def useless_spares(self, zygote: Zygote | None, count: int) -> list[Child]:
        """Return those of another zygote, and stale ones that a better one has replaced."""
        started = [child for child in self.spares() if child.is_started]
        return [
            child
            for child in started
            if child.zygote is not zygote or (child.is_stale and len(started) > count)
        ]
