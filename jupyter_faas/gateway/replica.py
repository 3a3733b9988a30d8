"""One replica as the gateway knows it: its slots, its address, and what state it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_faas.core.model import ReplicaState, ReplicaStatus
from jupyter_faas.core.slots import Replica as SlotsReplica
from jupyter_faas.gateway.repeats import RepeatingUpstream

if TYPE_CHECKING:
    import asyncio

    from jupyter_faas.gateway.entries import RevisionEntry
    from jupyter_faas.gateway.specialise import Letter
    from jupyter_faas.providers.base import Seal


class Replica(SlotsReplica):
    """A replica from the wish to have it until its end.

    Attributes:
        entry: The revision it serves.
        secret: Every request to its front but the first two carries it.
        state: Starting, ready, draining or lost; busy is ready with leases.
        reason: Why it is still starting, or how it ended.
        upstream: Kept-alive connections to its front; None until it is reachable.
        call_head: First lines of every call, ready to be written.
        started_at: Wall clock, seconds, when it was asked for.
        ready_at_s: Monotonic, when it was first callable; minus infinity: not yet.
        last_used_s: Monotonic, when its last lease ended or it became ready.
        task: What brings it up and listens to it.
        letter: Its specialisation, written before it could be sent; None: it is not (yet).
        seal: What its specialisation is sealed to; None: it takes one in plain.
        is_outgrown: It has less than its revision asks for; another one is to take its place.
        is_adopted: Another gateway has started it, and may have calls in flight there still.
        is_let_go: It belongs to another gateway now, which has it go on: it is not to be ended.
    """

    __slots__ = (
        "address",
        "call_head",
        "entry",
        "how",
        "is_adopted",
        "is_let_go",
        "is_outgrown",
        "last_used_s",
        "letter",
        "load_ms",
        "memory_mib",
        "node",
        "pid",
        "ready_at_s",
        "reason",
        "seal",
        "secret",
        "start_ms",
        "started_at",
        "state",
        "task",
        "upstream",
    )

    def __init__(self, id: str, entry: RevisionEntry, secret: str, started_at: float) -> None:
        super().__init__(id, entry.revision.spec.max_inputs)
        self.entry = entry
        self.secret = secret
        self.state = ReplicaState.STARTING
        self.reason = ""
        self.address = ""
        self.node = ""
        self.pid: int | None = None
        self.upstream: RepeatingUpstream | None = None
        self.started_at = started_at
        self.ready_at_s = self.last_used_s = float("-inf")
        self.how = ""
        self.start_ms = self.load_ms = 0.0
        self.memory_mib = 0.0
        self.seal: Seal | None = None
        self.letter: asyncio.Task[Letter] | None = None
        self.task: asyncio.Task[Any] | None = None
        self.is_adopted = self.is_let_go = self.is_outgrown = False
        self.call_head = (
            b"POST /v1/call HTTP/1.1\r\nHost: runner\r\n"
            b"Faas-Secret: %b\r\nFaas-Revision-Id: %b\r\nFaas-Invocation-Id: "
            % (secret.encode("ascii"), entry.revision.id.encode("ascii"))
        )

    @property
    def is_leaving(self) -> bool:
        """Whether it takes nothing new any more, for good."""
        return self.state in (ReplicaState.DRAINING, ReplicaState.LOST)

    @property
    def in_flight(self) -> int:
        """Leases now."""
        return len(self.leases)

    @property
    def is_idle(self) -> bool:
        """Whether it could serve and does not."""
        return self.state is ReplicaState.READY and not self.leases

    def forget_place(self) -> None:
        """Close the connections to where it was; a letter written to it is not sent."""
        if self.letter is not None:
            self.letter.cancel()
            self.letter.add_done_callback(lambda done: done.cancelled() or done.exception())
            self.letter = None
        if self.upstream is not None:
            self.upstream.close()

    def status(self) -> ReplicaStatus:
        """Return what people are shown."""
        is_busy = self.state is ReplicaState.READY and bool(self.leases)
        return ReplicaStatus(
            id=self.id,
            function=self.entry.function.name,
            namespace=self.entry.function.namespace,
            revision=self.entry.number,
            state=ReplicaState.BUSY if is_busy else self.state,
            reason=self.reason,
            in_flight=len(self.leases),
            started_at=self.started_at,
            node=self.node,
            pid=self.pid,
            how=self.how,
            start_ms=self.start_ms,
            load_ms=self.load_ms,
        )
