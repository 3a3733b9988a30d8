"""Magics, cards and panels in a real kernel with an embedded gateway of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples import demo
from tests.notebook.kernel import Kernel
from tests.notebook.kernel import kernel as run_kernel
from tests.support import state_dir

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    with state_dir("faas-nb-") as path:
        yield path
        demo.end_gateway(path)


@pytest.fixture(scope="module")
def live(state: Path) -> Iterator[Kernel]:
    """A kernel that has found no gateway yet."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith("FAAS_")}
    with run_kernel(environ | {"FAAS_STATE_DIR": str(state)}) as running:
        running.run("%load_ext jupyter_faas")
        yield running


def results(kernel: Kernel, cell: str) -> list[dict[str, str]]:
    return [
        message["content"]["data"]
        for message in kernel.outputs[cell]
        if message["msg_type"] == "execute_result"
    ]


def test_looking_starts_no_gateway(live: Kernel, state: Path) -> None:
    cell = live.run("%faas panel")
    texts = [shown["content"]["data"]["text/plain"] for shown in live.displays(cell)]
    texts += [shown["text/plain"] for shown in results(live, cell)]
    assert "None running: it starts with the first call." in "".join(texts)
    assert not (state / "gateway.json").exists()


def test_a_cell_runs_in_a_replica(live: Kernel) -> None:
    live.run(
        "import os, pandas as pd\nk = 10\ndef helper(n): return n * k\n"
        "df = pd.DataFrame({'a': [1, 2]})"
    )
    cell = live.run("%%faas run\nprint('there')\nmodel = helper(4)\n(model, os.getpid())")
    assert "there" in live.text(cell)
    assert "serverless(cell).remote()" in live.text(cell)
    assert live.value("_[0], _[1] != os.getpid()") == "(40, True)"
    assert live.value("'model' in globals()") == "False"


def test_wanted_names_come_back_and_the_value_is_out(live: Kernel) -> None:
    cell = live.run(
        "%%faas run -o df,total --memory 256\ndf = df.assign(b=df.a * k)\ntotal = 3\ndf.head(1)"
    )
    (shown,) = results(live, cell)
    assert "<table" in shown["text/html"]
    assert live.value("list(df.columns), total, len(_)") == "(['a', 'b'], 3, 1)"
    assert "serverless(memory=256)(cell).remote()" in live.text(cell)


def test_running_a_cell_again_begins_anew(live: Kernel) -> None:
    live.run("count = 0")
    for _ in range(2):
        live.run("%%faas run -o seen\ncount = count + 1\nseen = count")
        assert live.value("seen, count") == "(1, 0)"


def test_nothing_of_a_run_is_left(live: Kernel) -> None:
    assert "cell-" not in live.value("%faas list")


def test_what_a_run_raises_is_raised_with_the_lines_of_the_cell(live: Kernel) -> None:
    error = live.error("%%faas run\nx = 1\nraise ValueError(f'no {x}')")
    assert (error["ename"], error["evalue"].splitlines()[0]) == ("ValueError", "no 1")
    text = "\n".join(error["traceback"])
    assert "raise ValueError(f'no {x}')" in text
    assert "magics.py" not in text


def test_what_cannot_travel_back_is_shown_from_there(live: Kernel) -> None:
    cell = live.run("%%faas run\n(n for n in range(3))")
    shown = [m["content"]["data"].get("text/plain", "") for m in live.displays(cell)]
    assert any("generator object" in text for text in shown)


def test_await_works_in_a_run(live: Kernel) -> None:
    live.run("%%faas run\nimport asyncio\nawait asyncio.sleep(0, 5)")
    assert live.value("_") == "5"


def test_a_syntax_error_is_the_cells_own(live: Kernel) -> None:
    cell = live.start("%%faas run\nx = = 3")
    with pytest.raises(AssertionError, match="SyntaxError"):
        live.finish(cell)
