"""`FAAS_RAY_ADDRESS`: maps run on a Ray that somebody else has started, and leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jupyter_faas import serverless
from tests.e2e.gateway import Gateway, wait_until
from tests.ray.cluster import TOKEN, RayProcesses, answers, ray_processes
from tests.ray.conftest import RAY_S, is_on_ray

SETTINGS: dict[str, str] = {}


@serverless(name="named-square")
def square(x: int) -> tuple[int, str]:
    import os

    return x * x, os.environ["FAAS_REPLICA"]


@serverless(name="named-curious")
def curious(_: int) -> dict[str, str]:
    import os

    return dict(os.environ)


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[RayProcesses]:
    with ray_processes() as cluster, pytest.MonkeyPatch.context() as patch:
        cluster.start_head(cpus=2)
        SETTINGS["FAAS_RAY_ADDRESS"] = cluster.address
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", TOKEN)
        yield cluster


def is_ray_there() -> bool:
    return is_on_ray(next(iter(square.map([0], engine="ray")))[1])


def test_maps_run_on_a_cluster_that_is_named_and_leave_it_running(
    gateway: Gateway, cluster: RayProcesses
) -> None:
    wait_until(is_ray_there, RAY_S, what="maps run on the cluster", seen=cluster.log)
    got = list(square.map(range(200), engine="ray"))
    assert [x for x, _ in got] == [x * x for x in range(200)]
    assert all(is_on_ray(place) for _, place in got)
    [seen] = curious.map([0], engine="ray")
    assert is_on_ray(seen["FAAS_REPLICA"])
    assert TOKEN not in seen.values(), "functions must not have the cluster's token"
    gateway.stop()
    assert answers(cluster.port, "127.0.0.2")
    gateway.start()
