"""A fresh embedded gateway for each test module, and proof that it leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.e2e.gateway import Gateway


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport]:
    """Show what the gateway wrote beside a test that failed."""
    report = yield
    log = Path(os.environ.get("FAAS_STATE_DIR", "/nowhere")) / "gateway.log"
    if report.failed and log.exists():
        report.sections.append(("gateway.log", log.read_text(errors="replace")[-4000:]))
    return report


@pytest.fixture(scope="module")
def gateway(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """The embedded gateway of this module; `SETTINGS` of the module are its `FAAS_*` variables."""
    # Not tmp_path: a Unix socket's path may have 107 bytes.
    state_dir = Path(tempfile.mkdtemp(prefix="faas-e2e-"))
    settings = getattr(request.module, "SETTINGS", {})
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FAAS_GATEWAY_URL", "FAAS_GATEWAY_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("FAAS_STATE_DIR", str(state_dir))
        for name, value in settings.items():
            patch.setenv(name, str(value))
        running = Gateway(state_dir)
        running.start()
        yield running
        left = running.stop()
    log = (state_dir / "gateway.log").read_text() if (state_dir / "gateway.log").exists() else ""
    shutil.rmtree(state_dir, ignore_errors=True)
    assert left == [], f"processes left behind: {left}\n{log[-4000:]}"
