"""Handles of functions that are deployed already, from any notebook or script."""

from __future__ import annotations

from typing import Any

from jupyter_faas.client import answers, connect, control, views
from jupyter_faas.client.classes import RemoteClass
from jupyter_faas.client.function import RemoteFunction
from jupyter_faas.client.plan import Known
from jupyter_faas.client.target import longest_wait_s
from jupyter_faas.core import model
from jupyter_faas.core.errors import Forbidden, FunctionNotFound, RevisionNotFound
from jupyter_faas.core.names import check_name


@answers.unframed
def function(name: str, revision: int | None = None) -> Any:
    """Return the handle of a deployed function (or class).

    Args:
        name: Its name on the platform.
        revision: Call this revision only; None: traffic decides.

    Raises:
        FunctionNotFound: Nothing is deployed under this name.
        RevisionNotFound: It has no such revision (any more).
        Forbidden: The token may not look functions up, as that of a function's own code.
    """
    known = _known(check_name(name))
    if known is None:
        raise FunctionNotFound(
            f"No function is called {name!r} here: faas.functions() lists those there are."
        )
    number = revision if revision is not None else known.function.latest
    found = known.by_number(number)
    if found is None:
        there = ", ".join(str(one.number) for one in known.revisions)
        raise RevisionNotFound(f"{name} has no revision {number}; it has {there}.")
    code, spec = found.spec.code, found.spec
    wait_s = longest_wait_s(
        known.function.settings.queue_timeout_s,
        spec.startup_timeout_s,
        spec.timeout_s,
        spec.retries,
    )
    if code.kind is model.Kind.CLASS:
        return RemoteClass[Any](name, code.methods, revision=revision, wait_s=wait_s)
    return RemoteFunction[..., Any, Any, Any](name, code.kind, revision=revision, wait_s=wait_s)


def _known(name: str) -> Known | None:
    try:
        return control.known(connect.gateway(), name)
    except Forbidden as error:
        raise Forbidden(
            f"{error.detail} Look {name!r} up outside, where it is deployed from: a handle that a "
            "function refers to travels along, and may be called."
        ) from error


def functions() -> views.Table[control.FunctionView]:
    """Return all deployed functions; displays as a table."""
    return views.function_table(control.functions(connect.gateway()))
