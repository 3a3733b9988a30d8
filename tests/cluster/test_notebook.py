"""The example notebook, on a whole installation, from a kernel outside of the cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples import demo
from tests.cluster.system import System
from tests.support import state_dir

NOTEBOOK = Path(demo.__file__).parent / "02-kubernetes.ipynb"

pytestmark = [
    # jupyter_client's own: its kernel sockets are closed by the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client"),
]


def test_the_example_runs_to_its_end(system: System) -> None:
    with state_dir("faas-nb-") as path:
        notebook = demo.run_notebook(
            NOTEBOOK, path, FAAS_SYSTEM_NAMESPACE=system.system, FAAS_NAMESPACE=system.namespace
        )
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert not system.exists("fn", "greet-example")
