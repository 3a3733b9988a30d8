"""Puts the lab extension into the wheel. Run by hatchling, never imported by the package.

A wheel holds what `labextension/build.mjs` makes: the extension under `share/jupyter`, the widget
beside its Python half. It is built here if its sources are newer, which takes Node; who installs
the wheel needs none. An editable install builds nothing: `make lab-build` does, and links it.
Without `labextension/` (images of runner and gateway, which have no pages) there is nothing to do.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "jupyter-faas"
BUILT = "jupyter_faas/_labextension"
UNREAD = {"node_modules", "lib", ".tests", ".built"}
"""Entries of `labextension/` that the build writes or does not read."""


class LabExtension(BuildHookInterface):  # type: ignore[type-arg]  # hatchling is no dependency
    """The hook that `[tool.hatch.build.hooks.custom]` names."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build what is missing and say what goes where."""
        root = Path(self.root)
        if version == "editable":
            return
        sources = root / "labextension"
        # In a source archive it is built already, and the times of files say nothing.
        is_archive = (root / "PKG-INFO").exists() and (root / BUILT).is_dir()
        if (
            sources.is_dir()
            and not is_archive
            and _is_stale(sources, root / BUILT / "package.json")
        ):
            _build(sources)
        if self.target_name == "wheel" and (root / BUILT).is_dir():
            build_data["shared_data"][BUILT] = f"share/jupyter/labextensions/{NAME}"


def _is_stale(sources: Path, product: Path) -> bool:
    if not product.exists():
        return True
    built = product.stat().st_mtime
    files = (path for path in sources.rglob("*") if not UNREAD & set(path.parts))
    return any(path.stat().st_mtime > built for path in files if path.is_file())


def _build(sources: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(
            "Building the wheel takes Node.js 20 and npm, for the lab extension: install them, "
            "or install a built wheel."
        )
    if not (sources / "node_modules").is_dir():
        subprocess.run([npm, "ci", "--silent"], cwd=sources, check=True)
    subprocess.run([npm, "run", "--silent", "build"], cwd=sources, check=True)
