"""How much `import jupyter_faas` costs over bare Python, and what it must not import."""

from __future__ import annotations

import subprocess
import sys

from bench.harness import Row, in_turns, percentile, timed_ms

HEAVY = ("kubernetes", "ray", "IPython", "numpy", "pandas", "starlette", "uvloop", "click")


def run() -> list[Row]:
    """Measure in turns with a bare interpreter."""
    bare, ours = in_turns(lambda: start("pass"), lambda: start("import jupyter_faas"), 25)
    use = "import jupyter_faas as f\n@f.serverless\ndef g(x): return x\n"
    decorated = [start(use) for _ in range(10)]
    over_ms = percentile(ours, 50) - percentile(bare, 50)
    with_use_ms = percentile(decorated, 50) - percentile(bare, 50)
    found = loaded()
    return [
        Row(
            "`import jupyter_faas` over bare Python",
            f"{over_ms:.0f} ms",
            "≤ 60 ms",
            over_ms <= 60,
            {"bare_p50_ms": percentile(bare, 50), "import_p50_ms": percentile(ours, 50)},
        ),
        Row("… and one decorated function", f"{with_use_ms:.0f} ms"),
        Row("heavy modules it imports", ", ".join(found) or "none", "none", not found),
    ]


def start(source: str) -> float:
    """Return the milliseconds a new interpreter takes to run `source`."""
    return timed_ms(lambda: subprocess.run([sys.executable, "-c", source], check=True))


def loaded() -> list[str]:
    """Return which heavy modules are loaded after the import."""
    source = f"import sys, jupyter_faas; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    return subprocess.check_output([sys.executable, "-c", source], text=True).split()
