"""What handles return, as JSON text for programs: the command line and `%faas … --json`."""

from __future__ import annotations

from typing import Any

import msgspec


def to_json(value: object) -> str:
    """Return a value of the model as indented JSON, with the names of the wire."""
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=_plain), indent=2).decode()


def _plain(value: object) -> Any:
    """Return the JSON form of what msgspec does not know: the attributes of a view."""
    return {name: item for name, item in vars(value).items() if not name.startswith("_")}
