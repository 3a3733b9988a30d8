"""No-ops over many inputs by others: `fan_out.py NAME COUNT` prints the seconds, warm."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
CPUS = len(os.sched_getaffinity(0))
WARM_UP = 200


def noop(x: int) -> int:
    """Return it."""
    return x


def ray_tasks() -> Callable[[int], Any]:
    """One Ray task per item."""
    ray = _ray()
    task = ray.remote(noop)
    return lambda count: ray.get([task.remote(x) for x in range(count)])


def ray_pool() -> Callable[[int], Any]:
    """`ray.util.multiprocessing.Pool.imap`, which sends one item at a time."""
    _ray()
    from ray.util.multiprocessing import Pool

    pool = Pool(CPUS)
    return lambda count: list(pool.imap(noop, range(count)))


def process_pool() -> Callable[[int], Any]:
    """`ProcessPoolExecutor.map`."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    pool = ProcessPoolExecutor(CPUS, mp_context=get_context("spawn"))
    return lambda count: list(pool.map(noop, range(count)))


def joblib() -> Callable[[int], Any]:
    """`joblib.Parallel`, which chooses sizes of batches by itself."""
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=CPUS)
    return lambda count: parallel(delayed(noop)(x) for x in range(count))


def lithops() -> Callable[[int], Any]:
    """Lithops' localhost backend."""
    import lithops as theirs

    executor = theirs.FunctionExecutor(
        config={"lithops": {"backend": "localhost", "storage": "localhost", "telemetry": False}},
        log_level="ERROR",
    )

    def run(count: int) -> Any:
        executor.map(noop, range(count))
        return executor.get_result()

    return run


def _ray() -> Any:
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # 2 s of a worker's start
    import ray

    ray.init(num_cpus=CPUS, include_dashboard=False, log_to_driver=False)
    return ray


PEERS = {one.__name__: one for one in (ray_tasks, ray_pool, process_pool, joblib, lithops)}

if __name__ == "__main__":
    name, count = sys.argv[1], int(sys.argv[2])
    run = PEERS[name]()
    run(min(WARM_UP, count))
    began_s = time.perf_counter()
    results = run(count)
    took_s = time.perf_counter() - began_s
    assert results == list(range(count)), results[:10]
    print(took_s, flush=True)
