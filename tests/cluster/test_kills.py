"""Killed under load: a replica, a gateway, the leader, the pool. Only what was in it may fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jupyter_faas.core.ownership import Members
from tests.cluster.conftest import run_kubectl
from tests.cluster.loading import DOUBLE, RATE_PER_S, check, load_while
from tests.cluster.node import halted, kill_all
from tests.cluster.system import Object, System, inline
from tests.support import wait_until


@pytest.fixture
def double(system: System) -> Iterator[str]:
    scaling = {"minContainers": 3, "maxContainers": 6, "maxInputs": 8}
    system.apply(inline("double", DOUBLE, scaling=scaling))
    wait_until(lambda: len(system.ready_replicas("double")) >= 3, 60.0)
    yield "double"
    system.delete("double")


def test_a_killed_replica_costs_its_own_calls_only(system: System, double: str) -> None:
    def kill() -> None:
        pod = system.replicas(double)[0]["metadata"]["name"]
        system.kubectl("delete", "pod", pod, "--grace-period=0", "--force")

    load = load_while(system, double, kill)
    check(load, may_fail=8)
    assert all(one.value["code"] == "replica_lost" for one in load.seen if one.status == 502)


def test_a_replica_deleted_in_good_order_costs_nothing(system: System, double: str) -> None:
    def delete() -> None:
        pod = system.replicas(double)[0]["metadata"]["name"]
        system.kubectl("delete", "pod", pod, "--wait=false")

    check(load_while(system, double, delete), may_fail=0)


@pytest.mark.parametrize("which", ["leader", "other"])
def test_a_killed_gateway_costs_what_was_in_it(system: System, double: str, which: str) -> None:
    leader, (other, *_) = gateways(system)
    victim = (leader if which == "leader" else other)["metadata"]["name"]

    killed_s: list[float] = []

    def kill() -> None:
        run_kubectl("-n", system.system, "delete", "pod", victim, "--grace-period=0", "--force")
        killed_s.append(time.monotonic())

    load = load_while(system, double, kill, for_s=16.0)
    # Calls that were in the killed process, and connections the Service sent there meanwhile:
    # every other one, until the cluster has heard of it.
    check(load, may_fail=RATE_PER_S * 5, for_s=16.0)
    since = [(one, one.started_s - killed_s[0]) for one in load.seen if one.status != 200]
    late = [(s, one.took_s, one.status, one.value) for one, s in since if s > 10.0]
    assert not late, late


def test_a_container_killed_whole_costs_its_own_calls_and_serves_again(
    system: System, double: str
) -> None:
    victim = system.replicas(double)[0]
    replica = victim["metadata"]["labels"]["jupyter-faas.io/replica"]
    load = load_while(system, double, lambda: kill_all(victim))
    check(load, may_fail=8)
    assert all(one.value["code"] == "replica_lost" for one in load.seen if one.status != 200)
    wait_until(
        lambda: len(system.ready_replicas(double)) == 3 == len(system.replicas(double)),
        60.0,
        what="three replicas in three pods",
        seen=lambda: (replica, system.ready_replicas(double), system.kubectl("get", "pods")),
    )


def test_a_killed_container_serves_again_where_no_pod_can_be_had(system: System) -> None:
    system.apply(inline("lone", DOUBLE, code={"entry": "double"}, scaling={"minContainers": 1}))
    system.wait_ready("lone")
    try:
        with empty_pool(system), no_more_pods(system):
            (pod,) = system.replicas("lone")
            kill_all(pod)
            wait_until(lambda: system.call("lone", 2).status == 200, 120.0)
            (after,) = system.replicas("lone")
            assert after["metadata"]["uid"] == pod["metadata"]["uid"]
            assert after["status"]["containerStatuses"][0]["restartCount"] == 1
    finally:
        system.delete("lone")


def test_the_leader_killed_between_claim_and_specialise_leaves_nothing_behind(
    system: System, double: str
) -> None:
    """The claim lands while the runners stand still; who made it is killed; then they go on.

    The call that waited in it may say so (`gateway_lost`); made again it is answered soon.
    """
    leader, others = gateways(system)
    name = owned_by(leader, [leader, *others], system.namespace)
    system.apply(inline(name, DOUBLE, code={"entry": "double"}, scaling={"maxContainers": 1}))
    system.wait_ready(name)
    system.control("PATCH", f"/v1/functions/{name}/scaling", {"scaledownWindowSeconds": 1})
    wait_until(lambda: not system.replicas(name), 60.0)
    other = others[0]["status"]["podIP"], 8080
    answered: list[tuple[int, float, bytes]] = []

    def call() -> None:
        while not answered or b"gateway_lost" in answered[-1][2]:
            answer = system.call(name, 4, address=other, timeout_s=30.0)
            answered.append((answer.status, time.monotonic(), answer.body))

    def harm() -> None:
        caller = threading.Thread(target=call)
        with halted(system.list("pods", "jupyter-faas.io/role=pool")):
            caller.start()
            wait_until(lambda: system.replicas(name), 60.0, what="claimed")
            kill_all(leader)
            killed_s = time.monotonic()
        caller.join()
        status, at_s, _ = answered[-1]
        assert (status, at_s - killed_s < 45.0) == (200, True), (answered, killed_s)

    try:
        check(load_while(system, double, harm), may_fail=RATE_PER_S * 2)
        assert len(system.replicas(name)) <= 1
        wait_until(lambda: not system.replicas(name), 60.0, what="scaled to zero again")
    finally:
        system.delete(name)


def test_a_deleted_pool_costs_nothing_that_is_warm(system: System, double: str) -> None:
    pool = system.list("deployments", "jupyter-faas.io/role=pool")[0]
    kept = {key: pool["metadata"][key] for key in ("name", "namespace", "labels")}
    again = {**pool, "metadata": kept}
    del again["status"]

    def delete() -> None:
        system.kubectl("delete", "deployment", kept["name"], "--cascade=foreground")
        system.apply(again)
        system.apply(inline("cold", "def cold():\n    return 'cold'\n"))
        wait_until(lambda: system.call("cold").body == b"cold", 60.0, what="a cold start")

    try:
        check(load_while(system, double, delete), may_fail=0)
    finally:
        system.delete("cold")


def test_a_rolling_update_of_the_gateway_loses_no_call(system: System, double: str) -> None:
    def roll() -> None:
        run_kubectl("-n", system.system, "rollout", "restart", "deployment/jupyter-faas-gateway")
        run_kubectl(
            "-n", system.system, "rollout", "status", "deployment/jupyter-faas-gateway",
            "--timeout=120s", timeout_s=130.0,
        )  # fmt: skip

    check(load_while(system, double, roll, after_s=1.0), may_fail=0)


def test_a_new_revision_under_load_loses_no_call(system: System, double: str) -> None:
    def update() -> None:
        scaling = {"minContainers": 3, "maxContainers": 6, "maxInputs": 8}
        system.apply(inline(double, DOUBLE + "# second\n", scaling=scaling))
        wait_until(lambda: system.call(double, 1).headers.get("faas-revision") == "2", 60.0)

    check(load_while(system, double, update), may_fail=0)


def test_an_empty_pool_is_no_obstacle(system: System) -> None:
    try:
        with empty_pool(system):
            system.apply(inline("alone", "def alone():\n    return 1\n"))
            wait_until(lambda: system.call("alone", timeout_s=60.0).status == 200, 120.0)
    finally:
        system.delete("alone")


@contextmanager
def empty_pool(system: System) -> Iterator[None]:
    """Have no pod in the pool for the time."""
    pool = system.list("deployments", "jupyter-faas.io/role=pool")[0]["metadata"]["name"]
    replicas = system.get("deployment", pool)["spec"]["replicas"]
    system.kubectl("scale", "deployment", pool, "--replicas=0")
    try:
        wait_until(lambda: not system.list("pods", "jupyter-faas.io/role=pool"), 60.0)
        yield
    finally:
        system.kubectl("scale", "deployment", pool, f"--replicas={replicas}")


@contextmanager
def no_more_pods(system: System) -> Iterator[None]:
    """Have the namespace's quota used up for the time."""
    system.kubectl("create", "quota", "used-up", f"--hard=pods={system.living_pods()}")
    try:
        wait_until(
            lambda: system.get("resourcequota", "used-up").get("status", {}).get("used"), 60.0
        )
        yield
    finally:
        system.kubectl("delete", "quota", "used-up")


def gateways(system: System) -> tuple[Object, list[Object]]:
    """Return the gateway that leads and the others."""
    lease = system.get("lease", "jupyter-faas-leader", system.system)
    holder = lease["spec"]["holderIdentity"]
    pods = system.list("pods", "jupyter-faas.io/role=gateway", system.system)
    pods = [one for one in pods if "deletionTimestamp" not in one["metadata"]]
    leader = next(one for one in pods if one["metadata"]["name"] in holder)
    return leader, [one for one in pods if one is not leader]


def owned_by(gateway: Object, all: list[Object], namespace: str) -> str:
    """Return a name whose function belongs to a gateway."""
    members = Members(one["metadata"]["name"] for one in all)
    names = (f"led-{n}" for n in range(100))
    own = gateway["metadata"]["name"]
    return next(one for one in names if members.owner((namespace, one)) == own)
