"""What the tests of forked kernels share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jupyter_faas.kernels.nursery import nursery


@pytest.fixture(scope="session", autouse=True)
def zygotes() -> Iterator[None]:
    """End this process's zygotes after the last test."""
    yield
    nursery().close()
