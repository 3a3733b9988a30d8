"""`python -m bench [NAME…]`: run benchmarks one after another, write the README's table.

Without names: all but `ray_serve` and `fan_out`, which need environments of their own (`make
bench-ray`), and `cluster`, which needs an installed gateway (`make bench-cluster`).
"""

from __future__ import annotations

import importlib
import json
import re
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from bench.harness import RESULTS, Row, machine, markdown, report

ALL = (
    "import_time",
    "start",
    "kernels",
    "panel",
    "warm",
    "http",
    "proxy",
    "burst",
    "large",
    "many",
    "maps",
    "forwarded",
    "watchers",
)
APART = ("fan_out", "ray_serve", "cluster")
README = Path(__file__).parents[1] / "README.md"
BETWEEN = re.compile(r"(<!-- bench: begin -->\n).*(<!-- bench: end -->)", re.DOTALL)


def main(names: list[str]) -> int:
    """Run these benchmarks; return 1 if one could not be run."""
    unknown = set(names) - {*ALL, *APART}
    if unknown:
        print(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join((*ALL, *APART))}")
        return 2
    print(machine())
    failed = [name for name in names or ALL if not run(name)]
    write_table()
    if failed:
        print(f"\nnot measured: {', '.join(failed)}")
    return 1 if failed else 0


def run(name: str) -> bool:
    """Run one benchmark and write its results; say why if it cannot be run."""
    began_s = time.monotonic()
    try:
        rows = importlib.import_module(f"bench.{name}").run()
    except Exception:  # one that fails must not hide what the others measure
        traceback.print_exc()
        return False
    report(name, rows, time.monotonic() - began_s)
    return True


def write_table() -> None:
    """Write all results so far to bench/results/table.md and into the README."""
    found = [RESULTS / f"{name}.json" for name in (*ALL, *APART)]
    results = [json.loads(path.read_text()) for path in found if path.exists()]
    rows = [Row(**row) for result in results for row in result["rows"]]
    table = f"{markdown(rows)}\n\n{datetime.now(UTC):%-d %B %Y}, {machine()}.\n"
    (RESULTS / "table.md").write_text(table)
    text = README.read_text()
    README.write_text(BETWEEN.sub(lambda found: f"{found[1]}{table}{found[2]}", text))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
