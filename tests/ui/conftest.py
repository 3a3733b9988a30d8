"""A browser, one JupyterLab for each test module, and a fresh page with a notebook for each test.

Needs Chromium of the system (apt-get install chromium; Playwright's own download does not work
everywhere) and the built lab extension (make lab-build). Without them the tests are skipped with
the reason; in CI (the variable `CI` is set) that is a failure.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.gateway import Gateway
from tests.support import state_dir
from tests.ui.lab import EXTENSION, Lab
from tests.ui.screen import Screen

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_WINDOW = {"width": 1280, "height": 800}

expect.set_options(timeout=20_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.ui)
            item.add_marker(pytest.mark.timeout(240))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport]:
    """Show what was on the page and in the server's log beside a test that failed."""
    report = yield
    funcargs = getattr(item, "funcargs", {})
    lab, page = funcargs.get("lab"), funcargs.get("page")
    if report.failed and isinstance(lab, Lab):
        report.sections.append(("jupyter.log", lab.last_lines()))
    if report.failed and isinstance(page, Page) and not page.is_closed():
        folder = Path(os.environ.get("FAAS_SCREENSHOTS") or (lab.log.parent if lab else "."))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{_file_name(item.name)}.png"
        page.screenshot(path=path)
        report.sections.append(("screenshot", str(path)))
    return report


def _chromium() -> str:
    """Return the path of a browser, or skip."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        _missing("There is no Chromium: apt-get install chromium.")
    if not EXTENSION.exists():
        _missing("The lab extension is not built: make lab-build.")
    return str(found)


def _missing(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser without a window, for one module: while it runs, no other event loop can."""
    path = _chromium()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"],
        )
        yield running
        running.close()


@pytest.fixture(scope="module")
def faas_state() -> Iterator[Path]:
    """The state directory that gateway, kernels and the Jupyter server share."""
    _chromium()
    with state_dir("faas-ui-") as path, pytest.MonkeyPatch.context() as patch:
        for name in ("FAAS_GATEWAY_URL", "FAAS_GATEWAY_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("FAAS_STATE_DIR", str(path))
        yield path
        left = Gateway(path).stop()
        assert left == [], f"processes left behind: {left}"


@pytest.fixture(scope="module")
def gateway(faas_state: Path) -> Iterator[Gateway]:
    """The embedded gateway, running."""
    running = Gateway(faas_state)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def lab(faas_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab of this module; `APP = "notebook"` in the module: Notebook 7."""
    running = Lab(tmp_path_factory.mktemp("jupyter"), faas_state)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page without cookies or anything stored; an error in its scripts fails the test."""
    context = browser.new_context(viewport=_WINDOW)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    context.close()
    assert errors == []


@pytest.fixture
def screen(page: Page, lab: Lab, request: pytest.FixtureRequest) -> Screen:
    """A page for a notebook of this test's own."""
    return Screen(page, lab, f"{_file_name(request.node.name)}.ipynb")


def _file_name(test: str) -> str:
    return re.sub(r"[^\w-]", "-", test)[:80]
