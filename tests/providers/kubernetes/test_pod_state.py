"""What pods as a real cluster (Kubernetes 1.37) shows them are taken for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.providers.kubernetes.names import ROLE_LABEL
from jupyter_faas.providers.kubernetes.pod_state import (
    Ending,
    Pod,
    PodStage,
    deleted_ending,
    read_pod,
)

Object = dict[str, Any]

RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
OOM = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "containerID": "c1"}}


def pod(
    role: str = "replica",
    *,
    state: Object | None = None,
    last: Object | None = None,
    restarts: int = 0,
    container_id: str = "c1",
    conditions: dict[str, Any] | None = None,
    meta: Object | None = None,
    spec: Object | None = None,
    **status: Any,
) -> Object:
    """Return a pod's JSON; `conditions` are type → status or the whole condition."""
    container = {
        "name": "runner",
        "image": "some/image:1",
        "containerID": container_id,
        "state": state or {},
        "lastState": last or {},
        "restartCount": restarts,
    }
    return {
        "metadata": {
            "namespace": "default",
            "name": "p",
            "uid": "u",
            "resourceVersion": "7",
            "labels": {ROLE_LABEL: role, "jupyter-faas.io/replica": "r-1"},
            **(meta or {}),
        },
        "spec": {"nodeName": "n", **(spec or {})},
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.1",
            "containerStatuses": [] if state is None and last is None else [container],
            "conditions": [
                {"type": name, **(value if isinstance(value, dict) else {"status": value})}
                for name, value in (conditions or {}).items()
            ],
            **status,
        },
    }


def waiting(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason, "message": message}}


READY = {"Ready": "True", "ContainersReady": "True"}
UNREADY = {"Ready": "False", "ContainersReady": "False"}
SILENT = {"Ready": "False", "ContainersReady": "True"}


@pytest.mark.parametrize(
    ("shown", "stage", "reason"),
    [
        (pod(phase="Pending"), PodStage.STARTING, None),
        (pod(state=waiting("ContainerCreating")), PodStage.STARTING, None),
        (pod(state=RUNNING, conditions=READY), PodStage.RUNNING, None),
        (pod(state=RUNNING, conditions=UNREADY), PodStage.RUNNING, None),
        (pod(state=RUNNING, meta={"deletionTimestamp": "now"}), PodStage.LEAVING, None),
        # how a replica ends: its container is started again, as a generic runner
        (pod(state=OOM), PodStage.RESTARTING, "out_of_memory"),
        (pod(state={"terminated": {"exitCode": 1}}), PodStage.RESTARTING, "crashed"),
        (pod(state={"terminated": {"exitCode": 0}}), PodStage.RESTARTING, "stopped"),
        (pod(state=waiting("ContainerCreating"), last=OOM), PodStage.RESTARTING, "out_of_memory"),
        (pod(state=RUNNING, last=OOM, restarts=1), PodStage.RUNNING, "out_of_memory"),
        # not again, or not soon
        (pod(state=waiting("CrashLoopBackOff"), last=OOM), PodStage.GONE, "out_of_memory"),
        (
            pod(state={"terminated": {"exitCode": 128, "reason": "StartError", "message": "x"}}),
            PodStage.GONE,
            "start_failed",
        ),
        (pod(state=OOM, meta={"deletionTimestamp": "now"}), PodStage.GONE, "out_of_memory"),
        (
            pod(state=RUNNING, last=OOM, meta={"deletionTimestamp": "now"}),
            PodStage.LEAVING,
            "out_of_memory",
        ),
        # a generic runner that was started again is as good as new
        (pod("pool", state=RUNNING, last=OOM, restarts=3), PodStage.RUNNING, None),
        (pod("pool", state=OOM, restarts=3), PodStage.STARTING, None),
        # nodes
        (pod(state=RUNNING, conditions=SILENT), PodStage.GONE, "node_lost"),
        (pod("pool", state=RUNNING, conditions=SILENT), PodStage.GONE, "node_lost"),
        (pod(state=RUNNING, conditions={"Ready": "Unknown"}), PodStage.GONE, "node_lost"),
        (pod(state=RUNNING, reason="NodeLost"), PodStage.GONE, "node_lost"),
        (pod(phase="Failed", reason="Evicted", message="low memory"), PodStage.GONE, "node_lost"),
        (pod(phase="Failed", reason="OutOfcpu"), PodStage.GONE, "crashed"),
    ],
)
def test_how_far_a_pod_is(shown, stage, reason):
    found = read_pod(shown)
    assert found.stage is stage
    assert (found.ending.reason if found.ending else None) == reason


