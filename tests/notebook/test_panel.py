"""`f.panel()` in a real kernel with a real gateway: its forms, its widget, what an export keeps."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from examples import demo
from tests.notebook.kernel import Kernel, Message
from tests.support import state_dir, wait_until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    # jupyter_client's own: its kernel sockets are closed by the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

PANEL = "application/vnd.jupyter-faas.panel+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
EVIL = "<script>alert('evil')</script><img src=x onerror=alert(1)>"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A stand-in for the page that Node builds."""
    (tmp_path / "panel.js").write_text("export default { render() {} }")
    (tmp_path / "panel.css").write_text("")
    return tmp_path


def with_page(page: Path) -> str:
    return (
        "import jupyter_faas.notebook.panel_widget as w; from pathlib import Path\n"
        f"w.STATIC = Path({str(page)!r}); w.widget_class.cache_clear()"
    )


def without_page() -> str:
    return (
        "import jupyter_faas.notebook.panel_widget as w; from pathlib import Path\n"
        "w.STATIC = Path('/nowhere')"
    )


def bundle(kernel: Kernel, code: str) -> dict[str, Any]:
    shown = kernel.displays(kernel.run(code))
    return dict(shown[0]["content"]["data"])


def test_every_front_end_finds_its_form(live: Kernel, page: Path) -> None:
    live.run("@serverless\ndef shown(x):\n    print('line', x)\n    return x\nshown.remote(1)")
    live.run("while 'line 1' not in str(shown.logs()): pass")  # it comes on another way
    live.run(with_page(page))
    found = bundle(live, "shown.panel()")
    assert found[PANEL] == {"version": 1, "function": "shown", "namespace": ""}
    assert len(found[WIDGET]["model_id"]) == 32
    for form in (found["text/plain"], found["text/html"]):
        assert "revision 1 · 100%" in form
        assert "1 of 0–10" in form
        assert "line 1" in form
        assert re.search(r"as of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", form)
        assert "VBox" not in form
    everything = bundle(live, "%faas panel")
    assert everything[PANEL]["function"] is None
    assert "shown" in everything["text/html"]
    assert "in flight" in everything["text/plain"]


def test_without_the_built_page_html_stands_in_and_says_how_to_build(live: Kernel) -> None:
    live.run(without_page())
    found = bundle(live, "shown.panel()")
    assert WIDGET not in found
    assert "make lab-build" in found["text/html"]
    assert PANEL in found


def test_what_is_not_deployed_has_a_panel_that_says_so(live: Kernel) -> None:
    live.run("@serverless\ndef never(x): return x")
    assert "never is not deployed yet." in bundle(live, "never.panel()")["text/plain"]


def test_its_still_form_is_written_again_when_its_cell_ends(live: Kernel) -> None:
    live.run(without_page())
    cell = live.run(
        "import time\ndisplay(shown.panel())\nshown.remote(77)\nnew_s = time.time() + 1\n"
        "while 'line 77' not in str(shown.logs()) or time.time() < new_s: time.sleep(0.05)"
    )
    first, last = live.displays(cell)[0], live.displays(cell)[-1]
    assert (first["msg_type"], last["msg_type"]) == ("display_data", "update_display_data")
    assert first["content"]["transient"] == last["content"]["transient"]
    assert "line 77" not in first["content"]["data"]["text/html"]
    assert "line 77" in last["content"]["data"]["text/html"]
    updates = [m for m in live.displays(cell) if m["msg_type"] == "update_display_data"]
    assert len(updates) == 1


def comm_of(kernel: Kernel, cell: str) -> str:
    (opened,) = [
        message
        for message in kernel.outputs[cell]
        if message["msg_type"] == "comm_open" and "snapshot" in message["content"]["data"]["state"]
    ]
    return str(opened["content"]["comm_id"])


def say(kernel: Kernel, comm: str, content: dict[str, Any]) -> None:
    """Send what a page sends."""
    data = {"method": "custom", "content": content}
    message = kernel.client.session.msg("comm_msg", {"comm_id": comm, "data": data})
    kernel.client.shell_channel.send(message)


