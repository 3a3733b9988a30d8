"""Maps in the panels, and marks of cells whose values have changed since."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.ui.screen import SLOW_MS, Screen

MAP = """import time
from jupyter_faas import serverless

@serverless(name="long-map", max_containers=2, scaledown_window=2)
def long_map(x: int) -> int:
    time.sleep(0.2)
    return x

for _ in long_map.map(range(10_000)):
    pass"""
WEIGH = """from jupyter_faas import serverless
threshold = 0.5

@serverless(name="weigh")
def weigh(x: float) -> bool:
    return x > threshold"""


def test_a_map_is_seen_while_it_runs_and_ends_when_its_button_is_pressed_twice(
    screen: Screen,
) -> None:
    screen.open(MAP, "long_map.panel()")
    panel = screen.show_panel()
    screen.start(0)
    line = panel.locator(".faas-map")
    expect(line).to_contain_text(re.compile(r"long-map\s*\d %.*/10"), timeout=SLOW_MS)
    expect(line).to_contain_text(re.compile(r"\d+/s\s*on replicas\s*[▁▂▃▄▅▆▇█]{1,2}"))
    line.get_by_role("button", name="cancel the map of long-map", exact=True).click()
    line.get_by_role("button", name="press again to cancel the map of long-map").click()
    expect(line).to_have_attribute("data-state", "cancelled")
    expect(line.get_by_role("button")).to_have_count(0)
    expect(screen.cell(0).locator(".jp-OutputArea")).to_contain_text("The map was cancelled.")
    shown = screen.run(1)
    expect(shown.locator(".faas-map")).to_contain_text("cancelled")


def test_a_changed_value_is_seen_at_the_mark_until_the_kernel_is_another_one(
    screen: Screen,
) -> None:
    screen.open(WEIGH, "weigh.remote(1.0)", "threshold = 0.9", "1 + 1")
    screen.run(0)
    screen.run(1)
    expect(screen.mark(0)).to_have_text("▲ 1", timeout=SLOW_MS)
    screen.run(2)
    expect(screen.mark(0)).to_have_text("▲ 1~")
    expect(screen.mark(0)).to_have_attribute(
        "title", "weigh: revision 1 runs older values: threshold changed since."
    )
    screen.run(1)
    expect(screen.mark(0)).to_have_text("▲ 2", timeout=SLOW_MS)
    screen.rewrite(2, "threshold = 0.1")
    screen.run(2)
    expect(screen.mark(0)).to_have_text("▲ 2~")
    screen.restart_kernel()
    expect(screen.mark(0)).to_have_text("▲ 2", timeout=SLOW_MS)
