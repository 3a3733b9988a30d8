"""What the capture report says about what was captured: sizes, secrets, environment. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

from jupyter_faas.core.culprit import Step, type_name
from jupyter_faas.core.functions import captured_globals
from jupyter_faas.core.modules import Modules, installed_version
from jupyter_faas.core.reducers import stand_in
from jupyter_faas.core.references import environment_reads, is_by_value
from jupyter_faas.core.report import Level, Node

_SECRET_NAME = re.compile(
    r"(?i)(pass(word|wd|phrase)|secret|token|api_?key|private_?key|credential|auth)"
)
_SECRET_VALUE = re.compile(
    r"(AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|"
    r"sk-[A-Za-z0-9_-]{20,}|xox[abprs]-[\w-]{10,}|AIza[\w-]{35}|hf_[A-Za-z0-9]{30,}|"
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.)"
)
_GENERATORS = {("random", "Random"), ("numpy", "RandomState"), ("numpy", "Generator")}
_MAX_SECRET_ITEMS = 1000


def captured_values(target: Any) -> dict[str, Any]:
    """Return what a function or class captures directly: globals and closure, by name."""
    functions = list(_functions_of(target))
    found: dict[str, Any] = {}
    for function in functions:
        found.update(captured_globals(function))
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            try:
                found.setdefault(name, cell.cell_contents)
            except ValueError:
                continue
    found.pop("__class__", None)
    return {
        name: value
        for name, value in sorted(found.items())
        if value is not target and not _is_handle_of(value, target) and stand_in(value) is None
    }


def value_nodes(
    values: Mapping[str, Any], size_of: Callable[[Any], int | None], notes: Mapping[str, str]
) -> Iterator[Node]:
    """Yield a node for each captured value that is no module.

    Args:
        values: By name.
        size_of: Bytes of a value, None if not known.
        notes: By name, what to say about a value that needs attention.
    """
    for name, value in values.items():
        if isinstance(value, ModuleType):
            continue
        kind, travels = _described(value)
        yield Node(
            label=name,
            type=kind,
            note=notes.get(name, travels),
            level="note" if name in notes else "ok",
            size_bytes=None if travels else size_of(value),
        )


def _described(value: Any) -> tuple[str, str]:
    """Return what a value is, and how it travels if that is worth a word."""
    if isinstance(value, FunctionType | type):
        kind = "class" if isinstance(value, type) else "function"
        return kind, "by value" if is_by_value(value) else f"from {value.__module__}"
    is_handle = hasattr(type(value), "__faas_handle__")
    return type_name(value), "remote function" if is_handle else ""


def module_nodes(modules: Modules, *, has_image: bool = False) -> Iterator[Node]:
    """Yield a node for each module that is used, missing ones first.

    Args:
        modules: What the code uses.
        has_image: It runs in an image of its own, which may have what is missing here.
    """
    for module, importer in modules.missing:
        note = "cannot be found" if not importer else f"cannot be found, imported by {importer}"
        if has_image:
            note = "cannot be found here: the image must have it"
        level: Level = "note" if has_image else "error"
        yield Node(label=module, type="module", note=note, level=level)
    for name in modules.opaque:
        note = "has no source that can be sent: the runner must have it"
        yield Node(label=name, type="module", note=note, level="note")
    for name, source in modules.local.items():
        size = len(source.source.encode("utf-8", "replace"))
        note = "by value"
        if source.is_edited:
            note = "was edited and not reloaded: what is sent is not what runs here"
        level = "note" if source.is_edited else "ok"
        yield Node(label=name, type="module", note=note, level=level, size_bytes=size)
    for name in modules.installed:
        version = installed_version(name)
        yield Node(label=name, type="module", note=f"in runner {version}".rstrip())


def path_nodes(steps: list[Step]) -> tuple[Node, ...]:
    """Return the path to what cannot be pickled, as a tree of one branch."""
    node: Node | None = None
    for at in range(len(steps) - 1, 0, -1):
        step = steps[at]
        is_culprit = node is None
        how = step.how if at == 1 and not is_culprit else ""
        node = Node(
            label=step.label,
            type=type_name(step.value),
            note="cannot be pickled" if is_culprit else how,
            level="error",
            children=() if node is None else (node,),
        )
    return () if node is None else (node,)


def secret_names(values: Mapping[str, Any]) -> list[str]:
    """Return the names of captured strings that look like secrets."""
    return [label for name, value in values.items() for label in _secrets(name, value)]


def generator_names(values: Mapping[str, Any]) -> list[str]:
    """Return the names of captured random generators, which travel with their state."""
    owners = ((name, type(getattr(value, "__self__", value))) for name, value in values.items())
    return [
        name
        for name, kind in owners
        if (kind.__module__.partition(".")[0], kind.__name__) in _GENERATORS
        and stand_in(getattr(values[name], "__self__", values[name])) is None
    ]


def unset_variables(codes: Iterable[CodeType], has: Container[str]) -> list[tuple[str, bool]]:
    """Return (variable, is required) for what code reads and the runner will not have.

    A variable with a default that is not set here either makes no difference: it is left out.
    """
    found: dict[str, bool] = {}
    for code in codes:
        for name, is_required in environment_reads(code):
            if name not in has and (is_required or name in os.environ):
                found[name] = found.get(name, False) or is_required
    return sorted(found.items())


def _is_handle_of(value: Any, target: Any) -> bool:
    return hasattr(type(value), "__faas_handle__") and (
        getattr(value, "__wrapped__", None) is target
    )


def _functions_of(target: Any) -> Iterator[FunctionType]:
    if isinstance(target, FunctionType):
        yield target
    elif isinstance(target, type):
        for cls in target.__mro__:
            for value in vars(cls).values() if is_by_value(cls) else ():
                inner = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
                if isinstance(inner, FunctionType):
                    yield inner
    else:
        for attribute in ("func", "__func__", "__wrapped__"):
            inner = getattr(target, attribute, None)
            if callable(inner):
                yield from _functions_of(inner)
                return


def _secrets(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if _looks_secret(name, value):
            yield name
    elif isinstance(value, dict) and len(value) <= _MAX_SECRET_ITEMS:
        for key, item in value.items():
            if isinstance(key, str):
                yield from _secrets(f"{name}[{key!r}]", item)
    elif isinstance(value, list | tuple) and len(value) <= _MAX_SECRET_ITEMS:
        for at, item in enumerate(value):
            if isinstance(item, str) and _SECRET_VALUE.search(item[:4096]):
                yield f"{name}[{at}]"


def _looks_secret(name: str, value: str) -> bool:
    has_name = _SECRET_NAME.search(name) is not None and len(value) >= 8 and " " not in value
    return has_name or _SECRET_VALUE.search(value[:4096]) is not None