def heard(kernel: Kernel, comm: str) -> list[dict[str, Any]]:
    """Return what a page has been told so far."""
    return [
        message["content"]["data"]["content"]
        for messages in list(kernel.outputs.values())
        for message in messages
        if message["msg_type"] == "comm_msg"
        and message["content"]["comm_id"] == comm
        and message["content"]["data"].get("method") == "custom"
    ]


def until(kernel: Kernel, found: Any, timeout_s: float = 20.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (value := found()):
        kernel.collect(max(0.0, deadline - time.monotonic()))
    return value


READERS = (
    "__import__('threading').enumerate()"
    " if 'jupyter-faas' in t.name and not t.name.endswith('child')"
)


def threads(kernel: Kernel) -> str:
    return kernel.value(f"sorted(t.name for t in {READERS})")


@pytest.fixture
def shown_page(live: Kernel, page: Path) -> Iterator[str]:
    """The comm of a panel that a page has just begun to show."""
    live.run(with_page(page))
    comm = comm_of(live, live.run("p = shown.panel(); p"))
    say(live, comm, {"type": "watch", "view": "v", "calls": [], "logs": [], "max_hz": 4})
    until(live, lambda: [m for m in heard(live, comm) if m["type"] == "snapshot"])
    yield comm
    live.run("p.close()")


def test_a_page_is_told_while_a_cell_runs_and_not_more_than_four_times_a_second(
    live: Kernel, shown_page: str
) -> None:
    began, began_s = len(heard(live, shown_page)), time.monotonic()
    # A kernel that stands still loses one of the times, not all of them.
    live.run(
        "for _ in range(30):\n    end = time.monotonic() + 0.1\n"
        "    while time.monotonic() < end: shown.remote(1)"
    )
    took_s = time.monotonic() - began_s
    told = heard(live, shown_page)[began:]
    assert 2 <= len(told) <= 4 * took_s + 3
    assert {message["type"] for message in told} == {"events"}
    assert {e["function"] for message in told for e in message["events"]} == {"shown"}
    assert "'jupyter-faas-events'" in threads(live)


def test_a_cleared_cell_a_hidden_page_and_a_closed_widget_leave_nothing(
    live: Kernel, shown_page: str
) -> None:
    def no_threads() -> bool:
        return threads(live) == "[]"

    say(live, shown_page, {"type": "hidden", "view": "v"})
    wait_until(no_threads)
    say(live, shown_page, {"type": "alive", "view": "v"})
    wait_until(lambda: not no_threads())
    # The cell is cleared: its view goes, and the page's model counts none.
    for count in (1, 0):
        data = {"method": "update", "state": {"_view_count": count}, "buffer_paths": []}
        message = live.client.session.msg("comm_msg", {"comm_id": shown_page, "data": data})
        live.client.shell_channel.send(message)
    wait_until(no_threads)
    say(live, shown_page, {"type": "alive", "view": "v"})
    wait_until(lambda: not no_threads())
    live.run("p.close()")
    wait_until(no_threads)


def test_a_killed_browser_is_noticed_by_its_silence(live: Kernel, shown_page: str) -> None:
    pid = int(live.value("__import__('os').getpid()"))
    readers = json.loads(live.value(f"[t.native_id for t in {READERS}]"))
    assert readers
    live.run("import jupyter_faas.notebook.onlookers as o; o.SILENT_S = 1.0")
    try:
        # From outside: while a cell runs the kernel is deaf, and silence means nothing.
        wait_until(lambda: not any(Path(f"/proc/{pid}/task/{id}").exists() for id in readers))
    finally:
        live.run("o.SILENT_S = 15.0")
    assert threads(live) == "[]"


def test_a_page_acts_through_the_kernel(live: Kernel, shown_page: str) -> None:
    body = {"maxContainers": 4}
    act = {"type": "act", "id": 7, "method": "PATCH", "path": "v1/functions/shown/scaling"}
    say(live, shown_page, {**act, "body": body})
    answers: list[Message] = until(
        live, lambda: [m for m in heard(live, shown_page) if m["type"] == "answer"]
    )
    assert (answers[0]["id"], answers[0]["status"]) == (7, 200)
    assert live.value("shown.status().function.settings.scaling.max_containers") == "4"


NOTEBOOK = [
    "%load_ext jupyter_faas\nfrom jupyter_faas import serverless",
    f"EVIL = {EVIL!r}\n@serverless\ndef evil(x=EVIL):\n    print(EVIL)\n    if x == 2: raise "
    "ValueError(EVIL)\n    return x\nevil.deploy()",
    "evil.remote(1)\ntry:\n    evil.remote(2)\nexcept ValueError as error:\n    pass",
    "evil.panel()",
    "%faas panel",
    "%faas status evil",
    "%faas list",
    "%faas revisions evil",
    "%faas replicas evil",
    "%faas logs evil",
    "evil",
    "evil.replicas()[0]",
    "evil.update_autoscaler(max_containers=3)",
    "%faas capture evil",
    "%faas doctor",
    "import jupyter_faas as faas\nfaas.gateway()",
    "class Stuck:\n    __qualname__ = EVIL\n    def __reduce__(self): raise TypeError(EVIL)\n"
    "stuck = Stuck()\n@serverless\ndef held(): return stuck\nheld.capture()",
    "%%faas deploy --name renamed\ndef renamed(x):\n    return EVIL",
    "from jupyter_faas.client.map_progress import MapProgress\n"
    "from jupyter_faas.client.session import session\n"
    "with MapProgress(EVIL, session.monotonic_s, total=2).shown(session.map_display()) as m:\n"
    "    m.name_failure(0, EVIL)\n    m.note(done=2, failed=1)",
    "display(evil.panel())\nimport time\nevil.remote(3)\ntime.sleep(2)",
]


@pytest.fixture(scope="module")
def executed() -> tuple[Any, str]:
    """A notebook that has run in a kernel and gateway of its own, and the gateway's token."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in NOTEBOOK])
    environ = {name: text for name, text in os.environ.items() if not name.startswith("FAAS_")}
    with state_dir("faas-nx-") as state:
        client = NotebookClient(
            notebook,
            timeout=60,
            iopub_timeout=60,  # what a kernel that stands still has to show is not left out
            kernel_name="python3",
            store_widget_state=True,
        )
        try:
            client.execute(env=environ | {"FAAS_STATE_DIR": str(state)})
            token = json.loads((state / "gateway.json").read_text())["token"]
        finally:
            demo.end_gateway(state)
    return notebook, token


def outputs(notebook: Any, cell: int) -> list[dict[str, Any]]:
    return [dict(output.get("data", {})) for output in notebook.cells[cell].outputs]


def test_an_executed_notebook_holds_no_token(executed: tuple[Any, str]) -> None:
    notebook, token = executed
    text = nbformat.writes(notebook)
    assert len(token) > 20
    assert token not in text


def test_an_executed_notebook_keeps_the_state_at_the_end_of_the_cell(
    executed: tuple[Any, str],
) -> None:
    notebook, _ = executed
    kept = outputs(notebook, len(NOTEBOOK) - 1)[0]
    assert "3   errors 1" in kept["text/html"]
    assert "as of 20" in kept["text/html"]


def test_what_comes_from_a_function_is_text_in_every_html(executed: tuple[Any, str]) -> None:
    notebook, _ = executed
    shown = 0
    for number in range(len(NOTEBOOK)):
        for data in outputs(notebook, number):
            if "text/html" in data:
                shown += 1
                assert "<script>alert" not in data["text/html"], NOTEBOOK[number]
                assert "<img src=x" not in data["text/html"], NOTEBOOK[number]
                assert "text/plain" in data, NOTEBOOK[number]
    assert shown >= 12


def test_an_export_shows_the_still_form_and_nothing_evil(executed: tuple[Any, str]) -> None:
    notebook, _ = executed
    assert all(WIDGET not in data for data in outputs(notebook, len(NOTEBOOK) - 1))
    body, _ = HTMLExporter(template_name="classic").from_notebook_node(notebook)
    body += HTMLExporter(template_name="lab").from_notebook_node(notebook)[0]
    assert "as of 20" in body
    assert "VBox(" not in body
    assert "PanelWidget(" not in body
    executable = re.sub(r'<script type="application/vnd[^>]*>.*?</script>', "", body, flags=re.S)
    assert "<script>alert" not in executable
    assert "<img src=x onerror" not in executable
