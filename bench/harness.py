"""What every benchmark shares: samples, A against B in turns, CPU per operation, tables, JSON.

Wall-clock times on a shared machine differ by a third from run to run. So a peer is measured in
the same run, in turns with ours, and what is compared is the ratio; CPU per operation is steadier
than time and is reported where a process of ours does the work.
"""

from __future__ import annotations

import json
import math
import os
import platform
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One line of a result table.

    Args:
        figure: What was measured, with the unit in the words.
        measured: What came out, with its unit.
        target: What must be reached; empty where nothing is asked.
        is_reached: None where there is no target.
        detail: Numbers behind `measured`; keys carry their unit.
    """

    figure: str
    measured: str
    target: str = ""
    is_reached: bool | None = None
    detail: dict[str, float] = field(default_factory=dict)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` % of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def summary(values: Sequence[float], unit: str) -> dict[str, float]:
    """Return median, p95, mean and count, keys ending in `unit`."""
    return {
        f"p50_{unit}": percentile(values, 50),
        f"p95_{unit}": percentile(values, 95),
        f"mean_{unit}": statistics.fmean(values),
        "count": float(len(values)),
    }


def timed_ms(work: Callable[[], object]) -> float:
    """Return how many milliseconds `work` takes."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def in_turns(
    a: Callable[[], float], b: Callable[[], float], rounds: int
) -> tuple[list[float], list[float]]:
    """Measure A and B `rounds` times each, in turns; the first to go changes each round."""
    of_a: list[float] = []
    of_b: list[float] = []
    for number in range(rounds):
        order = [(a, of_a), (b, of_b)]
        for measure, into in order if number % 2 == 0 else reversed(order):
            into.append(measure())
    return of_a, of_b


def cpu_s(pid: int) -> float:
    """Return the CPU seconds all threads of a process have used, to the nanosecond."""
    total_ns = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total_ns += int((task / "schedstat").read_text().split()[0])
    return total_ns / 1e9


def family(pid: int) -> list[int]:
    """Return a process and all its descendants, the oldest first."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for member in found:
        found += children.get(member, [])
    return found


@contextmanager
def stopped(pid: int) -> Iterator[int]:
    """Stop a process that this benchmark started, and its descendants; gives their number.

    A peer's background work takes CPU from whoever is measured on the same two cores.
    """
    halted = family(pid)
    try:
        for member in halted:
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGSTOP)
        yield len(halted)
    finally:
        for member in halted:
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGCONT)


def resident_kib(pid: int, key: str = "VmRSS") -> int:
    """Return resident memory (`VmRSS`) or its peak since `reset_peak` (`VmHWM`) in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    raise ProcessLookupError(pid)


def reset_peak(pid: int) -> None:
    """Forget the peak of a process's resident memory (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def machine() -> str:
    """Return what this ran on, in one line, without the machine's name."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    cores = len(os.sched_getaffinity(0))
    return (
        f"{model}, {cores} cores, Linux {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}"
    )


def wait_until(look: Callable[[], object], timeout_s: float, what: str) -> None:
    """Wait until `look` is true.

    Raises:
        TimeoutError: It was not, within `timeout_s`; names `what`.
    """
    deadline_s = time.monotonic() + timeout_s
    while not look():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{what}: not within {timeout_s} s")
        time.sleep(0.02)


def markdown(rows: Sequence[Row]) -> str:
    """Return a Markdown table of rows."""
    lines = ["| figure | measured | must reach | |", "|---|---|---|---|"]
    mark = {True: "✓", False: "✕", None: ""}
    for row in rows:
        lines.append(f"| {row.figure} | {row.measured} | {row.target} | {mark[row.is_reached]} |")
    return "\n".join(lines)


def report(name: str, rows: Sequence[Row], took_s: float) -> None:
    """Print a table and write `bench/results/NAME.json`."""
    print(f"\n{name} ({took_s:.0f} s)\n{markdown(rows)}", flush=True)
    written = {
        "name": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "took_s": round(took_s, 1),
        "rows": [asdict(row) for row in rows],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set environment variables for a while."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
