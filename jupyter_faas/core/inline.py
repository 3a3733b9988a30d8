"""Inline source: a function written as text in a manifest, read without running anything.

The gateway reads such code by its syntax tree: what the entry is, what calling it gives, which
parameters it takes. What a decorator makes of it only the worker sees. The package is a manifest
alone (no pickle), so that it can be made where nothing is ever unpickled.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Iterator, Sequence
from types import CodeType
from typing import Any, NamedTuple, TypeAlias

import msgspec

from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.core.model import Code, Kind, RevisionSpec
from jupyter_faas.core.package import INLINE_FORMAT, Manifest, ManifestPackage
from jupyter_faas.core.signature import described

FILE_NAME = "<source>"
"""What tracebacks call the text."""
MAX_SHOWN_CHARACTERS = 80

_PROPERTIES = frozenset(("property", "cached_property", "setter", "getter", "deleter"))

_Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Entry(NamedTuple):
    """What is called, as its source says."""

    name: str
    kind: Kind
    methods: dict[str, Kind]
    signature: str
    parameters: tuple[dict[str, Any], ...]


def inline_package(source: str, entry: str | None, python: str) -> tuple[ManifestPackage, Code]:
    """Return the package of some source text, and its code for a revision.

    The same text, entry and Python give the same digest.

    Args:
        source: A Python module.
        entry: Name of the function or class in it; None or empty: the only one.
        python: Minor version that is to run it.

    Raises:
        InvalidSpec: The text is no Python, or has no such entry, or several that could be meant.
    """
    found = read_entry(source, entry)
    manifest = Manifest(
        format=INLINE_FORMAT,
        python=python,
        name=found.name,
        kind=found.kind,
        methods=found.methods,
        qualname=found.name,
        inline=source,
    )
    package = ManifestPackage(manifest)
    code = Code(
        digest=package.digest,
        size_bytes=package.size_bytes,
        entry=found.name,
        kind=found.kind,
        python=python,
        methods=found.methods,
        signature=found.signature,
        parameters=found.parameters,
    )
    return package, code


def read_entry(source: str, entry: str | None = None) -> Entry:
    """Return what is called in `source`; see `inline_package`.

    Raises:
        InvalidSpec: As there.
    """
    definitions = _definitions(_parsed(source))
    return _described(_chosen(definitions, entry), definitions)


def compile_source(source: str, file_name: str = FILE_NAME) -> CodeType:
    """Compile inline source as a module.

    What stands under `if __name__ == "__main__":` is left out: it is for running the file as a
    program, and the worker's module does have that name (so that classes travel by value).

    Raises:
        SyntaxError: It is no Python.
    """
    tree = ast.parse(source, file_name)
    tree.body = [kept for node in tree.body for kept in _without_program(node)]
    return compile(tree, file_name, "exec", dont_inherit=True)


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source, FILE_NAME)
    except SyntaxError as error:
        line = (error.text or "").strip()[:MAX_SHOWN_CHARACTERS]
        shown = f": `{line}`" if line else ""
        raise InvalidSpec(
            f"The source is no Python: {error.msg} in line {error.lineno or 1}{shown}."
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise InvalidSpec(f"The source cannot be read: {error or 'too deeply nested'}.") from error


def _definitions(tree: ast.Module) -> dict[str, ast.expr | _Definition]:
    """Return what is bound to names at top level, also under `if` and `try`; the last one wins."""
    found: dict[str, ast.expr | _Definition] = {}
    for node in _top_level(tree.body):
        if isinstance(node, _Definition):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found |= {one.id: node.value for one in node.targets if isinstance(one, ast.Name)}
        elif (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.value is not None
        ):
            found[node.target.id] = node.value
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [one.asname or one.name.partition(".")[0] for one in node.names]
            found |= {name: ast.Name(name) for name in names}
    return found


def _top_level(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        for kept in _without_program(node):
            yield kept
            if isinstance(kept, ast.If | ast.Try | ast.With):
                inner = [part for part in ast.iter_child_nodes(kept) if isinstance(part, ast.stmt)]
                for handler in getattr(kept, "handlers", ()):
                    inner += handler.body
                yield from _top_level(inner)


def _without_program(node: ast.stmt) -> Sequence[ast.stmt]:
    """Return what is left of a statement of a module that is imported: see `compile_source`."""
    if not isinstance(node, ast.If) or not isinstance(node.test, ast.Compare):
        return (node,)
    sides = (node.test.left, *node.test.comparators)
    names = [side.id for side in sides if isinstance(side, ast.Name)]
    values = [side.value for side in sides if isinstance(side, ast.Constant)]
    is_equal = [type(operator) for operator in node.test.ops] == [ast.Eq]
    if is_equal and names == ["__name__"] and values == ["__main__"]:
        return node.orelse
    return (node,)


def _chosen(
    definitions: dict[str, ast.expr | _Definition], entry: str | None
) -> tuple[str, ast.expr | _Definition]:
    public = [
        name
        for name, node in definitions.items()
        if isinstance(node, _Definition) and not name.startswith("_")
    ]
    there = ", ".join(f"`{name}`" for name in public) or "no public function or class"
    if entry:
        if entry not in definitions:
            raise InvalidSpec(f"The source has no `{entry}`; there is {there}.", field="code.entry")
        return entry, definitions[entry]
    marked = [name for name in public if _is_marked(definitions[name])]
    candidates = marked or public
    if len(candidates) != 1:
        what = "nothing to call" if not candidates else "several that could be called"
        raise InvalidSpec(
            f"The source has {what}: {there}. Name one as `entry`.", field="code.entry"
        )
    return candidates[0], definitions[candidates[0]]


def _is_marked(node: ast.expr | _Definition) -> bool:
    """Whether a definition has our decorator."""
    decorators = node.decorator_list if isinstance(node, _Definition) else []
    return any(_last_name(one) == "serverless" for one in decorators)


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _described(
    chosen: tuple[str, ast.expr | _Definition], definitions: dict[str, ast.expr | _Definition]
) -> Entry:
    name, node = chosen
    if isinstance(node, ast.ClassDef):
        methods = _methods(node, definitions)
        if not methods:
            raise InvalidSpec(f"class `{name}` has no public method that could be called.")
        start = _attributes(node, definitions).get("__init__")
        signature = _signature(start, is_bound=True) if start else inspect.Signature()
        return Entry(name, Kind.CLASS, methods, str(signature), described(signature))
    if not isinstance(node, _Function):
        if isinstance(node, ast.Constant | ast.List | ast.Dict | ast.Tuple | ast.Set):
            raise InvalidSpec(f"`{name}` is no function or class: it cannot be called.")
        return Entry(name, Kind.FUNCTION, {}, "(...)", ())
    signature = _signature(node)
    return Entry(name, _kind(node), {}, str(signature), described(signature))


def _kind(node: _Function) -> Kind:
    yields = any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in _own_nodes(node))
    if isinstance(node, ast.AsyncFunctionDef):
        return Kind.ASYNC_GENERATOR if yields else Kind.ASYNC
    return Kind.GENERATOR if yields else Kind.FUNCTION


def _own_nodes(function: _Function) -> Iterator[ast.AST]:
    """Yield what is in a function's body, but not in functions and classes inside it."""
    body = [function.body] if isinstance(function, ast.Lambda) else function.body
    stack: list[ast.AST] = list(body)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, _Definition | ast.Lambda):
            stack.extend(ast.iter_child_nodes(node))


