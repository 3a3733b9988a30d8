"""A digest of live objects that is equal in every process for what is equally defined.

Pickles of one and the same cell differ from process to process (identity of strings, order of
sets, file names of cells); this walks the objects themselves: bytecode, constants, names,
defaults, closures, captured values, classes by value. File names, line numbers and comments do
not count. Sharing and cycles of mutable objects do (core/walk.py).
"""

from __future__ import annotations

import dis
import enum
import typing
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType
from typing import Any

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
from jupyter_faas.core.walk import Walk, is_constant, room_to_recurse

_CODE_FIELDS = (
    *("co_name", "co_qualname", "co_argcount", "co_posonlyargcount", "co_kwonlyargcount"),
    *("co_flags", "co_code", "co_names", "co_varnames", "co_freevars", "co_cellvars"),
    "co_exceptiontable",
)


def digest_of(value: Any) -> str:
    """Return the canonical digest of a value, functions and classes followed to their end."""
    walk = Canonical()
    with room_to_recurse():
        walk.add(value)
    return walk.hexdigest()


def class_digest(cls: type) -> str:
    """Return the digest of a class's own definition.

    What its methods refer to outside the class does not count, nor do attributes that they
    assign to (counters): the class statement is what makes two classes the same.
    """
    walk = Canonical(is_shallow=True)
    walk.add_class(cls)
    return walk.hexdigest()


class Canonical(Walk):
    """Adds definitions and objects to what `Walk` knows.

    Args:
        is_shallow: Do not follow what functions refer to, and name other classes only.
        memo: What another walk has seen.
    """

    def __init__(self, *, is_shallow: bool = False, memo: dict[int, int] | None = None) -> None:
        super().__init__(memo)
        self._is_shallow = is_shallow

    def fork(self) -> Canonical:
        """Return a walk that knows what this one has seen."""
        return Canonical(is_shallow=self._is_shallow, memo=dict(self._memo))

    def add_other(self, value: Any) -> None:
        """Add a class, a module, a handle or an instance."""
        if isinstance(value, type):
            self._add_type(value)
        elif isinstance(value, ModuleType):
            self._add_module(value)
        elif hasattr(type(value), "__faas_handle__"):
            self._add_handle(value)
        else:
            self._add_instance(value)

    def add_class(self, cls: type) -> None:
        """Add a class by its definition."""
        if not self.is_first(cls):
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
            self.add_items("consts", code.co_consts)

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
        elif self.is_first(function):
            self._add_by_value(function)

    def _add_by_value(self, function: FunctionType) -> None:
        self.put("function", function.__qualname__.encode())
        self.add_code(function.__code__)
        self.add(function.__defaults__)
        self.add(function.__kwdefaults__)
        self.add_named("annotation", function.__annotations__)
        self.add_named("own", vars(function))
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

    def _add_cell(self, cell: CellType) -> None:
        if not self.is_first(cell):
            return
        try:
            content = cell.cell_contents
        except ValueError:
            self.put("empty")
            return
        if (
            self._is_shallow
            and not isinstance(content, FunctionType | type)
            and not is_constant(content)
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
                self.is_first(cls)
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

    def _add_module(self, module: ModuleType) -> None:
        self.put("module", module.__name__.encode())

    def _add_handle(self, handle: Any) -> None:
        if self.is_first(handle):
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
        if not self.is_first(value):
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
        self.add_items("args", args)
        if type(state) is dict and all(type(name) is str for name in state):
            self.add_named("state", state)
        else:
            self.add(state)
        if items is not None:
            self.add_items("items", list(items))
        if pairs is not None:
            pairs = list(pairs)
            self.add_pairs("pairs", pairs, len(pairs))

    def _add_builtin(self, function: Any) -> None:
        owner = function.__self__
        if owner is None or isinstance(owner, ModuleType):
            self.put("builtin", f"{function.__module__}:{function.__qualname__}".encode())
        else:
            self.put("method", function.__name__.encode())
            self.add(owner)


Canonical.writers = {
    **Walk.writers,
    CodeType: Canonical.add_code,
    FunctionType: Canonical._add_function,
    CellType: Canonical._add_cell,
    typing.TypeVar: Canonical._add_typevar,
    BuiltinFunctionType: Canonical._add_builtin,
}


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
