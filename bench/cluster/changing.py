"""New code: applied by kubectl, edited there, redeployed from a notebook's client."""

from __future__ import annotations

import contextlib
import io
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

from bench.cluster.world import (
    NAMESPACE,
    SOURCE,
    Cluster,
    answers,
    apply,
    delete,
    function,
    kubectl,
)
from bench.harness import Row, percentile, summary, timed_ms, wait_until

APPLIES, EDITS, REDEPLOYS = 8, 12, 20


def applied(cluster: Cluster) -> list[Row]:
    """A Function that was not there, from `kubectl apply` to its first answer over HTTP."""
    took_ms = []
    names = [f"applied-{number}" for number in range(APPLIES)]
    try:
        for name in names:
            time.sleep(1.5)
            took_ms.append(timed_ms(lambda name=name: _applied(cluster, name)))  # type: ignore[misc]
    finally:
        delete(*names)
    return [_applied_row("kubectl apply of a new Function → its first answer", took_ms)]


def _applied(cluster: Cluster, name: str) -> None:
    apply(name, SOURCE)
    wait_until(lambda: answers(cluster, name), 30, f"{name} answers")


def edited(cluster: Cluster) -> list[Row]:
    """New source applied to a Function, until the new code answers."""
    took_ms = []
    with function(cluster, "edited") as name:
        for number in range(EDITS):
            time.sleep(1.5)
            took_ms.append(timed_ms(lambda number=number: _edit(cluster, name, number)))  # type: ignore[misc]
    return [_applied_row("kubectl apply of new source → answered by it", took_ms)]


def _edit(cluster: Cluster, name: str, number: int) -> None:
    apply(name, f"{SOURCE}# {number}\n")
    revision = str(number + 2)
    wait_until(lambda: cluster.call(name)["faas-revision"] == revision, 30, "the new code")


def _applied_row(what: str, took_ms: list[float]) -> Row:
    kubectl_ms = statistics.median(
        timed_ms(lambda: kubectl("-n", NAMESPACE, "get", "fn")) for _ in range(5)
    )
    p50 = percentile(took_ms, 50)
    return Row(
        f"Kubernetes: {what} (kubectl itself included)",
        f"p50 {p50:.0f} ms (a kubectl get: {kubectl_ms:.0f} ms)",
        "≤ 500 ms",
        p50 <= 500,
        summary(took_ms, "ms") | {"kubectl_get_ms": kubectl_ms},
    )


def redeployed(cluster: Cluster) -> list[Row]:
    """A changed function called from a notebook's client, until the new code has answered."""
    import jupyter_faas as faas

    if not platform.python_version().startswith("3.11."):
        return []  # what runs there is the Python of the pool
    took_ms = []
    try:
        faas.connect(f"http://{cluster.host}", token=cluster.token, namespace=NAMESPACE)
        for number in range(REDEPLOYS + 1):
            handle = faas.serverless(name="redeployed")(_cell(number))
            time.sleep(1.5)
            with contextlib.redirect_stdout(io.StringIO()):
                took_ms.append(timed_ms(lambda: _is_answer(handle.remote(), number)))  # noqa: B023
    finally:
        delete("redeployed")
    del took_ms[0]  # of the first deploy: connecting, and asking what the runners have
    p50 = percentile(took_ms, 50)
    return [
        Row(
            "Kubernetes: redeploy from a notebook → answered by the new code",
            f"p50 {p50:.0f} ms, p95 {percentile(took_ms, 95):.0f} ms",
            "p50 ≤ 100 ms",
            p50 <= 100,
            summary(took_ms, "ms") | {"min_ms": min(took_ms)},
        )
    ]


def _cell(number: int) -> Callable[..., Any]:
    """Return what running a cell with another constant in it gives."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(f"def changed(x=0):\n    return {number}\n", f"<cell {number}>", "exec"), scope)
    changed: Callable[..., Any] = scope["changed"]
    return changed


def _is_answer(found: object, number: int) -> None:
    assert found == number, f"old code has answered: {found}, not {number}"
