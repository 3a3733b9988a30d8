"""Run the quickstart notebook against a gateway of its own and tell what happened, with times.

`make demo` runs this. Nothing of a gateway that is already running is touched: the state is in a
temporary directory, and the gateway started here is ended at the end.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOK = Path(__file__).parent / "01-quickstart.ipynb"
STORY = {
    "deploy and first answer": "A cell becomes a service",
    "warm calls": "Warm",
    "over HTTP": "Any program can call it",
    "burst": "A burst arrives",
    "crash healed": "A replica crashes",
    "new revision": "The code changes",
    "rollback": "Back again",
    "to zero": "Nobody calls",
    "from zero": "Somebody calls",
}
"""What a cell is about (its `metadata.faas.story`) → how the story says it."""


def main() -> int:
    """Tell the story; return 0 if every cell ran."""
    print(f"Running {NOTEBOOK.name}: a notebook function becomes a service.\n", flush=True)
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="faas-demo-", ignore_cleanup_errors=True) as state:
        try:
            run_notebook(NOTEBOOK, Path(state))
        except CellExecutionError as error:
            print(f"\nThe notebook failed:\n{error}", file=sys.stderr)
            print(gateway_log(Path(state)), file=sys.stderr)
            return 1
        finally:
            end_gateway(Path(state))
    print(f"\nDone in {time.perf_counter() - began_s:.0f} s. Open it live:  make lab")
    return 0


def run_notebook(path: Path, state_dir: Path, **settings: str) -> Any:
    """Execute a notebook in a kernel of its own, telling each step as soon as it has run.

    `settings` are `FAAS_*` variables of that kernel.
    """
    notebook = nbformat.read(path, as_version=4)

    def tell(cell: Any, **_: Any) -> None:
        about = cell.metadata.get("faas", {}).get("story")
        if about:
            print(f"  {STORY[about]:26}{printed_by(cell)}", flush=True)

    client = NotebookClient(
        notebook,
        timeout=60,
        iopub_timeout=60,  # on a busy machine output may come long after its cell's end
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_executed=lambda cell, cell_index, execute_reply: tell(cell),
    )
    return client.execute(env=environment(state_dir) | settings)


def environment(state_dir: Path) -> dict[str, str]:
    """Return the kernel's variables: this person's, but a gateway of the demo's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FAAS_")}
    return kept | {"FAAS_STATE_DIR": str(state_dir)}


def printed_by(cell: Any) -> str:
    """Return what a cell printed, later lines indented under the first."""
    text = "".join(out.text for out in cell.outputs if out.output_type == "stream")
    lines = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines() if line.strip()]
    return ("\n" + " " * 28).join(lines)


def gateway_log(state_dir: Path) -> str:
    """Return the end of the gateway's log, if there is one."""
    log = state_dir / "gateway.log"
    return log.read_text(errors="replace")[-3000:] if log.exists() else ""


def end_gateway(state_dir: Path) -> None:
    """End the gateway that the notebook has started, and wait until it is gone."""
    try:
        pid = json.loads((state_dir / "gateway.json").read_text())["pid"]
        if not pid:
            return  # it has ended by itself; and 0 would be our own process group
        os.kill(pid, signal.SIGTERM)
    except (FileNotFoundError, ProcessLookupError):
        return
    deadline_s = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline_s:
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
