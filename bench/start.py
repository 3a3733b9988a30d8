"""How long until an answer: from nothing at all, for a new function, and from zero replicas."""

from __future__ import annotations

import subprocess
import sys
import time

from bench.gateway import define, fresh_gateway, fresh_state
from bench.harness import Row, percentile, summary, timed_ms, wait_until

FROM_NOTHING = """
import time
from jupyter_faas import serverless

@serverless
def f(x):
    return x + 1

started = time.perf_counter()
assert f.remote(1) == 2
print((time.perf_counter() - started) * 1000)
"""
PAUSE_S = 0.15
"""Between starts that are not a herd: a spare has been made anew."""
PLAIN = "def f(x):\n    return x + {n}\n"
PANDAS = (
    "import numpy as np\nimport pandas as pd\n"
    "def f(x):\n    return int(pd.Series(np.arange(x)).sum()) + {n}\n"
)


def run() -> list[Row]:
    """Measure all three."""
    nothing = [from_nothing() for _ in range(5)]
    with fresh_gateway():
        hurried = new_functions("hurried", PLAIN, 20, pause_s=0.0)
        plain = new_functions("plain", PLAIN, 40, pause_s=PAUSE_S)
        pandas = new_functions("pandas", PANDAS, 40, pause_s=PAUSE_S)
        cold, in_a_row = from_zero(functions=25, rounds=6)
    return [
        Row(
            "nothing running → first `.remote()` answered",
            f"p50 {percentile(nothing, 50) / 1000:.2f} s",
            "≤ 1.5 s",
            percentile(nothing, 50) <= 1500,
            summary(nothing, "ms"),
        ),
        limits("new function, gateway up: `.remote()` answered", plain, 30, 80),
        figures("… a function that uses numpy and pandas", pandas),
        figures("… 20 functions in a row", hurried),
        limits("cold start from zero, deployed function", cold, 12, 40),
        figures("… 25 functions in a row", in_a_row),
    ]


def limits(figure: str, values_ms: list[float], p50_ms: float, p95_ms: float) -> Row:
    """Return a row with limits for the median and the 95th percentile."""
    p50, p95 = percentile(values_ms, 50), percentile(values_ms, 95)
    return Row(
        figure,
        f"p50 {p50:.1f} ms, p95 {p95:.1f} ms",
        f"p50 ≤ {p50_ms:.0f} ms, p95 ≤ {p95_ms:.0f} ms",
        p50 <= p50_ms and p95 <= p95_ms,
        summary(values_ms, "ms"),
    )


def figures(figure: str, values_ms: list[float]) -> Row:
    """Return a row without limits."""
    p50, p95 = percentile(values_ms, 50), percentile(values_ms, 95)
    return Row(figure, f"p50 {p50:.1f} ms, p95 {p95:.1f} ms", detail=summary(values_ms, "ms"))


def from_nothing() -> float:
    """Return the milliseconds of a first call in a new process with no gateway running."""
    with fresh_state():
        done = subprocess.check_output([sys.executable, "-c", FROM_NOTHING], text=True)
    return float(done)


def new_functions(name: str, source: str, count: int, *, pause_s: float) -> list[float]:
    """Return how long each of `count` never seen functions takes to its first answer."""
    took_ms = []
    for number in range(count):
        function = define(source.format(n=number), name=f"{name}-{number}", scaledown_window=0.5)
        time.sleep(pause_s)
        took_ms.append(timed_ms(lambda function=function: function.remote(1)))
    return took_ms


def from_zero(*, functions: int, rounds: int) -> tuple[list[float], list[float]]:
    """Return how long calls take that find no replica: one now and then, and all in a row."""
    made = [
        define(PLAIN.format(n=1000 + n), name=f"cold-{n}", scaledown_window=0.3)
        for n in range(functions)
    ]
    for function in made:
        function.remote(1)
    alone_ms: list[float] = []
    in_a_row_ms: list[float] = []
    for number in range(rounds):
        wait_until(lambda: not any(f.replicas() for f in made), 30, "everything is at zero")
        is_paced = number % 2 == 0
        for function in made:
            if is_paced:
                time.sleep(PAUSE_S)
            into = alone_ms if is_paced else in_a_row_ms
            into.append(timed_ms(lambda function=function: function.remote(1)))
    return alone_ms, in_a_row_ms
