"""A digest of live objects that is equal in every process for what is equally defined.

Pickles of one and the same cell differ from process to process (identity of strings, order of
sets, file names of cells); this walks the objects themselves: bytecode, constants, names,
defaults, closures, captured values, classes by value. File names, line numbers and comments do
not count. Sharing and cycles of mutable objects do: each is numbered at its first sight.
"""

from __future__ import annotations

import dis
import enum
import hashlib
import pickle
import sys
import typing
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType
from typing import Any

import msgspec

from jupyter_faas.core import definition
from jupyter_faas.core.functions import captured_globals
from jupyter_faas.core.pickling import dispatch_table
from jupyter_faas.core.reducers import stand_in
from jupyter_faas.core.references import (
    global_names,
    home_module,
    importable_name,
    stored_attributes,
)

ATOMS: frozenset[type] = frozenset(
    (int, float, str, bytes, bool, type(None), complex, type(Ellipsis))
)
_FLAT = frozenset((int, float, str, bytes, bool, type(None)))
_RECURSION_LIMIT = 10_000
_BULK = 64
"""Containers with more elements than this are tried as plain data first."""
_CODE_FIELDS = (
    *("co_name", "co_qualname", "co_argcount", "co_posonlyargcount", "co_kwonlyargcount"),
    *("co_flags", "co_code", "co_names", "co_varnames", "co_freevars", "co_cellvars"),
    "co_exceptiontable",
)


def digest_of(value: Any) -> str:
    """Return the canonical digest of a value, functions and classes followed to their end."""
    walk = Walk()
    with room_to_recurse():
        walk.add(value)
    return walk.hexdigest()


