"""How long until a kernel answers: "Python 3 (serverless)" beside a plain ipykernel.

Interleaved, one of each at a time: from the call that starts it to the reply to `kernel_info`.
CPU is the kernel's own until then, and what the zygote needed to fork it.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from jupyter_client.manager import KernelManager

from bench.harness import Row, cpu_s, environment, in_turns, percentile, summary
from jupyter_faas.kernels.nursery import nursery

FORKED, PLAIN = "python3-serverless", "python3"
ROUNDS = 25


class Start(NamedTuple):
    """One start of a kernel."""

    took_ms: float
    cpu_ms: float


def run() -> list[Row]:
    """Measure both."""
    # What is installed is compiled once, as it is for people: not at each plain start.
    with environment(PYTHONDONTWRITEBYTECODE=""):
        first = start(FORKED)
        start(PLAIN)
        forked: list[Start] = []
        plain: list[Start] = []
        in_turns(lambda: kept(FORKED, forked), lambda: kept(PLAIN, plain), ROUNDS)
    nursery().close()
    return [
        against("serverless kernel ready, a plain one beside it", forked, plain, "took_ms", 0.65),
        against("… CPU of both until they are ready", forked, plain, "cpu_ms", None),
        Row("… the first one, which starts the zygote", f"{first.took_ms:.0f} ms"),
    ]


def against(
    figure: str, forked: list[Start], plain: list[Start], field: str, limit: float | None
) -> Row:
    """Return a row with the median of the ratios of pairs."""
    a, b = ([getattr(one, field) for one in kind] for kind in (forked, plain))
    ratio = percentile([x / y for x, y in zip(a, b, strict=True)], 50)
    return Row(
        figure,
        f"× {ratio:.2f} (p50 {percentile(a, 50):.0f} and {percentile(b, 50):.0f} ms)",
        f"≤ × {limit}" if limit else "",
        ratio <= limit if limit else None,
        {f"forked_{name}": value for name, value in summary(a, "ms").items()}
        | {f"plain_{name}": value for name, value in summary(b, "ms").items()},
    )


def kept(name: str, into: list[Start]) -> float:
    """Start a kernel and keep its figures."""
    into.append(start(name))
    return into[-1].took_ms


def start(name: str) -> Start:
    """Start a kernel, wait for its answer, end it."""
    manager = KernelManager(kernel_name=name)
    zygotes = nursery().pids()
    before_s = sum(map(cpu_s, zygotes))
    began_s = time.perf_counter()
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels(iopub=False, stdin=False, hb=False, control=False)
    client.kernel_info()
    client.get_shell_msg(timeout=60)
    took_ms = (time.perf_counter() - began_s) * 1000
    used_s = cpu_s(manager.provisioner.pid) + sum(map(cpu_s, zygotes)) - before_s
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    manager.cleanup_resources()
    return Start(took_ms, used_s * 1000)
