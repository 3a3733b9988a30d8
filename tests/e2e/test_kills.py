"""Replicas, the driver and the gateway killed at random in the middle of maps, seeded.

`FAAS_TEST_KILLS=50` runs more seeds than a plain run.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests import kills
from tests.e2e.gateway import Gateway
from tests.e2e.test_maps import driver_pid
from tests.support import children, wait_until

pytestmark = pytest.mark.timeout(300)

SETTINGS = {"FAAS_CANCEL_GRACE_S": "0.1"}
SEEDS = range(int(os.environ.get("FAAS_TEST_KILLS", "16")))


def pids_of(gateway: Gateway, name: str) -> list[int]:
    return [int(one["pid"]) for one in gateway.replicas(name) if one["pid"]]


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_killed_no_item_is_lost_or_runs_too_often(
    gateway: Gateway, tmp_path: Path, seed: int
) -> None:
    def kill_replica(chance: random.Random, name: str) -> None:
        pids = wait_until(lambda: pids_of(gateway, name), what="a replica has started")
        pid = chance.choice(pids)
        kills.kill(chance.choice([pid, *children(pid)]))

    victims = {
        "replica": kill_replica,
        "driver": lambda _chance, _name: kills.kill(driver_pid(gateway)),
        "gateway": lambda _chance, _name: gateway.kill(),
    }
    print(kills.run(seed, tmp_path, victims, gateway.items, engine="replicas"))
