"""What differs between two revisions, in words: for cards, lists and the panel. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from jupyter_faas.core.model import RevisionSpec

_LABELS = {
    "timeout_s": "timeout",
    "startup_timeout_s": "startup_timeout",
    "resources.memory_mib": "memory",
    "resources.memory_request_mib": "memory request",
    "resources.cpu": "cpu",
    "resources.cpu_limit": "cpu limit",
    "resources.gpu": "gpu",
    "code.python": "python",
    "code.entry": "entry",
    "code.kind": "kind",
    "code.signature": "signature",
    "place.interpreter": "interpreter",
    "place.cwd": "working directory",
}
_UNSAID = {
    "code.digest",
    "code.size_bytes",
    "code.parameters",
    "code.methods",
    "place.environ",
    "place.sys_path",
}
"""Differences that the code's own line says already, or that are noise (`PATH` of a shell)."""


def changes(old: RevisionSpec, new: RevisionSpec) -> list[str]:
    """Return what changed from `old` to `new`, one short phrase each: `timeout 300 → 60`.

    Values of environment variables are not shown: only which were added, removed or changed.
    """
    found = ["code"] if old.code.digest != new.code.digest else []
    before, after = _flat(old), _flat(new)
    for key in sorted(before.keys() | after.keys()):
        was, now = before.get(key), after.get(key)
        if was != now and key not in _UNSAID:
            found.append(_phrase(key, was, now))
    return found


def _phrase(key: str, was: Any, now: Any) -> str:
    if key.startswith("env."):
        verb = "added" if was is None else "removed" if now is None else "changed"
        return f"env {key.removeprefix('env.')} {verb}"
    if key.startswith("code.modules."):
        return f"{key.removeprefix('code.modules.')} {_shown(was)} → {_shown(now)}"
    return f"{_LABELS.get(key, key)} {_shown(was)} → {_shown(now)}"


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return leaves by dotted path; lists are leaves."""
    found: dict[str, Any] = {}
    items = msgspec.structs.asdict(value) if isinstance(value, msgspec.Struct) else value
    for name, item in items.items():
        path = f"{prefix}{name}"
        if isinstance(item, (msgspec.Struct, dict)) and path not in _UNSAID:
            found |= _flat(item, f"{path}.")
        else:
            found[path] = item
    return found


def _shown(value: Any) -> str:
    if value is None or value in ("", ()):
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value))
    return str(value)
