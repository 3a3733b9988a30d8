"""What the head of a call says about every call with the same head.

Made for heads that a connection repeats (`repeats.py`). A head that speaks of one call only, by
its id, its deadline or its parent, has no plan: each is looked at.
"""

from __future__ import annotations

from jupyter_faas.gateway import heads
from jupyter_faas.gateway.auth import Authority, Grant
from jupyter_faas.wire.exchange import Exchange

_PERSONAL = frozenset(
    (
        b"idempotency-key",
        b"faas-deadline-ms",
        b"faas-invocation-id",
        b"faas-parent",
        b"faas-revision",
    )
)
"""Headers that say something of one call, not of a caller's calls."""


class Plan:
    """What a request's head says about a call, for heads that come again.

    Args:
        namespace: Of the function.
        name: Of the function.
        lines: For the front.
        route_key: Sticky key, if any.
        is_granted: Its token may call.
        seen: Revision with the caller's own code; 0: the caller has none.
    """

    __slots__ = ("is_granted", "lines", "name", "namespace", "route_key", "seen")

    def __init__(
        self,
        namespace: str,
        name: str,
        lines: bytes,
        route_key: bytes | None,
        *,
        is_granted: bool,
        seen: int = 0,
    ) -> None:
        self.namespace = namespace
        self.name = name
        self.lines = lines
        self.route_key = route_key
        self.is_granted = is_granted
        self.seen = seen


def plan_of(exchange: Exchange, namespace: str, name: str, authority: Authority) -> Plan | None:
    """Return the plan of calls like `exchange`; None: there is none."""
    told = dict(exchange.headers)
    if exchange.method != b"POST" or not told.keys().isdisjoint(_PERSONAL):
        return None
    is_granted = authority.grant(told.get(b"authorization")) >= Grant.CALLS
    return Plan(
        namespace,
        name,
        heads.forwarded(told),
        told.get(b"faas-route-key"),
        is_granted=is_granted,
        seen=heads.revision_number(told.get(b"faas-seen", b"0")),
    )
