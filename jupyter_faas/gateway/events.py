"""One ordered stream of what happens: the newest of each thing, read by number, never pushed.

Every event has the next `seq` of this gateway's `epoch`. A reader holds only the number it has
read to and asks for what came after, so that a slow one costs nothing. Of each thing (a function,
a replica, …) only the newest event is kept: that is all a reader who comes later needs, and what
a slow one misses is what was true for a moment. Who names a number from before what is kept is
told so (`EventsGone`) and takes a fresh snapshot. Single calls are kept apart, so that a flood
of them cannot push out what readers of state need.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Reversible
from heapq import merge
from itertools import takewhile
from typing import Any, NamedTuple

from jupyter_faas.core.errors import EventsGone
from jupyter_faas.gateway.plain import plain

KINDS = ("function", "deleted", "revision", "replica", "scaling", "counts", "map", "call")


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
    origin: str = ""
    """Id of the gateway it was heard from; empty: it happened here."""

    @property
    def shown(self) -> Any:
        """The value as readers get it."""
        return plain(self.value() if callable(self.value) else self.value)


class EventLog:
    """The events of one gateway process.

    Args:
        wall_clock: Seconds since the epoch.
        kept: Things whose newest event can be read later; as many single calls besides.
    """

    def __init__(self, wall_clock: Callable[[], float], kept: int = 10_000) -> None:
        self.epoch = secrets.token_hex(4)
        self.seq = 0
        self._wall_clock = wall_clock
        self._kept = kept
        self._dropped_seq = 0
        self._events: dict[tuple[str, ...], Event] = {}
        self._calls: deque[Event] = deque(maxlen=kept)
        self._waiting: set[asyncio.Future[None]] = set()
        self._readers = 0
        self._call_readers = 0
        self._own_call_readers = 0
        self.on_wish: Callable[[], None] = lambda: None
        """Called when the answer to `wishes_calls` has changed."""

    @property
    def has_readers(self) -> bool:
        """Whether anybody reads now: what only readers need is not made otherwise."""
        return self._readers > 0

    @property
    def wants_calls(self) -> bool:
        """Whether anybody wants to see single calls."""
        return self._call_readers > 0

    @property
    def wishes_calls(self) -> bool:
        """Whether a reader of this gateway's own wants to see single calls, those of peers too."""
        return self._own_call_readers > 0

    def publish(
        self,
        kind: str,
        *,
        namespace: str = "",
        function: str = "",
        id: str = "",
        value: Any = None,
        origin: str = "",
    ) -> None:
        """Add an event; see `Event` for what `value` and `origin` may be."""
        self.seq += 1
        now = self._wall_clock()
        event = Event(self.seq, kind, namespace, function, id, now, value or {}, origin)
        if event.kind == "call":
            self._calls.append(event)
        else:
            self._keep(event)
        if self._waiting:
            self._wake()

    def since(self, seq: int, *, with_calls: bool = False) -> list[Event]:
        """Return what is kept of the events after number `seq`, in order.

        Raises:
            EventsGone: Some of them are no longer known, or `seq` is not of this epoch.
        """
        if seq > self.seq:
            raise EventsGone(
                "This number is ahead of the stream: it is of another gateway process."
            )
        if seq < self._dropped_seq:
            raise EventsGone("Events since then have been dropped: read /v1/state anew.")
        newer = _after(self._events.values(), seq)
        if not with_calls:
            return newer
        return list(merge(newer, _after(self._calls, seq), key=lambda event: event.seq))

    def calls_since(self, seq: int) -> list[Event]:
        """Return what is kept of the single calls after number `seq`."""
        return _after(self._calls, seq)

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

    def add_reader(self, *, with_calls: bool, is_peer: bool = False) -> Callable[[], None]:
        """Note that somebody reads; the result is called when it stops.

        Args:
            with_calls: It wants to see single calls.
            is_peer: It is another gateway, which has asked its own peers itself.
        """
        is_own = with_calls and not is_peer
        self._count_reader(1, with_calls, is_own)
        return lambda: self._count_reader(-1, with_calls, is_own)

    def _count_reader(self, by: int, with_calls: bool, is_own: bool) -> None:
        self._readers += by
        self._call_readers += by * with_calls
        had_wish = self.wishes_calls
        self._own_call_readers += by * is_own
        if had_wish != self.wishes_calls:
            self.on_wish()

    def _keep(self, event: Event) -> None:
        key = (event.kind, event.namespace, event.function, event.id)
        self._events.pop(key, None)  # The order is that of the newest.
        self._events[key] = event
        if len(self._events) > self._kept:
            oldest = self._events.pop(next(iter(self._events)))
            self._dropped_seq = oldest.seq

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)


def about(
    events: Iterable[Event], namespace: str | None, functions: Collection[str]
) -> Iterator[Event]:
    """Yield the events of a namespace (None: all) and, if any are named, of some functions."""
    for event in events:
        if namespace in (None, event.namespace) and (not functions or event.function in functions):
            yield event


def _after(events: Reversible[Event], seq: int) -> list[Event]:
    newer = list(takewhile(lambda event: event.seq > seq, reversed(events)))
    newer.reverse()
    return newer
