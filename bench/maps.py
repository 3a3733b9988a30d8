"""`f.map` over a function's replicas, in turns with ProcessPoolExecutor; `fan_out.py` has the rest.

Everything is warm unless a figure says so. What is compared is the ratio within one run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench.gateway import BenchGateway, define, fresh_gateway
from bench.harness import Row, percentile, summary
from tests.support import children, resident_mib

CPUS = len(os.sched_getaffinity(0))
ROUNDS = 3
SILENCE_S = 0.5
MANY = 10_000
NOOP = "def f(x):\n    return x\n"
SPIN = """
import time
def f(x):
    until_s = time.thread_time() + 0.001
    while time.thread_time() < until_s:
        pass
    return x
"""
NAP = "import time\ndef f(x):\n    time.sleep(0.05)\n    return x\n"
BEAT = """
import time
def f(path):
    with open(path, "a") as file:
        while True:
            file.write(f"{time.time()}\\n")
            file.flush()
            time.sleep(0.002)
"""
POISON = SPIN.replace("def f(x):", "import os\ndef f(x):\n    if x == 500:\n        os._exit(1)")


def noop(x: int) -> int:
    """Return it."""
    return x


def spin(x: int) -> int:
    """Compute for a millisecond."""
    until_s = time.thread_time() + 0.001
    while time.thread_time() < until_s:
        pass
    return x


def run() -> list[Row]:
    """Measure all of it."""
    context = get_context("spawn")
    with fresh_gateway() as running, ProcessPoolExecutor(CPUS, mp_context=context) as pool:
        list(pool.map(noop, range(100)))
        return [
            many_nothings(pool),
            much_work(pool),
            waiting(),
            one_item(),
            poisonous(),
            left(),
            shared_array(),
            memory(running),
        ]


def in_turns(*works: Callable[[], Any]) -> list[list[float]]:
    """Return the seconds of each, run one after the other `ROUNDS` times."""
    took: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, seconds in zip(works, took, strict=True):
            began_s = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - began_s)
    return took


def many_nothings(pool: ProcessPoolExecutor) -> Row:
    """10,000 no-ops from the call to the list of results."""
    function = define(NOOP, name="map-noop", max_containers=CPUS)
    list(function.map(range(MANY)))
    ours, theirs = in_turns(
        lambda: list(function.map(range(MANY))), lambda: list(pool.map(noop, range(MANY)))
    )
    ratio = median(theirs) / median(ours)
    return Row(
        "map of 10,000 no-ops, ours : ProcessPoolExecutor.map",
        f"{median(ours):.2f} s, {ratio:.1f} × as fast",
        "faster",
        ratio > 1,
        {"ours_s": median(ours), "pool_s": median(theirs)},
    )


def much_work(pool: ProcessPoolExecutor) -> Row:
    """10,000 × 1 ms of CPU, in turns with a pool that was told the right chunk size."""
    function = define(SPIN, name="map-spin", max_containers=CPUS)
    list(function.map(range(500)))
    ours, theirs = in_turns(
        lambda: list(function.map(range(MANY))),
        lambda: list(pool.map(spin, range(MANY), chunksize=75)),
    )
    ideal_s = MANY * 0.001 / CPUS
    pool = f"ProcessPoolExecutor with chunks of 75: {median(theirs) / ideal_s - 1:.0%}"
    return over_ideal("map of 10,000 × 1 ms of CPU, over ideal", ours, ideal_s, 0.12, beside=pool)


def over_ideal(
    figure: str, took_s: list[float], ideal_s: float, most: float, *, beside: str = ""
) -> Row:
    """Return a row for what takes as long as its items at best, by the median.

    Args:
        figure: See `Row`.
        took_s: Of each round.
        ideal_s: The least it could take.
        most: So much over that it may be, as a share.
        beside: What somebody else needs.
    """
    over = median(took_s) / ideal_s - 1
    return Row(
        figure,
        f"{median(took_s):.2f} s, {over:.0%} over" + (f" ({beside})" if beside else ""),
        f"≤ {100 * most:.0f} %",
        over <= most,
        {"ideal_s": ideal_s, **summary(took_s, "s")},
    )


def waiting() -> Row:
    """200 × sleep(0.05) on 16 slots: 2 replicas with 8 threads each."""
    function = define(NAP, name="map-nap", max_containers=2, max_inputs=8, min_containers=2)
    list(function.map(range(64)))
    (took,) = in_turns(lambda: list(function.map(range(200))))
    figure = "map of 200 × sleep(0.05) on 16 slots, over ideal"
    return over_ideal(figure, took, 0.05 * -(-200 // 16), 0.08)


def one_item() -> Row:
    """A map of one item, warm."""
    function = define(NOOP, name="map-one")
    list(function.map([1]))
    took_ms = []
    for _ in range(200):
        began_s = time.perf_counter()
        list(function.map([1]))
        took_ms.append((time.perf_counter() - began_s) * 1000)
    p50 = percentile(took_ms, 50)
    return Row(
        "map of one item, warm", f"p50 {p50:.1f} ms", "≤ 3 ms", p50 <= 3, summary(took_ms, "ms")
    )


def poisonous() -> Row:
    """What one item that kills its worker costs among 1,000 × 1 ms."""
    function = define(POISON, name="map-poison", max_containers=CPUS)
    list(function.map(range(400)))
    without, with_it = in_turns(
        lambda: list(function.map([*range(500), *range(501, 1001)])),
        lambda: list(function.map(range(1000), return_exceptions=True)),
    )
    more_s = median(with_it) - median(without)
    return Row(
        "a poisonous item among 1,000 × 1 ms costs",
        f"{more_s:.2f} s",
        "≤ 1.5 s",
        more_s <= 1.5,
        {"without_s": median(without), "with_s": median(with_it)},
    )


def left() -> Row:
    """How long items run on when their map is left, by what they write down every 2 ms."""
    function = define(BEAT, name="map-beat", max_containers=CPUS)
    ran_on_ms = []
    with TemporaryDirectory(prefix="faas-bench-") as root:
        for number in range(20):
            paths = [Path(root, f"{number}-{item}") for item in range(CPUS)]
            results = function.map(list(map(str, paths)))
            while not all(path.exists() and path.read_text().endswith("\n") for path in paths):
                time.sleep(0.01)
            left_s = time.time()
            results.close()
            while time.time() - (last_s := max(map(last_beat, paths))) < SILENCE_S:
                time.sleep(0.01)
            ran_on_ms.append((last_s - left_s) * 1000)
    p50, worst = median(ran_on_ms), max(ran_on_ms)
    return Row(
        "items run on after their map was left",
        f"p50 {p50:.0f} ms, worst of {len(ran_on_ms)} {worst:.0f} ms",
        "≤ 200 ms",
        worst <= 200,
        {"p50_ms": p50, "worst_ms": worst},
    )


def last_beat(path: Path) -> float:
    """Return the last time that is written whole in a file."""
    return float(path.read_text().rpartition("\n")[0].rpartition("\n")[2])


def shared_array() -> Row:
    """100 items that use one captured array of 100 MiB, new each time, against sending it alone."""
    sent, mapped = [], []
    for number in range(ROUNDS):
        alone = _with_array(number + 0.25)
        began_s = time.perf_counter()
        alone.deploy()
        sent.append(time.perf_counter() - began_s)
        function = _with_array(number + 0.5)
        began_s = time.perf_counter()
        assert list(function.map(range(100))) == [number + 0.5] * 100
        mapped.append(time.perf_counter() - began_s)
    ratio = median(mapped) / median(sent)
    return Row(
        "map of 100 items over a captured 100 MiB array : sending that once",
        f"{median(mapped):.2f} s, {ratio:.2f} × its time",
        "≤ 1.5 ×",
        ratio <= 1.5,
        {"mapped_s": median(mapped), "sent_s": median(sent)},
    )


def _with_array(value: float) -> Any:
    array = f"import numpy as np\nbig = np.full(100 << 17, {value})\n"
    source = f"{array}def f(x):\n    return float(big[x])\n"
    return define(source, name="map-array", max_containers=CPUS, memory=1024)


def memory(running: BenchGateway) -> Row:
    """What client and driver grow by over a million inputs of 100 bytes."""
    function = define(NOOP, name="map-million", max_containers=CPUS)
    count = 1_000_000
    sum(1 for _ in function.map(b"x" * 100 for _ in range(20_000)))
    driver = next(
        pid
        for pid in children(running.pid)
        if b"driver" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    )
    before = [resident_mib(os.getpid()), resident_mib(driver)]
    most = list(before)
    began_s = time.perf_counter()
    for at, _ in enumerate(function.map(b"x" * 100 for _ in range(count))):
        if at % 20_000 == 0:
            most = [max(a, b) for a, b in zip(most, _now(driver), strict=True)]
    took_s = time.perf_counter() - began_s
    growth = [a - b for a, b in zip(most, before, strict=True)]
    return Row(
        "map of 10⁶ inputs of 100 B: growth of client and driver",
        f"{growth[0]:.0f} and {growth[1]:.0f} MiB",
        "≤ 100 MiB",
        max(growth) <= 100,
        {"client_mib": growth[0], "driver_mib": growth[1], "items_per_s": count / took_s},
    )


def _now(driver: int) -> list[float]:
    return [resident_mib(os.getpid()), resident_mib(driver)]
