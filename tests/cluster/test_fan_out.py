"""Maps and kept calls on an installed system, from a notebook's side, while gateways are killed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import jupyter_faas as faas
from jupyter_faas import FunctionCall, MapRun
from jupyter_faas.client.gateway import Gateway
from jupyter_faas.client.session import session
from jupyter_faas.core.errors import FaasError, GatewayLost
from jupyter_faas.core.ownership import Members
from tests.cluster.conftest import run_kubectl
from tests.cluster.mapped import nested, slow, work
from tests.cluster.node import kill_all
from tests.cluster.system import Object, System
from tests.support import wait_until

pytestmark = pytest.mark.timeout(300)
NAMES = ("mapped", "mapping", "slow-once")


@pytest.fixture(scope="module")
def connected(system: System) -> Iterator[Gateway]:
    host, port = system.address
    blobs = ("rollout", "status", "statefulset/jupyter-faas-blobs", "--timeout=60s")
    run_kubectl("-n", system.system, *blobs, timeout_s=70.0)
    before = session.gateway
    gateway = faas.connect(f"http://{host}:{port}", system.token, namespace=system.namespace)
    yield gateway
    for name in NAMES:
        system.delete(name)
    gateway.close()
    session.gateway = before


def gateways(system: System) -> list[Object]:
    pods = system.list("pods", "jupyter-faas.io/role=gateway", system.system)
    return [
        pod
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"]["conditions"])
    ]


def owner_and_other(system: System, name: str) -> tuple[Object, Object]:
    """Return the gateway that a function belongs to, and the other one; waits for both."""
    pods = wait_until(lambda: len(found := gateways(system)) == 2 and found, 60.0)
    members = Members(pod["metadata"]["name"] for pod in pods)
    owner = members.owner((system.namespace, name))
    first, second = pods
    return (first, second) if first["metadata"]["name"] == owner else (second, first)


def at(pod: Object) -> tuple[str, int]:
    return str(pod["status"]["podIP"]), 8080


def through(system: System, pod: Object) -> Gateway:
    """Connect to one gateway."""
    host, port = at(pod)
    return faas.connect(f"http://{host}:{port}", system.token, namespace=system.namespace)


def test_a_map_gives_what_the_builtin_gives(
    connected: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(work.map(range(200))) == [x * x for x in range(200)]
    assert "item 199" in capsys.readouterr().out
    assert list(work.starmap([(2, 0.0), (3, 0.01)])) == [4, 9]
    work.for_each(range(3))
    outcomes = list(work.map([1, -2, 3], return_exceptions=True))
    assert outcomes[::2] == [1, 9]
    assert "negative" in str(outcomes[1])
    with pytest.raises(ValueError, match="-5 is negative"):
        list(work.map([1, -5, 2]))


def test_a_mapped_function_may_map(connected: Gateway) -> None:
    assert list(nested.map([3, 4])) == [5, 14]


def test_every_gateway_shows_a_map_and_ends_it(system: System, connected: Gateway) -> None:
    work.deploy()
    owner, other = owner_and_other(system, "mapped")
    path = f"/v1/maps?namespace={system.namespace}"
    results = work.map(range(4000), kwargs={"seconds": 0.2}, engine="replicas")
    assert next(results) == 0

    def running(pod: Object) -> list[str]:
        maps = system.request("GET", path, address=at(pod)).json()["maps"]
        return [one["id"] for one in maps if one["state"] == "running"]

    (id,) = wait_until(lambda: running(other), 60.0)
    assert running(owner) == [id]
    wait_until(lambda: id in [one["id"] for one in connected.state()["maps"]], 60.0)
    elsewhere = f"/v1/maps/{id}?namespace=default"
    assert system.request("DELETE", elsewhere, address=at(other)).status in (403, 404)
    mine = f"/v1/maps/{id}?namespace={system.namespace}"
    assert system.request("DELETE", mine, address=at(other)).json()["id"] == id
    with pytest.raises(FaasError, match="cancelled"):
        list(results)
    wait_until(lambda: not running(other), 60.0)


def test_leaving_a_map_ends_what_runs(system: System, connected: Gateway) -> None:
    results = work.map(range(50), kwargs={"seconds": 200.0})
    wait_until(lambda: inputs_in_flight(system, "mapped") > 0, 60.0)
    results.close()
    wait_until(lambda: inputs_in_flight(system, "mapped") == 0, 60.0)


def inputs_in_flight(system: System, name: str) -> int:
    shown = system.control("GET", f"/v1/functions/{name}/replicas").json()
    return sum(one.get("inFlight", 0) for one in shown.get("replicas", ()))


def test_a_kept_call_is_the_same_at_every_gateway(system: System, connected: Gateway) -> None:
    call = work.spawn(6, seconds=0.3)
    for pod in owner_and_other(system, "mapped"):
        gateway = through(system, pod)
        found = FunctionCall.from_id(call.id)
        assert found.get(timeout=60) == 36
        assert found.status == "done"
        wait_until(lambda: "item 6" in list(found.logs()), 60.0)  # noqa: B023 - waited for here
        gateway.close()
    session.gateway = connected
    failed = work.spawn(-1)
    with pytest.raises(ValueError, match="negative"):
        failed.get()
    slow_one = slow.spawn(1, 60.0)
    wait_until(lambda: slow_one.status == "running", 60.0)
    assert slow_one.cancel() is True
    wait_until(lambda: slow_one.status == "cancelled", 60.0)


def test_kept_calls_of_a_killed_gateway_run_at_the_other(
    system: System, connected: Gateway
) -> None:
    """One runs, the others wait: the gateway that has them ends as if its node had."""
    assert slow.remote(0, 0.0) == 0
    owner, other = owner_and_other(system, "slow-once")
    gateway = through(system, other)
    calls = [slow.spawn(n, 6.0 if n == 0 else 0.05) for n in range(6)]
    wait_until(lambda: calls[0].status == "running", 60.0)
    kill_all(owner)
    assert [call.get(timeout=120) for call in calls] == list(range(6))
    gateway.close()
    session.gateway = connected
    owner_and_other(system, "slow-once")  # both are there again


def test_a_kept_map_goes_on_when_its_gateway_is_killed(system: System, connected: Gateway) -> None:
    assert work.remote(1) == 1
    owner, other = owner_and_other(system, "mapped")
    gateway = through(system, other)
    run = work.spawn_map(range(120), kwargs={"seconds": 0.2})
    results = run.results()
    assert next(results) == 0
    kill_all(owner)
    assert list(MapRun.from_id(run.id).results()) == [x * x for x in range(120)]
    assert run.status == "done"
    listed = gateway.ask("GET", "/v1/maps", result=dict)["maps"]
    assert run.id in [one["id"] for one in listed]
    gateway.close()
    session.gateway = connected
    owner_and_other(system, "mapped")


def test_a_map_and_kept_ones_go_on_while_the_gateways_are_rolled(
    system: System, connected: Gateway
) -> None:
    owner_and_other(system, "mapped")
    run = work.spawn_map([*range(60), -1], kwargs={"seconds": 0.4})
    call = slow.spawn(7, 3.0)
    seen: list[int] = []
    results = work.map(range(150), kwargs={"seconds": 0.2})
    reading = threading.Thread(target=lambda: seen.extend(results))
    reading.start()
    restart = ("rollout", "restart", "deployment/jupyter-faas-gateway")
    run_kubectl("-n", system.system, *restart)
    status = ("rollout", "status", "deployment/jupyter-faas-gateway", "--timeout=150s")
    run_kubectl("-n", system.system, *status, timeout_s=160.0)
    reading.join(60)
    assert seen == [x * x for x in range(150)]
    assert again(lambda: call.get(timeout=60)) == 7
    outcomes = again(lambda: list(run.results(return_exceptions=True)))
    assert outcomes[:60] == [x * x for x in range(60)]
    ((index, error),) = again(run.failed)
    assert (index, str(error)) == (60, "-1 is negative")


def again(ask):  # type: ignore[no-untyped-def]
    """Return what `ask` does; its connection may be one to a gateway that has gone."""
    for _ in range(5):
        try:
            return ask()
        except GatewayLost:
            continue
    return ask()
