"""The lines of a deployment card: what changed, what was captured, where it runs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_faas.client.markup import size
from jupyter_faas.core import model
from jupyter_faas.core.diff import changes
from jupyter_faas.core.report import note_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_faas.client.target import Target
    from jupyter_faas.core.capture import Capture

_MAX_SHOWN = 8


def fields(target: Target, code: Capture, before: Capture | None) -> list[tuple[str, str]]:
    """Return the card's labelled lines.

    Args:
        target: What is deployed.
        code: As it was captured now.
        before: As it was captured when this process last deployed the name.
    """
    lines = [("captured", captured(code)), ("where", where(target, code.code))]
    if before is not None and before.id != code.id:
        lines.insert(0, ("changed", "   ".join(changes(before.spec, code.spec)) or "values"))
    return [*lines, ("call it", call_text(target))]


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


def where(target: Target, code: model.Code) -> str:
    """Return where it runs: `python 3.11 · cpu 0.1 · memory ≤ 512 MiB · 0–10 replicas`."""
    resources = target.options.revision["resources"]
    scaling = target.options.settings.scaling
    return (
        f"python {code.python} · cpu {resources.cpu:g} · memory ≤ {resources.memory_mib} MiB · "
        f"{scaling.min_containers}–{scaling.max_containers} replicas"
    )


def call_text(target: Target) -> str:
    """Return how to call it: `score.remote(x)`, `Model.predict.remote(x)`."""
    import inspect  # noqa: PLC0415 - displays only

    function, name = target.code, target.code.__name__
    if target.kind is model.Kind.CLASS:
        method = next(iter(target.methods))
        function, name = getattr(target.code, method), f"{name}.{method}"
    names = [n for n in inspect.signature(function).parameters if n != "self"]
    return f"{name}.remote({', '.join(names)})"
