"""Payloads: arguments, results and exceptions on their way between notebook and runner.

A payload is sections (core/sections.py): a pickle of protocol 5, then its out-of-band buffers,
which are neither copied nor joined. Classes of the notebook go by reference with their definition
as fallback (core/classdata.py), so they come out as the reader's own classes. Functions of the
notebook go by value.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Container
from typing import Any, NoReturn

from jupyter_faas.core.classdata import by_reference
from jupyter_faas.core.classes import ClassTable
from jupyter_faas.core.culprit import can_pickle, not_serializable
from jupyter_faas.core.errors import NotSerializable
from jupyter_faas.core.pickling import PROTOCOL, ByValuePickler, Chunks, TableUnpickler, reader
from jupyter_faas.core.sections import Buffer, pack, pack_small, unpack, unpack_small

__all__ = [
    "ATOMS",
    "NOTEBOOK",
    "NOT_PLAIN",
    "ClassTable",
    "dumps",
    "dumps_call",
    "dumps_exception",
    "dumps_refusal",
    "loads",
    "loads_plain",
]

_IN_BAND_BYTES = 16 * 1024
"""Smaller buffers stay in the pickle: a section costs more than the copy."""

_MAX_CAUSES = 8

_NUMBERS: frozenset[type] = frozenset((int, float, bool, type(None)))
ATOMS: frozenset[type] = _NUMBERS | {str}
"""Types of values that stay what they are, and are pickled without any code of theirs."""
_MOST_MEMBERS = 8
_MOST_CHARACTERS = 1024
_PLAIN_BYTES = 256
_SMALL_BYTES = 512
_IS_SPECIAL = re.compile(rb"[ciPQ\x82-\x84\x93\x97\x98]").search
"""The opcodes for classes, functions, references and buffers, or bytes of a value that look alike.

