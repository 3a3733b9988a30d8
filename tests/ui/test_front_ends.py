"""Front ends other than JupyterLab with our extension: with widgets alone, and Notebook 7."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.gateway import Gateway
from tests.ui.deploying import deploy_over_http
from tests.ui.lab import Lab
from tests.ui.screen import SLOW_MS, Screen

EVIL = "<img src=x onerror=\"document.title='evil'\">"
PANEL = "import jupyter_faas as faas\nf = faas.function('wait')\nf.panel()"
CALL_THREE = "calls = [f.spawn(until={path!r}) for _ in range(3)]"


def wait(text: str = "", until: str = "") -> None:
    """Run until there is a file."""
    import os
    import time

    print(text)
    if text:
        raise ValueError(text)
    while until and not os.path.exists(until):
        time.sleep(0.05)


@pytest.fixture(scope="module")
def plain_lab(
    running_gateway: Gateway, faas_state: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    """JupyterLab without our extensions."""
    running = Lab(tmp_path_factory.mktemp("plain"), faas_state, has_extension=False)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def plain(page: Page, plain_lab: Lab, gateway: Gateway) -> Iterator[Screen]:
    """A page of it."""
    yield Screen(page, plain_lab, "plain.ipynb")
    page.goto("about:blank")
    plain_lab.end_kernels()


def test_the_widget_shows_and_changes_a_function_through_the_kernel(
    plain: Screen, gateway: Gateway, tmp_path: Path
) -> None:
    deploy_over_http(gateway, "wait", wait, scaledown_window=1)
    deploy_over_http(gateway, "wait", wait, scaledown_window=1, memory=300)
    may_end = tmp_path / "may end"
    plain.open(PANEL, CALL_THREE.format(path=str(may_end)), "faas.panel()")
    panel = plain.run(0).locator(".faas-panel")
    expect(panel).to_have_attribute("aria-label", "function wait", timeout=SLOW_MS)
    expect(panel).to_contain_text("revision 2 · 100 %")
    expect(panel).to_contain_text("through the kernel: actions wait for the running cell")
    dots = panel.locator(".faas-dot")
    expect(dots).to_have_count(0, timeout=SLOW_MS)
    plain.run(1)
    expect(dots.filter(has_text="●")).to_have_count(3, timeout=SLOW_MS)
    may_end.touch()
    expect(dots).to_have_count(0, timeout=SLOW_MS)
    panel.get_by_role("button", name="roll back to revision 1").click()
    expect(panel).to_contain_text("revision 1 · 100 %")
    assert gateway.call("wait", {"text": EVIL}).status == 500
    expect(panel.locator(".faas-calls")).to_contain_text(EVIL)
    expect(panel.locator(".faas-log-lines")).to_contain_text(EVIL)
    table = plain.run(2).locator(".faas-panel")
    expect(table).to_have_attribute("aria-label", "functions")
    table.get_by_role("button", name="wait").click()
    expect(table).to_contain_text("revision 1 · 100 %")
    assert gateway.token not in plain.save()
    plain.reload_notebook()
    expect(panel).to_contain_text("revision 1 · 100 %")
    again = tmp_path / "again"
    runs = gateway.request("POST", "/async-function/wait", {"until": str(again)})
    assert runs.status == 202
    expect(dots).to_have_count(1, timeout=SLOW_MS)
    again.touch()
    assert plain.page.locator("img[src='x']").count() == 0


def test_notebook_7_has_panel_marks_and_details(screen: Screen, gateway: Gateway) -> None:
    source = "from jupyter_faas import serverless\n@serverless(name='nb')\ndef nb(x): return x\n"
    screen.open(source + "nb.remote(1)", "nb.panel()", app="notebooks")
    screen.run(0)
    expect(screen.mark(0)).to_have_text("▲ 1", timeout=SLOW_MS)
    panel = screen.run(1).locator(".faas-panel")
    expect(panel).to_contain_text("revision 1 · 100 %")
    expect(panel.locator(".faas-dot")).to_have_count(1)
    screen.mark(0).click()
    side = screen.page.locator("#jupyter-faas-functions")
    expect(side).to_be_visible()
    expect(screen.row("nb")).to_be_focused()
    side.get_by_role("button", name="Open", exact=True).click()
    details = screen.page.locator("#jupyter-faas-function-nb .faas-panel")
    expect(details).to_contain_text("revision 1 · 100 %")
    box = details.bounding_box()
    assert box
    assert box["x"] > 500, "details are at the right"
    screen.save()
    screen.reload_notebook()
    expect(screen.mark(0)).to_have_text("▲ 1")
    expect(panel).to_contain_text("revision 1 · 100 %")
