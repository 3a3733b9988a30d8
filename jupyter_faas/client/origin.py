"""Who deploys, from where: what the gateway compares before it lets a name be taken.

Read from what Jupyter front ends leave in the kernel. Nothing secret: a user name, the
notebook's path, the cell's id, a digest of its source. `notebook.cells` tells the cell.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import sys
from dataclasses import dataclass

from jupyter_faas.core.model import Origin


@dataclass(frozen=True)
class Cell:
    """The cell that runs now, as the notebook layer knows it."""

    cell_id: str = ""
    source: str = ""
    number: int = 0
    """What stands at its prompt."""


def origin(cell: Cell, session: str) -> Origin:
    """Return the origin of a deploy made here and now.

    Args:
        cell: The running cell; empty outside notebooks.
        session: Names this process; used only where there is no notebook and no script to
            compare by.
    """
    notebook = notebook_path()
    return Origin(
        owner=_owner(),
        notebook=notebook,
        cell_id=cell.cell_id,
        source_digest=hashlib.sha256(cell.source.encode()).hexdigest() if cell.source else "",
        session="" if notebook else session,
        cell_number=cell.number,
    )


def notebook_path() -> str:
    """Return the path of the notebook or script that runs; empty in a bare interpreter."""
    if path := os.environ.get("JPY_SESSION_NAME"):
        return path
    main = sys.modules.get("__main__")
    for name in ("__vsc_ipynb_file__", "__session__"):
        if isinstance(path := getattr(main, name, None), str):
            return path
    script = getattr(main, "__file__", None)
    if isinstance(script, str) and "ipykernel" not in script:
        return os.path.abspath(script)
    return ""


def _owner() -> str:
    if owner := os.environ.get("JUPYTERHUB_USER"):
        return owner
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""  # a container's user may have no name