A pickle without any is numbers, text and containers of them, and needs no table."""

NOT_PLAIN = object()
"""Returned for a payload that needs more than `loads_plain`."""

NOTEBOOK = ClassTable("__main__")
"""The table of a process that is itself the notebook (or script)."""


def dumps(
    value: Any,
    *,
    classes: ClassTable | None = None,
    known: Container[str] = frozenset(),
    root: str = "value",
) -> list[Buffer]:
    """Return the parts of a payload, to be sent in order.

    Args:
        value: Anything; arguments are `(args, kwargs)`.
        classes: The table of this process; None: the notebook's.
        known: Digests of classes that the reader has: they go without definition.
        root: What to call `value` in an error, e.g. `result`.

    Raises:
        NotSerializable: Something in it cannot be pickled; the text names the path to it.
    """
    table = NOTEBOOK if classes is None else classes
    try:
        return _dump(value, table, known, is_optional=not table.is_notebook)
    except Exception as exc:
        raise not_serializable(value, root, exc) from exc


def dumps_call(
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    classes: ClassTable | None = None,
    known: Container[str] = frozenset(),
) -> list[Buffer]:
    """Return the payload of a call's arguments: `dumps((args, kwargs))`, with better errors.

    Raises:
        NotSerializable: An argument cannot be pickled; it is named by number or keyword.
    """
    table = NOTEBOOK if classes is None else classes
    try:
        return _dump((args, kwargs), table, known, is_optional=False)
    except Exception as exc:
        named = {f"argument {at}": value for at, value in enumerate(args, 1)}
        named.update((f"argument {name}", value) for name, value in kwargs.items())
        for root, value in named.items():
            if not can_pickle(value):
                raise not_serializable(value, root, exc) from exc
        raise not_serializable((args, kwargs), "arguments", exc) from exc


def dumps_refusal(text: str) -> list[Buffer]:
    """Return the payload of arguments that cannot be sent: loading it raises `NotSerializable`.

    For one item among many: it fails in its place, by the same way as what the function raises.
    """
    return dumps(_Refusal(text))


class _Refusal:
    def __init__(self, text: str) -> None:
        self._text = text

    def __reduce__(self) -> Any:
        return _refuse, (self._text,)


def _refuse(text: str) -> NoReturn:
    raise NotSerializable(text)


def loads(payload: Buffer, *, classes: ClassTable | None = None) -> Any:
    """Return the value of a payload.

    Arrays come out writable. A writable `payload` (bytearray, private mapping) is used in place,
    without copying; out of a read-only one (bytes) each large buffer is copied once.

    Raises:
        sections.SectionError: These bytes are no payload.
        NotSerializable: It names a class of a notebook that is unknown here, without definition.
        Exception: What unpickling raises: a missing module, a constructor that fails.
    """
    value = loads_plain(payload)
    if value is not NOT_PLAIN:
        return value
    head, *buffers = unpack(payload)
    if buffers and buffers[0].readonly:
        buffers = [memoryview(bytearray(buffer)) for buffer in buffers]
    table = NOTEBOOK if classes is None else classes
    return TableUnpickler(reader(head), table, buffers).load()


def loads_plain(payload: Buffer) -> Any:
    """Return the value of a small payload of numbers, text and containers, else `NOT_PLAIN`.

    No class is looked up and no code runs: it may be read before it is its turn.
    """
    if len(payload) <= _SMALL_BYTES:
        only = unpack_small(payload)
        if only is not None and len(only) <= _PLAIN_BYTES and not _IS_SPECIAL(only):
            return pickle.loads(only)  # noqa: S301 — what `loads` does too, for no classes
    return NOT_PLAIN


def dumps_exception(
    exc: BaseException, *, classes: ClassTable | None = None
) -> list[Buffer] | None:
    """Return the payload of an exception with its notes and causes, or None.

    None: it cannot be pickled, or what comes out is not the same exception (tried here): its
    caller then gets a `RemoteError` with the text. `loads` gives the exception itself.
    """
    table = NOTEBOOK if classes is None else classes
    try:
        parts = _dump(_Raised(exc, table), table, frozenset(), is_optional=True)
        again = loads(b"".join(parts), classes=table)
    except Exception:
        return None
    return parts if type(again) is type(exc) and str(again) == str(exc) else None


def rebuild_raised(
    exc: BaseException,
    cause: BaseException | None,
    context: BaseException | None,
    is_suppressed: bool,
) -> BaseException:
    """Return an exception with what it came from; named in payloads."""
    exc.__cause__ = cause
    exc.__context__ = context
    exc.__suppress_context__ = is_suppressed
    return exc


class _Raised:
    """An exception on its way: `pickle` alone would drop its cause and context."""

    def __init__(self, exc: BaseException, table: ClassTable, depth: int = 0) -> None:
        self._exc, self._table, self._depth = exc, table, depth

    def __reduce__(self) -> Any:
        exc = self._exc
        cause, context = self._link(exc.__cause__), self._link(exc.__context__)
        return rebuild_raised, (exc, cause, context, exc.__suppress_context__)

    def _link(self, exc: BaseException | None) -> _Raised | None:
        if exc is None or self._depth >= _MAX_CAUSES:
            return None
        link = _Raised(exc, self._table, self._depth + 1)
        try:
            loads(b"".join(_dump(exc, self._table, frozenset(), True)), classes=self._table)
        except Exception:
            return None
        return link


def _dump(value: Any, table: ClassTable, known: Container[str], is_optional: bool) -> list[Buffer]:
    if _is_plain(value, 2):
        return pack_small(pickle.dumps(value, PROTOCOL))
    chunks, buffers = Chunks(), []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < _IN_BAND_BYTES:
            return True
        buffers.append([raw])
        return False

    reducer = by_reference(table, known, is_optional=is_optional)
    ByValuePickler(chunks, reducer, keep).dump(value)
    return pack([chunks, *buffers])


def _is_plain(value: Any, depth: int) -> bool:
    """Return whether nothing in a small value can be a class, a function or a buffer.

    With our pickler it takes six times as long, and most arguments, results and items of
    generators are of this kind.
    """
    kind = type(value)
    if kind in ATOMS:
        return kind is not str or len(value) <= _MOST_CHARACTERS
    if not depth or kind not in (tuple, list, dict) or len(value) > _MOST_MEMBERS:
        return False
    if kind is dict:
        for key in value:
            if type(key) not in ATOMS:
                return False
        value = value.values()
    for member in value:  # not `all` of a generator, which costs more than what it asks
        if type(member) not in _NUMBERS and not _is_plain(member, depth - 1):
            return False
    return True
