"""One browser, one Jupyter server and one gateway for all tests here; a page for each test.

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
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from tests.e2e.gateway import Gateway
from tests.support import state_dir, untraced
from tests.ui.lab import EXTENSION, Lab
from tests.ui.screen import Screen

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_WINDOW = {"width": 1280, "height": 900}

MOST_REPLICAS = 4
"""That the machine may run, so that it is seen what happens when there is no room."""

expect.set_options(timeout=20_000)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    ours = [item for item in items if here in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.ui)
        item.add_marker(pytest.mark.timeout(300))
    # Last of all: while the browser runs no other event loop can, and it ends with the session.
    items[:] = [item for item in items if here not in item.path.parents] + ours


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport]:
    """Show what was on the page and in the server's log beside a test that failed."""
    report = yield
    funcargs = getattr(item, "funcargs", {})
    screen = funcargs.get("screen")
    if report.failed and isinstance(screen, Screen) and not screen.page.is_closed():
        report.sections.append(("jupyter.log", screen.lab.last_lines()))
        path = screen.lab.log.with_name(f"{_file_name(item.name)}.png")
        screen.page.screenshot(path=path)
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


@pytest.fixture(scope="package")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """A browser without a window, with a cache that all pages share.

    While it runs, no other event loop can: the tests of this folder are the last ones.
    """
    path = _chromium()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("browser"),
            executable_path=Path(__file__).with_name("deaf_chromium.py"),
            env={**os.environ, "FAAS_CHROMIUM": path},
            args=["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"],
            viewport=_WINDOW,
        )
        yield running
        running.close()


@pytest.fixture(scope="package")
def faas_state() -> Iterator[Path]:
    """The state directory that gateway, kernels and the Jupyter server share."""
    _chromium()
    with state_dir("faas-ui-") as path, pytest.MonkeyPatch.context() as patch, untraced():
        for name in ("FAAS_GATEWAY_URL", "FAAS_GATEWAY_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("FAAS_STATE_DIR", str(path))
        patch.setenv("FAAS_MAX_REPLICAS", str(MOST_REPLICAS))
        yield path


@pytest.fixture(scope="package")
def running_gateway(faas_state: Path) -> Iterator[Gateway]:
    """The embedded gateway; it leaves no process behind."""
    running = Gateway(faas_state)
    running.start()
    yield running
    left = running.stop()
    assert left == [], f"processes left behind: {left}"


@pytest.fixture
def gateway(running_gateway: Gateway) -> Gateway:
    """The embedded gateway, running and without a function."""
    for function in running_gateway.request("GET", "/v1/functions").json()["functions"]:
        running_gateway.request("DELETE", f"/v1/functions/{function['name']}")
    return running_gateway


@pytest.fixture(scope="package")
def lab(
    running_gateway: Gateway, faas_state: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    """JupyterLab and Notebook 7, with our extension."""
    running = Lab(tmp_path_factory.mktemp("jupyter"), faas_state)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    """A page; an error in our scripts, or one that names them, fails the test."""
    opened = browser.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(error.stack or str(error)))
    yield opened
    opened.close()
    assert [error for error in errors if "jupyter-faas" in error] == []


@pytest.fixture
def screen(
    page: Page, lab: Lab, gateway: Gateway, request: pytest.FixtureRequest
) -> Iterator[Screen]:
    """A page for a notebook of this test's own."""
    yield Screen(page, lab, f"{_file_name(request.node.name)}.ipynb")
    page.goto("about:blank")
    lab.end_kernels()


def _file_name(test: str) -> str:
    return re.sub(r"[^\w-]", "-", test)[:80]