def _methods(node: ast.ClassDef, definitions: dict[str, ast.expr | _Definition]) -> dict[str, Kind]:
    return {
        name: _kind(method)
        for name, method in sorted(_attributes(node, definitions).items())
        if not name.startswith("_") and name != "close" and not _is_property(method)
    }


def _attributes(
    node: ast.ClassDef,
    definitions: dict[str, ast.expr | _Definition],
    seen: frozenset[str] = frozenset(),
) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the methods of a class, also those of bases that the source has."""
    found: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
    for base in reversed(node.bases):
        above = definitions.get(_last_name(base))
        if isinstance(above, ast.ClassDef) and above is not node and above.name not in seen:
            found |= _attributes(above, definitions, seen | {node.name})
    for part in _top_level(node.body):
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            found[part.name] = part
    return found


def _is_property(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(_last_name(one) in _PROPERTIES for one in method.decorator_list)


class _Text:
    """Stands for a value in a signature: shown as its source."""

    def __init__(self, node: ast.expr) -> None:
        self._text = ast.unparse(node)

    def __repr__(self) -> str:
        return self._text


def _signature(function: _Function, *, is_bound: bool = False) -> inspect.Signature:
    """Return a signature whose annotations and defaults are their source text."""
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    none: list[ast.expr | None] = [None] * (len(positional) - len(given.defaults))
    pairs = zip(positional, [*none, *given.defaults], strict=True)
    only = len(given.posonlyargs)
    kinds = inspect.Parameter
    parameters = [
        _parameter(one, kinds.POSITIONAL_ONLY if n < only else kinds.POSITIONAL_OR_KEYWORD, default)
        for n, (one, default) in enumerate(pairs)
    ][1 if is_bound else 0 :]
    if given.vararg:
        parameters.append(_parameter(given.vararg, kinds.VAR_POSITIONAL))
    parameters += [
        _parameter(one, kinds.KEYWORD_ONLY, default)
        for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
    ]
    if given.kwarg:
        parameters.append(_parameter(given.kwarg, kinds.VAR_KEYWORD))
    returns = None if isinstance(function, ast.Lambda) or is_bound else function.returns
    gives = inspect.Signature.empty if returns is None else _Text(returns)
    return inspect.Signature(parameters, return_annotation=gives, __validate_parameters__=False)


def _parameter(
    argument: ast.arg, kind: inspect._ParameterKind, default: ast.expr | None = None
) -> inspect.Parameter:
    empty = inspect.Parameter.empty
    annotation = empty if argument.annotation is None else _Text(argument.annotation)
    value = empty if default is None else _Text(default)
    return inspect.Parameter(argument.arg, kind, default=value, annotation=annotation)


def revision_id(spec: RevisionSpec) -> str:
    """Return the id of a revision whose code nobody has fingerprinted: equal specs, equal ids."""
    return hashlib.sha256(msgspec.json.encode(spec, order="deterministic")).hexdigest()
