"""Names and ids: what may be called how. Pure; used by every layer."""

from __future__ import annotations

import re

from jupyter_faas.core.errors import InvalidSpec

MAX_NAME_LENGTH = 63
"""Longest DNS label (RFC 1123 section 2.1)."""

DEFAULT_NAMESPACE = "default"

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_INVOCATION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def function_name(python_name: str) -> str:
    """Return the function name for a Python identifier: `clean_text` → `clean-text`.

    Raises:
        InvalidSpec: The identifier cannot be made a DNS label, e.g. `<lambda>`.
    """
    return check_name(python_name.strip("_").replace("_", "-").lower())


def check_name(name: str) -> str:
    """Return `name` if it is a DNS label.

    Raises:
        InvalidSpec: It is not; the text says what is allowed.
    """
    if not isinstance(name, str) or not _DNS_LABEL.fullmatch(name):
        raise InvalidSpec(
            f"name={name!r} cannot be used: a name has 1 to {MAX_NAME_LENGTH} lower-case letters, "
            "digits and `-`, and starts and ends with a letter or digit."
        )
    return name


def is_invocation_id(text: str) -> bool:
    """Return whether a caller may use `text` as the id of an invocation."""
    return _INVOCATION_ID.fullmatch(text) is not None
