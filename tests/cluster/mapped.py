"""What the tests of fan-out deploy; apart, since a module of a function travels with it."""

from __future__ import annotations

import time

from jupyter_faas import serverless


@serverless(name="mapped", max_containers=4, max_inputs=4, cpu=0.01)
def work(x: int, seconds: float = 0.0) -> int:
    print("item", x)
    time.sleep(seconds)
    if x < 0:
        raise ValueError(f"{x} is negative")
    return x * x


@serverless(name="mapping", cpu=0.01)
def nested(n: int) -> int:
    return sum(work.map(range(n)))


@serverless(name="slow-once", max_containers=1, cpu=0.01, idempotent=True)
def slow(x: int, seconds: float) -> int:
    time.sleep(seconds)
    return x
