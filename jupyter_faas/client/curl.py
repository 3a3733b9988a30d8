"""A curl line that calls a function, ready to be run in a shell. Pure; no token is in it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

_EXAMPLES = {"str": "text", "int": 1, "float": 1.5, "bool": True, "list": [], "dict": {}}


def curl_line(url: str, parameters: Sequence[Mapping[str, Any]], method: str = "") -> str:
    """Return `curl -H "$(jupyter-faas auth-header)" -d '{"text": "text"}' URL`.

    Args:
        url: Where plain HTTP calls go.
        parameters: Of the function, as a revision's code has them.
        method: Of a class: which one is called.
    """
    body = {
        str(one["name"]): _EXAMPLES.get(str(one.get("annotation", "")).strip("'"), 1)
        for one in parameters
        if "default" not in one and not str(one.get("kind", "")).startswith("var_")
    }
    named = f" -H {shlex.quote(f'Faas-Method: {method}')}" if method else ""
    data = shlex.quote(json.dumps(body, ensure_ascii=False))
    return f'curl -H "$(jupyter-faas auth-header)"{named} -d {data} {shlex.quote(url)}'
