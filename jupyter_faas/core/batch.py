"""Many items in one body: what travels of a map between client, driver and worker.

    u32 length · msgpack head · padding to 64 bytes · payload · payload …

A frame per item would cost more than many an item takes. Payloads are those of `codec.py`, whose
parts are multiples of 64 bytes, so that arrays in them lie as aligned as the body does. Inputs go
one way; outcomes, and what a worker says about items, the other. Neither side trusts the sizes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgspec

from jupyter_faas.core.sections import ALIGNMENT, Buffer

CONTENT_TYPE = "application/vnd.faas.items"
"""Of a call that is a chunk: its arguments are a batch, its items are batches."""

DONE, RAISED, STARTED, GIVEN_BACK = range(4)
"""What is said of an item: its result; its error (msgpack `Fault`); it runs; it was not begun."""

_LENGTH = struct.Struct("<I")
_SMALL_BYTES = 4096
"""Payloads of so many bytes, or fewer, are joined: a part of its own costs more than the copy."""


class BatchError(ValueError):
    """The bytes are no batch."""


class Head(msgspec.Struct, array_like=True):
    """Everything about the items of a batch but their payloads.

    Attributes:
        indices: Of the items, in the map.
        kinds: One byte each, see above; of inputs all `DONE`.
        sizes: Of the payloads, in bytes.
        busy_s: Outcomes: how long the worker has worked since it said so last.
        cpu_s: Outcomes: how much of that it has computed.
        is_exact: Inputs: say of each item that it starts, before it does.
        budget_s: Inputs: give back what has not been begun after so long; 0: never.
    """

    indices: list[int]
    kinds: bytes
    sizes: list[int]
    busy_s: float = 0.0
    cpu_s: float = 0.0
    is_exact: bool = False
    budget_s: float = 0.0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Head).decode


def pack(head: Head, payloads: Sequence[Buffer]) -> list[Buffer]:
    """Return the parts of a batch, to be sent in order; only small payloads are copied."""
    told = _encode(head)
    padding = bytes(-(_LENGTH.size + len(told)) % ALIGNMENT)
    first = b"".join((_LENGTH.pack(len(told)), told, padding))
    if sum(head.sizes) <= _SMALL_BYTES * len(payloads):
        return [b"".join((first, *payloads))]
    return [first, *payloads]


def unpack(body: Buffer) -> tuple[Head, list[memoryview]]:
    """Return head and payloads of a batch; the payloads are views on `body`.

    Raises:
        BatchError: These bytes are no batch.
    """
    view = memoryview(body)
    try:
        end = _LENGTH.size + _LENGTH.unpack_from(view)[0]
        head = _decode(view[_LENGTH.size : end])
    except (struct.error, msgspec.MsgspecError) as error:
        raise BatchError(f"no batch of items: {error}") from error
    at = -(-end // ALIGNMENT) * ALIGNMENT
    count = len(head.indices)
    is_whole = len(view) == at + sum(head.sizes) and min(head.sizes, default=0) >= 0
    if len(head.kinds) != count or len(head.sizes) != count or not is_whole:
        raise BatchError("a batch whose parts do not fit together")
    payloads = []
    for size in head.sizes:
        payloads.append(view[at : at + size])
        at += size
    return head, payloads
