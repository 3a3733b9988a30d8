"""What code refers to: names, modules, environment variables. Pure reading of code objects.

Also decides, for functions and classes, whether another process can import them (by reference)
or must be sent their definition (by value); the rule is cloudpickle's.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

_LOAD_GLOBAL, _EXTENDED_ARG = dis.opmap["LOAD_GLOBAL"], dis.opmap["EXTENDED_ARG"]
_NAME_OPS = frozenset(
    dis.opmap[name]
    for name in ("LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")
    if name in dis.opmap
)
_ATTRIBUTE_OPS = frozenset(("LOAD_ATTR", "LOAD_METHOD"))
_NOISE = frozenset(("CACHE", "PRECALL", "PUSH_NULL", "RESUME", "NOP", "EXTENDED_ARG", "COPY"))


class Import(NamedTuple):
    """One import statement inside a function body."""

    module: str
    level: int
    names: tuple[str, ...]
    is_guarded: bool
    """Inside try/except: the code copes with its absence."""


def importable_name(obj: Any) -> tuple[ModuleType, str] | None:
    """Return module and qualified name under which another process finds this function or class.

    None: it lives in the notebook, inside a function, or has been replaced there since.
    """
    name = getattr(obj, "__qualname__", None) or getattr(obj, "__name__", None)
    module_name = getattr(obj, "__module__", None)
    if name is None or module_name in (None, "__main__", "__mp_main__"):
        return None
    module = sys.modules.get(module_name)
    if module is None or lookup(module, name) is not obj:
        return None
    return module, name


def is_by_value(obj: Any) -> bool:
    """Return whether a function or class must travel with its definition."""
    return importable_name(obj) is None


def lookup(module: ModuleType, qualified_name: str) -> Any:
    """Return the object at a dotted name of a module, or None."""
    found: Any = module
    for part in qualified_name.split("."):
        if part == "<locals>":
            return None
        try:
            found = getattr(found, part)
        except AttributeError:
            return None
    return found


def home_module(function: FunctionType) -> ModuleType | None:
    """Return the importable module whose globals a function uses; None for the notebook's."""
    name = function.__globals__.get("__name__")
    if not isinstance(name, str) or name in ("__main__", "__mp_main__"):
        return None
    module = sys.modules.get(name)
    if module is None or vars(module) is not function.__globals__:
        return None
    return module


@lru_cache(maxsize=4096)
def nested_codes(code: CodeType) -> tuple[CodeType, ...]:
    """Return a code object and every one nested in it, outermost first."""
    found = [code]
    for const in code.co_consts:
        if isinstance(const, CodeType):
            found.extend(nested_codes(const))
    return tuple(found)


@lru_cache(maxsize=4096)
def global_names(code: CodeType) -> tuple[str, ...]:
    """Return the names of globals that code and everything nested in it uses, sorted.

    Names read in the body of a nested class count too: they may be globals.
    """
    return tuple(sorted({name for one in nested_codes(code) for name in _globals_of(one)}))


@lru_cache(maxsize=4096)
def attribute_names(code: CodeType) -> frozenset[str]:
    """Return every name that code may use as an attribute (or global) name."""
    return frozenset(name for one in nested_codes(code) for name in one.co_names)


@lru_cache(maxsize=4096)
def imports(code: CodeType) -> tuple[Import, ...]:
    """Return the import statements in a function body, nested functions included."""
    return tuple(found for one in nested_codes(code) for found in own_imports(one))


@lru_cache(maxsize=4096)
def own_imports(code: CodeType) -> tuple[Import, ...]:
    """Return the import statements of a code object itself."""
    if "IMPORT_NAME" not in {dis.opname[op] for op in set(code.co_code[::2])}:
        return ()
    return tuple(_imports_of(code))


@lru_cache(maxsize=4096)
def environment_reads(code: CodeType) -> tuple[tuple[str, bool], ...]:
    """Return (variable, is required) for each constant name that code reads from the environment.

    Sees `os.environ["X"]`, `os.environ.get("X")`, `os.getenv("X")` and the same without `os.`.
    """
    found: dict[str, bool] = {}
    for one in nested_codes(code):
        for name, is_required in _reads_of(one):
            found[name] = found.get(name, False) or is_required
    return tuple(sorted(found.items()))


