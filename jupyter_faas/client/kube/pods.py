"""Which pods of a gateway can be connected to, and why none can. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

Object = dict[str, Any]

GATEWAY_PORT = 8080
SELECTOR = "jupyter-faas.io/role=gateway"


class Pod(NamedTuple):
    """Where a gateway listens."""

    name: str
    port: int


def ready_pods(pods: Sequence[Object]) -> list[Pod]:
    """Return the pods that take calls."""
    return [
        Pod(pod["metadata"]["name"], _port(pod))
        for pod in pods
        if _is_ready(pod) and not _is_leaving(pod)
    ]


def why_not_ready(pods: Sequence[Object]) -> str:
    """Return why no pod is ready, a sentence for each reason; empty: there are no pods."""
    reasons: dict[str, str] = {}
    for pod in pods:
        reasons.setdefault(_reason(pod), pod["metadata"]["name"])
    return "; ".join(f"{pod}: {reason}" for reason, pod in reasons.items())


def _port(pod: Object) -> int:
    """Return the container port named `http`, else the usual one."""
    for container in pod["spec"].get("containers") or ():
        for port in container.get("ports") or ():
            if port.get("name") == "http":
                return int(port["containerPort"])
    return GATEWAY_PORT


def _is_ready(pod: Object) -> bool:
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in pod.get("status", {}).get("conditions") or ()
    )


def _is_leaving(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _reason(pod: Object) -> str:
    if _is_leaving(pod):
        return "it is ending"
    return next(_reasons(pod), f"it is {pod.get('status', {}).get('phase') or 'new'}, not ready")


def _reasons(pod: Object) -> Iterator[str]:
    """Yield what keeps a pod from being ready, the most telling first."""
    status = pod.get("status", {})
    if status.get("phase") == "Failed":
        yield _said(status, "it has failed")
    for container in status.get("containerStatuses") or ():
        state = container.get("state") or {}
        if waiting := state.get("waiting"):
            ended = (container.get("lastState") or {}).get("terminated")
            if ended:
                yield f"{_said(waiting)} (it ended with exit code {ended.get('exitCode')})"
            yield _said(waiting)
        elif ended := state.get("terminated"):
            yield f"it ended with exit code {ended.get('exitCode')}: {_said(ended)}"
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] != "True":
            yield _said(condition, "no node takes it")
    for container in status.get("containerStatuses") or ():
        if "running" in (container.get("state") or {}) and not container.get("ready"):
            yield "it runs and does not say that it is ready yet (see its log)"


def _said(what: Object, default: str = "no reason given") -> str:
    parts = [str(part) for part in (what.get("reason"), what.get("message")) if part]
    return ": ".join(parts) or default
