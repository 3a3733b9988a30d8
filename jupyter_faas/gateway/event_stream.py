"""The event log as Server-Sent Events: at most so many batches a second.

A reader first gets what came after the number it names, then what happens. One that is too slow
for the ring gets an event `snapshot` with the whole state and goes on from there. Fifty readers
cost little more than one: those that want the same wake together and share their bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import msgspec

from jupyter_faas.core.errors import EventsGone
from jupyter_faas.gateway.events import Event, EventLog, about
from jupyter_faas.wire.sse import KEEP_ALIVE, encode_event

HEARTBEAT_S = 15.0
"""A comment is sent after so long without events: a dead connection is noticed."""

MAX_CALLS = 500
"""Single calls in one batch; of more, the newest are sent."""


SHARED_S = 0.01
"""A batch that was made so shortly before is given to the next reader as it is."""

_KEPT = 16
_Key = tuple[int, str | None, frozenset[str], bool]


class Wish(NamedTuple):
    """What a reader wants."""

    seq: int
    namespace: str | None = None
    functions: frozenset[str] = frozenset()
    max_hz: float = 10.0
    with_calls: bool = False


class Batches:
    """The newest batches as bytes: made once for all readers that want the same.

    Args:
        log: Where the events are.
    """

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self._made: dict[_Key, _Batch] = {}

    def after(
        self, seq: int, wish: Wish, snapshot: Callable[[], dict[str, Any]], now_s: float
    ) -> tuple[bytes, int]:
        """Return what a reader that has read to `seq` gets now, and to where it reaches.

        Args:
            seq: Number of the last event the reader has.
            wish: Filters.
            snapshot: Returns the whole state, with `seq`; for a reader that fell behind.
            now_s: Monotonic seconds.
        """
        key = (seq, wish.namespace, wish.functions, wish.with_calls)
        made = self._made.get(key)
        if made is None or now_s - made.at_s > SHARED_S:
            reached = self.log.seq
            made = self._made[key] = _Batch(now_s, _batch(self.log, wish, seq, snapshot), reached)
            if len(self._made) > _KEPT:
                del self._made[next(iter(self._made))]
        return made.data, made.reached


class _Batch(NamedTuple):
    at_s: float
    data: bytes
    reached: int


async def stream(
    batches: Batches, wish: Wish, snapshot: Callable[[], dict[str, Any]]
) -> AsyncIterator[bytes]:
    """Yield SSE bytes for one reader until it is closed.

    Args:
        batches: Read from `wish.seq` on, which must not be too old.
        wish: Filters and the most batches per second.
        snapshot: Returns the whole state, with `seq`.
    """
    log = batches.log
    leave = log.add_reader(with_calls=wish.with_calls)
    now_s = asyncio.get_running_loop().time
    seq = wish.seq
    try:
        # Bytes at once: the reader sees that it is connected.
        yield b"retry: 1000\n\n"
        while True:
            if not await log.wait(seq, HEARTBEAT_S):
                yield KEEP_ALIVE
                continue
            batch, seq = batches.after(seq, wish, snapshot, now_s())
            if batch:
                yield batch
            await asyncio.sleep(pause_s(now_s(), 1 / wish.max_hz))
    finally:
        leave()


def pause_s(now_s: float, period_s: float) -> float:
    """Return how long a reader waits after a batch: at least a period, and to a whole one.

    Readers of one rate then wait for the same moments, and what they get is made once.
    """
    return 2 * period_s - now_s % period_s if now_s % period_s else period_s


def _batch(log: EventLog, wish: Wish, seq: int, snapshot: Callable[[], dict[str, Any]]) -> bytes:
    try:
        events = log.since(seq, with_calls=wish.with_calls)
    except EventsGone:
        return encode(log.epoch, log.seq, "snapshot", snapshot())
    chosen = list(about(events, wish.namespace, wish.functions))
    calls = [event.seq for event in chosen if event.kind == "call"]
    oldest = calls[-MAX_CALLS] if len(calls) > MAX_CALLS else 0
    kept = (event for event in chosen if event.kind != "call" or event.seq >= oldest)
    return b"".join(_encoded(log.epoch, event) for event in kept)


def _encoded(epoch: str, event: Event) -> bytes:
    value = {
        "seq": event.seq,
        "at": event.at,
        "namespace": event.namespace,
        "function": event.function,
        "id": event.id,
        "value": event.shown,
    }
    return encode(epoch, event.seq, event.kind, value)


def encode(epoch: str, seq: int, kind: str, value: dict[str, Any]) -> bytes:
    """Return one SSE event; its id is `{epoch}.{seq}`, as `Last-Event-ID` and `since` take it."""
    return encode_event(msgspec.json.encode(value), event=kind, id=f"{epoch}.{seq}")


def parse_since(text: str) -> tuple[str, int]:
    """Return epoch (may be empty) and number of `42` or `1f3a.42`.

    Raises:
        ValueError: It is neither.
    """
    epoch, _, number = text.rpartition(".")
    if not (number.isascii() and number.isdigit()):
        raise ValueError(text)
    return epoch, int(number)
