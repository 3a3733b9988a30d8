from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.core.elsewhere import Elsewhere


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    """One other process for the tests of a module."""
    process = Elsewhere()
    yield process
    process.close()


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], types.SimpleNamespace]:
    """Run cells in this process's `__main__`, which is a notebook's for the time of the test."""
    module = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)

    def run(source: str, **given: Any) -> Any:
        vars(module).update(given)
        scope = vars(module)
        exec(compile(source, "/tmp/ipykernel_5/1.py", "exec", dont_inherit=True), scope)
        return module

    return run
