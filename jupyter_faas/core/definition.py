"""What defines a class of a notebook, taken apart and put together again.

`parts_of` is what a pickle carries and what a fingerprint reads; `build` and `fill` make the
class anew in another process: first the bare class, so that its methods may refer to it, then
its attributes. Unlike cloudpickle's form this keeps `__slots__`, the aliases and attributes of
enum members, and does not run `__init_subclass__` of the notebook's bases a second time.
"""

from __future__ import annotations

import abc
import enum
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from jupyter_faas.core.references import is_by_value

_NEVER = frozenset(
    (
        *("__dict__", "__weakref__", "_abc_impl", "__slots__", "__orig_bases__", "__module__"),
        *("__qualname__", "__firstlineno__", "__static_attributes__", "__slotnames__"),
        *("__annotate_func__", "__annotations_cache__"),
    )
)
_ENUM_HOOKS = frozenset(("_missing_", "_generate_next_value_", "_ignore_"))
_MEMBER_PRIVATE = frozenset(("_value_", "_name_", "__objclass__", "_sort_order_"))


class ClassParts(NamedTuple):
    """A class, taken apart. `seed` must be there at its creation; `state` is set afterwards."""

    metaclass: type
    name: str
    bases: tuple[Any, ...]
    seed: dict[str, Any]
    members: dict[str, Any] | None
    """Of an enum: name → value, aliases included; otherwise None."""
    state: dict[str, Any]


def parts_of(cls: type) -> ClassParts:
    """Take `cls` apart."""
    seed: dict[str, Any] = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    if "__slots__" in vars(cls):
        seed["__slots__"] = vars(cls)["__slots__"]
    if "__orig_bases__" in vars(cls):
        seed["__orig_bases__"] = vars(cls)["__orig_bases__"]
    members = None
    if isinstance(cls, enum.EnumMeta):
        members = {name: one._value_ for name, one in _members(cls)}
    return ClassParts(type(cls), cls.__name__, _bases(cls), seed, members, _state(cls))


def build(
    metaclass: type,
    name: str,
    bases: tuple[Any, ...],
    seed: dict[str, Any],
    members: dict[str, Any] | None,
) -> type:
    """Create the bare class of some parts."""
    with _quiet_subclassing(bases):
        if members is None:
            return types.new_class(
                name, bases, {"metaclass": metaclass}, lambda ns: ns.update(seed)
            )
        return types.new_class(
            name, bases, {"metaclass": metaclass}, lambda ns: _declare(ns, seed, members)
        )


def fill(cls: type, state: dict[str, Any]) -> None:
    """Set the attributes of a bare class."""
    for name, value in state.items():
        if name == "<virtual subclasses>":
            for subclass in value:
                cls.register(subclass)  # type: ignore[attr-defined]  # - an ABC has register
        elif name == "<members>":
            for member_name, attributes in value.items():
                cls.__members__[member_name].__dict__.update(attributes)  # type: ignore[attr-defined]
        else:
            # Not setattr: metaclasses (Enum, pydantic) guard it with rules for users.
            type.__setattr__(cls, name, value)


def _members(cls: Any) -> list[tuple[str, enum.Enum]]:
    return list(cls.__members__.items())


def _bases(cls: type) -> tuple[Any, ...]:
    if type(cls).__name__ == "_TypedDictMeta":  # it refuses the bases that it has made
        return tuple(vars(cls).get("__orig_bases__", cls.__bases__))
    return cls.__bases__


def _state(cls: type) -> dict[str, Any]:
    is_enum = isinstance(cls, enum.EnumMeta)
    slots = _slot_names(cls)
    state = {
        name: value
        for name, value in vars(cls).items()
        if name not in _NEVER
        and name not in slots
        and not (is_enum and _made_by_enum(cls, name))
        and not isinstance(value, types.GetSetDescriptorType)
    }
    if isinstance(cls, abc.ABCMeta) and (subclasses := _virtual_subclasses(cls)):
        state["<virtual subclasses>"] = subclasses
    if isinstance(cls, enum.EnumMeta) and (attributes := _member_attributes(cls)):
        state["<members>"] = attributes
    return state


def _slot_names(cls: type) -> set[str]:
    return {
        name for name, value in vars(cls).items() if isinstance(value, types.MemberDescriptorType)
    }


def _made_by_enum(cls: Any, name: str) -> bool:
    if name in cls.__members__ or name == "__new__":
        return True
    is_sunder = name.startswith("_") and not name.startswith("__") and name.endswith("_")
    return is_sunder and name not in _ENUM_HOOKS


def _member_attributes(cls: Any) -> dict[str, dict[str, Any]]:
    found = {}
    for name, member in cls.__members__.items():
        extra = {key: v for key, v in vars(member).items() if key not in _MEMBER_PRIVATE}
        if extra and name == member._name_:
            found[name] = extra
    return found


def _virtual_subclasses(cls: abc.ABCMeta) -> list[type]:
    registry = abc._get_dump(cls)[0]  # type: ignore[attr-defined]  # - private, there since 3.7
    found = [reference() for reference in registry]
    return sorted((c for c in found if c is not None), key=lambda c: (c.__module__, c.__qualname__))


def _declare(namespace: Any, seed: dict[str, Any], members: dict[str, Any]) -> None:
    for name, value in seed.items():
        namespace[name] = value
    for name, value in members.items():
        namespace[name] = value


@contextmanager
def _quiet_subclassing(bases: tuple[Any, ...]) -> Iterator[None]:
    """Keep `__init_subclass__` of by-value bases from running.

    It ran where the class was made, what it did is part of the state, and its keyword arguments
    are not known any more.
    """
    loud = [
        cls
        for base in bases
        for cls in getattr(base, "__mro__", ())
        if "__init_subclass__" in vars(cls) and is_by_value(cls)
    ]
    saved = [(cls, vars(cls)["__init_subclass__"]) for cls in loud]
    try:
        for cls, _ in saved:
            type.__setattr__(cls, "__init_subclass__", classmethod(_say_nothing))
        yield
    finally:
        for cls, original in saved:
            type.__setattr__(cls, "__init_subclass__", original)


def _say_nothing(cls: type, /, **_kwargs: Any) -> None:
    """Stand in for `__init_subclass__`."""
