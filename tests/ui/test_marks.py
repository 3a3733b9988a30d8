"""Marks at the prompts of cells: right after an edit, a reload, in a copy, without a kernel."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from playwright.sync_api import expect

from tests.e2e.gateway import Gateway
from tests.ui.screen import SLOW_MS, Screen

DEFINITION = """from jupyter_faas import serverless

@serverless(name="{name}")
def marked(x: int) -> int:
    return x + {add}"""
CALL = "marked.remote(1)"


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A function's name of this test's own."""
    return str(request.node.name).removeprefix("test_a_").replace("_", "-")[:20].strip("-")


def opened(screen: Screen, name: str) -> None:
    """Open a notebook, define a function and call it: it is deployed from cell 0."""
    screen.open(DEFINITION.format(name=name, add=1), CALL)
    screen.run(0)
    screen.run(1)
    expect(screen.mark(0)).to_have_text("▲ 1", timeout=SLOW_MS)


def test_a_mark_says_whether_the_cell_is_what_is_deployed(screen: Screen, name: str) -> None:
    opened(screen, name)
    mark = screen.mark(0)
    expect(mark).to_have_attribute("title", f"{name}: deployed as revision 1.")
    expect(screen.mark(1)).to_have_count(0)
    screen.rewrite(0, DEFINITION.format(name=name, add=2))
    expect(mark).to_have_text("▲ 1*")
    expect(mark).to_have_attribute("title", f"{name}: changed since revision 1 was deployed.")
    screen.rewrite(0, DEFINITION.format(name=name, add=1))
    expect(mark).to_have_text("▲ 1")
    screen.rewrite(0, DEFINITION.format(name=name, add=1) + "  # as before")
    expect(mark).to_have_text("▲ 1*")
    screen.run(0)
    screen.run(1)
    expect(mark).to_have_text("▲ 1")
    screen.rewrite(0, DEFINITION.format(name=name, add=2))
    screen.run(0)
    expect(screen.run(1)).to_contain_text("3")
    expect(mark).to_have_text("▲ 2")


def test_a_mark_comes_back_after_a_reload_and_in_a_copy_and_is_not_written_down(
    screen: Screen, name: str
) -> None:
    opened(screen, name)
    screen.rewrite(0, DEFINITION.format(name=name, add=2))
    expect(screen.mark(0)).to_have_text("▲ 1*")
    notebook = json.loads(screen.save())
    cell = notebook["cells"][0]
    assert cell["metadata"].keys() <= {"trusted", "execution"}
    assert "▲" not in json.dumps(cell, ensure_ascii=False)
    assert "faas" not in json.dumps(notebook["metadata"])
    screen.reload_notebook()
    expect(screen.mark(0)).to_have_text("▲ 1*")
    copy = f"copy-of-{screen.name}"
    shutil.copy(screen.lab.notebooks / screen.name, screen.lab.notebooks / copy)
    screen.page.goto(screen.lab.url(f"lab/tree/{copy}"))
    screen.wait_ready()
    expect(screen.mark(0)).to_have_text("▲ 1*")


def test_a_failed_revision_has_a_cross_and_says_why(
    screen: Screen, name: str, gateway: Gateway
) -> None:
    source = f"""from jupyter_faas import serverless

@serverless(name="{name}", env={{"BREAK": "1"}})
class Broken:
    def __init__(self) -> None:
        raise OSError("no model here")

    def predict(self) -> int:
        return 1"""
    screen.open(source, "Broken.predict.remote()")
    screen.run(0)
    screen.run(1)
    expect(screen.mark(0)).to_have_text("✕", timeout=SLOW_MS)
    expect(screen.mark(0)).to_have_attribute("title", re.compile("no model here"))
    gateway.request("DELETE", f"/v1/functions/{name}")
    expect(screen.mark(0)).to_have_count(0)


def test_a_mark_and_the_keys_for_the_panel_lead_to_the_function(screen: Screen, name: str) -> None:
    opened(screen, name)
    screen.mark(0).click()
    expect(screen.row(name)).to_be_focused()
    expect(screen.row(name)).to_have_attribute("aria-expanded", "true")
    screen.row(name).click()
    expect(screen.row(name)).to_have_attribute("aria-expanded", "false")
    screen.cell(0).locator(".cm-content").click()
    screen.page.keyboard.press("Control+Alt+F")
    expect(screen.row(name)).to_be_focused()
    expect(screen.row(name)).to_have_attribute("aria-expanded", "true")
