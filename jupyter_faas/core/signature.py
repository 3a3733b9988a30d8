"""What calling a function or class takes and gives, for people, forms and JSON. Pure."""

from __future__ import annotations

import functools
import inspect
import typing
from enum import Enum
from typing import Any

import msgspec

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
    """Return name, kind, annotation and default (as text) of each parameter.

    Of one whose hint is an enumeration also `choices`: the values of its members, each as JSON.
    """
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):
        return ()
    found = described(signature)
    for name, members in enums_of(target).items():
        choices = _choices(members)
        for one in found:
            if one["name"] == name and choices:
                one["choices"] = choices
    return found


def described(signature: inspect.Signature) -> tuple[dict[str, Any], ...]:
    """Return `parameters_of` whatever has this signature."""
    return tuple(_described(parameter) for parameter in signature.parameters.values())


def enums_of(target: Any) -> dict[str, type[Enum]]:
    """Return the parameters whose hint is an enumeration, also one that may be None."""
    if isinstance(target, type):
        return {}
    try:
        hints = typing.get_type_hints(_innermost(target))
        parameters = inspect.signature(target).parameters.values()
    except Exception:  # a hint may be anything, also code that raises
        return {}
    plain = {
        one.name for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    }
    found = {}
    for name, hint in hints.items():
        if name not in plain:
            continue
        kinds = [one for one in (typing.get_args(hint) or (hint,)) if one is not type(None)]
        if len(kinds) == 1 and isinstance(kinds[0], type) and issubclass(kinds[0], Enum):
            found[name] = kinds[0]
    return found


def _choices(members: type[Enum]) -> list[str]:
    values = [member.value for member in members]
    if not all(isinstance(value, (str, int, float, bool)) for value in values):
        return []
    return [msgspec.json.encode(value).decode() for value in values]


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
