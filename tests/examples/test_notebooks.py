"""Each example notebook runs from its first cell to its last, in a kernel of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples import demo
from tests.support import is_alive, state_dir, wait_until

EXAMPLES = Path(demo.__file__).parent
# The demo runs the quickstart itself; what needs a cluster is run by tests/cluster.
ELSEWHERE = {demo.NOTEBOOK.name, "02-kubernetes.ipynb"}
NOTEBOOKS = sorted({path.name for path in EXAMPLES.glob("*.ipynb")} - ELSEWHERE)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    # jupyter_client's own: its kernel sockets are closed by the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client"),
]


@pytest.fixture
def state() -> Iterator[Path]:
    with state_dir("faas-nb-") as path:
        yield path
        demo.end_gateway(path)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_to_its_end(name: str, state: Path) -> None:
    notebook = demo.run_notebook(EXAMPLES / name, state)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)


def test_the_demo_tells_every_step_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pids: list[int] = []

    def end_gateway(state_dir: Path) -> None:
        pids.append(json.loads((state_dir / "gateway.json").read_text())["pid"])
        end(state_dir)

    end = demo.end_gateway
    monkeypatch.setattr(demo, "end_gateway", end_gateway)
    assert demo.main() == 0
    told = capsys.readouterr().out
    assert [step for step in demo.STORY.values() if step not in told] == []
    # Eight are started; on a busy machine the first ones may have done all before the last is up.
    assert re.search(r"0 → [2-8] replicas", told), told
    assert "make lab" in told
    wait_until(lambda: not is_alive(pids[0]), what="the demo's gateway is gone")
