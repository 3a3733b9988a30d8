"""Kubernetes objects as the YAML that `kubectl apply -f -` takes, and what needs the extra."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from jupyter_faas.core.errors import UsageError


def require_extra() -> None:
    """Say how to get what the commands for clusters need, if it is not there.

    Raises:
        UsageError: It is not.
    """
    if not (find_spec("yaml") and find_spec("kubernetes")):
        raise UsageError(
            "Commands for clusters need the extra `kubernetes`: "
            "pip install 'jupyter_faas[kubernetes]'."
        )


def to_yaml(objects: Sequence[dict[str, Any]]) -> str:
    """Return objects as one YAML stream, each part written out where it stands."""
    import yaml  # noqa: PLC0415 - not in the base install

    plain = type("Plain", (yaml.SafeDumper,), {"ignore_aliases": lambda *_: True})
    text: str = yaml.dump_all(
        objects, Dumper=plain, sort_keys=False, width=100, explicit_start=True, allow_unicode=True
    )
    return text