@contextmanager
def room_to_recurse() -> Iterator[None]:
    """Let a walk go deeper than pickle does, whose levels take fewer frames than ours."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _RECURSION_LIMIT))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def class_digest(cls: type) -> str:
    """Return the digest of a class's own definition.

    What its methods refer to outside the class does not count, nor do attributes that they
    assign to (counters): the class statement is what makes two classes the same.
    """
    walk = Walk(is_shallow=True)
    walk.add_class(cls)
    return walk.hexdigest()


class Walk:
    """Feeds one digest with objects.

    Args:
        is_shallow: Do not follow what functions refer to, and name other classes only.
        seen_module: Called with each module that is referred to.
    """

    def __init__(
        self,
        *,
        is_shallow: bool = False,
        seen_module: Callable[[ModuleType], None] | None = None,
        memo: dict[int, int] | None = None,
    ) -> None:
        self._hash = hashlib.sha256()
        self._is_shallow = is_shallow
        self._seen_module = seen_module
        self._memo: dict[int, int] = {} if memo is None else memo
        self._kept: list[Any] = []

    def hexdigest(self) -> str:
        """Return the digest of everything added so far."""
        return self._hash.hexdigest()

    def add(self, value: Any) -> None:
        """Add one object."""
        kind = type(value)
        writer = _WRITERS.get(kind)
        if writer is not None:
            writer(self, value)
        elif isinstance(value, type):
            self._add_type(value)
        elif kind.__module__ == "numpy" and kind.__name__ == "ndarray":
            self._add_array(value)
        elif isinstance(value, ModuleType):
            self._add_module(value)
        elif hasattr(kind, "__faas_handle__"):
            self._add_handle(value)
        else:
            self._add_instance(value)

    def put(self, tag: str, content: bytes | memoryview = b"") -> None:
        """Add raw content under a tag; unambiguous, since its length goes first."""
        size = content.nbytes if isinstance(content, memoryview) else len(content)
        self._hash.update(f"{tag}{size}:".encode())
        self._hash.update(content)

    def add_class(self, cls: type) -> None:
        """Add a class by its definition."""
        if not self._is_first(cls):
            return
        parts = definition.parts_of(cls)
        self.put("class", f"{cls.__module__}:{cls.__qualname__}".encode())
        self.add(parts.metaclass)
        self.put("bases", str(len(parts.bases)).encode())
        for base in parts.bases:
            self._add_base(base)
        self.add(parts.seed.get("__slots__"))
        self.add(parts.members)
        ignored = _assigned_by(parts.state) if self._is_shallow else frozenset()
        for name in sorted(parts.state):
            if name not in ignored:
                self.put("attribute", name.encode())
                self.add(parts.state[name])

    def _is_first(self, value: Any) -> bool:
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
        if self._is_first(value):
            self.put("bytearray", bytes(value))

    def _add_buffer(self, value: Any) -> None:
        raw = value.raw() if isinstance(value, pickle.PickleBuffer) else memoryview(value.tobytes())
        self.put("buffer", raw)

    def _add_tuple(self, value: tuple[Any, ...]) -> None:
        # Not numbered when constant: whether two equal constants are one object is chance.
        if _is_constant(value) or self._is_first(value):
            self._add_items("tuple", value)

    def _add_list(self, value: list[Any]) -> None:
        if self._is_first(value):
            self._add_items("list", value)

    def _add_items(self, tag: str, items: Any) -> None:
        if len(items) > _BULK and (plain := _plain_bytes(items)) is not None:
            self.put(tag + "!", plain)
            return
        self.put(tag, str(len(items)).encode())
        for item in items:
            self.add(item)

    def _add_dict(self, value: dict[Any, Any]) -> None:
        if not self._is_first(value):
            return
        if len(value) > _BULK and (plain := _plain_bytes(list(value.items()))) is not None:
            self.put("dict!", plain)
            return
        self._add_pairs("dict", value.items(), len(value))

    def _add_pairs(self, tag: str, pairs: Iterable[tuple[Any, Any]], count: int) -> None:
        self.put(tag, str(count).encode())
        for key, item in pairs:
            self.add(key)
            self.add(item)

    def _add_set(self, value: Any) -> None:
        if type(value) is set and not self._is_first(value):
            return
        self.put(type(value).__name__, str(len(value)).encode())
        for digest in sorted(self._apart(item) for item in value):
            self.put("item", digest)

    def _apart(self, value: Any) -> bytes:
        walk = Walk(
            is_shallow=self._is_shallow, seen_module=self._seen_module, memo=dict(self._memo)
        )
        walk.add(value)
        self._kept.append(walk)
        return walk._hash.digest()

    def add_code(self, code: CodeType) -> None:
        """Add a code object by what it does; its file and lines do not count."""
        is_class_body = "__firstlineno__" in code.co_names  # since Python 3.13 a constant in it
        for field in _CODE_FIELDS:
            if field == "co_code" and is_class_body:
                self._add_steps(code)
                continue
            content = getattr(code, field)
            self.put(field, content if isinstance(content, bytes) else repr(content).encode())
        if not is_class_body:
            self._add_items("consts", code.co_consts)

    def _add_steps(self, code: CodeType) -> None:
        """Add a class body by its instructions, without what depends on lines and hash seeds."""
        steps = [i for i in dis.get_instructions(code) if i.opname != "EXTENDED_ARG"]
        stored = [step.argval for step in steps[1:]] + [None]
        for step, following in zip(steps, stored, strict=True):
            if following in ("__firstlineno__", "__static_attributes__"):
                continue
            self.put("step", step.opname.encode())
            if step.opcode in dis.hasconst:
                self.add(step.argval)
            elif step.arg is not None:
                self.put("arg", str(step.arg).encode())

    def _add_function(self, function: FunctionType) -> None:
        reduced = stand_in(function)
        if reduced is not None:
            self._add_reduced(reduced)
        elif (found := importable_name(function)) is not None:
            self._add_reference("function", found)
        elif self._is_first(function):
            self._add_by_value(function)

    def _add_by_value(self, function: FunctionType) -> None:
        self.put("function", function.__qualname__.encode())
        self.add_code(function.__code__)
        self.add(function.__defaults__)
        self.add(function.__kwdefaults__)
        self._add_named("annotation", function.__annotations__)
        self._add_named("own", vars(function))
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            self.put("free", name.encode())
            self._add_cell(cell)
        home = home_module(function)
        if home is not None:
            self._add_module(home)
        elif not self._is_shallow:
            self._add_globals(function)

    def _add_globals(self, function: FunctionType) -> None:
        captured = captured_globals(function)
        for name in global_names(function.__code__):
            self.put("global" if name in captured else "unbound", name.encode())
            if name in captured:
                self.add(captured[name])

    def _add_named(self, tag: str, values: dict[str, Any]) -> None:
        for name in sorted(values):
            self.put(tag, name.encode())
            self.add(values[name])

    def _add_cell(self, cell: CellType) -> None:
        if not self._is_first(cell):
            return
        try:
            content = cell.cell_contents
        except ValueError:
            self.put("empty")
            return
        if (
            self._is_shallow
            and not isinstance(content, FunctionType | type)
            and not _is_constant(content)
        ):
            self.put("cell", type(content).__qualname__.encode())
        else:
            self.add(content)

    def _add_type(self, cls: type) -> None:
        found = importable_name(cls)
        if found is not None:
            self._add_reference("class", found)
        elif cls.__module__ in ("builtins", "types") or self._is_shallow:
            if id(cls) in self._memo:
                self._is_first(cls)
            else:
                self.put("type", f"{cls.__module__}:{cls.__qualname__}".encode())
        else:
            self.add_class(cls)

    def _add_base(self, base: Any) -> None:
        if isinstance(base, type) and importable_name(base) is None:
            self.add_class(base)
        else:
            self.add(base)

    def _add_reference(self, tag: str, found: tuple[ModuleType, str]) -> None:
        module, name = found
        self.put(f"{tag} of", f"{module.__name__}:{name}".encode())
        if self._seen_module is not None:
            self._seen_module(module)

    def _add_module(self, module: ModuleType) -> None:
        self.put("module", module.__name__.encode())
        if self._seen_module is not None:
            self._seen_module(module)

    def _add_array(self, array: Any) -> None:
        if not self._is_first(array):
            return
        self.put("array", repr((array.shape, array.dtype.descr)).encode())
        if array.dtype.hasobject:
            self._add_items("objects", array.ravel().tolist())
        else:
            fortran = array.flags.f_contiguous and not array.flags.c_contiguous
            self.put("fortran" if fortran else "c", _bytes_of(array))

    def _add_handle(self, handle: Any) -> None:
        if self._is_first(handle):
            self._add_reduced(handle.__faas_handle__())

    def _add_typevar(self, variable: typing.TypeVar) -> None:
        self.put("typevar", variable.__name__.encode())
        self.add(variable.__bound__)
        self.add(variable.__constraints__)

    def _add_instance(self, value: Any) -> None:
        if isinstance(value, enum.Enum):
            self.add(type(value))
            self.put("member", str(value._name_).encode())
            return
        if not self._is_first(value):
            return
        reduced = _reduce(value)
        if isinstance(reduced, str):
            module = getattr(value, "__module__", None) or ""
            self.put("name", f"{module}:{reduced}".encode())
            return
        self._add_reduced(reduced)

    def _add_reduced(self, reduced: tuple[Any, ...]) -> None:
        make, args, *rest = reduced
        state, items, pairs = (*rest, None, None, None)[:3]
        self.put("reduced")
        self.add(make)
        self._add_items("args", args)
        if type(state) is dict and all(type(name) is str for name in state):
            self._add_named("state", state)
        else:
            self.add(state)
        if items is not None:
            self._add_items("items", list(items))
        if pairs is not None:
            pairs = list(pairs)
            self._add_pairs("pairs", pairs, len(pairs))


def _add_builtin(walk: Walk, function: Any) -> None:
    owner = function.__self__
    if owner is None or isinstance(owner, ModuleType):
        walk.put("builtin", f"{function.__module__}:{function.__qualname__}".encode())
    else:
        walk.put("method", function.__name__.encode())
        walk.add(owner)


_WRITERS: dict[type, Callable[[Walk, Any], None]] = {
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
    CodeType: Walk.add_code,
    FunctionType: Walk._add_function,
    CellType: Walk._add_cell,
    typing.TypeVar: Walk._add_typevar,
    BuiltinFunctionType: _add_builtin,
}


def _is_constant(value: Any) -> bool:
    """Return whether a value is an atom, or a tuple or frozenset of such."""
    kind = type(value)
    if kind is tuple or kind is frozenset:
        return all(_is_constant(item) for item in value)
    return kind in ATOMS or kind is CodeType


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


def _reduce(value: Any) -> Any:
    reduced = stand_in(value)
    if reduced is None:
        reducer = dispatch_table().get(type(value))
        return reducer(value) if reducer is not None else value.__reduce_ex__(5)
    return reduced


def _assigned_by(state: dict[str, Any]) -> frozenset[str]:
    names: frozenset[str] = frozenset()
    for value in state.values():
        function = getattr(value, "__func__", value)
        if isinstance(function, FunctionType):
            names |= stored_attributes(function.__code__)
    return frozenset(name for name in names if not callable(state.get(name)))
