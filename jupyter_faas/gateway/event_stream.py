"""The event log as Server-Sent Events: at most so many batches a second.

A reader first gets what came after the number it names, then what happens. One that is too slow
for the ring gets an event `snapshot` with the whole state and goes on from there.
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


class Wish(NamedTuple):
    """What a reader wants."""

    seq: int
    namespace: str | None = None
    functions: frozenset[str] = frozenset()
    max_hz: float = 10.0
    with_calls: bool = False


async def stream(
    log: EventLog, wish: Wish, snapshot: Callable[[], dict[str, Any]]
) -> AsyncIterator[bytes]:
    """Yield SSE bytes for one reader until it is closed.

    Args:
        log: Read from `wish.seq` on, which must not be too old.
        wish: Filters and the most batches per second.
        snapshot: Returns the whole state, with `seq`.
    """
    leave = log.add_reader(with_calls=wish.with_calls)
    seq = wish.seq
    try:
        # Bytes at once: the reader sees that it is connected.
        yield b"retry: 1000\n\n"
        while True:
            if not await log.wait(seq, HEARTBEAT_S):
                yield KEEP_ALIVE
                continue
            reached = log.seq
            batch = _batch(log, wish, seq, snapshot)
            seq = reached
            if batch:
                yield batch
            await asyncio.sleep(1 / wish.max_hz)
    finally:
        leave()


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
