"""What the JSON of a runner's pod means: how far it is, what is wrong with it, how it ended. Pure.

Only what is needed of a pod is kept, so that many can be held in memory. Troubles that need more
than the pod to be told in plain words (which nodes there are) are finished in `trouble.py`.
"""

from __future__ import annotations

from enum import StrEnum
from sys import intern
from typing import Any, NamedTuple

from jupyter_faas.core.model import Value
from jupyter_faas.providers.kubernetes.names import (
    FUNCTION_LABEL,
    PYTHON_LABEL,
    REPLICA,
    REPLICA_LABEL,
    REVISION_ID_ANNOTATION,
    ROLE_LABEL,
    RUNNER_PORT,
    RUNTIME_LABEL,
)
from jupyter_faas.providers.kubernetes.quantity import number_of
from jupyter_faas.providers.kubernetes.trouble import Trouble, container_trouble

Object = dict[str, Any]

_DISRUPTIONS = {
    "EvictionByEvictionAPI": "its node is drained, or it was evicted",
    "PreemptionByScheduler": "a pod of higher priority needs its place",
    "DeletionByTaintManager": "its node is not to be used any more",
    "DeletionByPodGC": "its node is gone",
    "TerminationByKubelet": "its node is short of resources or shuts down",
}
_NODE_GONE = ("DeletionByTaintManager", "DeletionByPodGC")
_NEVER_BEGAN = ("StartError", "ContainerCannotRun")


class PodStage(StrEnum):
    """How far a pod is."""

    STARTING = "starting"
    """Its container does not run yet; `trouble` may say why."""
    RUNNING = "running"
    """Its container runs: the runner listens now or in a moment."""
    RESTARTING = "restarting"
    """A replica's container has ended and is started again, as a generic runner."""
    LEAVING = "leaving"
    """Somebody has deleted it: it drains."""
    GONE = "gone"
    """It serves nothing any more, though the object may still be there."""


class Ending(NamedTuple):
    """How a pod ended; see `ReplicaGone`."""

    reason: str
    detail: str = ""


class Pod(Value, kw_only=True):
    """A runner's pod, as much of it as is needed."""

    namespace: str
    name: str
    uid: str
    version: str
    """`resourceVersion`."""
    role: str = ""
    function: str = ""
    replica: str = ""
    revision_id: str = ""
    python: str = ""
    runtime_class: str = ""
    stage: PodStage = PodStage.STARTING
    node: str = ""
    address: str = ""
    """`HOST:PORT`; empty: it has none yet."""
    container: str = ""
    """Name of the runner's container."""
    container_id: str = ""
    """Of its present start."""
    trouble: Trouble | None = None
    unschedulable: str = ""
    """The scheduler's words on why it has no node."""
    requests: dict[str, float] = {}
    """Of a pod without a node: what it asks for, in cores, bytes and pieces."""
    selector: dict[str, str] = {}
    """Of a pod without a node: labels that its node must have."""
    ending: Ending | None = None
    """Once it is gone; of a replica whose container was started again: how that had ended."""
    leaving: str = ""
    """Why it was deleted, as far as the cluster says."""
    resize: str = ""
    """Why its resources could not be changed in place (yet)."""
    resize_reason: str = ""
    """`Deferred`, `Infeasible` or `Error`."""
    created_at: str = ""

    @property
    def is_claimed(self) -> bool:
        """Whether this replica's pod was generic; one made for a replica has its name."""
        return self.name != self.replica


def read_pod(pod: Object) -> Pod:
    """Return what a pod's JSON says."""
    meta, spec = pod["metadata"], pod.get("spec") or {}
    status = pod.get("status") or {}
    labels, notes = meta.get("labels") or {}, meta.get("annotations") or {}
    runner = _runner(status)
    role = labels.get(ROLE_LABEL, "")
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    is_replica = role == REPLICA
    is_leaving = "deletionTimestamp" in meta
    ending = _pod_ending(status, conditions)
    if ending is not None:
        stage = PodStage.GONE
    elif is_replica and (ending := _runner_ending(runner)) is not None:
        stage = _after_its_end(runner, is_leaving)
    else:
        stage = _stage(is_leaving, runner)
    ip = status.get("podIP") or ""
    waits_for_node = stage is PodStage.STARTING and not spec.get("nodeName")
    resize = conditions.get("PodResizePending") or {}
    return Pod(
        namespace=intern(meta["namespace"]),
        name=meta["name"],
        uid=meta["uid"],
        version=meta["resourceVersion"],
        role=intern(role),
        function=labels.get(FUNCTION_LABEL, ""),
        replica=labels.get(REPLICA_LABEL, ""),
        revision_id=notes.get(REVISION_ID_ANNOTATION, ""),
        python=intern(labels.get(PYTHON_LABEL, "")),
        runtime_class=intern(labels.get(RUNTIME_LABEL, "")),
        stage=stage,
        node=intern(spec.get("nodeName") or ""),
        address=_address(ip),
        container=intern(runner.get("name") or ""),
        container_id=runner.get("containerID") or "",
        trouble=container_trouble(runner) if stage is PodStage.STARTING else None,
        unschedulable=_unschedulable(conditions) if waits_for_node else "",
        requests=pod_requests(spec) if waits_for_node else {},
        selector=dict(spec.get("nodeSelector") or {}) if waits_for_node else {},
        ending=ending,
        leaving=_why_leaving(conditions) if is_leaving else "",
        resize=resize.get("message") or "",
        resize_reason=intern(resize.get("reason") or ""),
        created_at=meta.get("creationTimestamp") or "",
    )


