"""Seats beside the head of a cluster: gateways come to them over TCP, workers come and go."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_faas import serverless
from tests.e2e.gateway import Gateway, wait_until
from tests.ray.cluster import RayProcesses, ray_processes
from tests.ray.conftest import RAY_S, command_of, is_on_ray
from tests.support import free_ports

(PORT,) = free_ports(1)
SECRET = "what-gateways-show-in-a-test"
SETTINGS = {"FAAS_RAY_HOST": f"127.0.0.1:{PORT}", "FAAS_RAY_HOST_TOKEN": SECRET}


@serverless(name="host-napping")
def nap(seconds: float) -> str:
    import os
    import time

    time.sleep(seconds)
    return os.environ["FAAS_REPLICA"]


@serverless(name="host-draw")
def draw(_: int) -> float:
    import numpy

    return float(numpy.random.rand())


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[RayProcesses]:
    with ray_processes() as cluster:
        cluster.start_head(cpus=0)
        cluster.start_worker(cpus=2)
        cluster.start_host(PORT, SECRET)
        yield cluster


def is_ray_there() -> bool:
    return is_on_ray(next(iter(nap.map([0.0], engine="auto"))))


@pytest.fixture
def seats(gateway: Gateway, cluster: RayProcesses) -> RayProcesses:
    """The cluster, once maps run on it."""
    wait_until(is_ray_there, RAY_S, what="maps run on the cluster", seen=cluster.log)
    return cluster


def talk(said: dict[str, Any]) -> dict[str, Any]:
    """Say something to the host as the first line, and return its answer."""
    with socket.create_connection(("127.0.0.1", PORT), timeout=10) as connection:
        connection.sendall(json.dumps(said).encode() + b"\n")
        with connection.makefile("rb") as lines:
            return dict(json.loads(lines.readline()))


def test_a_map_runs_on_the_seats_of_a_cluster(seats: RayProcesses) -> None:
    assert len(set(draw.map(range(100), engine="ray"))) == 100
    places = list(nap.map([0.05] * 40, engine="ray"))
    assert all(map(is_on_ray, places))
    assert len(set(places)) == 2


def test_the_host_serves_nobody_without_the_token(seats: RayProcesses) -> None:
    for said in ({"token": "another"}, {}):
        answer = talk(said)
        assert answer["is"] == "failed"
        assert "token" in answer["why"]
    assert talk({"token": SECRET})["is"] == "up"


def test_a_worker_that_is_killed_loses_no_item_and_another_takes_its_place(
    seats: RayProcesses,
) -> None:
    victim = seats.start_worker(cpus=1)
    wait_until(
        lambda: len(set(nap.map([0.2] * 12, engine="ray"))) == 3, RAY_S, what="a third seat is used"
    )
    results = nap.map([0.02] * 300, engine="ray")
    first = [next(results) for _ in range(5)]
    seats.kill(victim)
    rest = list(results)
    assert len(first) + len(rest) == 300


def test_a_host_that_is_gone_costs_a_map_nothing_and_the_next_one_finds_the_new_one(
    cluster: RayProcesses, gateway: Gateway
) -> None:
    wait_until(is_ray_there, RAY_S, what="maps run on the cluster")
    hosts = [pid for pid in cluster.processes() if "fanout.ray.host" in command_of(pid)]
    results = nap.map([0.02] * 1500, engine="ray")  # 15 s, if the host lived
    first = [next(results) for _ in range(5)]
    for pid in hosts:
        cluster.kill(pid)
    rest = list(results)
    assert len(first) + len(rest) == 1500
    assert any(map(is_on_ray, [*first, *rest]))
    assert not all(map(is_on_ray, rest))
    states = gateway.request("GET", "/v1/maps").json()["maps"]
    assert any("head" in one["note"] for one in states), states
    cluster.start_host(PORT, SECRET)
    wait_until(is_ray_there, RAY_S, what="maps run on the cluster again")


def test_nothing_on_the_cluster_outlives_a_gateway_that_is_killed(
    seats: RayProcesses, gateway: Gateway
) -> None:
    assert is_ray_there()
    fronts = [pid for pid in seats.processes() if name_of(pid) == "faas-front"]
    assert fronts
    gateway.kill()
    wait_until(lambda: not [p for p in seats.processes() if p in fronts], 30.0)
    gateway.start()


def name_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return ""
