"""Kubernetes quantities as numbers, and numbers as people read them. Pure."""

from __future__ import annotations

import re

_QUANTITY = re.compile(r"(?P<number>[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)(?P<suffix>[a-zA-Z]*)")
_SUFFIXES = {
    "": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "P": 1e15, "E": 1e18, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
    "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip


def number_of(quantity: object) -> float:
    """Return what a quantity stands for (`100m` → 0.1, `1Gi` → 2³⁰); 0 for what is none."""
    match = _QUANTITY.fullmatch(str(quantity).strip())
    if match is None or match["suffix"] not in _SUFFIXES:
        return 0.0
    try:
        return float(match["number"]) * _SUFFIXES[match["suffix"]]
    except ValueError:
        return 0.0


def amount(resource: str, number: float) -> str:
    """Return an amount of a resource in words.

    Args:
        resource: As in a pod's requests, e.g. `cpu`, `memory`, `nvidia.com/gpu`.
        number: In cores, bytes or pieces.
    """
    if resource == "cpu":
        return f"{number:.3g} CPU" if number == 1 else f"{number:.3g} CPUs"
    if resource in ("memory", "ephemeral-storage"):
        what = "memory" if resource == "memory" else "disk"
        return f"{_bytes(number)} of {what}"
    return f"{number:g} {resource}"


def short(resource: str, number: float) -> str:
    """Return an amount without its noun."""
    if resource in ("memory", "ephemeral-storage"):
        return _bytes(number)
    return f"{number:.3g}"


def _bytes(number: float) -> str:
    for size, unit in ((2.0**40, "TiB"), (2.0**30, "GiB")):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number / 2.0**20:.0f} MiB"
