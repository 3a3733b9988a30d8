"""`f.map` on Ray, from nothing and warm, and what others take for the same work (`make bench-ray`).

Runs in the environment that has Ray: replicas and Ray's seats have that of the notebook. The others
are processes of an environment of their own; while one is measured, all of ours are stopped.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from bench.gateway import define, fresh_gateway, fresh_state
from bench.harness import Row, stopped, timed_ms
from bench.maps import CPUS, MANY, NOOP, SPIN, in_turns, over_ideal

PEERS = Path(__file__).parents[1] / ".venv-peers/bin"
FAN_OUT = Path(__file__).parent / "peers/fan_out.py"
OTHERS = {
    "ray_tasks": ("one Ray task per item", 60.0),
    "ray_pool": ("ray.util.multiprocessing.Pool.imap", 1.0),
    "process_pool": ("ProcessPoolExecutor.map", 1.0),
    "joblib": ("joblib.Parallel", None),
}
LITHOPS_ITEMS = 10
"""Each is a process there: 10,000 would take hours."""
ROUNDS = 3
STARTS = 5
WHERE = """
import os, time
def f(_):
    time.sleep(0.01)
    return os.environ["FAAS_REPLICA"]
"""
FROM_NOTHING = """
import itertools, os, time
from jupyter_faas import serverless
@serverless
def place(_):
    time.sleep(0.01)
    return os.environ["FAAS_REPLICA"]
began_s = time.perf_counter()
with place.map(itertools.repeat(0), engine="ray") as places:
    next(places)
    first_s = time.perf_counter() - began_s
    next(one for one in places if one.startswith("ray-"))
    print(first_s, time.perf_counter() - began_s)
"""
SLEEP = "import time\ndef f(seconds):\n    time.sleep(seconds)\n    return 1\n"
WAITING, WAIT_S = 225, 5.0


def run() -> list[Row]:
    """Measure all of it."""
    if find_spec("ray") is None or not PEERS.exists():
        raise RuntimeError("`make bench-ray` makes the environments of this first")
    rows = [*first_map()]
    with fresh_gateway() as running:
        where = define(WHERE, name="fan-where")
        wait_for_ray(where)
        rows += [computing(), waiting()]
        rows += against_others(running.pid)
    return rows


def first_map() -> Iterator[Row]:
    """A first map of a new process, with no gateway and no Ray: it answers, and Ray takes part."""
    firsts, parts = [], []
    for _ in range(STARTS):
        with fresh_state():
            done = subprocess.check_output([sys.executable, "-c", FROM_NOTHING], text=True)
        first_s, part_s = map(float, done.split())
        firsts.append(first_s)
        parts.append(part_s)
    yield _seconds("first map from nothing: first result", firsts, 2.0)
    yield _seconds("first map from nothing: Ray takes part", parts, 6.0)


def wait_for_ray(where: Any) -> None:
    """Return once maps of this session run on Ray."""
    with where.map(itertools.repeat(0), engine="ray") as places:
        next(place for place in places if place.startswith("ray-"))


def computing() -> Row:
    """10,000 × 1 ms of CPU on Ray's seats."""
    function = define(SPIN, name="fan-spin", max_containers=CPUS)
    list(function.map(range(500), engine="ray"))
    (took,) = in_turns(lambda: list(function.map(range(MANY), engine="ray")))
    figure = "map of 10,000 × 1 ms of CPU on Ray, over ideal"
    return over_ideal(figure, took, MANY * 0.001 / CPUS, 0.12)


def waiting() -> Row:
    """225 × sleep(5) on 226 slots: threads of two seats."""
    function = define(SLEEP, name="fan-sleep", max_inputs=-(-WAITING // CPUS))
    list(function.map([0.0] * WAITING, engine="ray"))
    took_s = timed_ms(lambda: list(function.map([WAIT_S] * WAITING, engine="ray"))) / 1000
    return Row(
        "map of 225 × sleep(5) on 226 slots of Ray, warm",
        f"{took_s:.2f} s",
        "≤ 5.6 s",
        took_s <= 5.6,
        {"took_s": took_s},
    )


def against_others(gateway: int) -> Iterator[Row]:
    """10,000 no-ops from the call to the list of results, in turns with others."""
    function = define(NOOP, name="fan-noop", max_containers=CPUS)
    ours: dict[str, list[float]] = {"replicas": [], "ray": []}
    theirs: dict[str, list[float]] = {name: [] for name in OTHERS}
    for engine in ours:
        list(function.map(range(MANY), engine=engine))
    for _ in range(ROUNDS):
        for name, took in theirs.items():
            with stopped(gateway):
                took.append(other_s(name, MANY))
            for engine, mine in ours.items():
                work = partial(function.map, range(MANY), engine=engine)
                list(work())  # it was stopped
                mine.append(timed_ms(lambda work=work: list(work())) / 1000)
    here_s, on_ray_s = median(ours["replicas"]), median(ours["ray"])
    for name, (label, least) in OTHERS.items():
        there_s = median(theirs[name])
        ratio = there_s / here_s
        yield Row(
            f"map of 10,000 no-ops: ours on replicas, on Ray; {label}",
            f"{here_s:.2f}, {on_ray_s:.2f}; {there_s:.2f} s: {ratio:.1f} × as fast",
            f"≥ {least:.0f} ×" if least else "",
            ratio >= least if least else None,
            {"replicas_s": here_s, "ray_s": on_ray_s, "other_s": there_s},
        )
    with stopped(gateway):
        each_s = other_s("lithops", LITHOPS_ITEMS) / LITHOPS_ITEMS
    yield Row(
        "one no-op of Lithops' localhost backend, of ten at once",
        f"{each_s:.2f} s (ours: {1e6 * here_s / MANY:.0f} µs)",
        detail={"lithops_s": each_s, "ours_s": here_s / MANY},
    )


def other_s(name: str, count: int) -> float:
    """Return what another takes for so many no-ops."""
    with tempfile.TemporaryDirectory(prefix="faas-bench-", ignore_cleanup_errors=True) as scratch:
        # Lithops starts `python`, and keeps files at home and where temporary ones lie.
        path = f"{PEERS}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [PEERS / "python", FAN_OUT, name, str(count)],
            env={**os.environ, "PATH": path, "HOME": scratch, "TMPDIR": scratch},
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
    return float(done.stdout.split()[-1])


def _seconds(figure: str, took: list[float], most_s: float) -> Row:
    value = median(took)
    return Row(
        figure,
        f"{value:.2f} s ({min(took):.2f} to {max(took):.2f})",
        f"≤ {most_s:.0f} s",
        value <= most_s,
        {"median_s": value, "worst_s": max(took)},
    )
