"""Ray that is killed in the middle of maps: nothing stays, no item is lost, another starts."""

from __future__ import annotations

import os
import random
import signal

import pytest

from tests.e2e.gateway import Gateway, wait_until
from tests.ray.conftest import RAY_S, command_of, is_on_ray
from tests.ray.test_maps_on_ray import nap, processes
from tests.support import descendants, is_alive

SETTINGS = {"FAAS_RAY_WARM": "1"}
MARKS = ("raylet/raylet ", "gcs_server ", "fanout.ray.host")


def of_ray(gateway: Gateway) -> list[int]:
    """Return the host of the gateway's Ray, and all that this has started."""
    return [one for pid in processes(gateway, MARKS[-1]) for one in (pid, *descendants(pid))]


def are_gone(pids: list[int]) -> None:
    alive = lambda: [command_of(pid) for pid in pids if is_alive(pid)]  # noqa: E731
    wait_until(lambda: not alive(), 60.0, what="nothing of Ray is left", seen=alive)


@pytest.mark.parametrize(("seed", "mark"), list(enumerate(MARKS)))
def test_a_ray_that_dies_goes_as_a_whole_and_a_long_map_has_the_next_one(
    ray: Gateway, seed: int, mark: str
) -> None:
    results = nap.map([0.02] * 20_000, engine="ray")
    for _ in range(random.Random(seed).randint(1, 60)):
        assert is_on_ray(next(results))
    before = of_ray(ray)
    assert len(before) > 5
    os.kill(processes(ray, mark)[0], signal.SIGKILL)
    are_gone(before)
    places = iter(results)
    assert any(not is_on_ray(place) for place in places), "its replicas have it meanwhile"
    assert any(is_on_ray(place) for place in places), "and another Ray after that"
    results.close()


def test_no_item_is_lost_with_ray(ray: Gateway) -> None:
    results = nap.map([0.02] * 300, engine="ray")
    first = [next(results) for _ in range(5)]
    os.kill(processes(ray, MARKS[0])[0], signal.SIGKILL)
    assert len(first) + len(list(results)) == 300


@pytest.mark.timeout(2 * RAY_S)
@pytest.mark.parametrize("mark", MARKS)
def test_nothing_is_left_when_the_gateway_is_killed_right_after_ray(
    ray: Gateway, mark: str
) -> None:
    ours = descendants(ray.pid)
    os.kill(processes(ray, mark)[0], signal.SIGKILL)
    ours += descendants(ray.pid)
    ray.kill()
    are_gone(ours)
    ray.start()
