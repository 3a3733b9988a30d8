"""The version that processes tell each other is the one that is installed."""

from __future__ import annotations

import tomllib
from pathlib import Path

from jupyter_faas.core.version import VERSION


def test_the_program_and_its_package_have_one_version():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION
