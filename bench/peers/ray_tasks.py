"""One Ray task per item: prints the seconds for as many no-ops as it is told."""

from __future__ import annotations

import os
import sys
import time

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # 2 s of every worker's start

import ray  # noqa: E402 - after what makes it quick

ray.init(num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False)


@ray.remote
def noop(x: int) -> int:
    """Return it."""
    return x


ray.get([noop.remote(x) for x in range(200)])
began_s = time.perf_counter()
ray.get([noop.remote(x) for x in range(int(sys.argv[1]))])
print(time.perf_counter() - began_s)
ray.shutdown()
