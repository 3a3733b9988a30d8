"""Maps on Ray as `--ray` installs it: scaled with what waits, and killed without a loss."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator

import pytest

import jupyter_faas as faas
from jupyter_faas.client.gateway import Gateway
from jupyter_faas.client.session import session
from tests.cluster.conftest import KubectlFailed, installed, run_kubectl
from tests.cluster.node import kill_all
from tests.cluster.rayed import where
from tests.cluster.system import Object, System
from tests.support import wait_until

pytestmark = pytest.mark.timeout(300)
WORKER, HEAD = "jupyter-faas-ray-worker", "jupyter-faas-ray-head"
SMALL = ("--pool=3.11=2", "--replicas=1", "--ray", "--ray-kind=statefulset", "--blob-url=none")
FEW = (
    "--ray-worker-cpu=0.1",
    "--ray-min-workers=1",
    "--ray-max-workers=2",
    "--ray-idle=5",
    "--ray-worker-memory=1024",
)


@pytest.fixture(scope="module")
def rays() -> Iterator[System]:
    with installed(*SMALL, *FEW) as system:
        for name in (f"deployment/{HEAD}", f"statefulset/{WORKER}"):
            system.kubectl("rollout", "status", name, "--timeout=120s", timeout_s=130.0)
        yield system


@pytest.fixture(scope="module")
def connected(rays: System) -> Iterator[Gateway]:
    before = session.gateway
    host, port = rays.address
    gateway = faas.connect(f"http://{host}:{port}", rays.token, namespace=rays.namespace)
    where.deploy()
    yield gateway
    rays.delete("rayed")
    gateway.close()
    session.gateway = before


def workers(system: System) -> int:
    """Return how many workers there are to be."""
    return int(system.get("statefulset", WORKER)["spec"]["replicas"])


def head(system: System) -> Object:
    """Return the pod of Ray's head, once it is ready."""

    def ready() -> Object | None:
        pods = system.list("pods", "jupyter-faas.io/ray=head")
        return next((pod for pod in pods if is_ready(pod)), None)

    return wait_until(ready, 90.0, what="Ray's head is ready")


def is_ready(pod: Object) -> bool:
    containers = pod["status"].get("containerStatuses") or [{"ready": False}]
    return "deletionTimestamp" not in pod["metadata"] and all(one["ready"] for one in containers)


def mapped(count: int, seconds: float, meanwhile: Callable[[], object] = int) -> list[str]:
    """Map over `count` numbers on Ray; return the pods of the items, in order.

    Args:
        count: Of items.
        seconds: Each takes.
        meanwhile: Called once, when a worker has answered.
    """
    wait_until(lambda: is_on_ray([0]), 150.0, what="a worker takes part")
    places: list[str] = []
    outcomes = where.map(range(count), kwargs={"seconds": seconds}, engine="ray")
    for number, (square, place) in enumerate(outcomes):
        assert square == number * number
        if place.startswith(WORKER) and not any(one.startswith(WORKER) for one in places):
            meanwhile()
        places.append(place)
    assert len(places) == count
    assert any(one.startswith(WORKER) for one in places), f"no worker took part: {set(places)}"
    return places


def is_on_ray(xs: list[int]) -> bool:
    """Return whether workers take a small map."""
    return all(place.startswith(WORKER) for _, place in where.map(xs, engine="ray"))


def use_both() -> None:
    """Map until the second worker has come and taken part: what waits is more than one can do."""
    left = {f"{WORKER}-0", f"{WORKER}-1"}
    with where.map(range(4000), kwargs={"seconds": 0.2}, engine="ray") as outcomes:
        for number, (square, place) in enumerate(outcomes):
            assert square == number * number
            left.discard(place)
            if not left:
                return
    raise AssertionError(f"not one item has run on {left}")


def test_a_map_runs_on_the_workers_of_its_namespace(rays: System, connected: Gateway) -> None:
    assert mapped(100, 0.1)[-1].startswith(WORKER)
    last = connected.ask("GET", "/v1/maps", result=dict)["maps"][-1]
    assert (last["engine"], last["note"]) == ("ray", "")


