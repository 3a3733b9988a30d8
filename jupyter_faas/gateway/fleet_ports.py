"""What the fleet needs around it: whom it tells, what it is told, and what a failed start means."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

from jupyter_faas.core.errors import FaasError, InternalError, ProviderError, ReplicaLost
from jupyter_faas.core.specialisation import CallEnd
from jupyter_faas.gateway.entries import FunctionEntry, RevisionEntry
from jupyter_faas.gateway.replica import Replica
from jupyter_faas.providers.base import ReplicaGone
from jupyter_faas.wire.heads import Buffer


class Observer(Protocol):
    """Who is told what becomes of replicas; the service wires it."""

    def on_change(self, replica: Replica) -> None:
        """State or reason is another one."""

    def on_ready(self, entry: RevisionEntry) -> None:
        """A replica serves."""

    def on_gone(self, entry: RevisionEntry, *, has_been_ready: bool) -> None:
        """A replica has ended, or leaves by itself: it takes nothing more."""

    def on_log(self, replica: Replica, stream: int, invocation_id: str, text: bytes) -> None:
        """Output of the user's code."""

    def on_ended(self, replica: Replica, end: CallEnd) -> None:
        """The code of a call has ended."""


class Outlook(Protocol):
    """What the registry knows, and is told about a revision."""

    def find(self, namespace: str, name: str) -> FunctionEntry | None:
        """Return a function, None if there is none."""

    async def mark_ready(self, entry: RevisionEntry) -> None:
        """A first replica is ready."""

    async def mark_failed(self, entry: RevisionEntry, problem: dict[str, Any]) -> None:
        """It cannot get ready."""


class FleetSettings(NamedTuple):
    """How replicas are brought up and ended."""

    package_path: Callable[[str], str | None]
    """Where the front finds a blob, by digest; None: it is sent."""
    package: Callable[[str], Awaitable[Buffer | None]]
    """Returns a blob, by digest, to be sent."""
    stop_grace_s: float = 2.0
    drain_grace_s: float = 30.0


def start_error(event: ReplicaGone) -> FaasError:
    """Return the error of a replica that ended before it was ready."""
    if event.reason in ("crashed", "out_of_memory"):
        what = "ran out of memory" if event.reason == "out_of_memory" else "ended"
        detail = f": {event.detail}" if event.detail else "."
        return ReplicaLost(
            f"The replica {what} while it loaded the code{detail}", reason=event.reason
        )
    extra: dict[str, Any] = {"reason": event.code} if event.code else {}
    if event.is_final:
        extra["is_final"] = True
    detail = event.detail or f"A replica could not be started: {event.reason}."
    return ProviderError(detail, **extra)


def is_passing(error: FaasError) -> bool:
    """Return whether a start that failed like this may work the next time."""
    is_ours = isinstance(error, (ProviderError, InternalError))
    return is_ours and not error.extra.get("is_final")