def is_same_code(one: CodeType, other: CodeType) -> bool:
    """Return whether two code objects do the same; where they come from does not count."""
    if one.co_code != other.co_code or one.co_names != other.co_names:
        return False
    if len(one.co_consts) != len(other.co_consts):
        return False
    return all(
        is_same_code(a, b)
        if isinstance(a, CodeType) and isinstance(b, CodeType)
        else (type(a) is type(b) and a == b)
        for a, b in zip(one.co_consts, other.co_consts, strict=True)
    )


def stored_attributes(code: CodeType) -> frozenset[str]:
    """Return the attribute names that code assigns to."""
    return frozenset(
        i.argval
        for one in nested_codes(code)
        for i in dis.get_instructions(one)
        if i.opname in ("STORE_ATTR", "DELETE_ATTR")
    )


def _globals_of(code: CodeType) -> Iterator[str]:
    names, extended = code.co_names, 0
    if not names:
        return
    for op, low in zip(code.co_code[::2], code.co_code[1::2], strict=True):
        arg = low | extended
        extended = arg << 8 if op == _EXTENDED_ARG else 0
        if op == _LOAD_GLOBAL:
            yield names[arg >> 1]  # the low bit says whether a NULL is pushed for a call
        elif op in _NAME_OPS:
            yield names[arg]


def _imports_of(code: CodeType) -> Iterator[Import]:
    instructions = list(dis.get_instructions(code))
    guarded = _guarded_ranges(code, instructions)
    for at, instruction in enumerate(instructions):
        if instruction.opname != "IMPORT_NAME":
            continue
        level, fromlist = _import_arguments(instructions[:at])
        offset = instruction.offset
        is_guarded = any(start <= offset < end for start, end in guarded)
        yield Import(instruction.argval, level, fromlist, is_guarded)


def _import_arguments(before: list[dis.Instruction]) -> tuple[int, tuple[str, ...]]:
    constants = [i for i in before[-6:] if i.opname not in _NOISE][-2:]
    values = [i.argval for i in constants]
    level = values[0] if values and isinstance(values[0], int) else 0
    fromlist = values[1] if len(values) > 1 and isinstance(values[1], tuple) else ()
    return level, fromlist


def _guarded_ranges(code: CodeType, instructions: list[dis.Instruction]) -> list[tuple[int, int]]:
    """Return the byte ranges that an `except` clause covers, told from `with` and `finally`."""
    if not code.co_exceptiontable:
        return []
    entries = dis._parse_exception_table(code)  # type: ignore[attr-defined]
    index = {instruction.offset: at for at, instruction in enumerate(instructions)}
    return [
        (entry.start, entry.end)
        for entry in entries
        if _catches(instructions, index.get(entry.target))
    ]


def _catches(instructions: list[dis.Instruction], at: int | None) -> bool:
    if at is None or instructions[at].opname != "PUSH_EXC_INFO":
        return False
    for instruction in instructions[at + 1 : at + 40]:
        if instruction.opname in ("CHECK_EXC_MATCH", "CHECK_EG_MATCH"):
            return True
        if instruction.opname in ("WITH_EXCEPT_START", "RERAISE", "CALL_INTRINSIC_1"):
            return False
        if instruction.opname == "POP_EXCEPT":  # a bare `except:`
            return True
    return False


def _reads_of(code: CodeType) -> Iterator[tuple[str, bool]]:
    if not {"environ", "getenv"} & set(code.co_names):
        return
    steps = [i for i in dis.get_instructions(code) if i.opname not in _NOISE]
    for at, instruction in enumerate(steps):
        if instruction.argval == "getenv" and _is_constant_string(steps, at + 1):
            yield steps[at + 1].argval, False
        elif instruction.argval == "environ":
            yield from _environ_read(steps, at + 1)


def _environ_read(steps: list[dis.Instruction], at: int) -> Iterator[tuple[str, bool]]:
    has_method = at < len(steps) and steps[at].opname in _ATTRIBUTE_OPS
    if has_method and steps[at].argval not in ("get", "pop", "setdefault"):
        return
    if _is_constant_string(steps, at + has_method):
        following = steps[at + 1].opname if at + 1 < len(steps) else ""
        is_item = not has_method and following.startswith("BINARY_")
        if has_method or is_item:
            yield steps[at + has_method].argval, is_item


def _is_constant_string(steps: list[dis.Instruction], at: int) -> bool:
    return at < len(steps) and steps[at].opname == "LOAD_CONST" and type(steps[at].argval) is str
