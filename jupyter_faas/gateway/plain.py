"""Model values as plain JSON values with every field written out.

The model leaves defaults out where processes speak to each other. People, scripts and widgets
read `"state": "pending"` and `"maxContainers": 10` rather than nothing.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Any

import msgspec


def plain(value: Any) -> Any:
    """Return a value as dicts, lists, strings and numbers; fields by their wire names."""
    if isinstance(value, msgspec.Struct):
        return {wire: plain(getattr(value, name)) for name, wire in _fields(type(value))}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, str], ...]:
    return tuple((field.name, field.encode_name) for field in msgspec.structs.fields(kind))
