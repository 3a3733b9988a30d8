"""Makes the report of a capture: what was found, what is wrong, what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from jupyter_faas.core import inspection
from jupyter_faas.core.collecting import Collection
from jupyter_faas.core.culprit import advice
from jupyter_faas.core.model import RevisionSpec
from jupyter_faas.core.report import Node, Report

_GIVEN = ("FAAS_GATEWAY_URL", "FAAS_GATEWAY_TOKEN", "PYTHONUNBUFFERED")
_STORED = "looks like a secret and is stored with the code: use secrets=[…] or env={…}"
_LARGE = "larger than 64 kB: a change in place is not noticed, `.deploy()` captures it anew"
_SAME_DRAWS = (
    "each replica draws the same numbers from it: make one in the function, seeded by its input"
)
_RANK = {"error": 0, "note": 1, "ok": 2}


def report_of(found: Collection, spec: RevisionSpec) -> Report:
    """Return the report of a capture with these settings, worst first."""
    values = inspection.captured_values(found.target)
    large = [name for name, value in values.items() if found.watch.is_large(value)]
    secrets = inspection.secret_names(values)
    unset = inspection.unset_variables(found.codes, _environment(spec))
    notes = {
        **dict.fromkeys(large, _LARGE),
        **dict.fromkeys(inspection.generator_names(values), _SAME_DRAWS),
        **dict.fromkeys(secrets, _STORED),
    }
    on_path = found.path[1].label if len(found.path) > 1 else None
    nodes = [
        *inspection.path_nodes(found.path),
        *inspection.module_nodes(found.modules, has_image=spec.image is not None),
        *(
            node
            for node in inspection.value_nodes(values, found.watch.size_of, notes)
            if node.label != on_path
        ),
        *(
            Node(label=name, type="str", note=_STORED, level="note")
            for name in secrets
            if name not in values
        ),
        *(_variable_node(name, is_required) for name, is_required in unset),
    ]
    # What is not here may be in an image of its own: nobody here knows what is in that.
    missing = () if spec.image else tuple(one.module for one in found.modules.missing)
    is_sendable = found.problem is None and not missing
    return Report(
        name=found.name,
        nodes=tuple(sorted(nodes, key=lambda node: _RANK[node.level])),
        advice=tuple(_advice(found, missing)),
        missing=missing,
        unset=tuple(name for name, _ in unset),
        secrets=tuple(secrets),
        large=tuple(large),
        size_bytes=spec.code.size_bytes,
        is_sendable=is_sendable,
    )


def _advice(found: Collection, missing: tuple[str, ...]) -> Iterator[str]:
    if found.problem is not None:
        yield advice(found.path)
    if missing:
        yield (
            "Install what is missing, or put its import inside try/except if the function can do "
            "without."
        )


def _environment(spec: RevisionSpec) -> frozenset[str]:
    place = spec.place.environ if spec.place is not None else {}
    return frozenset((*spec.env, *place, *_GIVEN))


def _variable_node(name: str, is_required: bool) -> Node:
    note = "is read and not set there: give it with env={…}"
    if not is_required:
        note = "is read, set here and not there: give it with env={…}"
    return Node(label=name, type="environment", note=note, level="note")
