"""What of a function is compared on the card: its source, and what it captured. Pure reading.

Numbers are shown with their old and new value; of everything else only that it changed: a text
may be a secret.
"""

from __future__ import annotations

import difflib
import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jupyter_faas.core.canonical import digest_of
from jupyter_faas.core.inspection import captured_values
from jupyter_faas.core.references import is_by_value
from jupyter_faas.core.watch import approximate_bytes

_MAX_COMPARED_BYTES = 64 * 1024
_MAX_DIFF_LINES = 400


@dataclass(frozen=True)
class Seen:
    """A function as it was deployed.

    Attributes:
        sources: Source text by name: its own, and that of functions and classes it refers to.
        numbers: Captured numbers and truth values by name.
        others: What tells whether another captured value has changed, by name.
    """

    sources: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, object] = field(default_factory=dict)


def seen_of(code: Any) -> Seen:
    """Return what is to be compared of a function or class, as it is now."""
    sources, numbers, others = {code.__name__: _source(code)}, {}, {}
    for name, value in captured_values(code).items():
        if value is None or isinstance(value, (bool, int, float)):
            numbers[name] = repr(value)
        elif inspect.isfunction(value) or inspect.isclass(value):
            if is_by_value(value):
                sources[name] = _source(value)
        elif not inspect.ismodule(value):
            others[name] = _mark(value)
    return Seen(sources, numbers, others)


def changes(before: Seen, after: Seen) -> tuple[list[str], str]:
    """Return what changed, one short phrase each, and the unified diff of all sources."""
    phrases: list[str] = []
    diffs: list[str] = []
    for name in dict.fromkeys([*after.sources, *before.sources]):
        lines = _diff(name, before.sources.get(name, ""), after.sources.get(name, ""))
        if lines:
            diffs += lines
            phrases.append(_source_phrase(name, after, lines))
    for name in sorted({*before.numbers, *after.numbers}):
        was, now = before.numbers.get(name), after.numbers.get(name)
        if was != now and name not in before.others and name not in after.others:
            phrases.append(f"{name} {was or 'none'} → {now or 'none'}")
    for name in sorted({*before.others, *after.others}):
        if before.others.get(name) != after.others.get(name):
            phrases.append(_other_phrase(name, before, after))
    shown = diffs[:_MAX_DIFF_LINES]
    if len(diffs) > len(shown):
        shown.append(f"… {len(diffs) - len(shown)} more lines")
    return phrases, "\n".join(shown)


def _source(code: Any) -> str:
    try:
        return textwrap.dedent(inspect.getsource(code))
    except (OSError, TypeError):
        return ""


def _mark(value: Any) -> object:
    if approximate_bytes(value) > _MAX_COMPARED_BYTES:
        return id(value)
    try:
        return digest_of(value)
    except Exception:  # what has no canonical form is told by its identity
        return id(value)


def _diff(name: str, before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"{name} before", f"{name} now", lineterm="", n=2
    )
    return list(lines)


def _source_phrase(name: str, after: Seen, lines: list[str]) -> str:
    changed = [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    count = max(sum(line[0] == "+" for line in changed), sum(line[0] == "-" for line in changed))
    own = next(iter(after.sources), "")
    what = "code" if name == own else name
    return f"{what} ({count} line{'s' if count != 1 else ''})"


def _other_phrase(name: str, before: Seen, after: Seen) -> str:
    is_new = name not in before.others and name not in before.numbers
    is_gone = name not in after.others and name not in after.numbers
    return f"{name} {'added' if is_new else 'removed' if is_gone else 'changed'}"