def test_a_long_map_goes_to_ray_by_itself(connected: Gateway) -> None:
    outcomes = list(where.map(range(60), kwargs={"seconds": 0.25}))
    assert [square for square, _ in outcomes] == [x * x for x in range(60)]
    assert any(place.startswith(WORKER) for _, place in outcomes)


def test_workers_come_while_a_map_waits_and_go_when_nothing_does(
    rays: System, connected: Gateway
) -> None:
    use_both()
    wait_until(lambda: workers(rays) == 1, 90.0, what="the second worker is sent away")


def test_an_idle_worker_goes_while_a_map_runs_on_another(rays: System, connected: Gateway) -> None:
    use_both()
    with where.map([7], kwargs={"seconds": 40.0}, engine="ray") as outcomes:
        wait_until(lambda: workers(rays) == 1, 38.0, what="the second worker is sent away")
        assert list(outcomes) == [(49, f"{WORKER}-0")]


def test_a_worker_that_is_deleted_in_a_map_costs_no_item(rays: System, connected: Gateway) -> None:
    gone = ("delete", "pod", f"{WORKER}-0", "--grace-period=0", "--force")
    mapped(80, 0.1, lambda: rays.kubectl(*gone))


def test_a_head_that_is_killed_in_a_map_costs_no_item(rays: System, connected: Gateway) -> None:
    before = head(rays)
    mapped(100, 0.1, lambda: kill_all(before))
    after = head(rays)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_without_its_token_the_host_answers_nobody(rays: System) -> None:
    address = (head(rays)["status"]["podIP"], 8091)
    for shown in ({}, {"token": "0" * 64}):
        with socket.create_connection(address, timeout=10) as asked:
            asked.sendall(json.dumps(shown).encode() + b"\n")
            with asked.makefile("rb") as answer:
                said = json.loads(answer.readline())
                assert answer.readline() == b""
        assert said["is"] == "failed"
        assert "seats" not in said


def test_without_its_token_ray_lets_nobody_in(rays: System) -> None:
    ask = ("ray", "health-check", "--address", f"{HEAD}:6379")
    inside = ("exec", head(rays)["metadata"]["name"], "--", "env")
    rays.kubectl(*inside, *ask)
    for shown in (f"RAY_AUTH_TOKEN={'0' * 64}", "RAY_AUTH_MODE=disabled"):
        with pytest.raises(KubectlFailed, match=r"(?i)unauthenticated"):
            rays.kubectl(*inside, shown, *ask)


def test_the_tokens_are_no_secret_that_functions_may_use(rays: System) -> None:
    labels = rays.get("secret", "jupyter-faas-ray")["metadata"]["labels"]
    assert "jupyter-faas.io/allow" not in labels


def test_only_gateways_and_ray_reach_ray_where_policies_are_enforced(rays: System) -> None:
    names = {one["metadata"]["name"] for one in rays.list("networkpolicies")}
    assert {HEAD, WORKER} <= names


@pytest.mark.parametrize(
    ("verb", "resource", "part", "may"),
    [
        ("patch", f"statefulsets.apps/{WORKER}", "scale", True),
        ("patch", f"statefulsets.apps/{WORKER}", "", False),
        ("patch", "statefulsets.apps/other", "scale", False),
        ("get", "secrets/jupyter-faas-ray", "", False),
        ("list", "pods", "", False),
    ],
)
def test_the_head_may_scale_its_workers_and_nothing_else(
    rays: System, verb: str, resource: str, part: str, may: bool
) -> None:
    account = f"system:serviceaccount:{rays.namespace}:{HEAD}"
    asked = ["-n", rays.namespace, "auth", "can-i", verb, resource, f"--as={account}"]
    try:
        answer = run_kubectl(*asked, *([f"--subresource={part}"] if part else []))
    except KubectlFailed:
        answer = "no"
    assert (answer.strip() == "yes") is may
