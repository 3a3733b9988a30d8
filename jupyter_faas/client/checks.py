"""One check per argument of the decorator: the value as the model wants it, or `InvalidSpec`.

Pure. `CHECKS` is the table; `options` runs it. A message names the argument, what was given and
what is allowed, and nothing else: it is read below a cell.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from jupyter_faas.client.policies import MAX_RETRIES, Retries
from jupyter_faas.client.quantities import parse_cpu, parse_memory
from jupyter_faas.core import model
from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.core.names import check_name

DAY_S = 86_400
MAX_CONTAINERS = 10_000
MAX_INPUTS = 1_000


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value)


def _count(argument: str, low: int, high: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InvalidSpec(
                f"{argument}={value!r}: allowed is a whole number from {low} to {high}."
            )
        return value

    return check


def _seconds(argument: str, high: int, *, may_be_zero: bool = False) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        is_positive = _is_number(value) and (value > 0 or (may_be_zero and value == 0))
        if not is_positive or value > high:
            low = "from 0" if may_be_zero else "over 0"
            raise InvalidSpec(f"{argument}={value!r}: allowed is seconds, {low} to {high}.")
        return float(value)

    return check


def _target_inputs(value: Any) -> float | None:
    if value is None:
        return None
    if not _is_number(value) or not 0 < value <= MAX_INPUTS:
        raise InvalidSpec(
            f"target_inputs={value!r}: allowed is a number over 0, at most max_inputs."
        )
    return float(value)


def _retries(value: Any) -> model.Retries:
    if isinstance(value, Retries):
        return value.to_model()
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_RETRIES:
        raise InvalidSpec(
            f"retries={value!r}: allowed is a whole number from 0 to {MAX_RETRIES}, "
            "or Retries(max_retries, initial_delay, backoff_coefficient, max_delay)."
        )
    return model.Retries(max_retries=value)


def _text_map(argument: str, key: re.Pattern[str], allowed: str) -> Callable[[Any], dict[str, str]]:
    def check(value: Any) -> dict[str, str]:
        if value is None:
            return {}
        is_map = isinstance(value, Mapping) and all(
            isinstance(name, str) and key.fullmatch(name) and isinstance(text, str)
            for name, text in value.items()
        )
        if not is_map:
            raise InvalidSpec(f"{argument}={value!r}: allowed is {allowed}.")
        return dict(value)

    return check


def _text_list(argument: str, allowed: str) -> Callable[[Any], tuple[str, ...]]:
    def check(value: Any) -> tuple[str, ...]:
        is_list = isinstance(value, (list, tuple, set, frozenset)) and all(
            isinstance(text, str) and text.strip() for text in value
        )
        if not is_list:
            raise InvalidSpec(f"{argument}={value!r}: allowed is {allowed}.")
        texts = sorted(value) if isinstance(value, (set, frozenset)) else value
        return tuple(text.strip() for text in texts)

    return check


def _text_or_none(argument: str, allowed: str) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        if value is None or (isinstance(value, str) and value.strip()):
            return value
        raise InvalidSpec(f"{argument}={value!r}: allowed is {allowed}, or None.")

    return check


def _gpu(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    return _text_or_none("gpu", "a count like 1 or a text like 'a100:2'")(value)


def _idempotent(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise InvalidSpec(f"idempotent={value!r}: allowed is None, True or False.")


def _public(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise InvalidSpec(f"public={value!r}: allowed is True or False.")


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PATH = re.compile(r"/[^\0]*")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9./_-]*[A-Za-z0-9])?")

CHECKS: dict[str, Callable[[Any], Any]] = {
    "name": lambda value: None if value is None else check_name(value),
    "min_containers": _count("min_containers", 0, MAX_CONTAINERS),
    "max_containers": _count("max_containers", 1, MAX_CONTAINERS),
    "buffer_containers": _count("buffer_containers", 0, MAX_CONTAINERS),
    "scaledown_window": _seconds("scaledown_window", DAY_S, may_be_zero=True),
    "max_inputs": _count("max_inputs", 1, MAX_INPUTS),
    "target_inputs": _target_inputs,
    "cpu": parse_cpu,
    "memory": parse_memory,
    "timeout": _seconds("timeout", 7 * DAY_S),
    "startup_timeout": _seconds("startup_timeout", DAY_S),
    "queue_timeout": _seconds("queue_timeout", DAY_S),
    "retries": _retries,
    "env": _text_map("env", _VARIABLE, "a dict of variable names to texts, like {'MODE': 'fast'}"),
    "secrets": _text_list("secrets", "a list of names of secrets, like ['openai']"),
    "volumes": _text_map("volumes", _PATH, "a dict of absolute paths to volume names"),
    "packages": _text_list("packages", "a list of requirements, like ['pandas>=2', 'polars']"),
    "image": _text_or_none("image", "the name of a container image"),
    "runtime_class": _text_or_none("runtime_class", "a runtime class like 'gvisor'"),
    "gpu": _gpu,
    "node_selector": _text_map("node_selector", _LABEL, "a dict of node labels to values"),
    "idempotent": _idempotent,
    "public": _public,
}
