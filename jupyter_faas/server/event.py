"""One event of the gateway on its way to pages: read once, encoded once, told to many."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from jupyter_faas.wire.sse import Event as SseEvent


class Event(NamedTuple):
    """What pages are told, and what the server has to know of it.

    A later event with the same `key` says all that an earlier one did.
    """

    seq: int
    kind: str
    function: str
    key: tuple[str, str, str, str]
    data: bytes
    """JSON object `{seq, kind, at, namespace, function, id, value}`."""


class _Said(msgspec.Struct):
    seq: int
    at: float
    namespace: str
    function: str
    id: str
    value: msgspec.Raw
    kind: str = ""


def read_event(event: SseEvent) -> Event:
    """Return an event of the gateway's stream.

    Raises:
        msgspec.MsgspecError: It is none.
    """
    said = msgspec.json.decode(event.data, type=_Said)
    said.kind = event.event
    key = (said.kind, said.namespace, said.function, said.id)
    return Event(said.seq, said.kind, said.function, key, msgspec.json.encode(said))


class Snapshot(NamedTuple):
    """The state of everything, as the gateway has encoded it."""

    seq: int
    """Events up to here are in it."""
    epoch: str
    data: bytes
    provider: str = ""
    version: str = ""


class _State(msgspec.Struct):
    epoch: str
    seq: int
    provider: str
    version: str


def read_snapshot(data: bytes) -> Snapshot:
    """Return a state of which only the beginning is looked at.

    Raises:
        msgspec.MsgspecError: It is none.
    """
    state = msgspec.json.decode(data, type=_State)
    return Snapshot(state.seq, state.epoch, data, state.provider, state.version)
