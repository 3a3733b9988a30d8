"""A long map begins on its replicas and goes on on Ray, which starts meanwhile."""

from __future__ import annotations

import itertools

from jupyter_faas import serverless
from tests.e2e.gateway import Gateway
from tests.ray.conftest import is_on_ray


@serverless(name="ray-moving")
def nap(seconds: float) -> str:
    import os
    import time

    time.sleep(seconds)
    return os.environ["FAAS_REPLICA"]


def test_a_map_without_end_moves_to_ray_by_itself(gateway: Gateway) -> None:
    results = nap.map(itertools.repeat(0.02), engine="auto")
    assert not is_on_ray(next(results))
    assert any(is_on_ray(place) for place in results)
    results.close()


def test_a_short_map_starts_no_ray(gateway: Gateway) -> None:
    assert not any(is_on_ray(place) for place in nap.map([0.0] * 50, engine="replicas"))
