"""What one page is still to be told. Pure: it decides, `page.py` sends.

Of each thing only the newest event waits, so that a slow page costs little and misses nothing
that is still true. When even that grows beyond its bounds, everything is dropped and the page is
`is_behind`: it needs a new snapshot. Events that a snapshot has in it are not told after it.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import msgspec

from jupyter_faas.server.event import Event, Snapshot
from jupyter_faas.server.status import GatewayStatus

MOST_CALLS = 500
"""Single calls that wait; the newest are told."""


class Bounds(NamedTuple):
    """How much may wait for one page."""

    things: int = 5_000
    event_bytes: int = 4 << 20
    log_bytes: int = 1 << 20
    """Of all followed logs together; the newest lines are told."""


class Outbox:
    """Messages for one page.

    Args:
        bounds: How much may wait.

    Attributes:
        is_behind: A snapshot is needed; events are noted meanwhile, and told after it.
        is_urgent: The page is told at once, whatever pace it asked for.
    """

    def __init__(self, bounds: Bounds = Bounds()) -> None:
        self._bounds = bounds
        self.is_behind = True
        self.is_urgent = False
        self._is_asked = False
        self._status: GatewayStatus | None = None
        self._snapshot: Snapshot | None = None
        self._events: dict[tuple[str, str, str, str], Event] = {}
        self._event_bytes = 0
        self._dropped_seq = 0
        self._calls: deque[Event] = deque(maxlen=MOST_CALLS)
        self._lines: deque[tuple[str, bytes]] = deque()
        self._line_bytes = 0

    @property
    def has_news(self) -> bool:
        """Whether `take` would return something."""
        told = self._is_asked or self._status or self._snapshot or self._calls or self._lines
        return bool(told) or (bool(self._events) and not self.is_behind)

    def put_status(self, status: GatewayStatus) -> None:
        """Tell how the gateway is."""
        self._status = status
        self.is_urgent = True

    def put_sign_of_life(self) -> None:
        """Answer a page that asks whether the connection still works."""
        self._is_asked = True
        self.is_urgent = True

    def put_snapshot(self, snapshot: Snapshot, *, is_other: bool = False) -> None:
        """Tell the state of everything; events from before it are in it.

        One that is older than events which were dropped does not help: the page stays behind.

        Args:
            snapshot: The state.
            is_other: It is another gateway's than what was told so far: that is all over.
        """
        if snapshot.seq < self._dropped_seq and not is_other:
            return
        self._dropped_seq = 0
        self._snapshot = snapshot
        self.is_behind = False
        self.is_urgent = True
        floor = float("inf") if is_other else snapshot.seq
        self._events = {key: one for key, one in self._events.items() if one.seq > floor}
        self._event_bytes = sum(len(one.data) for one in self._events.values())

    def put_event(self, event: Event) -> None:
        """Tell what has happened."""
        before = self._events.pop(event.key, None)  # The order is that of the newest.
        self._event_bytes += len(event.data) - (len(before.data) if before else 0)
        self._events[event.key] = event
        bounds = self._bounds
        if len(self._events) > bounds.things or self._event_bytes > bounds.event_bytes:
            self.fall_behind()

    def put_call(self, event: Event) -> None:
        """Tell of a single call."""
        self._calls.append(event)

    def put_line(self, function: str, line: bytes) -> None:
        """Tell a record of a function's log."""
        self._lines.append((function, line))
        self._line_bytes += len(line)
        while self._line_bytes > self._bounds.log_bytes and len(self._lines) > 1:
            self._line_bytes -= len(self._lines.popleft()[1])

    def fall_behind(self) -> None:
        """Forget what waits: only a snapshot helps."""
        self.is_behind = True
        self._snapshot = None
        dropped = (event.seq for event in self._events.values())
        self._dropped_seq = max(dropped, default=self._dropped_seq)
        self._events.clear()
        self._event_bytes = 0

    def take_status(self) -> list[bytes]:
        """Return the messages that do not have to wait for a snapshot."""
        messages: list[bytes] = []
        if self._is_asked:
            messages.append(b'{"type":"alive"}')
            self._is_asked = False
        if self._status is not None:
            messages.append(_said(b"gateway", b"gateway", msgspec.json.encode(self._status)))
            self._status = None
        return messages

    def take(self) -> list[bytes]:
        """Return the messages that are to be sent now, in order."""
        messages = self.take_status()
        if self._snapshot is not None:
            messages.append(_said(b"snapshot", b"state", self._snapshot.data))
            self._snapshot = None
        told = [] if self.is_behind else [one.data for one in self._events.values()]
        told += [one.data for one in self._calls]
        if told:
            messages.append(_said(b"events", b"events", b"[%b]" % b",".join(told)))
        if not self.is_behind:
            self._events.clear()
            self._event_bytes = 0
        self._calls.clear()
        messages += self._logs()
        self.is_urgent = False
        return messages

    def _logs(self) -> list[bytes]:
        lines: dict[str, list[bytes]] = {}
        for function, line in self._lines:
            lines.setdefault(function, []).append(line)
        self._lines.clear()
        self._line_bytes = 0
        return [
            b'{"type":"log","function":%b,"lines":[%b]}'
            % (msgspec.json.encode(function), b",".join(some))
            for function, some in lines.items()
        ]


def _said(kind: bytes, name: bytes, value: bytes) -> bytes:
    return b'{"type":"%b","%b":%b}' % (kind, name, value)
