"""Which object cannot be pickled, and how one gets to it.

Called only after pickling has failed: walks from the root to the first child that fails too,
until none of the children of an object does.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType, MethodType
from typing import Any, NamedTuple

from jupyter_faas.core.classdata import whole
from jupyter_faas.core.classes import ClassTable
from jupyter_faas.core.errors import NotSerializable
from jupyter_faas.core.functions import captured_globals
from jupyter_faas.core.pickling import ByValuePickler
from jupyter_faas.core.references import is_by_value

_MAX_DEPTH = 32
_MAX_CHILDREN = 2000


class Step(NamedTuple):
    """One object on the way to the one that fails."""

    label: str
    value: Any
    how: str
    """`global`, `closure`, `default`, `attribute`, `item`, or empty for the root."""


def not_serializable(
    value: Any, root: str, cause: BaseException, steps: list[Step] | None = None
) -> NotSerializable:
    """Return the error that names the path from `root` to what cannot be pickled."""
    if isinstance(cause, NotSerializable):
        return cause
    if steps is None:
        steps = find_path(value, root)
    path = " → ".join(step.label for step in steps)
    kind = type_name(steps[-1].value)
    return NotSerializable(
        f"{path} cannot be sent: {kind} cannot be pickled ({_reason(cause)}). {advice(steps)}",
        path=[step.label for step in steps],
    )


def find_path(value: Any, root: str) -> list[Step]:
    """Return the steps from `value` to the innermost object that cannot be pickled."""
    steps = [Step(root, value, "")]
    seen = {id(value)}
    while len(steps) < _MAX_DEPTH:
        step = _failing_child(steps[-1].value, seen)
        if step is None:
            break
        seen.add(id(step.value))
        steps.append(step)
    return steps


def advice(steps: list[Step]) -> str:
    """Return what to do about it, in a sentence."""
    if len(steps) > 1 and steps[1].how in ("global", "closure"):
        label = steps[1].label
        return f"Make the {label} inside the function, or keep it out with `def __getstate__`."
    return "Send what it is made of instead, or keep it out with `def __getstate__`."


def type_name(value: Any) -> str:
    """Return a type's name as people know it: `dict`, `_thread.lock`, `Session`."""
    kind = type(value)
    if kind.__module__.partition(".")[0] in ("builtins", "__main__", "jupyter_faas"):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def can_pickle(value: Any) -> bool:
    """Return whether a value can be pickled, classes and functions by value."""
    try:
        ByValuePickler(_Nowhere(), _whole_class).dump(value)
    except Exception:
        return False
    return True


class _Nowhere:
    def write(self, chunk: Any, /) -> None:
        """Forget a chunk."""


def _whole_class(cls: type) -> Any:
    return whole(ClassTable(None))(cls)


def _failing_child(value: Any, seen: set[int]) -> Step | None:
    for count, step in enumerate(_children(value)):
        if count >= _MAX_CHILDREN:
            return None
        if id(step.value) not in seen and not can_pickle(step.value):
            return step
    return None


def _children(value: Any) -> Iterator[Step]:
    if isinstance(value, FunctionType):
        yield from _of_function(value)
    elif isinstance(value, type):
        yield from _of_class(value)
    elif isinstance(value, MethodType):
        yield Step("self", value.__self__, "attribute")
        yield Step(value.__func__.__qualname__, value.__func__, "attribute")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield Step(f"[{_short(key)}]", item, "item")
            yield Step(f"key {_short(key)}", key, "item")
    elif isinstance(value, list | tuple | set | frozenset):
        for at, item in enumerate(value):
            yield Step(f"[{at}]", item, "item")
    else:
        yield from _of_instance(value)


def _of_function(function: FunctionType) -> Iterator[Step]:
    if not is_by_value(function):
        return
    for name, value in captured_globals(function).items():
        yield Step(name, value, "global")
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield Step(name, cell.cell_contents, "closure")
        except ValueError:
            continue
    for value in function.__defaults__ or ():
        yield Step("a default", value, "default")
    for name, value in {**(function.__kwdefaults__ or {}), **vars(function)}.items():
        yield Step(name, value, "default")


def _of_class(cls: type) -> Iterator[Step]:
    if not is_by_value(cls):
        return
    for base in cls.__bases__:
        yield Step(base.__qualname__, base, "base")
    for name, value in list(vars(cls).items()):
        inner = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
        if name not in ("__dict__", "__weakref__", "_abc_impl"):
            yield Step(name, inner, "attribute")


def _of_instance(value: Any) -> Iterator[Step]:
    yield Step(type(value).__qualname__, type(value), "class")
    try:
        reduced = value.__reduce_ex__(5)
    except Exception:
        reduced = None
    if isinstance(reduced, tuple):
        yield from _of_reduced(reduced)
    else:
        for name, item in getattr(value, "__dict__", {}).items():
            yield Step(name, item, "attribute")


def _of_reduced(reduced: tuple[Any, ...]) -> Iterator[Step]:
    _, args, *rest = reduced
    state = rest[0] if rest else None
    states = state if isinstance(state, tuple) else (state,)
    for one in states:
        if isinstance(one, dict):
            for name, item in one.items():
                yield Step(str(name), item, "attribute")
        elif one is not None:
            yield Step("state", one, "attribute")
    for at, item in enumerate(args):
        yield Step(f"({at})", item, "item")
    for at, item in enumerate(rest[1] or () if len(rest) > 1 else ()):
        yield Step(f"[{at}]", item, "item")
    for key, item in rest[2] or () if len(rest) > 2 else ():
        yield Step(f"[{_short(key)}]", item, "item")


def _reason(cause: BaseException) -> str:
    text = str(cause) or type(cause).__name__
    return text if len(text) <= 200 else text[:199] + "…"


def _short(key: Any) -> str:
    text = repr(key)
    return text if len(text) <= 40 else text[:39] + "…"
