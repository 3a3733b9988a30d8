"""What was decorated: the Python object, its checked options, and what calling it gives. Pure."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from jupyter_faas.client.options import Options, parse_options
from jupyter_faas.client.origin import Cell
from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.core.model import Kind, Retries
from jupyter_faas.core.names import function_name
from jupyter_faas.core.signature import kind_of, methods_of

_SLACK_S = 30.0
"""Between the gateway's own limits and ours: it always answers first if it lives."""
_NO_CELL = Cell()


@dataclass(frozen=True)
class Target:
    """A function or class with the options it was decorated with.

    Attributes:
        code: The function or class itself.
        name: Name of the remote function.
        kind: What calling it gives.
        methods: Of a class: its remote methods and what they give.
        options: The decorator's arguments.
        cell: Where it was defined; empty: in no cell of a notebook.
    """

    code: Any
    name: str
    kind: Kind
    methods: Mapping[str, Kind]
    options: Options
    cell: Cell = field(default=_NO_CELL, compare=False)

    @property
    def wait_s(self) -> float:
        """Longest time a call may go without a byte from the gateway."""
        spec = self.options.revision
        return longest_wait_s(
            self.options.settings.queue_timeout_s,
            spec["startup_timeout_s"],
            spec["timeout_s"],
            spec["retries"],
        )


def longest_wait_s(
    queue_timeout_s: float, startup_timeout_s: float, timeout_s: float, retries: Retries
) -> float:
    """Return how long a caller waits at most, in seconds: all limits of a function together."""
    runs_s = timeout_s * (1 + retries.max_retries)
    pauses_s = retries.max_retries * retries.max_delay_s
    return queue_timeout_s + startup_timeout_s + runs_s + pauses_s + _SLACK_S


def make_target(code: Any, arguments: Mapping[str, Any], cell: Cell = _NO_CELL) -> Target:
    """Return the target of a decoration.

    Args:
        code: What is decorated.
        arguments: Of the decorator.
        cell: The one that runs now. It defines the code, unless that comes from a module.

    Raises:
        InvalidSpec: What is decorated cannot be a remote function, or an argument is wrong.
        NotImplementedError: `schedule=`.
    """
    options = parse_options(arguments)
    if not isinstance(code, (FunctionType, type)):
        raise InvalidSpec(f"@serverless goes above a function or a class, not {_what(code)}.")
    methods = methods_of(code) if isinstance(code, type) else {}
    if isinstance(code, type) and not methods:
        raise InvalidSpec(f"class {code.__name__} has no public method to call remotely.")
    if isinstance(code, type):
        _check_init(code)
    name = options.name or _derived_name(code)
    kind = Kind.CLASS if isinstance(code, type) else kind_of(code)
    if code.__module__ != "__main__":
        cell = _NO_CELL
    return Target(code=code, name=name, kind=kind, methods=methods, options=options, cell=cell)


def _check_init(cls: type) -> None:
    """See that a replica can make an instance: nobody is there to give it arguments."""
    try:
        inspect.signature(cls).bind()
    except TypeError as error:
        raise InvalidSpec(
            f"class {cls.__name__} cannot be made without arguments ({error}), as a replica does: "
            "give each parameter of `__init__` a default."
        ) from None
    except ValueError:
        return  # a class without a signature: the replica finds out


def _derived_name(code: Any) -> str:
    try:
        return function_name(code.__name__)
    except InvalidSpec:
        raise InvalidSpec(
            f"{code.__name__!r} cannot be the name of a function: give it one with name='…' "
            "(lower-case letters, digits and `-`)."
        ) from None


def _what(code: Any) -> str:
    if hasattr(code, "remote") and hasattr(code, "deploy"):
        return f"{code.name!r}, which has it already"
    if isinstance(code, (staticmethod, classmethod)):
        return "a method: decorate the class"
    advice = ": define one that calls it" if callable(code) else ""
    return f"an object of type {type(code).__name__}{advice}"
