"""A person's way through a notebook: deploys, watches, acts while a cell runs, comes back."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, expect

from tests.e2e.gateway import Gateway, wait_until
from tests.ui.deploying import deploy_over_http
from tests.ui.screen import SLOW_MS, Screen

LOAD = "%load_ext jupyter_faas"
DEPLOY = """%%faas deploy --scaledown-window 1
def wait(path=""):
    import os, time
    while path and not os.path.exists(path):
        time.sleep(0.05)"""
CALL_THREE = "calls = [wait.spawn({path!r}) for _ in range(3)]"
PANEL = "%faas panel wait"


def answer(x: int = 0) -> str:
    return "old"


def traffic(gateway: Gateway, name: str) -> dict[str, int]:
    return dict(gateway.request("GET", f"/v1/functions/{name}").json()["traffic"])


def busy(dots: Locator) -> Locator:
    return dots.filter(has_text="●")


def test_what_a_cell_deploys_is_followed_in_its_panel_and_at_the_side(
    screen: Screen, gateway: Gateway, tmp_path: Path
) -> None:
    may_end = tmp_path / "may end"
    screen.open(LOAD, DEPLOY, PANEL, CALL_THREE.format(path=str(may_end)))
    screen.show_panel()
    screen.run(0)
    card = screen.run(1)
    expect(card).to_contain_text("revision 1")
    expect(card).to_contain_text(re.compile(r"ready in [\d.]+ m?s"))
    expect(screen.mark(1)).to_have_text("▲ 1")
    screen.run(2)
    in_panel, at_side = (
        screen.panel(2).locator(".faas-dot"),
        screen.row("wait").locator(".faas-dot"),
    )
    expect(screen.panel(2)).to_contain_text("none", timeout=SLOW_MS)
    expect(in_panel).to_have_count(0)
    expect(at_side).to_have_count(0)
    screen.run(3)
    for dots in (in_panel, at_side):
        expect(busy(dots)).to_have_count(3, timeout=SLOW_MS)
    expect(screen.row("wait").locator(".faas-side-load")).to_have_text("3 ⇡")
    may_end.touch()
    for dots in (in_panel, at_side):
        expect(dots).to_have_count(0, timeout=SLOW_MS)
    expect(screen.row("wait")).to_contain_text("asleep")
    assert gateway.token not in screen.save()


def test_a_reload_and_a_restart_of_the_kernel_bring_everything_back(
    screen: Screen, gateway: Gateway
) -> None:
    screen.open(LOAD, DEPLOY, PANEL)
    screen.show_panel()
    for cell in range(3):
        screen.run(cell)
    screen.save()

    def is_all_there() -> None:
        expect(screen.output(1)).to_contain_text("ready in")
        expect(screen.mark(1)).to_have_text("▲ 1")
        expect(screen.panel(2)).to_contain_text("revision 1 · 100 %")
        expect(screen.row("wait")).to_contain_text("r1")
        assert gateway.call("wait", {}).status == 200
        expect(screen.panel(2).locator(".faas-calls tbody tr")).not_to_have_count(0)

    is_all_there()
    for _ in range(2):
        screen.reload_notebook()
        is_all_there()
    screen.restart_kernel()
    is_all_there()


def test_traffic_and_rollback_take_effect_while_a_cell_runs(
    screen: Screen, gateway: Gateway
) -> None:
    deploy_over_http(gateway, "answer", answer)
    screen.open(
        LOAD,
        "import jupyter_faas as faas\n@faas.serverless(name='answer')\n"
        "def answer(x: int = 0) -> str:\n    return 'new'\nanswer.deploy(take_over=True)",
        "answer.panel()",
        "import time; time.sleep(120)",
    )
    for cell in range(3):
        screen.run(cell)
    panel = screen.panel(2)
    expect(panel).to_contain_text("revision 2 · 100 %")
    screen.start(3)
    expect(screen.cell(3).locator(".jp-InputPrompt")).to_have_text("[*]:")
    slider = panel.get_by_label("traffic of revision 1")
    box = slider.bounding_box()
    assert box
    slider.click(position={"x": box["width"] * 0.3, "y": box["height"] / 2})
    expect(panel).to_contain_text(re.compile(r"revision 2 · (6|7)\d %, revision 1 · (2|3)\d %"))
    shares = wait_until(lambda: len(split := traffic(gateway, "answer")) == 2 and split)
    assert 20 < 100 * shares["1"] / sum(shares.values()) < 40
    panel.get_by_role("button", name="roll back to revision 1").click()
    wait_until(lambda: gateway.call("answer").body == b"old", what="revision 1 answers")
    wait_until(lambda: traffic(gateway, "answer").keys() == {"1"}, what="it alone is called")
    expect(panel).to_contain_text("revision 1 · 100 %")
    expect(screen.cell(3).locator(".jp-InputPrompt")).to_have_text("[*]:")
    screen.lab.interrupt_kernels()
