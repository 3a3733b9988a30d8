"""Killed under load: a replica, a gateway, the leader, the pool. Only what was in it may fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.cluster.conftest import run_kubectl
from tests.cluster.system import System, inline
from tests.e2e.load import Load
from tests.support import wait_until

RATE_PER_S, FOR_S = 100, 8.0
DOUBLE = "import time\ndef double(x):\n    time.sleep(0.02)\n    return 2 * x\n"


@dataclass
class Target:
    """What `Load` needs to know of a gateway."""

    address: tuple[str, int]
    token: str


@pytest.fixture
def double(system: System) -> Iterator[str]:
    scaling = {"minContainers": 3, "maxContainers": 6, "maxInputs": 8}
    system.apply(inline("double", DOUBLE, scaling=scaling))
    wait_until(lambda: len(system.ready_replicas("double")) >= 3, 40.0)
    yield "double"
    system.delete("double")


def load_while(system: System, name: str, harm: Callable[[], object], after_s: float = 2.0) -> Load:
    load = Load(Target(system.address, system.token), f"{system.namespace}/{name}")  # type: ignore[arg-type]

    async def both() -> None:
        calls = asyncio.create_task(load.at_rate(RATE_PER_S, FOR_S))
        await asyncio.sleep(after_s)  # the harm comes in the middle of the load
        await asyncio.to_thread(harm)
        await calls

    asyncio.run(both())
    return load


def check(load: Load, may_fail: int) -> None:
    """Every answer that came is right; at most `may_fail` calls failed."""
    assert len(load.seen) == RATE_PER_S * FOR_S
    good = [one for one in load.seen if one.status == 200]
    assert all(one.value == 2 * one.sent for one in good)
    failed = [one for one in load.seen if one.status != 200]
    assert len(failed) <= may_fail, [(one.status, one.value) for one in failed[:5]]


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
    def kill() -> None:
        lease = run_kubectl(
            "-n", system.system, "get", "lease", "jupyter-faas-leader",
            "-o", "jsonpath={.spec.holderIdentity}",
        )  # fmt: skip
        pods = [
            one["metadata"]["name"]
            for one in system.list("pods", "jupyter-faas.io/role=gateway", system.system)
        ]
        victim = next(pod for pod in pods if (pod in lease) == (which == "leader"))
        run_kubectl("-n", system.system, "delete", "pod", victim, "--grace-period=0", "--force")

    load = load_while(system, double, kill)
    # Calls that were in the killed process, and connections the Service sent there meanwhile.
    check(load, may_fail=RATE_PER_S * 2)
    late = [one for one in load.seen if one.started_s > load.seen[0].started_s + 6.0]
    assert all(one.status == 200 for one in late)


def test_a_rolling_update_of_the_gateway_loses_no_call(system: System, double: str) -> None:
    def roll() -> None:
        run_kubectl("-n", system.system, "rollout", "restart", "deployment/jupyter-faas-gateway")
        run_kubectl(
            "-n", system.system, "rollout", "status", "deployment/jupyter-faas-gateway",
            "--timeout=60s", timeout_s=70.0,
        )  # fmt: skip

    check(load_while(system, double, roll, after_s=1.0), may_fail=0)


def test_a_new_revision_under_load_loses_no_call(system: System, double: str) -> None:
    def update() -> None:
        scaling = {"minContainers": 3, "maxContainers": 6, "maxInputs": 8}
        system.apply(inline(double, DOUBLE + "# second\n", scaling=scaling))
        wait_until(lambda: system.call(double, 1).headers.get("faas-revision") == "2", 10.0)

    check(load_while(system, double, update), may_fail=0)


def test_an_empty_pool_is_no_obstacle(system: System) -> None:
    pool = system.list("deployments", "jupyter-faas.io/role=pool")[0]["metadata"]["name"]
    replicas = system.get("deployment", pool)["spec"]["replicas"]
    system.kubectl("scale", "deployment", pool, "--replicas=0")
    try:
        wait_until(lambda: not system.list("pods", "jupyter-faas.io/role=pool"), 40.0)
        system.apply(inline("alone", "def alone():\n    return 1\n"))
        wait_until(lambda: system.call("alone", timeout_s=60.0).status == 200, 60.0)
    finally:
        system.kubectl("scale", "deployment", pool, f"--replicas={replicas}")
        system.delete("alone")
