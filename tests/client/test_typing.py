"""Signatures survive decoration: mypy --strict on `typing_cases.py` finds nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

CASES = Path(__file__).with_name("typing_cases.py")


@pytest.mark.timeout(300)
def test_a_type_checker_sees_the_functions_own_types(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(CASES)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=CASES.parents[2], check=False
    )
    assert done.returncode == 0, done.stdout
