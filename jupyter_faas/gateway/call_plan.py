"""What the head of a call says about every call with the same head.

Made for heads that a connection repeats (`repeats.py`). A head that speaks of one call only, by
its id, its deadline or its parent, has no plan: each is looked at.
"""

from __future__ import annotations

from jupyter_faas.core.errors import FaasError
from jupyter_faas.gateway import heads
from jupyter_faas.gateway.acts import call_of
from jupyter_faas.gateway.auth import NEVER, Judge, Pass
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
        framing: All that follows the id in a whole request to the front, up to its body.
        route_key: Sticky key, if any.
        passed: Until when its token may call.
        seen: Revision with the caller's own code; 0: the caller has none.
    """

    __slots__ = (
        "forwarded",
        "framing",
        "lines",
        "name",
        "namespace",
        "passed",
        "route_key",
        "seen",
    )

    def __init__(
        self,
        namespace: str,
        name: str,
        lines: bytes,
        body_bytes: int,
        route_key: bytes | None,
        *,
        passed: Pass,
        seen: int = 0,
    ) -> None:
        self.namespace = namespace
        self.name = name
        self.lines = lines
        self.framing = b"\r\n%bContent-Length: %d\r\n\r\n" % (lines, body_bytes)
        self.route_key = route_key
        self.passed = passed
        self.seen = seen
        self.forwarded = b""
        """The head as another gateway gets it, once one has had to; see `forward.py`."""


def plan_of(exchange: Exchange, namespace: str, name: str, judge: Judge) -> Plan | None:
    """Return the plan of calls like `exchange`; None: there is none."""
    told = dict(exchange.headers)
    if exchange.method != b"POST" or not told.keys().isdisjoint(_PERSONAL):
        return None
    try:
        passed = judge.judge(told.get(b"authorization"), call_of(namespace)) or NEVER
    except FaasError:
        passed = NEVER  # the function may be public; otherwise the long way says what is wrong
    return Plan(
        namespace,
        name,
        heads.forwarded(told),
        exchange.content_length or 0,
        told.get(b"faas-route-key"),
        passed=passed,
        seen=heads.revision_number(told.get(b"faas-seen", b"0")),
    )
