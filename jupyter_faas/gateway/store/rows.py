"""Invocation records as rows: how the store keeps a group of them in one value.

A row is a tuple in the order of `InvocationRecord`'s fields. New fields of the record go at its
end, with a default, so that rows written by an older version stay readable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from jupyter_faas.core.model import InvocationRecord, Outcome

InvocationRow = tuple[Any, ...]
"""`(id, function, namespace, revision, …)`: the fields of `InvocationRecord` in their order, all of
them or, as an older version wrote it, the first ones. A plain tuple: one is made for each call."""

FIELDS: tuple[str, ...] = InvocationRecord.__struct_fields__
_NAMESPACE, _FUNCTION = FIELDS.index("namespace"), FIELDS.index("function")
_OUTCOME = FIELDS.index("outcome")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[tuple[Any, ...]])


def row_of(record: InvocationRecord) -> InvocationRow:
    """Return a record as a row."""
    return msgspec.structs.astuple(record)


def record_of(row: InvocationRow) -> InvocationRecord:
    """Return a row as a record."""
    values = dict(zip(FIELDS, row, strict=False))
    values["outcome"] = Outcome(row[_OUTCOME])
    return InvocationRecord(**values)


def is_of(row: InvocationRow, namespace: str, name: str | None) -> bool:
    """Return whether a row belongs to a namespace and, if named, a function."""
    return row[_NAMESPACE] == namespace and name in (None, row[_FUNCTION])


def functions_of(rows: Sequence[InvocationRow]) -> set[tuple[str, str]]:
    """Return the functions that rows are of, by (namespace, name)."""
    return {(row[_NAMESPACE], row[_FUNCTION]) for row in rows}


def encode_rows(rows: Sequence[InvocationRow]) -> bytes:
    """Return rows as one msgpack document."""
    return _encoder.encode(rows)


def decode_rows(blob: bytes) -> list[InvocationRow]:
    """Return the rows of `encode_rows`."""
    return _decoder.decode(blob)
