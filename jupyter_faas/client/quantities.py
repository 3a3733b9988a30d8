"""Amounts of CPU and memory as people write them. Pure.

Kubernetes writes `500m` cores and `2Gi` bytes; notebooks write `0.5` and `2048` (MiB). Both are
read here, for the decorator's `cpu` and `memory`, and nowhere else.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from jupyter_faas.core.errors import InvalidSpec

Cpu: TypeAlias = "float | str | tuple[float | str, float | str]"
Memory: TypeAlias = "int | str | tuple[int | str, int | str]"

MAX_CPU_CORES = 1024
MAX_MEMORY_MIB = 64 * 1024 * 1024

_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")
_BYTES = {
    "": 1,
    "k": 10**3,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "KB": 10**3,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}

_CPU_HELP = "cores as a number like 0.5 or a text like '500m', or a pair (request, limit)"
_MEMORY_HELP = "MiB as a whole number like 512, a text like '2Gi', or a pair (request, limit)"


def parse_cpu(value: Any) -> tuple[float, float | None]:
    """Return (request, limit) in cores; one number is a request without a limit.

    Raises:
        InvalidSpec: Not a number or quantity, not in (0, 1024], or the limit is below the request.
    """
    if isinstance(value, (tuple, list)):
        request, limit = _pair("cpu", value, _cores, _CPU_HELP)
        return request, limit
    return _cores(value), None


def parse_memory(value: Any) -> tuple[int | None, int]:
    """Return (request, limit) in MiB; one amount is the limit, its request is left open.

    Raises:
        InvalidSpec: Not an amount, below 1 MiB, or the limit is below the request.
    """
    if isinstance(value, (tuple, list)):
        request, limit = _pair("memory", value, _mebibytes, _MEMORY_HELP)
        return request, limit
    return None, _mebibytes(value)


def _pair(argument: str, value: Any, read: Any, allowed: str) -> tuple[Any, Any]:
    if len(value) != 2:
        raise InvalidSpec(f"{argument}={value!r}: allowed is {allowed}.")
    request, limit = read(value[0]), read(value[1])
    if limit < request:
        raise InvalidSpec(f"{argument}={value!r}: the limit is below the request.")
    return request, limit


def _cores(value: Any) -> float:
    cores: float | None = None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        cores = float(value)
    elif isinstance(value, str) and (match := _QUANTITY.fullmatch(value)):
        unit = {"": 1.0, "m": 1e-3}.get(match[2])
        cores = None if unit is None else float(match[1]) * unit
    if cores is None or not 0 < cores <= MAX_CPU_CORES:
        raise InvalidSpec(
            f"cpu={value!r}: allowed is {_CPU_HELP}, over 0 and at most {MAX_CPU_CORES}."
        )
    return cores


def _mebibytes(value: Any) -> int:
    mebibytes: float | None = None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        mebibytes = float(value)
    elif isinstance(value, str) and (match := _QUANTITY.fullmatch(value)):
        unit = _BYTES.get(match[2])
        # A text without a unit is bytes for Kubernetes and MiB for us: refuse to guess.
        if unit is not None and match[2]:
            mebibytes = float(match[1]) * unit / 2**20
    if mebibytes is None or not 1 <= mebibytes <= MAX_MEMORY_MIB:
        raise InvalidSpec(f"memory={value!r}: allowed is {_MEMORY_HELP}, at least 1 MiB.")
    return round(mebibytes)
