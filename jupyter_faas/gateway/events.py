"""One ordered stream of what happens: kept in a ring, read by number, never pushed.

Every event has the next `seq` of this gateway's `epoch`. A reader holds only the number it has
read to and asks for what came after, so that a slow one costs nothing: when the ring has left it
behind it is told so (`EventsGone`) and takes a fresh snapshot. Single calls are in a ring of their
own, so that a flood of them cannot push out what readers of state need.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from heapq import merge
from itertools import takewhile
from typing import Any, NamedTuple

from jupyter_faas.core.errors import EventsGone
from jupyter_faas.gateway.plain import plain

KINDS = ("function", "deleted", "revision", "replica", "scaling", "counts", "call")


class Event(NamedTuple):
    """One thing that happened.

    `kind` is one of `KINDS`; `id` tells what it is about within the function (replica id,
    revision number …): a later event of the same kind, function and id replaces an earlier one.
    """

    seq: int
    kind: str
    namespace: str
    function: str
    id: str
    at: float
    """Wall clock, seconds since the epoch."""
    value: Any
    """Plain JSON, a model value, or what returns one: asked when the event is read."""

    @property
    def shown(self) -> Any:
        """The value as readers get it."""
        return plain(self.value() if callable(self.value) else self.value)


class EventLog:
    """The events of one gateway process.

    Args:
        wall_clock: Seconds since the epoch.
        kept: Events that can be read later; as many single calls besides.
    """

    def __init__(self, wall_clock: Callable[[], float], kept: int = 10_000) -> None:
        self.epoch = secrets.token_hex(4)
        self.seq = 0
        self._wall_clock = wall_clock
        self._events: deque[Event] = deque(maxlen=kept)
        self._calls: deque[Event] = deque(maxlen=kept)
        self._waiting: set[asyncio.Future[None]] = set()
        self._readers = 0
        self._call_readers = 0

    @property
    def has_readers(self) -> bool:
        """Whether anybody reads now: what only readers need is not made otherwise."""
        return self._readers > 0

    @property
    def wants_calls(self) -> bool:
        """Whether anybody wants to see single calls."""
        return self._call_readers > 0

    def publish(
        self, kind: str, *, namespace: str = "", function: str = "", id: str = "", value: Any = None
    ) -> None:
        """Add an event; see `Event` for what `value` may be."""
        self.seq += 1
        event = Event(self.seq, kind, namespace, function, id, self._wall_clock(), value or {})
        (self._calls if kind == "call" else self._events).append(event)
        if self._waiting:
            self._wake()

    def since(self, seq: int, *, with_calls: bool = False) -> list[Event]:
        """Return the events after number `seq`, in order.

        Raises:
            EventsGone: Some of them are no longer known, or `seq` is not of this epoch.
        """
        if seq > self.seq:
            raise EventsGone(
                "This number is ahead of the stream: it is of another gateway process."
            )
        newer = _after(self._events, seq)
        if len(newer) == self._events.maxlen and newer[0].seq > seq + 1:
            raise EventsGone("Events since then have been dropped: read /v1/state anew.")
        if not with_calls:
            return newer
        return list(merge(newer, _after(self._calls, seq), key=lambda event: event.seq))

    def check_epoch(self, epoch: str) -> None:
        """Raise unless `epoch` is this process's; empty is not checked.

        Raises:
            EventsGone: The gateway has been restarted since.
        """
        if epoch and epoch != self.epoch:
            raise EventsGone("The gateway has been restarted since: read /v1/state anew.")

    async def wait(self, seq: int, timeout_s: float) -> bool:
        """Wait until there is an event after number `seq`; False: not within `timeout_s`."""
        if self.seq > seq:
            return True
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(future)
        return True

    def add_reader(self, *, with_calls: bool) -> Callable[[], None]:
        """Note that somebody reads; the result is called when it stops."""
        self._readers += 1
        self._call_readers += with_calls

        def leave() -> None:
            self._readers -= 1
            self._call_readers -= with_calls

        return leave

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)


def coalesced(events: Iterable[Event]) -> list[Event]:
    """Return events without those that a later one replaces; single calls all stay."""
    newest: dict[tuple[str, ...], Event] = {}
    for event in events:
        key = (event.kind, event.namespace, event.function, event.id)
        newest.pop(key, None)  # The order is that of the newest.
        newest[key] = event
    return list(newest.values())


def about(
    events: Iterable[Event], namespace: str | None, functions: Collection[str]
) -> Iterator[Event]:
    """Yield the events of a namespace (None: all) and, if any are named, of some functions."""
    for event in events:
        if namespace in (None, event.namespace) and (not functions or event.function in functions):
            yield event


def _after(events: deque[Event], seq: int) -> list[Event]:
    newer = list(takewhile(lambda event: event.seq > seq, reversed(events)))
    newer.reverse()
    return newer
