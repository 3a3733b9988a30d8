"""Source of local modules: as this process runs it, and what is read from it."""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from jupyter_faas.core.references import is_same_code

MAX_SOURCE_BYTES = 4 << 20


class Source(NamedTuple):
    """Text of a module."""

    text: str
    is_edited: bool
    """It is not what runs here: the file was edited after the import and not reloaded."""


class ParsedSource(NamedTuple):
    """What is read from the source of a module."""

    code: CodeType
    literals: dict[str, Any]
    """Names bound once at top level to a plain literal, with its value."""


class _Read(NamedTuple):
    spec: Any
    stamp: tuple[int, int]
    source: Source


_READ: dict[str, _Read] = {}
"""What was read of loaded modules; valid for the spec object of one (re)load."""


@lru_cache(maxsize=512)
def parse(source: str) -> ParsedSource:
    """Return a module's code and its literal assignments."""
    tree = ast.parse(source)
    bound: dict[str, list[Any]] = {}
    for node in tree.body:
        for name, value in _assignments(node):
            bound.setdefault(name, []).append(value)
    literals = {
        name: values[0]
        for name, values in bound.items()
        if len(values) == 1 and values[0] is not ast
    }
    return ParsedSource(compile(tree, "<module>", "exec", dont_inherit=True), literals)


def read_source(name: str, origin: str) -> Source | None:
    """Return the source of a module as this process runs it; None: it has none.

    A file that is edited after the first capture keeps the source that runs here until the module
    is reloaded (or patched in place, as IPython's autoreload does).
    """
    if not origin.endswith((".py", ".pyw")):
        return None
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    known = _READ.get(name)
    if known is not None and (spec is None or known.spec is not spec):
        known = None
    try:
        stamp = stamp_of(origin)
        if known is not None and (known.stamp == stamp or not _is_patched(module, known, origin)):
            return known.source
        text = _text(origin)
        parse(text)
    except (OSError, UnicodeError, SyntaxError):
        return known.source if known is not None else None
    source = Source(text, module is not None and not _runs(module, text))
    if spec is not None:
        _READ[name] = _Read(spec, stamp, source)
    return source


def stamp_of(path: str) -> tuple[int, int]:
    """Return what changes when a file is edited: time in ns, and size in bytes.

    Raises:
        OSError: It is not there.
    """
    status = os.stat(path)
    return status.st_mtime_ns, status.st_size


def _text(origin: str) -> str:
    content = Path(origin).read_bytes()
    if len(content) > MAX_SOURCE_BYTES:
        raise OSError(f"{origin} has {len(content)} bytes")
    return importlib.util.decode_source(content)


def _is_patched(module: ModuleType | None, known: _Read, origin: str) -> bool:
    """Return whether the module runs what the file says now, and no longer what was known."""
    assert module is not None
    return not _runs(module, known.source.text) and _runs(module, _text(origin))


def _runs(module: ModuleType, text: str) -> bool:
    """Return whether the functions of a module are those of this source, as far as can be seen."""
    candidates: dict[str, list[CodeType]] = {}  # several: overloads, definitions under `if`
    for const in parse(text).code.co_consts:
        if isinstance(const, CodeType):
            candidates.setdefault(const.co_name, []).append(const)
    for name, codes in candidates.items():
        live = vars(module).get(name)
        if isinstance(live, FunctionType) and _is_defined_here(live, module):
            code = live.__code__
            if not any(is_same_code(code, candidate) for candidate in codes):
                return False
    return True


def _is_defined_here(function: FunctionType, module: ModuleType) -> bool:
    is_plain = function.__qualname__ == function.__code__.co_qualname
    return function.__globals__ is vars(module) and is_plain


def _assignments(node: ast.stmt) -> Iterable[tuple[str, Any]]:
    targets: list[ast.expr] = []
    value: ast.expr | None = None
    if isinstance(node, ast.Assign):
        targets, value = node.targets, node.value
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets = [node.target]
        value = node.value if isinstance(node, ast.AnnAssign) else None
    for target in targets:
        if isinstance(target, ast.Name):
            yield target.id, _literal(value)


def _literal(value: ast.expr | None) -> Any:
    """Return the value of a literal; the module `ast` itself stands for "not one"."""
    if value is None:
        return ast
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return ast
