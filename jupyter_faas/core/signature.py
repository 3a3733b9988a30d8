"""What calling a function or class takes and gives, for people, forms and JSON. Pure."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from jupyter_faas.core.model import Kind


def kind_of(target: Any) -> Kind:
    """Return what calling `target` gives; partial and bound functions are seen through."""
    if isinstance(target, type):
        return Kind.CLASS
    function = _innermost(target)
    if inspect.isasyncgenfunction(function):
        return Kind.ASYNC_GENERATOR
    if inspect.iscoroutinefunction(function):
        return Kind.ASYNC
    if inspect.isgeneratorfunction(function):
        return Kind.GENERATOR
    return Kind.FUNCTION


def methods_of(cls: type) -> dict[str, Kind]:
    """Return the remote methods of a class: public functions, inherited ones too, not `close`."""
    found = {}
    for name, attribute in inspect.getmembers(cls, inspect.isroutine):
        if not name.startswith("_") and name != "close" and not _is_builtin(attribute):
            found[name] = kind_of(attribute)
    return found


def signature_text(target: Any) -> str:
    """Return `(x: int, y=3)`; `(...)` if it cannot be told."""
    try:
        return str(inspect.signature(target))
    except (TypeError, ValueError):
        return "(...)"


def parameters_of(target: Any) -> tuple[dict[str, Any], ...]:
    """Return name, kind, annotation and default (as text) of each parameter."""
    try:
        return described(inspect.signature(target))
    except (TypeError, ValueError):
        return ()


def described(signature: inspect.Signature) -> tuple[dict[str, Any], ...]:
    """Return `parameters_of` whatever has this signature."""
    return tuple(_described(parameter) for parameter in signature.parameters.values())


def _described(parameter: inspect.Parameter) -> dict[str, Any]:
    described: dict[str, Any] = {"name": parameter.name, "kind": parameter.kind.name.lower()}
    if parameter.annotation is not parameter.empty:
        described["annotation"] = inspect.formatannotation(parameter.annotation)
    if parameter.default is not parameter.empty:
        text = repr(parameter.default)
        described["default"] = text if len(text) <= 200 else text[:199] + "…"
    return described


def _innermost(target: Any) -> Any:
    while isinstance(target, functools.partial):
        target = target.func
    if inspect.isroutine(target) or isinstance(target, type):
        return target
    return getattr(target, "__call__", target)  # noqa: B004 - the method itself is wanted


def _is_builtin(attribute: Any) -> bool:
    return not inspect.isfunction(getattr(attribute, "__func__", attribute))
