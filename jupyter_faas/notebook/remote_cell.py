"""A cell's source as a function that can run somewhere else: `%%faas run`. Pure.

The body stays as it is, line for line, so that tracebacks point into the cell. Names the cell
assigns are globals of the function, as they are in a notebook, but for one that the notebook has
too and the cell overwrites before it reads it: that one need not travel.
"""

from __future__ import annotations

import ast
from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

from jupyter_faas.core.errors import InvalidSpec

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_VALUE = "__faas_value__"


class RemoteCell(NamedTuple):
    """A cell made a function."""

    tree: ast.Module
    """A module with one function definition."""
    name: str
    assigns: tuple[str, ...]
    """Names that the cell assigns, sorted."""


def remote_cell(
    source: str, known: Container[str], wanted: Sequence[str], name: str = "cell"
) -> RemoteCell:
    """Return the function of a cell; it returns `(value of the last expression, {wanted})`.

    Args:
        source: Python, as IPython has transformed it.
        known: Names that the notebook has.
        wanted: Names that come back.
        name: What to call the function.

    Raises:
        SyntaxError: It is no Python.
        InvalidSpec: It cannot run elsewhere, or a wanted name is never assigned.
    """
    module = compile(source, "<cell>", "exec", _FLAGS, dont_inherit=True)
    assert isinstance(module, ast.Module)
    # In full as well: a `return` or `yield` outside a function is found only then.
    compile(source, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    _check(module)
    assigns = tuple(sorted(set(_assigned(module.body))))
    for one in wanted:
        if one not in assigns and one not in known:
            raise InvalidSpec(f"--out {one}: the cell assigns {', '.join(assigns) or 'nothing'}.")
    locals_ = {one for one in assigns if one in known and _is_overwritten(module, one)}
    declared = [ast.Global(names=[n for n in assigns if n not in locals_])] if assigns else []
    body = [*(one for one in declared if one.names), *_returning(module.body, source, wanted)]
    kind = ast.AsyncFunctionDef if _awaits(module.body) else ast.FunctionDef
    function = kind(name=name, args=_NO_ARGUMENTS, body=body, decorator_list=[], returns=None)
    tree = ast.Module(body=[function], type_ignores=[])
    return RemoteCell(ast.fix_missing_locations(tree), name, assigns)


_FLAGS = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_NO_ARGUMENTS = ast.arguments(
    posonlyargs=[], args=[], vararg=None, kwonlyargs=[], kw_defaults=[], kwarg=None, defaults=[]
)


def _check(module: ast.Module) -> None:
    for node in ast.walk(module):
        if isinstance(node, ast.Name) and node.id == "get_ipython":
            raise InvalidSpec(
                "Magics and lines with ! run in the notebook, not in a replica: "
                "take them out of this cell."
            )
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            raise InvalidSpec(
                f"`from {node.module} import *` cannot run in a replica: name what is imported."
            )


def _returning(body: list[ast.stmt], source: str, wanted: Sequence[str]) -> list[ast.stmt]:
    """Return the body with its last expression as the function's value."""
    body = list(body)
    value: ast.expr = ast.Constant(None)
    last = body[-1] if body else None
    if isinstance(last, ast.Expr) and not source.rstrip().endswith(";"):
        body[-1] = ast.copy_location(
            ast.Assign(targets=[ast.Name(_VALUE, ast.Store())], value=last.value), last
        )
        value = _travelling(ast.Name(_VALUE, ast.Load()))
    back = ast.Dict(
        keys=[ast.Constant(one) for one in wanted],
        values=[ast.Name(one, ast.Load()) for one in wanted],
    )
    result = ast.Return(ast.Tuple(elts=[value, back], ctx=ast.Load()))
    return [*body, ast.copy_location(result, last) if last is not None else result]


def _travelling(value: ast.expr) -> ast.expr:
    """Return the expression that shows there what cannot travel back."""
    module = ast.Call(
        ast.Name("__import__", ast.Load()),
        [ast.Constant("jupyter_faas.execution.cell_value")],
        [ast.keyword("fromlist", ast.List([ast.Constant("travelling")], ast.Load()))],
    )
    return ast.Call(ast.Attribute(module, "travelling", ast.Load()), [value], [])


def _awaits(body: Sequence[ast.stmt]) -> bool:
    return any(
        isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith))
        or (isinstance(node, ast.comprehension) and bool(node.is_async))
        for node in _own_nodes(body)
    )


def _assigned(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Yield the names that statements bind in their own scope."""
    for node in _own_nodes(body):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name):
                yield name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                yield name
            case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                yield name
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                yield from ((alias.asname or alias.name.partition(".")[0]) for alias in aliases)
            case ast.Global(names=names):
                yield from names


def _own_nodes(body: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the nodes of a scope; of nested ones their definition and `global` alone."""
    left: list[ast.AST] = list(reversed(body))
    while left:
        node = left.pop()
        yield node
        if isinstance(node, _SCOPES):
            yield from (one for one in ast.walk(node) if isinstance(one, ast.Global))
            outside = [*getattr(node, "decorator_list", ()), *getattr(node, "bases", ())]
            left.extend(reversed(outside))
        elif isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            left.extend(one for one in ast.walk(node) if isinstance(one, ast.NamedExpr))
            left.extend(one for one in node.generators if one.is_async)
        elif not isinstance(node, ast.comprehension):
            left.extend(reversed(list(ast.iter_child_nodes(node))))


def _is_overwritten(module: ast.Module, name: str) -> bool:
    """Return whether a top-level statement binds a name before anything can read it."""
    for statement in module.body:
        if any(isinstance(node, ast.Global) and name in node.names for node in ast.walk(statement)):
            return False
    for statement in module.body:
        uses = [
            node for node in ast.walk(statement) if isinstance(node, ast.Name) and node.id == name
        ]
        reads = [node for node in uses if not isinstance(node.ctx, ast.Store)]
        if reads:
            return False
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and uses:
            return not isinstance(statement, ast.AnnAssign) or statement.value is not None
        if uses:
            return False  # bound on some way only: in a loop, a branch, by `+=`
        if name in _assigned([statement]):
            return not isinstance(statement, (ast.If, ast.For, ast.While, ast.Try, ast.With))
    return False
