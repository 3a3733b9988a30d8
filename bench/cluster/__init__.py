"""How fast functions are on a cluster: from zero, by herd, redeployed, warm; what rest costs.

Runs against an installed gateway (`jupyter-faas install`), in the namespace that
`BENCH_NAMESPACE` names, with kubectl on the path. The caller must reach Services and pods by
their addresses: a node, or a pod. What only the node can tell (CPU and memory of processes) is
left out elsewhere. Functions are made from inline source and deleted afterwards. Under ten minutes;
what is measured is told on stderr. `BENCH_PARTS` names the parts that are wanted.
"""

from __future__ import annotations

import os
import sys
import time

from bench.cluster.changing import applied, edited, redeployed
from bench.cluster.resting import resting
from bench.cluster.serving import overhead, warm
from bench.cluster.starting import burst, cold, created, crowded, herd
from bench.cluster.world import Cluster
from bench.harness import Row

PARTS = (cold, crowded, herd, burst, applied, edited, redeployed, created, warm, overhead, resting)


def run() -> list[Row]:
    """Measure everything in turn; what cannot be measured is told, and left out."""
    cluster = Cluster()
    rows: list[Row] = []
    chosen = os.environ.get("BENCH_PARTS", "").split()
    for part in (one for one in PARTS if not chosen or one.__name__ in chosen):
        began_s = time.monotonic()
        print(f"cluster: {part.__name__} …", end=" ", file=sys.stderr, flush=True)
        try:
            found = part(cluster)
        except Exception as error:  # what is broken must not hide what the others measure
            print(f"failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            continue
        rows += found
        said = "; ".join(row.measured for row in found) or "cannot be measured here"
        print(f"{said} ({time.monotonic() - began_s:.0f} s)", file=sys.stderr, flush=True)
    return rows


__all__ = ["run"]
