"""What all installed objects have in common: their head."""

from __future__ import annotations

from typing import Any

from jupyter_faas.core.version import VERSION
from jupyter_faas.providers.kubernetes.names import MANAGED_LABEL, MANAGER

Object = dict[str, Any]

LABELS = {
    MANAGED_LABEL: MANAGER,
    "app.kubernetes.io/part-of": "jupyter-faas",
    "app.kubernetes.io/version": VERSION,
}


def obj(
    api_version: str,
    kind: str,
    name: str,
    namespace: str | None = None,
    *,
    labels: dict[str, str] | None = None,
    **parts: Any,
) -> Object:
    """Return an object with our labels.

    Args:
        api_version: E.g. `apps/v1`.
        kind: E.g. `Deployment`.
        name: Its name.
        namespace: None: of the whole cluster.
        labels: More of them.
        parts: `spec`, `rules` and what else the kind has.
    """
    where = {"namespace": namespace} if namespace else {}
    metadata = {"name": name, **where, "labels": {**LABELS, **(labels or {})}}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}