def test_what_is_kept_of_a_pod_is_what_is_needed():
    found = read_pod(pod(state=RUNNING, spec={"containers": [{"resources": {"requests": {}}}]}))
    assert (found.address, found.container, found.container_id) == ("10.0.0.1:8600", "runner", "c1")
    assert (found.node, found.version, found.replica) == ("n", "7", "r-1")
    assert found.requests == {}


def test_a_pod_without_a_node_tells_what_it_asks_for():
    requests = {"cpu": "64", "memory": "1Gi", "nvidia.com/gpu": "2"}
    refused = {
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient cpu.",
    }
    found = read_pod(
        pod(
            conditions={"PodScheduled": refused},
            spec={"nodeName": "", "containers": [{"resources": {"requests": requests}}]},
            phase="Pending",
        )
    )
    assert found.requests == {"cpu": 64.0, "memory": 2.0**30, "nvidia.com/gpu": 2.0}
    assert "Insufficient cpu" in found.unschedulable


@pytest.mark.parametrize(
    ("disruption", "reason", "words"),
    [
        ("EvictionByEvictionAPI", "stopped", "drained"),
        ("DeletionByTaintManager", "node_lost", "not to be used"),
        ("DeletionByPodGC", "node_lost", "is gone"),
        ("", "stopped", "somebody has deleted"),
    ],
)
def test_why_a_pod_leaves(disruption, reason, words):
    conditions = {"DisruptionTarget": {"status": "True", "reason": disruption}}
    found = read_pod(pod(state=RUNNING, conditions=conditions, meta={"deletionTimestamp": "now"}))
    assert words in found.leaving
    assert deleted_ending(found).reason == reason


def test_a_pod_that_vanishes_was_stopped():
    assert deleted_ending(read_pod(pod(state=RUNNING))) == Ending("stopped")


def test_a_resize_that_waits_says_why():
    pending = {"status": "True", "reason": "Deferred", "message": "Node didn't have enough cpu"}
    found = read_pod(pod(state=RUNNING, conditions={"PodResizePending": pending}))
    assert (found.resize_reason, found.resize) == ("Deferred", "Node didn't have enough cpu")


words = st.sampled_from(
    ["", "Pending", "Running", "Failed", "Evicted", "True", "False", "Unknown", "c1", "OOMKilled"]
)
states = st.one_of(
    st.none(),
    st.just({}),
    st.just(RUNNING),
    st.just(OOM),
    st.builds(waiting, words, words),
    st.builds(lambda code: {"terminated": {"exitCode": code}}, st.integers(0, 255)),
)


@given(
    role=st.sampled_from(["pool", "spare", "replica", ""]),
    state=states,
    last=states,
    restarts=st.integers(0, 3),
    conditions=st.dictionaries(
        st.sampled_from(["Ready", "ContainersReady", "PodScheduled", "DisruptionTarget"]), words
    ),
    phase=words,
    reason=words,
)
def test_any_pod_can_be_read_and_what_is_gone_says_how(
    role, state, last, restarts, conditions, phase, reason
):
    found = read_pod(
        pod(
            role,
            state=state,
            last=last,
            restarts=restarts,
            conditions=conditions,
            phase=phase,
            reason=reason,
        )
    )
    assert isinstance(found, Pod)
    if found.stage in (PodStage.GONE, PodStage.RESTARTING):
        assert found.ending is not None
    if found.ending is not None:
        known = {"stopped", "crashed", "out_of_memory", "node_lost", "start_failed"}
        assert found.ending.reason in known
