"""Which gateway pods take calls, and why none does."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_faas.client.kube import pods
from jupyter_faas.client.kube.pods import Pod, ready_pods, why_not_ready
from jupyter_faas.providers.kubernetes import names


def pod(name: str = "g", *, ready: bool = False, leaving: bool = False, **status: Any) -> Any:
    metadata = {"name": name, **({"deletionTimestamp": "now"} if leaving else {})}
    conditions = status.pop("conditions", [])
    conditions = [*conditions, {"type": "Ready", "status": str(ready)}]
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": "gateway"}]},
        "status": {"phase": "Running", **status, "conditions": conditions},
    }


def container(**state: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"ready": False, **state}]}


WAITING = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
LOOPING = {"waiting": {"reason": "CrashLoopBackOff"}}
UNPLACED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes",
}


def test_ready_pods_that_do_not_leave_take_calls():
    found = ready_pods([pod("a", ready=True), pod("b"), pod("c", ready=True, leaving=True)])
    assert found == [Pod("a", 8080)]


def test_the_port_is_the_one_named_http():
    one = pod(ready=True)
    one["spec"]["containers"] = [
        {"ports": [{"name": "calls", "containerPort": 1}, {"name": "http", "containerPort": 2}]}
    ]
    assert ready_pods([one]) == [Pod("g", 2)]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (pod(**container(state=WAITING)), "g: ErrImagePull: not found"),
        (
            pod(**container(state=LOOPING, lastState={"terminated": {"exitCode": 1}})),
            "g: CrashLoopBackOff (it ended with exit code 1)",
        ),
        (pod(conditions=[UNPLACED], phase="Pending"), "g: Unschedulable: 0/1 nodes"),
        (
            pod(**container(state={"running": {}})),
            "g: it runs and does not say that it is ready yet (see its log)",
        ),
        (
            pod(**container(state={"terminated": {"exitCode": 2, "reason": "Error"}})),
            "g: it ended with exit code 2: Error",
        ),
        (pod(phase="Failed", reason="Evicted"), "g: Evicted"),
        (pod(phase="Pending"), "g: it is Pending, not ready"),
        (pod(leaving=True), "g: it is ending"),
    ],
)
def test_why_a_pod_is_not_ready_is_said_in_the_clusters_words(seen, said):
    assert why_not_ready([seen]) == said


def test_one_reason_is_said_once():
    assert why_not_ready([pod("a", leaving=True), pod("b", leaving=True)]) == "a: it is ending"
    assert why_not_ready([]) == ""


def test_names_are_those_of_what_is_installed():
    from jupyter_faas.client import cluster
    from jupyter_faas.client.kube import credential
    from jupyter_faas.core.settings import Settings

    assert f"{names.ROLE_LABEL}={names.GATEWAY}" == pods.SELECTOR
    assert pods.GATEWAY_PORT == names.GATEWAY_PORT
    assert cluster.GATEWAY_NAME == names.GATEWAY_NAME
    assert credential.USER_ACCOUNT == names.USER_ACCOUNT
    assert Settings().system_namespace == names.SYSTEM_NAMESPACE