def deleted_ending(pod: Pod) -> Ending:
    """Return how a pod ended that is not in the cluster any more."""
    if pod.ending is not None and pod.stage in (PodStage.GONE, PodStage.RESTARTING):
        return pod.ending
    if pod.leaving in (_DISRUPTIONS[one] for one in _NODE_GONE):
        return Ending("node_lost", f"The pod was removed: {pod.leaving}.")
    return Ending("stopped", f"The pod was removed: {pod.leaving}." if pod.leaving else "")


def _stage(is_leaving: bool, runner: Object) -> PodStage:
    if is_leaving:
        return PodStage.LEAVING
    if "running" in (runner.get("state") or {}):
        return PodStage.RUNNING
    return PodStage.STARTING


def _after_its_end(runner: Object, is_leaving: bool) -> PodStage:
    """Return what becomes of a replica whose container has ended, now or before.

    The kubelet starts it again at once the first time; then it waits longer and longer, and a pod
    of the pool is there sooner.
    """
    state = runner.get("state") or {}
    if "running" in state:
        return PodStage.LEAVING if is_leaving else PodStage.RUNNING
    is_held_back = (state.get("waiting") or {}).get("reason") == "CrashLoopBackOff"
    never_began = (state.get("terminated") or {}).get("reason") in _NEVER_BEGAN
    is_over = is_leaving or is_held_back or never_began
    return PodStage.GONE if is_over else PodStage.RESTARTING


def _runner(status: Object) -> Object:
    """Return the status of the runner's container: the only one, or the first."""
    found = status.get("containerStatuses") or ()
    return found[0] if found else {}


def _pod_ending(status: Object, conditions: dict[str, Object]) -> Ending | None:
    """Return how a whole pod ended, None while its runner may serve."""
    if status.get("reason") == "Evicted":
        return Ending("node_lost", f"The pod was evicted: {status.get('message', '')}".rstrip(": "))
    if status.get("reason") in ("NodeLost", "NodeShutdown", "Shutdown", "Terminated"):
        return Ending("node_lost", status.get("message") or "The node shut down.")
    if _is_node_silent(conditions):
        return Ending("node_lost", "Its node does not answer any more.")
    if status.get("phase") in ("Failed", "Succeeded") and not status.get("containerStatuses"):
        said = status.get("message") or status.get("reason") or "it was not said why"
        return Ending("crashed", f"The pod failed: {said}")
    return None


def _runner_ending(runner: Object) -> Ending | None:
    """Return how a replica's container ended (last), None if it runs for the first time."""
    state, last = runner.get("state") or {}, runner.get("lastState") or {}
    terminated = state.get("terminated") or last.get("terminated")
    return None if terminated is None else _terminated(terminated)


def _is_node_silent(conditions: dict[str, Object]) -> bool:
    """Return whether the node controller took the pod for lost: it alone changes just `Ready`."""
    if (conditions.get("Ready") or {}).get("status") == "Unknown":
        return True
    return (conditions.get("Ready") or {}).get("status") == "False" and (
        conditions.get("ContainersReady") or {}
    ).get("status") == "True"


def _terminated(terminated: Object) -> Ending:
    reason, code = terminated.get("reason") or "", terminated.get("exitCode")
    if reason == "OOMKilled":
        return Ending("out_of_memory", "Its container was ended for using too much memory.")
    if code == 0:
        return Ending("stopped")
    signal = terminated.get("signal") or (code - 128 if code is not None and code > 128 else None)
    said = (terminated.get("message") or "").strip()
    if reason in _NEVER_BEGAN:
        return Ending("start_failed", f"Its container cannot be started: {said[-500:]}")
    how = f"by signal {signal}" if signal else f"with exit code {code}"
    return Ending("crashed", f"Its container ended {how}." + (f" {said[-500:]}" if said else ""))


def _why_leaving(conditions: dict[str, Object]) -> str:
    reason = (conditions.get("DisruptionTarget") or {}).get("reason") or ""
    return _DISRUPTIONS.get(reason, "somebody has deleted its pod")


def _unschedulable(conditions: dict[str, Object]) -> str:
    found = conditions.get("PodScheduled") or {}
    is_refused = found.get("status") == "False" and found.get("reason") == "Unschedulable"
    return (found.get("message") or "no node takes it") if is_refused else ""


def pod_requests(spec: Object) -> dict[str, float]:
    """Return what a pod asks for, in cores, bytes and pieces."""
    total: dict[str, float] = {}
    for container in spec.get("containers") or ():
        asked = (container.get("resources") or {}).get("requests") or {}
        for resource, quantity in asked.items():
            total[resource] = total.get(resource, 0.0) + number_of(quantity)
    return total


def _address(ip: str) -> str:
    if not ip:
        return ""
    return f"[{ip}]:{RUNNER_PORT}" if ":" in ip else f"{ip}:{RUNNER_PORT}"
