"""Feeds a digest with plain data: atoms, containers, arrays, buffers. Sharing and cycles count.

Equal data, equal digest in every process: sets are sorted, constants are not told apart by
identity, every mutable object is numbered at its first sight. What is not data is added by the
subclass in core/canonical.py.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from types import CodeType
from typing import Any, ClassVar, Self

import msgspec

ATOMS: frozenset[type] = frozenset(
    (int, float, str, bytes, bool, type(None), complex, type(Ellipsis))
)
_FLAT = frozenset((int, float, str, bytes, bool, type(None)))
_RECURSION_LIMIT = 10_000
_BULK = 64
"""Containers with more elements than this are tried as plain data first."""

Writer = Callable[[Any, Any], None]


@contextmanager
def room_to_recurse() -> Iterator[None]:
    """Let a walk go deeper than pickle does, whose levels take fewer frames than ours."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _RECURSION_LIMIT))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


class Walk:
    """Feeds one digest with objects."""

    writers: ClassVar[dict[type, Writer]]

    def __init__(self, memo: dict[int, int] | None = None) -> None:
        self._hash = hashlib.sha256()
        self._memo: dict[int, int] = {} if memo is None else memo
        self._kept: list[Any] = []

    def hexdigest(self) -> str:
        """Return the digest of everything added so far."""
        return self._hash.hexdigest()

    def add(self, value: Any) -> None:
        """Add one object."""
        kind = type(value)
        writer = self.writers.get(kind)
        if writer is not None:
            writer(self, value)
        elif kind.__module__ == "numpy" and kind.__name__ == "ndarray":
            self._add_array(value)
        else:
            self.add_other(value)

    def add_other(self, value: Any) -> None:
        """Add what is no plain data."""
        raise NotImplementedError(type(value).__qualname__)

    def fork(self) -> Self:
        """Return a walk that knows what this one has seen, for one element of a set."""
        return type(self)(memo=dict(self._memo))

    def put(self, tag: str, content: bytes | memoryview = b"") -> None:
        """Add raw content under a tag; unambiguous, since its length goes first."""
        size = content.nbytes if isinstance(content, memoryview) else len(content)
        self._hash.update(f"{tag}{size}:".encode())
        self._hash.update(content)

    def is_first(self, value: Any) -> bool:
        """Return whether `value` is seen for the first time; else its number is added."""
        number = self._memo.get(id(value))
        if number is not None:
            self.put("again", str(number).encode())
            return False
        self._memo[id(value)] = len(self._memo)
        self._kept.append(value)  # a freed object's id would be given to another one
        return True

    def _add_atom(self, value: Any) -> None:
        self.put(type(value).__name__, repr(value).encode("utf-8", "surrogatepass"))

    def _add_bytes(self, value: bytes) -> None:
        self.put("bytes", value)

    def _add_bytearray(self, value: bytearray) -> None:
        if self.is_first(value):
            self.put("bytearray", bytes(value))

    def _add_buffer(self, value: Any) -> None:
        raw = value.raw() if isinstance(value, pickle.PickleBuffer) else memoryview(value.tobytes())
        self.put("buffer", raw)

    def _add_tuple(self, value: tuple[Any, ...]) -> None:
        # Not numbered when constant: whether two equal constants are one object is chance.
        if is_constant(value) or self.is_first(value):
            self.add_items("tuple", value)

    def _add_list(self, value: list[Any]) -> None:
        if self.is_first(value):
            self.add_items("list", value)

    def add_items(self, tag: str, items: Any) -> None:
        """Add a sequence of objects."""
        if len(items) > _BULK and (plain := _plain_bytes(items)) is not None:
            self.put(tag + "!", plain)
            return
        self.put(tag, str(len(items)).encode())
        for item in items:
            self.add(item)

    def _add_dict(self, value: dict[Any, Any]) -> None:
        if not self.is_first(value):
            return
        if len(value) > _BULK and (plain := _plain_bytes(list(value.items()))) is not None:
            self.put("dict!", plain)
            return
        self.add_pairs("dict", value.items(), len(value))

    def add_pairs(self, tag: str, pairs: Iterable[tuple[Any, Any]], count: int) -> None:
        """Add `count` pairs of objects."""
        self.put(tag, str(count).encode())
        for key, item in pairs:
            self.add(key)
            self.add(item)

    def _add_set(self, value: Any) -> None:
        if type(value) is set and not self.is_first(value):
            return
        self.put(type(value).__name__, str(len(value)).encode())
        for item in _sorted_atoms(value) or sorted(map(self._apart, value)):
            self.put("item", item)

    def _apart(self, value: Any) -> bytes:
        walk = self.fork()
        walk.add(value)
        self._kept.append(walk)
        return walk._hash.digest()

    def add_named(self, tag: str, values: dict[str, Any]) -> None:
        """Add named objects; their order does not count."""
        for name in sorted(values):
            self.put(tag, name.encode())
            self.add(values[name])

    def _add_array(self, array: Any) -> None:
        if not self.is_first(array):
            return
        self.put("array", repr((array.shape, array.dtype.descr)).encode())
        if array.dtype.hasobject:
            self.add_items("objects", array.ravel().tolist())
        else:
            fortran = array.flags.f_contiguous and not array.flags.c_contiguous
            self.put("fortran" if fortran else "c", _bytes_of(array))


Walk.writers = {
    **{kind: Walk._add_atom for kind in ATOMS if kind is not bytes},
    bytes: Walk._add_bytes,
    bytearray: Walk._add_bytearray,
    memoryview: Walk._add_buffer,
    pickle.PickleBuffer: Walk._add_buffer,
    tuple: Walk._add_tuple,
    list: Walk._add_list,
    dict: Walk._add_dict,
    set: Walk._add_set,
    frozenset: Walk._add_set,
}


def is_constant(value: Any) -> bool:
    """Return whether a value is an atom, or a tuple or frozenset of such."""
    kind = type(value)
    if kind is tuple or kind is frozenset:
        return all(is_constant(item) for item in value)
    return kind in ATOMS or kind is CodeType


def _sorted_atoms(items: Any) -> list[bytes] | None:
    """Return the sorted encodings of a set of atoms; None if it has others."""
    if not set(map(type, items)) <= _FLAT:
        return None
    try:
        return sorted(map(msgspec.msgpack.encode, items))
    except (OverflowError, UnicodeError, ValueError):
        return None


def _plain_bytes(items: Any) -> bytes | None:
    """Return the bytes of long plain data: atoms, or rows (all of one type) of atoms; else None.

    Ten times as fast as the walk. Rows that occur twice go the long way, where sharing is seen.
    """
    kinds = set(map(type, items))
    inner = b""
    if len(kinds) == 1 and kinds <= {tuple, list, dict}:
        (row_kind,) = kinds
        if row_kind is not tuple and len(set(map(id, items))) < len(items):
            return None
        inner = row_kind.__name__.encode()
        kinds = set(map(type, chain.from_iterable(items)))
        if row_kind is dict:
            kinds |= set(map(type, chain.from_iterable(map(dict.values, items))))
    if not kinds <= _FLAT:
        return None
    try:
        return inner + msgspec.msgpack.encode(items)
    except (OverflowError, UnicodeError, ValueError, TypeError):
        return None


def _bytes_of(array: Any) -> bytes | memoryview:
    """Return the elements of an array in C order, without a copy if they lie so."""
    if array.flags.c_contiguous and array.size:
        return memoryview(array.reshape(-1).view("u1"))
    return bytes(array.tobytes(order="C"))
