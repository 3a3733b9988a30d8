"""Actors, a raylet and the driver killed at random in the middle of maps on Ray, seeded.

`FAAS_TEST_KILLS=50` runs more seeds than a plain run.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import kills
from tests.e2e.gateway import Gateway
from tests.e2e.test_maps import driver_pid
from tests.ray.test_maps_on_ray import processes

SETTINGS = {"FAAS_RAY_WARM": "1", "FAAS_CANCEL_GRACE_S": "0.1"}
SEEDS = range(int(os.environ.get("FAAS_TEST_KILLS", "6")))


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_of_ray_is_killed_no_item_is_lost_or_runs_too_often(
    ray: Gateway, tmp_path: Path, seed: int
) -> None:
    victims = {
        "actor": lambda chance, _name: kills.kill(chance.choice(processes(ray, "ray::Seat"))),
        "raylet": lambda chance, _name: kills.kill(chance.choice(processes(ray, "raylet/raylet "))),
        "driver": lambda _chance, _name: kills.kill(driver_pid(ray)),
    }
    print(kills.run(seed, tmp_path, victims, ray.items, engine="ray"))
