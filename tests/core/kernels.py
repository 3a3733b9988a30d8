"""Notebooks for tests: cells run in the `__main__` of fresh interpreters, named like in Jupyter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

_DRIVER = """
import json, linecache, os, sys
told = json.load(sys.stdin)
scope = sys.modules["__main__"].__dict__
for number, source in enumerate(told["cells"]):
    name = f"/tmp/ipykernel_{os.getpid()}/{told['salt']}{number}.py"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    exec(compile(source, name, "exec"), scope)
print("\\nRESULT" + json.dumps(eval(told["result"], scope)))
"""


def in_kernel(
    *cells: str,
    result: str,
    seed: int = 0,
    salt: int = 100,
    path: str | Path | None = None,
    cwd: str | Path | None = None,
) -> Any:
    """Run cells in a fresh interpreter and return what `result` evaluates to, through JSON.

    Args:
        *cells: Source of the cells.
        result: An expression.
        seed: PYTHONHASHSEED.
        salt: Part of the cells' file names.
        path: A folder of local modules.
        cwd: Working directory.
    """
    environ = {**os.environ, "PYTHONHASHSEED": str(seed)}
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(path or ""), str(ROOT)]))
    told = {"cells": [textwrap.dedent(cell) for cell in cells], "result": result, "salt": salt}
    ended = subprocess.run(
        [sys.executable, "-c", _DRIVER],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        env=environ,
        cwd=cwd,
        timeout=50,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.rpartition("RESULT")[2])


def notebook(
    source: str, *, filename: str = "/tmp/ipykernel_1/7.py", **given: Any
) -> dict[str, Any]:
    """Run a cell here, in a namespace that looks like a notebook's; return the namespace."""
    scope: dict[str, Any] = {"__name__": "__main__", **given}
    exec(compile(textwrap.dedent(source), filename, "exec", dont_inherit=True), scope)
    return scope
