"""The way a handle's calls take: gateway, path, headers, and what to notice in their answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

from jupyter_faas.client.session import session
from jupyter_faas.core import context
from jupyter_faas.core.errors import (
    CapacityError,
    FaasError,
    FunctionNotFound,
    GatewayLost,
    RevisionNotFound,
)
from jupyter_faas.wire.frames import CONTENT_TYPE

if TYPE_CHECKING:
    from jupyter_faas.client.gateway import Gateway, Headers

_NOT_WAITING: AbstractContextManager[None] = nullcontext()
_FRAMED = CONTENT_TYPE.encode()
_BASE: Headers = ((b"Content-Type", _FRAMED), (b"Accept", _FRAMED))


class Listener(Protocol):
    """Who wants to know what the answers of a route say; each is told at most once."""

    def waiting(self, route: Route) -> AbstractContextManager[None]:
        """Return what is entered while a call waits for the handle's own revision."""

    def on_ready(self, route: Route) -> None:
        """Hear that the handle's own revision has answered: it is ready."""

    def on_other(self, number: int) -> None:
        """Hear that another revision than the handle's own has answered."""

    def on_failed(self, route: Route, error: FaasError) -> None:
        """Hear why a call of the handle's own revision, not ready so far, was refused."""

    def on_lost(self, route: Route) -> Route | None:
        """Hear that the gateway does not know the function; return the route to retry on."""

    def on_left(self, route: Route) -> None:
        """Hear that nobody waits for the handle's own revision, which may not be ready yet."""


class Route:
    """Made when a handle is deployed or looked up; read by every call after that.

    Args:
        gateway: Where calls go.
        name: The function.
        own: Number of the revision that has the handle's code; None: any will do.
        is_pinned: Calls name `own` and wait for it: it is not known to be ready.
        wait_s: Longest time a call may take as seen from here; None: the gateway's limits alone.
        tries: How often a call is sent whose gateway goes away: more than once if it is idempotent.
        listener: Is told what the answers say. With one, calls tell the gateway that `own` has
            the caller's code: another notebook's under the same name is not called.
    """

    __slots__ = (
        "_listener",
        "_own",
        "_unpinned",
        "gateway",
        "headers",
        "name",
        "path",
        "tries",
        "wait_s",
    )

    def __init__(
        self,
        gateway: Gateway,
        name: str,
        *,
        own: int | None = None,
        is_pinned: bool = False,
        wait_s: float | None = None,
        tries: int = 1,
        listener: Listener | None = None,
    ) -> None:
        self.gateway = gateway
        self.name = name
        self.path = gateway.call_path(name)
        self.wait_s = wait_s
        self.tries = tries
        self._unpinned: Headers = _BASE
        if listener is not None:
            self._unpinned = (*_BASE, (b"Faas-Seen", str(own).encode()))
        self.headers = self._unpinned
        if is_pinned:
            self.headers = (*_BASE, (b"Faas-Revision", str(own).encode()))
        self._own = "" if own is None else str(own)
        self._listener = listener

    def head(self, method: str | None) -> Headers:
        """Return the headers of a call made here and now."""
        headers = (
            self.headers if method is None else (*self.headers, (b"Faas-Method", method.encode()))
        )
        outer = context.current.get()
        return headers if outer is None else (*headers, *_nested(outer))

    @property
    def pinned(self) -> int | None:
        """The revision that calls name; None: traffic decides."""
        return int(self._own) if self.headers is not self._unpinned and self._own else None

    def head_of_map(self) -> Headers:
        """Return the headers of a map begun here and now."""
        kept = [pair for pair in self.headers if pair[0] == b"Faas-Seen"]
        outer = context.current.get()
        return kept if outer is None else [*kept, *_nested(outer)]

    def waiting(self) -> AbstractContextManager[None]:
        """Return what is entered while a call waits for its answer to begin."""
        if self._listener is None or self.headers is self._unpinned:
            return _NOT_WAITING
        return self._listener.waiting(self)

    def answered(self, headers: Mapping[str, str]) -> None:
        """Notice which revision answered."""
        listener = self._listener
        if listener is None:
            return
        number = headers.get("faas-revision", "")
        if number == self._own:
            self.ready()
        elif number.isdigit():
            self._listener = None
            listener.on_other(int(number))

    def ready(self) -> None:
        """Notice that the handle's own revision is ready: from now on traffic decides."""
        if self._listener is not None and self.headers is not self._unpinned:
            self.headers = self._unpinned
            self._listener.on_ready(self)

    def left(self) -> None:
        """Notice that a call was not made, or goes on by itself: nobody waits for its answer."""
        if self._listener is not None and self.headers is not self._unpinned:
            self._listener.on_left(self)

    def refused(self, error: FaasError) -> Route | None:
        """Return another route to try if the gateway has lost what this one leads to."""
        if self._listener is None:
            return None
        if isinstance(error, (FunctionNotFound, RevisionNotFound)):
            return self._listener.on_lost(self)
        if isinstance(error, CapacityError):
            self.left()
        elif self.headers is not self._unpinned:
            self._listener.on_failed(self, error)
        return None


def is_repeatable(error: GatewayLost, tries_left: int) -> bool:
    """Return whether a call goes out again whose gateway went away; not if it only was silent."""
    return tries_left > 0 and not isinstance(error.__cause__, TimeoutError)


def is_replica() -> bool:
    """Return whether this process is a replica: it may call functions and deploys none.

    Modules that travel with a function bring their decorators along; over there these are handles.
    """
    return context.REPLICA_VARIABLE in os.environ


def _nested(outer: context.Invocation) -> Headers:
    """Return what a call passes on of the invocation it is made in."""
    headers = [
        (b"Faas-Parent", ",".join(filter(None, (outer.id, outer.ancestry))).encode()),
        (b"Faas-Depth", str(outer.depth).encode()),
    ]
    if outer.deadline is not None:
        left_ms = max(0, int((outer.deadline - session.monotonic_s()) * 1000))
        headers.append((b"Faas-Deadline-Ms", str(left_ms).encode()))
    if outer.trace:
        headers.append((b"traceparent", outer.trace.encode()))
    return headers
