"""Takes the pictures of docs/notebook.md: `make screenshots`.

A JupyterLab, a gateway and a browser of its own, with real functions that are really called: always
the same ones (`scene.py`), so that what is another picture is another product, but for times of
day and measured numbers. Needs the system's Chromium and the built lab extension.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import (
    FloatRect,
    Locator,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.e2e.gateway import Gateway
from tests.support import state_dir, wait_until
from tests.ui.lab import EXTENSION, Lab
from tests.ui.screen import SLOW_MS, Screen

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
MOST_BYTES = 150_000
MOST_PICTURES = 8
WINDOW: ViewportSize = {"width": 1280, "height": 800}
TALL: ViewportSize = {"width": 1280, "height": 1200}
DARK = "JupyterLab Dark"
EDGE = 4
"""Pixels at the left that belong to the cell around an output."""

CELLS = (
    "import time\nfrom typing import Literal\nfrom jupyter_faas import serverless\n\n"
    'WEIGHTS = {"good": 1, "great": 2, "bad": -1}\nthreshold = 0.5',
    "@serverless(max_containers=6, scaledown_window=600)\n"
    'def score(text: str, lang: Literal["en", "de"] = "en") -> str:\n'
    "    time.sleep(0.35)\n"
    "    if not text:\n"
    '        raise ValueError("empty text")\n'
    "    points = sum(WEIGHTS.get(word, 0) for word in text.split())\n"
    '    print(f"{points:+d} {text}")\n'
    '    return "happy" if points > threshold else "not happy"',
    'score.remote("a great day")',
    "threshold = 0.9",
    "score.panel()",
    "@serverless(max_containers=4, scaledown_window=600)\n"
    "def area(seed: int) -> float:\n"
    "    time.sleep(0.1 if seed % 8 else 0.4)\n"
    "    return seed**0.5\n\n"
    "areas = list(area.map(range(400)))",
)


def main() -> int:
    """Take all pictures; returns 1 if there are too many or one is too large."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if path is None or not EXTENSION.exists():
        print("Chromium and the built extension are needed: make lab-build.", file=sys.stderr)
        return 1
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    with running() as lab, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport=WINDOW)
        take(Screen(page, lab, "mood.ipynb"))
        browser.close()
    taken = sorted(PICTURES.glob("*.png"))
    for picture in taken:
        print(f"{picture.name:24}{picture.stat().st_size / 1000:7.0f} kB")
    is_large = any(picture.stat().st_size > MOST_BYTES for picture in taken)
    return int(is_large or len(taken) > MOST_PICTURES)


@contextmanager
def running() -> Iterator[Lab]:
    """Give a JupyterLab; gateway and server are ended at the end."""
    with state_dir("faas-shots-") as state:
        for name in [one for one in os.environ if one.startswith("FAAS_")]:
            del os.environ[name]
        os.environ["FAAS_STATE_DIR"] = str(state / "state")
        lab = Lab(state / "jupyter", state / "state")
        try:
            lab.start()
            scene("deploy").wait(120)
            yield lab
        finally:
            lab.stop()
            Gateway(state / "state").stop()


def scene(part: str) -> subprocess.Popen[bytes]:
    """Start a part of `scene.py`."""
    command = [sys.executable, "-m", "tools.pictures.scene", part]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def take(screen: Screen) -> None:
    """Take the pictures, from the first cell to the last."""
    page = screen.page
    screen.open(*CELLS)
    panel = screen.show_panel()
    widen(page, panel, 400)
    for index in (0, 1, 2):
        screen.run(index)
    expect(screen.mark(1)).to_have_text("▲ 1", timeout=SLOW_MS)
    shot(screen.cell(2).locator(".jp-OutputArea-child").first, "card")
    screen.run(3)
    expect(screen.mark(1)).to_have_text("▲ 1~", timeout=SLOW_MS)
    screen.run(2)
    expect(screen.mark(1)).to_have_text("▲ 2", timeout=SLOW_MS)
    load = scene("load")
    try:
        take_live(screen, panel)
    finally:
        load.terminate()
        load.wait(20)


def take_live(screen: Screen, panel: Locator) -> None:
    """Take the pictures of what goes on."""
    page = screen.page
    screen.run(4)
    shown = screen.cell(4).locator(".faas-panel")
    expect(shown.locator(".faas-dot.faas-busy")).to_have_count(6, timeout=SLOW_MS)
    expect(shown.locator(".faas-calls tbody tr")).to_have_count(8, timeout=SLOW_MS)
    expect(panel.locator(".faas-map")).to_have_count(1, timeout=SLOW_MS)
    wait_until(lambda: share(panel) >= 25, 60.0, what="a map is a quarter done")
    screen.cell(0).scroll_into_view_if_needed()
    page.screenshot(path=PICTURES / "lab-light.png")
    page.set_viewport_size(TALL)
    expect(shown.locator(".faas-calls tr.faas-bad").nth(1)).to_be_visible(timeout=SLOW_MS)
    shot(shown, "panel-light")
    choose_theme(page, DARK)
    shot(shown, "panel-dark")
    page.set_viewport_size(WINDOW)
    screen.cell(0).scroll_into_view_if_needed()
    page.screenshot(path=PICTURES / "lab-dark.png")
    take_side(screen, panel)
    screen.start(5)
    bar = screen.cell(5).locator(".jp-OutputArea-child", has=page.get_by_role("progressbar"))
    expect(bar).to_contain_text(re.compile(r"[3-9]\d %"), timeout=SLOW_MS)
    shot(bar, "map-dark")


def take_side(screen: Screen, panel: Locator) -> None:
    """Take the pictures of one function in the side panel: the form, and its revisions."""
    screen.row("score").click()
    panel.get_by_role("button", name="Call", exact=True).first.click()
    form = panel.locator(".faas-invoke")
    form.locator("textarea").first.fill("a great day")
    form.get_by_role("button", name="Call").click()
    expect(form.locator(".faas-result")).to_contain_text("done", timeout=SLOW_MS)
    shot(panel, "call-dark", edge=0)


def share(panel: Locator) -> int:
    """Return how far the map in the side panel is, in per cent."""
    bar = panel.locator(".faas-map-bar").first
    return int(bar.get_attribute("aria-valuenow") or 0)


def shot(part: Locator, name: str, edge: int = EDGE) -> None:
    """Take a picture of a part of the page, without the edge of what is around it."""
    part.scroll_into_view_if_needed()
    box = part.bounding_box()
    assert box is not None
    clip: FloatRect = {
        "x": box["x"] + edge,
        "y": box["y"],
        "width": box["width"] - edge,
        "height": box["height"],
    }
    part.page.screenshot(path=PICTURES / f"{name}.png", clip=clip, animations="disabled")


def widen(page: Page, panel: Locator, width: int) -> None:
    """Draw the side panel to a width."""
    box = panel.bounding_box()
    assert box is not None
    edge, middle = box["x"] + box["width"] + 1, box["y"] + box["height"] / 2
    page.mouse.move(edge, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + width, middle, steps=4)
    page.mouse.up()


def choose_theme(page: Page, name: str) -> None:
    """Change the theme, and wait until it is there."""
    page.evaluate(
        "name => void window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})",
        name,
    )
    expect(page.locator("body")).to_have_attribute("data-jp-theme-name", name, timeout=SLOW_MS)
    expect(page.locator("#jupyterlab-splash")).to_have_count(0, timeout=SLOW_MS)


if __name__ == "__main__":
    sys.exit(main())
