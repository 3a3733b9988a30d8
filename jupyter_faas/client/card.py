"""The lines of a deployment card: what changed, what was captured, where it runs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_faas.client import card_seen
from jupyter_faas.client.curl import curl_line
from jupyter_faas.client.markup import size
from jupyter_faas.core import model
from jupyter_faas.core.diff import changes
from jupyter_faas.core.report import note_text
from jupyter_faas.core.signature import parameters_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_faas.client.card_seen import Seen
    from jupyter_faas.client.target import Target
    from jupyter_faas.core.capture import Capture

NAMELESS = "<cell>"
"""Name of code that is there for one run: nobody can call it again."""

_MAX_SHOWN = 8


def fields(
    target: Target, code: Capture, place: str, changed: Sequence[str] = ()
) -> list[tuple[str, str]]:
    """Return the card's labelled lines.

    Args:
        target: What is deployed.
        code: As it was captured now.
        place: Where the gateway is: `local`, or which cluster.
        changed: Phrases: what changed against the revision before.
    """
    lines = [("captured", captured(code)), ("where", where(target, code.code, place))]
    if changed:
        lines.insert(0, ("changed", "   ".join(changed)))
    if target.code.__name__ != NAMELESS:
        lines.append(("call it", f"{call_text(target)}   {handle_text(target)}.panel()"))
    return lines


def changed_since(
    before: model.RevisionSpec, code: Capture, was: Seen | None, now: Seen
) -> tuple[list[str], str]:
    """Return what changed against the revision before, and the diff of the source.

    Args:
        before: Spec of that revision.
        code: As it was captured now.
        was: What this process saw of it when it deployed it; None: another one did.
        now: The same, now.
    """
    settings = changes(before, code.spec)
    if was is None:
        return settings, ""
    phrases, diff = card_seen.changes(was, now)
    rest = [phrase for phrase in settings if phrase != "code"]
    return phrases + rest or settings or ["values"], diff


def failure(reason: str, serving: Sequence[int]) -> str:
    """Return why a revision is not ready, and which revisions keep serving, one line each."""
    if not serving:
        return reason
    numbers = " and ".join(str(number) for number in sorted(serving))
    said = f"Revision {numbers} keeps" if len(serving) == 1 else f"Revisions {numbers} keep"
    return f"{reason}\n{said} serving."


def captured(code: Capture) -> str:
    """Return what goes along: `model_params  dict  1.2 kB  ·  helpers  by value`."""
    shown = [
        "  ".join(part for part in (node.label, node.type, note_text(node)) if part)
        for node in code.report.nodes[:_MAX_SHOWN]
    ]
    more = len(code.report.nodes) - _MAX_SHOWN
    if more > 0:
        shown.append(f"and {more} more")
    return "  ·  ".join(shown) or f"the code alone  {size(code.code.size_bytes)}"


def where(target: Target, code: model.Code, place: str) -> str:
    """Return where it runs: `local, python 3.11 · cpu 0.1 · memory ≤ 512 MiB · 0–10 replicas`."""
    resources = target.options.revision["resources"]
    scaling = target.options.settings.scaling
    return (
        f"{place}, python {code.python} · cpu {resources.cpu:g} · "
        f"memory ≤ {resources.memory_mib} MiB · "
        f"{scaling.min_containers}–{scaling.max_containers} replicas"
    )


def handle_text(target: Target) -> str:
    """Return how to name it: `score`; a lambda, whose name nobody can write, is looked up."""
    name = str(target.code.__name__)
    return name if name.isidentifier() else f"faas.function({target.name!r})"


def call_text(target: Target) -> str:
    """Return how to call it: `score.remote(x)`, `Model.predict.remote(x)`."""
    method = _method(target)
    name = f"{handle_text(target)}.{method}" if method else handle_text(target)
    names = [str(one["name"]) for one in _parameters(target)]
    return f"{name}.remote({', '.join(names)})"


def curl_text(target: Target, url: str) -> str:
    """Return a line for a shell that calls it; empty: it is there for one run."""
    if target.code.__name__ == NAMELESS:
        return ""
    return curl_line(url, _parameters(target), _method(target))


def _method(target: Target) -> str:
    """Return the first method of a class; empty: it is a function."""
    return next(iter(target.methods)) if target.kind is model.Kind.CLASS else ""


def _parameters(target: Target) -> list[dict[str, Any]]:
    method = _method(target)
    code = getattr(target.code, method) if method else target.code
    return [one for one in parameters_of(code) if one["name"] != "self"]
