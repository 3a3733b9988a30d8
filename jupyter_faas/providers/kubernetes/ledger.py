"""Replicas of one gateway, from the wish for a pod until its end, and what is said of them.

Every event about a replica goes through here: what has been said is not said twice, and `gone` is
the last word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jupyter_faas.core.model import Revision
from jupyter_faas.providers.base import (
    ReplicaComing,
    ReplicaEvent,
    ReplicaGone,
    ReplicaLeaving,
    ReplicaPending,
    ReplicaStarted,
    Seal,
)
from jupyter_faas.providers.kubernetes.pod_state import Ending, Pod
from jupyter_faas.providers.kubernetes.pool import PoolKey
from jupyter_faas.providers.kubernetes.trouble import Trouble


class Want:
    """A replica that this gateway has asked for.

    Attributes:
        id: Of the replica.
        revision: That it is to serve.
        key: Of the pool it is claimed from; None: a pod is created for it.
        since_s: Monotonic, when it was asked for.
        pod: Name of its pod; empty: it has none yet.
        is_started: Its runner can be reached.
        is_ending: It is not wanted any more.
    """

    __slots__ = ("id", "is_ending", "is_leaving", "is_started", "key", "pod", "reason", "revision",
                 "since_s")  # fmt: skip

    def __init__(self, id: str, revision: Revision, key: PoolKey | None, since_s: float) -> None:
        self.id = id
        self.revision = revision
        self.key = key
        self.since_s = since_s
        self.pod = ""
        self.reason = ""
        self.is_started = self.is_ending = self.is_leaving = False

    @property
    def namespace(self) -> str:
        """Of its function, and so of its pod."""
        return self.revision.namespace


class Ledger:
    """All wants.

    Args:
        emit: Takes the events.
    """

    def __init__(self, emit: Callable[[ReplicaEvent], None]) -> None:
        self._emit = emit
        self._wants: dict[str, Want] = {}

    def __iter__(self) -> Iterator[Want]:
        return iter(tuple(self._wants.values()))

    def add(self, want: Want) -> None:
        """Begin to keep a want."""
        self._wants[want.id] = want

    def get(self, replica: str) -> Want | None:
        """Return a want that has not ended."""
        return self._wants.get(replica)

    def pending(self, want: Want, trouble: Trouble) -> None:
        """Say why a replica is not there yet."""
        if want.id in self._wants and not want.is_started and want.reason != trouble.text:
            want.reason = trouble.text
            self._emit(ReplicaPending(replica=want.id, reason=trouble.text, code=trouble.code))

    def coming(self, want: Want, pod: Pod, seal: Seal | None) -> None:
        """Say which runner a replica will be if its claim works."""
        if want.id in self._wants and not (want.is_started or want.is_ending):
            self._emit(ReplicaComing(replica=want.id, address=pod.address, seal=seal))

    def started(self, want: Want, pod: Pod, seal: Seal | None) -> None:
        """Say that a replica's runner can be reached."""
        if want.id in self._wants and not (want.is_started or want.is_ending):
            want.is_started = True
            how = "created" if want.key is None else "claimed"
            self._emit(
                ReplicaStarted(
                    replica=want.id, address=pod.address, node=pod.node, seal=seal, how=how
                )
            )

    def leaving(self, want: Want, reason: str) -> None:
        """Say that somebody else ends a replica."""
        if want.id in self._wants and not (want.is_leaving or want.is_ending):
            want.is_leaving = True
            self._emit(ReplicaLeaving(replica=want.id, reason=reason))

    def ended(self, want: Want, ending: Ending) -> None:
        """Say how a replica's pod ended."""
        if want.is_ending:
            self._gone(want, ReplicaGone(replica=want.id, reason="stopped"))
        elif want.is_started:
            gone = ReplicaGone(replica=want.id, reason=ending.reason, detail=ending.detail)
            self._gone(want, gone)
        else:
            self.failed(want, _broken(want, ending))

    def failed(self, want: Want, trouble: Trouble) -> None:
        """Say that a replica could not be made."""
        detail = trouble.text[:1].upper() + trouble.text[1:].rstrip(".") + "."
        gone = ReplicaGone(
            replica=want.id,
            reason="start_failed",
            detail=detail,
            code=trouble.code,
            is_final=trouble.is_final,
        )
        self._gone(want, gone)

    def stopped(self, want: Want) -> None:
        """Say that a replica was ended that never had a pod."""
        self._gone(want, ReplicaGone(replica=want.id, reason="stopped"))

    def _gone(self, want: Want, event: ReplicaGone) -> None:
        if self._wants.pop(want.id, None) is not None:
            self._emit(event)


def _broken(want: Want, ending: Ending) -> Trouble:
    """Return why a pod ended before its runner had answered."""
    image = want.revision.spec.image
    said = ending.detail or ending.reason
    if image and ending.reason in ("crashed", "start_failed", "stopped"):
        text = f"the image `{image}` does not run as a replica (does it have jupyter_faas?): {said}"
        return Trouble(code="ImageBroken", text=text, is_final=True)
    return Trouble(code="Crashed", text=f"its pod ended before it had started: {said}")
