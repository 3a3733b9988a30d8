"""The decorator's arguments: what is allowed, and what they become in the model. Pure.

One table of checks, one per argument; each either returns the value as the model wants it or
raises `InvalidSpec` naming the argument and what is allowed. Called by `@serverless` while the
cell runs, so a mistake points at the decorator's line.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from jupyter_faas.client.checks import CHECKS
from jupyter_faas.client.policies import Cron, Period, Retries
from jupyter_faas.client.quantities import Cpu, Memory
from jupyter_faas.core import model
from jupyter_faas.core.errors import InvalidSpec


class Arguments(TypedDict, total=False):
    """What `@serverless(...)` takes, for type checkers. Meanings: API.md, Decorator."""

    name: str
    min_containers: int
    max_containers: int
    buffer_containers: int
    scaledown_window: float
    max_inputs: int
    target_inputs: float | None
    cpu: Cpu
    memory: Memory
    timeout: float
    startup_timeout: float
    queue_timeout: float
    retries: int | Retries
    env: Mapping[str, str]
    secrets: Sequence[str]
    volumes: Mapping[str, str]
    packages: Sequence[str]
    image: str | None
    runtime_class: str | None
    gpu: str | int | None
    node_selector: Mapping[str, str] | None
    schedule: Cron | Period | None
    idempotent: bool | None
    public: bool


@dataclass(frozen=True)
class Options:
    """Checked arguments of one decoration.

    Attributes:
        name: The function's name, a DNS label; None: derived from the Python name.
        revision: Fields of `RevisionSpec` (without `code` and `place`).
        settings: What belongs to the function: scaling, queue time-out, public.
    """

    name: str | None
    revision: Mapping[str, Any]
    settings: model.FunctionSettings


DEFAULTS: dict[str, Any] = {
    "name": None,
    "min_containers": 0,
    "max_containers": 10,
    "buffer_containers": 0,
    "scaledown_window": 60,
    "max_inputs": 1,
    "target_inputs": None,
    "cpu": 0.1,
    "memory": 512,
    "timeout": 300,
    "startup_timeout": 60,
    "queue_timeout": 60,
    "retries": 0,
    "env": {},
    "secrets": [],
    "volumes": {},
    "packages": [],
    "image": None,
    "runtime_class": None,
    "gpu": None,
    "node_selector": None,
    "schedule": None,
    "idempotent": None,
    "public": False,
}

SCALING_FIELDS = {
    "min_containers": "min_containers",
    "max_containers": "max_containers",
    "buffer_containers": "buffer_containers",
    "scaledown_window": "scaledown_window_s",
    "target_inputs": "target_inputs",
}
"""Arguments that change live, and the fields of `Scaling` they are."""


def parse_options(given: Mapping[str, Any]) -> Options:
    """Return the checked form of the decorator's arguments.

    Raises:
        InvalidSpec: Unknown argument, wrong type, out of range, or two that contradict.
        NotImplementedError: `schedule=`.
    """
    check_known(given, DEFAULTS)
    merged = {**DEFAULTS, **given}
    if merged["schedule"] is not None:
        raise NotImplementedError(
            "schedule= cannot be used yet: call the function from a timer of your own."
        )
    values = {name: check(merged[name]) for name, check in CHECKS.items()}
    scaling = _scaling(values, max_inputs=values["max_inputs"])
    return Options(
        name=values["name"],
        revision=_revision_fields(values),
        settings=model.FunctionSettings(
            scaling=scaling, queue_timeout_s=values["queue_timeout"], public=values["public"]
        ),
    )


def parse_scaling(
    given: Mapping[str, Any], current: model.Scaling, max_inputs: int
) -> dict[str, Any]:
    """Return the given scaling arguments by the model's field names, checked with the others.

    Args:
        given: Some of `SCALING_FIELDS`.
        current: The settings they change.
        max_inputs: Of the revision that runs.

    Raises:
        InvalidSpec: Unknown argument, out of range, or two that contradict.
    """
    check_known(given, SCALING_FIELDS)
    changes = {name: CHECKS[name](value) for name, value in given.items()}
    before = {name: getattr(current, field) for name, field in SCALING_FIELDS.items()}
    _scaling(before | changes, max_inputs=max_inputs)
    return {SCALING_FIELDS[name]: value for name, value in changes.items()}


def check_known(given: Mapping[str, Any], allowed: Mapping[str, Any]) -> None:
    """Refuse names that are not allowed, with the likely meant one.

    Raises:
        InvalidSpec: An argument is unknown.
    """
    for name in given:
        if name not in allowed:
            close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise InvalidSpec(f"Unknown argument {name!r}.{hint} Allowed: {', '.join(allowed)}.")


def _scaling(values: Mapping[str, Any], *, max_inputs: int) -> model.Scaling:
    low, high, target = values["min_containers"], values["max_containers"], values["target_inputs"]
    if low > high:
        raise InvalidSpec(f"min_containers={low} is more than max_containers={high}.")
    if target is not None and target > max_inputs:
        raise InvalidSpec(f"target_inputs={target} is more than max_inputs={max_inputs}.")
    return model.Scaling(
        min_containers=low,
        max_containers=high,
        buffer_containers=values["buffer_containers"],
        scaledown_window_s=values["scaledown_window"],
        target_inputs=target,
    )


def _revision_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    request, limit = values["cpu"]
    memory_request, memory = values["memory"]
    return {
        "packages": values["packages"],
        "image": values["image"],
        "env": values["env"],
        "secrets": values["secrets"],
        "volumes": values["volumes"],
        "resources": model.Resources(
            cpu=request,
            cpu_limit=limit,
            memory_mib=memory,
            memory_request_mib=memory_request,
            gpu=values["gpu"],
        ),
        "timeout_s": values["timeout"],
        "startup_timeout_s": values["startup_timeout"],
        "max_inputs": values["max_inputs"],
        "retries": values["retries"],
        "idempotent": values["idempotent"],
        "runtime_class": values["runtime_class"],
        "node_selector": values["node_selector"],
    }
