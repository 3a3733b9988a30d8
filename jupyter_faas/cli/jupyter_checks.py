"""What `jupyter-faas doctor` looks at in an environment that has Jupyter.

Each piece is asked for where Jupyter itself looks, in its order. Nothing of Jupyter is started.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

KERNEL = "python3-serverless"
PROVISIONER = "jupyter-faas"
SERVER_EXTENSION = "jupyter_faas.server"
LAB_EXTENSION = "jupyter-faas"

_AGAIN = "`pip install --force-reinstall jupyter_faas` puts it in its place."


class Piece(NamedTuple):
    """One thing that Jupyter should find."""

    name: str
    where: str
    """Where it was found; empty: it was not."""
    trouble: str = ""
    """What is wrong with it, as a sentence; empty: nothing."""
    advice: str = ""


class Places(NamedTuple):
    """Where Jupyter looks, first place first."""

    data: Sequence[str]
    config: Sequence[str]


def places() -> Places | None:
    """Return where Jupyter looks; None: this environment has no Jupyter."""
    if importlib.util.find_spec("jupyter_core") is None:
        return None
    from jupyter_core.paths import jupyter_config_path, jupyter_path  # noqa: PLC0415 - see above

    return Places(jupyter_path(), jupyter_config_path())


def look_at_jupyter(where: Places) -> Iterator[Piece]:
    """Look for each piece whose part of Jupyter is installed."""
    if importlib.util.find_spec("ipykernel") is not None:
        yield _kernel(where.data)
        yield _provisioner()
    if importlib.util.find_spec("jupyter_server") is not None:
        yield _server_extension(where.config)
    if importlib.util.find_spec("jupyterlab") is not None:
        yield _lab_extension(where.data)


def _kernel(data: Sequence[str]) -> Piece:
    name = "kernel"
    found = [path for place in data if (path := Path(place, "kernels", KERNEL)).is_dir()]
    if not found:
        return Piece(name, "", 'The kernel "Python 3 (serverless)" is not installed.', _AGAIN)
    first = found[0]
    try:
        spec = json.loads((first / "kernel.json").read_text(encoding="utf-8"))
        asked = spec["metadata"]["kernel_provisioner"]["provisioner_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Piece(
            name, str(first), f"{first}/kernel.json cannot be used: {error!r}.", f"Delete {first}."
        )
    if asked != PROVISIONER:
        trouble = f"{first}/kernel.json names the provisioner {asked!r}, not {PROVISIONER!r}."
        return Piece(name, str(first), trouble, f"Delete {first}; {_AGAIN}")
    return Piece(name, str(first))


def _provisioner() -> Piece:
    found = metadata.entry_points(group="jupyter_client.kernel_provisioners", name=PROVISIONER)
    for entry in found:
        try:
            entry.load()
        except Exception as error:  # what is broken in an environment has many names
            trouble = f"The provisioner of the kernel cannot be loaded: {error!r}."
            return Piece(
                "provisioner", entry.value, trouble, "Update ipykernel and jupyter_client."
            )
        return Piece("provisioner", entry.value)
    trouble = "The provisioner of the kernel is not registered: Jupyter does not list the kernel."
    return Piece("provisioner", "", trouble, _AGAIN)


def _server_extension(config: Sequence[str]) -> Piece:
    name = "server extension"
    # Jupyter reads the first place last: it overrules the others.
    for place in config:
        for path in sorted(Path(place, "jupyter_server_config.d").glob("*.json"), reverse=True):
            try:
                app = json.loads(path.read_text(encoding="utf-8"))["ServerApp"]
                is_enabled = app["jpserver_extensions"][SERVER_EXTENSION]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if is_enabled:
                return Piece(name, str(path))
            trouble = f"The Jupyter Server extension is turned off in {path}."
            advice = f"`jupyter server extension enable {SERVER_EXTENSION}`"
            return Piece(name, str(path), trouble, advice)
    return Piece(name, "", "The Jupyter Server extension is not enabled.", _AGAIN)


def _lab_extension(data: Sequence[str]) -> Piece:
    name = "lab extension"
    for place in data:
        path = Path(place, "labextensions", LAB_EXTENSION)
        if (path / "package.json").is_file():
            return Piece(name, str(path))
    advice = f"{_AGAIN} In a clone: `make lab-build`."
    return Piece(name, "", "The JupyterLab extension is not installed.", advice)
